"""Fixtures of servers; tests/conftest.py makes them known to every test.

A fixture of the session is shared: give topics and TALLY_APP a name of your own (`unique`), and flush nothing.
A test that kills, stops or fills a server takes one made for it: `breakable_kafka`, `own_redis`.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tally.servers import EmbeddedKafka, EmbeddedRedis, ServerError
from tests.servers.kafka import GivenKafka, Kafka
from tests.servers.stores import Cluster, Kind, Redis, SentinelSet, Valkey


class Broker(Protocol):
    """What the fixture `broker` gives: `bootstrap` for TALLY_KAFKA, and whether it knows transactions."""

    @property
    def bootstrap(self) -> str: ...
    @property
    def transactions(self) -> bool: ...


def real_kafka() -> Iterator[Kafka | GivenKafka]:
    """Start a Kafka, or use the one of TALLY_TEST_KAFKA."""
    if os.environ.get("TALLY_TEST_KAFKA"):
        yield GivenKafka()
        return
    with Kafka() as started:
        yield started


def need(kind: Kind) -> Kind:
    """Skip the test where this server is not installed; fail it where CI is set, which must run everything."""
    try:
        kind.program()
    except ServerError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
    return kind


@pytest.fixture
def unique() -> str:
    """A name that no other test has, for topics and TALLY_APP."""
    return f"t-{secrets.token_hex(5)}"


@pytest.fixture(scope="session", name="kafka")
def _kafka() -> Iterator[Kafka | GivenKafka]:
    """Apache Kafka, one node, for the session. Tests that use it are marked `kafka`."""
    yield from real_kafka()


@pytest.fixture
def breakable_kafka(kafka: Kafka | GivenKafka) -> Iterator[Kafka]:
    """The session's Kafka for a test that kills or pauses it; afterwards it is whole again, data and all."""
    if not isinstance(kafka, Kafka):
        pytest.skip("the Kafka of TALLY_TEST_KAFKA is not ours to kill")
    yield kafka
    kafka.heal()


@pytest.fixture(scope="session")
def kafka_trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Apache Kafka, three nodes, replication factor 3, min.insync.replicas 2; whole at the start of the session."""
    with Kafka(Path(tmp_path_factory.mktemp("kafka-trio")), count=3) as started:
        yield started


@pytest.fixture(scope="session")
def embedded_kafka() -> Iterator[EmbeddedKafka]:
    """The broker that the demo uses, for the session."""
    with EmbeddedKafka() as started:
        yield started


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each test that takes it runs on the embedded broker in `make test` and on Apache Kafka in `make test-kafka`."""
    found: Broker = request.getfixturevalue("embedded_kafka" if request.param == "embedded" else "kafka")
    return found


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """Redis itself, for the session."""
    with need(Redis)() as started:
        yield started


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[EmbeddedRedis]:
    """Valkey, for the session."""
    with need(Valkey)() as started:
        yield started


@pytest.fixture(params=["valkey", "redis"])
def any_redis(request: pytest.FixtureRequest) -> EmbeddedRedis:
    """Each test that takes it runs on Valkey and on Redis."""
    found: EmbeddedRedis = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(params=[Valkey, Redis], ids=["valkey", "redis"])
def own_redis(request: pytest.FixtureRequest) -> Iterator[EmbeddedRedis]:
    """A Valkey, then a Redis, of the test's own, each with its log on disk: kill(), start() and lose nothing."""
    with need(request.param)(appendonly=True) as started:
        yield started


@pytest.fixture(scope="session", params=[Valkey, Redis], ids=["valkey", "redis"])
def redis_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Cluster of three primaries, for the session, of Valkey and then of Redis."""
    with Cluster(need(request.param)) as started:
        yield started


@pytest.fixture(params=[Valkey, Redis], ids=["valkey", "redis"])
def redis_cluster_with_replicas(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Cluster of three primaries and a replica of each, of the test's own: kill one and see it replaced."""
    with Cluster(need(request.param), replicas=True) as started:
        yield started


@pytest.fixture(params=[Valkey, Redis], ids=["valkey", "redis"])
def redis_sentinel(request: pytest.FixtureRequest) -> Iterator[SentinelSet]:
    """A primary, a replica and three Sentinels of the test's own."""
    with SentinelSet(need(request.param)) as started:
        yield started
