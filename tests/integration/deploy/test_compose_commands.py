"""What the containers of docker-compose.yml would run, run here: no container engine is needed to see that it starts."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from ruamel.yaml import YAML

from tally.servers import HOST, Server, free_port, kafka_answers
from tests.servers.fixtures import need
from tests.servers.jars import jars
from tests.servers.kafka import LOGGING, brokers, new_cluster_id
from tests.servers.records import Record, create_topics, produce, read
from tests.servers.stores import Redis

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, Any] = YAML(typ="safe").load(ROOT / "docker-compose.yml")["services"]


class ComposeRedis(Redis):
    """redis-server with the arguments of the compose file, on a port and directory of its own."""

    def command(self) -> Sequence[str]:
        """Replace the program's name, which is all that the image adds."""
        program, *arguments = SERVICES["redis"]["command"]
        assert program == "redis-server"
        return [self.program(), *arguments, "--port", str(self.port), "--bind", HOST, "--dir", str(self.directory)]


class ComposeKafka(Server):
    """Kafka with the environment of the compose file, as the image turns it into properties; ports are free ones."""

    name = "compose-kafka"
    starts_within_s = 60.0

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self.ports = {"9092": self.port, "19092": free_port(), "29093": free_port()}

    def properties(self) -> dict[str, str]:
        """KAFKA_NODE_ID is node.id; hosts and ports are replaced, for here is neither a network nor a name `kafka`."""
        found = {}
        for name, value in SERVICES["kafka"]["environment"].items():
            text = str(value).replace("/var/lib/kafka/data", str(self.directory / "data"))
            for port, free in self.ports.items():
                text = text.replace(f":{port}", f":{free}")
            text = text.replace("kafka:", f"{HOST}:").replace("://:", f"://{HOST}:")
            found[name.removeprefix("KAFKA_").lower().replace("_", ".")] = text
        return found

    def command(self) -> Sequence[str]:
        """Format the storage, as the image does at its first start, and run the broker."""
        logging, config = self.directory / "log4j2.properties", self.directory / "server.properties"
        logging.write_text(LOGGING)
        config.write_text("".join(f"{key}={value}\n" for key, value in self.properties().items()))
        java = ["java", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars()}/*"]
        form = ["kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(config)]
        subprocess.run([*java, *form], check=True, capture_output=True)
        return [*java, "kafka.Kafka", str(config)]

    def ready(self) -> bool:
        """Its outer listener answers, and the broker has registered."""
        return kafka_answers(self.port) and brokers(self.address) == {1}


def test_redis_of_the_compose_file_evicts_nothing_and_keeps_its_log() -> None:
    """The arguments are accepted, and the settings that the workers demand are on."""
    with need(ComposeRedis)() as store, redis.Redis.from_url(store.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}


@pytest.mark.kafka
def test_kafka_of_the_compose_file_takes_and_gives_records(tmp_path: Path) -> None:
    """The environment makes a whole KRaft node: it leads topics and takes the records of an idempotent producer."""
    with ComposeKafka(tmp_path) as kafka:
        create_topics(kafka.address, {"usage-events": 16})
        placed = produce(kafka.address, "usage-events", [Record(b"acme", b"1")], settings={"enable.idempotence": True})
        assert len(placed) == 1
        assert [record.value for record in read(kafka.address, "usage-events")] == [b"1"]
