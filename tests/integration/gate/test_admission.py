"""Under load, with totals that lag, workers that die and answers that are repeated, exactly the limit is admitted."""

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tallygate import AsyncGate, GateUnavailable

from schemas.definitions import Limit
from stream.totals.publisher import Publisher
from tests.integration.totals.stub import Engine, client, definitions, names, running
from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis

LIMIT = 300
CLIENTS = 64
LAG_S = 0.8
TTL_S = 0.25


class Worker:
    """Counts what Kafka acknowledged, `LAG_S` late, and publishes it; it may die, freeze, or be replaced."""

    def __init__(self, redis: Any, app: str) -> None:
        self._redis, self._app = redis, app
        self.kafka: list[tuple[float, str, str]] = []
        self.engine = Engine()
        self.engine.below = self.watermark  # type: ignore[method-assign]
        self._about = definitions(limits=(Limit(metric="calls", window="total", limit=Decimal(LIMIT)),))
        self.frozen = False

    async def watermark(self) -> int:
        return len(self.kafka)

    def publisher(self) -> Publisher:
        return self.engine.publisher(self._redis, self._app, self._about)

    def replace(self) -> None:
        self.engine = Engine(term=(self.engine.version >> 32) + 1, after=self.engine)
        self.engine.below = self.watermark  # type: ignore[method-assign]

    def fold(self, now: float) -> None:
        for at, customer, reservation in self.kafka[len(self.engine.log) :]:
            if at + LAG_S > now:
                break
            self.engine.event(customer, "calls", reservation)

    async def work(self, writer: Publisher, stop: asyncio.Event) -> None:
        """Fold, commit and publish until told to stop; the last commit may then be in the log, but not in Redis."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            await asyncio.sleep(0.02)
            if not self.frozen:
                self.fold(loop.time())
                while (commit := self.engine.take()) is not None:
                    writer.offer(commit)


async def compete(gate: AsyncGate, worker: Worker, customer: str, seed: int, admitted: dict[str, None]) -> None:
    """One client: it reserves, does its work, sends its event at once, and repeats some reservations afterwards."""
    randomly = random.Random(seed)
    refused = 0
    number = 0
    while refused < 8:
        hold = f"{seed}-{number}"
        number += 1
        try:
            answer = await gate.reserve(customer, "calls", id=hold, ttl=TTL_S, max_staleness=30)
        except GateUnavailable:
            continue
        if not answer.allowed:
            refused += answer.used is not None and answer.used >= LIMIT
            await asyncio.sleep(randomly.uniform(0.02, 0.2))
            continue
        assert answer.used is not None
        assert answer.reserved is not None
        assert answer.used + answer.reserved <= LIMIT
        draw = randomly.random()
        if draw < 0.1:
            await gate.release(customer, hold)
            continue
        if draw < 0.2:
            continue  # its process died: the hold lapses
        worker.kafka.append((asyncio.get_running_loop().time(), customer, hold))
        admitted[hold] = None
        if draw < 0.4:
            again = await gate.reserve(customer, "calls", id=hold, ttl=TTL_S, max_staleness=30)
            assert again.reason in {"ok", "settled"}


@pytest.fixture(params=["valkey", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Valkey, and a Cluster."""
    if request.param == "cluster":
        with Cluster(need(Redis)) as cluster:
            yield cluster.url
    else:
        yield request.getfixturevalue("valkey_server").url


@pytest.mark.parametrize("trouble", ["none", "replaced", "frozen"])
def test_exactly_the_limit_is_admitted(url: str, unique: str, trouble: str) -> None:
    """64 clients, totals later than the holds' time to live: what is admitted, sent and counted is the limit exactly."""

    async def main() -> None:
        async with client(url) as redis, AsyncGate.from_url(url, unique) as gate:
            worker = Worker(redis, unique)
            (customer,) = names(0, 1)
            admitted: dict[str, None] = {}
            clients = [
                asyncio.ensure_future(compete(gate, worker, customer, seed, admitted)) for seed in range(CLIENTS)
            ]
            everybody = asyncio.gather(*clients)
            turn = 0
            while not everybody.done():
                turn += 1
                stop = asyncio.Event()
                async with running(worker.publisher()) as writer:
                    working = asyncio.ensure_future(worker.work(writer, stop))
                    wait = 0.7 if trouble == "replaced" and turn < 5 else 3600
                    if trouble == "frozen" and turn == 1:
                        await asyncio.wait([everybody], timeout=0.5)
                        worker.frozen = True
                        await asyncio.wait([everybody], timeout=1.5)
                        worker.frozen = False
                    await asyncio.wait([everybody], timeout=wait)
                    stop.set()
                    await working
                # the worker dies: what it committed last may not have reached Redis
                worker.fold(asyncio.get_running_loop().time())
                worker.engine.take()
                worker.replace()
            await everybody
            assert len(admitted) == LIMIT
            assert len(worker.kafka) == LIMIT
            async with running(worker.publisher()) as writer:
                stop = asyncio.Event()
                working = asyncio.ensure_future(worker.work(writer, stop))
                async with asyncio.timeout(20):
                    while (await gate.check(customer, "calls", max_staleness=30)).used != LIMIT:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                stop.set()
                await working
            assert (await gate.check(customer, "calls", 0, max_staleness=30)).reserved == 0

    asyncio.run(main())
