"""The worlds in which the contract is tested."""

import asyncio
from collections.abc import Iterator

import pytest
from tallygate import AsyncGate, Gate, urls
from tallygate.testing import FakeGate

from tests.contract.gate.world import START, AsyncRedisWorld, RedisWorld, World, use_our_clock
from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis, SentinelSet

KINDS = ["fake", "valkey", "redis", "asyncio", "cluster", "sentinel"]


@pytest.fixture(scope="session")
def gate_cluster() -> Iterator[str]:
    """A Cluster of three Redis primaries with a replica each, for the session."""
    with Cluster(need(Redis), replicas=True) as started:
        yield started.url


@pytest.fixture(scope="session")
def gate_sentinel() -> Iterator[str]:
    """A Redis primary with a replica and three Sentinels, for the session."""
    with SentinelSet(need(Redis)) as started:
        yield started.url


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, unique: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A gate, and the world behind it: the shipped fake, and real scripts on real servers."""
    if request.param == "fake":
        yield FakeGate(now=START)
    else:
        kind = {"cluster": "gate_cluster", "sentinel": "gate_sentinel", "redis": "redis_server"}.get(
            request.param, "valkey_server"
        )
        server = request.getfixturevalue(kind)
        use_our_clock(monkeypatch)
        yield from _real(server if isinstance(server, str) else server.url, unique, request.param)


def _real(url: str, app: str, kind: str) -> Iterator[World]:
    redis = urls.connect(url, timeout_s=5)
    if kind == "asyncio":
        with asyncio.Runner() as runner:
            aio = AsyncGate.from_url(url, app)
            yield AsyncRedisWorld(redis, app, gate=aio, loop=runner.get_loop())
            runner.run(aio.close())
    else:
        with Gate.from_url(url, app) as gate:
            yield RedisWorld(redis, app, gate=gate)
    redis.close()
