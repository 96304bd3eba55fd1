"""What the containers of docker-compose.yml would run, run here: no container engine is needed to see that it starts."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from ruamel.yaml import YAML
from tallygate import layout

from tally.servers import HOST, EmbeddedKafka, Server, free_port, kafka_answers, wait_until
from tests.servers.fixtures import need
from tests.servers.jars import jars
from tests.servers.kafka import LOGGING, brokers, new_cluster_id
from tests.servers.records import Record, create_topics, produce, read
from tests.servers.stores import Redis
from tests.servers.workers import Worker, answers

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


class ComposeWorker(Worker):
    """A worker with the command and the environment of the compose file and of the image; hosts are replaced by ports."""

    def __init__(self, service: str, hosts: Mapping[str, str]) -> None:
        found = SERVICES[service]
        mounted = dict(reversed(volume.split(":")[:2]) for volume in found["volumes"])
        image = dict(
            re.findall(r"\b([A-Z_]+)=(\S+)", re.findall(r"^ENV (.*?[^\\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)[-1])
        )
        del image["PATH"]
        super().__init__({}, arguments=found["command"][1:])
        assert found["command"][0] == "worker"
        replaced = {**hosts, f"{service}:6066": self.address, "0.0.0.0:6066": f"0.0.0.0:{self.port}"}
        replaced |= {inside: str(ROOT / outside) for inside, outside in mounted.items()}
        replaced["/tmp/tally"] = str(self.directory / "data")
        outside = re.compile("|".join(map(re.escape, replaced)))
        for name, value in {**image, **found["environment"]}.items():
            self._environment[name] = outside.sub(lambda part: replaced[part[0]], value)

    def healthy(self) -> bool:
        """What the image's HEALTHCHECK says."""
        (check,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
        program, *arguments = json.loads(check.replace(":6066", f":{self.port}"))
        assert program == "python"
        return not subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode


DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_workers_of_the_compose_file_share_the_work() -> None:
    """Both start on its environment, are healthy by the image's own check, count, and name each other in Redis."""
    with need(ComposeRedis)() as store, EmbeddedKafka() as kafka, redis.Redis.from_url(store.url) as client:
        hosts = {"kafka:19092": kafka.bootstrap, "redis://redis:6379/0": store.url}
        with ComposeWorker("worker-1", hosts) as first, ComposeWorker("worker-2", hosts) as second:
            assert first.healthy()
            assert second.healthy()

            def owners() -> set[str]:
                found = [layout.parse_status(client.hgetall(layout.Keys("tally", one).status)) for one in range(16)]
                return {status.address for status in found if status is not None}

            wait_until(lambda: owners() == {first.address, second.address}, "both own partitions", 60)
            now = int(time.time() * 1000)
            event = {"id": "1", "event_name": "request", "customer_id": "acme", "timestamp": now}
            produce(kafka.address, "usage-events", [Record(b"acme", json.dumps(event).encode(), now)])
            key = layout.Keys("tally", layout.partition_of("acme", 16)).totals("acme")
            wait_until(lambda: client.hget(key, "requests") is not None, "the event counts", 60)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not here (Debian: prometheus)")
def test_prometheus_of_the_compose_file_starts_on_its_arguments(tmp_path: Path) -> None:
    """The configuration that it mounts is read, with its rules, and both workers are asked."""

    class ComposePrometheus(Server):
        name = "compose-prometheus"

        def command(self) -> Sequence[str]:
            arguments = [
                argument.replace("/etc/prometheus", str(ROOT / "deploy" / "prometheus")).replace(
                    "=/prometheus", f"={tmp_path}"
                )
                for argument in SERVICES["prometheus"]["command"]
            ]
            return ["prometheus", *arguments, f"--web.listen-address={self.address}"]

        def ready(self) -> bool:
            return answers(f"http://{self.address}/-/ready")

    with ComposePrometheus() as prometheus:

        def asked() -> list[str]:
            with urllib.request.urlopen(f"http://{prometheus.address}/api/v1/targets", timeout=30) as answer:
                return sorted(one["labels"]["instance"] for one in json.load(answer)["data"]["activeTargets"])

        wait_until(lambda: asked() == ["worker-1:6066", "worker-2:6066"], "the targets", 60)
        with urllib.request.urlopen(f"http://{prometheus.address}/api/v1/rules", timeout=30) as answer:
            groups = json.load(answer)["data"]["groups"]
        assert sum(len(group["rules"]) for group in groups) == 25
