"""`tally doctor` on real servers: it finds what is wrong, and what it recommends mends it."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from tallygate.urls import connect

from tally.servers import EmbeddedKafka, EmbeddedRedis
from tests.integration.commands.running import environment, tally
from tests.integration.commands.topics import make_topic
from tests.servers.kafka import GivenKafka, Kafka
from tests.servers.stores import Cluster


@pytest.fixture
def metrics(tmp_path: Path) -> str:
    """A metrics file without a fault."""
    path = tmp_path / "metrics.yaml"
    path.write_text("metrics: {calls: {event_name: call, type: counter, aggregation: count}}\n")
    return str(path)


def faults(found: Any) -> list[tuple[str, str]]:
    """What is wrong, and what mends it."""
    return [(check["about"], check["mend"]) for check in found["checks"] if check["state"] == "wrong"]


def test_the_embedded_servers_have_no_fault(
    embedded_kafka: EmbeddedKafka, valkey_server: EmbeddedRedis, unique: str, metrics: str
) -> None:
    """What the embedded broker does not tell is unknown, not wrong; the exit code is 0."""
    make_topic(embedded_kafka.bootstrap, f"{unique}-events", 4)
    env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=metrics)
    ran = tally(env, "doctor", "--json")
    assert (ran.code, ran.json["wrong"]) == (0, 0)
    about = [(check["about"], check["state"]) for check in ran.json["checks"]]
    assert (f"topic {unique}-events", "unknown") in about
    assert ("Kafka", "note") in about
    assert "Nothing is wrong." in tally(env, "doctor").out


def test_servers_that_do_not_answer_are_faults() -> None:
    """Each is told by itself: one that is away does not hide the other."""
    ran = tally(environment("127.0.0.1:1", "x", TALLY_REDIS="redis://u:secret@127.0.0.1:1/0"), "doctor", "--json")
    assert ran.code == 1
    assert [about for about, _ in faults(ran.json)] == ["Kafka", "Redis"]
    assert "secret" not in ran.out


def test_definitions_with_a_fault_are_a_fault(tmp_path: Path) -> None:
    """And the command that shows it is named."""
    path = tmp_path / "m.yaml"
    path.write_text("metrics: 1\n")
    ran = tally(environment("127.0.0.1:1", "x", TALLY_METRICS=str(path)), "doctor", "--json")
    assert (f"definitions {path}", f"tally validate {path}") in faults(ran.json)


def test_a_cluster_is_looked_at_node_by_node(
    embedded_kafka: EmbeddedKafka, redis_cluster: Cluster, unique: str, metrics: str
) -> None:
    """Each of the three primaries is named; totals that no worker keeps are told for partitions of every slot."""
    url = redis_cluster.url
    env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=url, TALLY_METRICS=metrics)
    with connect(url, timeout_s=5.0) as client:
        client.hset(unique, mapping={"layout": 1, "partitions": 4})
        for number in range(4):
            client.hset(
                f"{unique}:{{{number}}}", mapping={"y": 1, "n": 4, "c": 1, "f": 1, "v": 1, "o": 1, "a": "127.0.0.1:1"}
            )
    found = tally(env, "doctor", "--json").json["checks"]
    assert len({check["about"] for check in found if check["about"].startswith("Redis ")}) == 3
    (totals,) = [check["detail"] for check in found if check["about"] == f"totals of {unique}"]
    assert totals == "partitions 0, 1, 2, 3 are older than 10 s: gates answer stale there; no worker runs"
    assert ("worker 127.0.0.1:1", "note") in [(check["about"], check["state"]) for check in found]


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A Redis as many are set: it evicts, and keeps nothing."""
    with EmbeddedRedis(directory=tmp_path / "redis", options={"maxmemory-policy": "allkeys-lru"}) as server:
        yield server


@pytest.mark.kafka
def test_what_it_recommends_mends_the_fault(
    kafka: Kafka | GivenKafka, evicting: EmbeddedRedis, unique: str, metrics: str
) -> None:
    """A topic and a Redis set wrongly in every way: each recommended setting is applied, then nothing is wrong."""
    make_topic(
        kafka.bootstrap, f"{unique}-events", 4, cleanup_policy="compact", retention_ms="3600000",
        retention_bytes="1000000", message_timestamp_after_max_ms="9223372036854775807",
    )  # fmt: skip
    make_topic(kafka.bootstrap, f"{unique}-rejected", 4)
    make_topic(kafka.bootstrap, f"{unique}-state-changelog", 4, cleanup_policy="delete")
    env = environment(kafka.bootstrap, unique, TALLY_REDIS=evicting.url, TALLY_METRICS=metrics)
    ran = tally(env, "doctor", "--json")
    assert ran.code == 1
    found = faults(ran.json)
    added = [mend.partition("--add-config ")[2] for _, mend in found if "--add-config" in mend]
    assert sorted(added) == sorted([
        "message.timestamp.after.max.ms=3600000", "cleanup.policy=delete", "retention.ms=604800000",
        "retention.bytes=-1", "max.message.bytes=4194304", "max.message.bytes=4194304", "cleanup.policy=compact",
        "max.message.bytes=4194304",
    ])  # fmt: skip
    for _, mend in found:
        words = shlex.split(mend)
        if words[0] == "redis-cli":
            subprocess.run(words, check=True, capture_output=True)
        else:
            apply(kafka.bootstrap, words)
    assert faults(tally(env, "doctor", "--json").json) == []


def apply(bootstrap: str, words: list[str]) -> None:
    """Do what kafka-configs.sh does with these words, beside the settings that the topic has."""
    import asyncio

    from tally.kafka import admin, configs

    assert words[:4] == ["kafka-configs.sh", "--bootstrap-server", bootstrap, "--alter"]
    topic = words[words.index("--entity-name") + 1]
    name, _, value = words[words.index("--add-config") + 1].partition("=")

    async def alter() -> None:
        async with admin(bootstrap) as client:
            own = (
                "cleanup.policy",
                "retention.ms",
                "retention.bytes",
                "max.message.bytes",
                "message.timestamp.after.max.ms",
            )
            now = (await configs(client, [topic]))[topic]
            settings = {**{key: now[key] for key in own}, name: value}
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])

    asyncio.run(alter())
