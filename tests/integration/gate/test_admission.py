"""Under load, with totals that lag, workers that die and answers that are repeated, exactly the limit is admitted."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from tallygate import AsyncGate, Reservation, layout

from schemas.definitions import Limit
from stream.totals.publisher import Publisher
from tests.integration.gate.contest import CLIENTS, Contest, Kind
from tests.integration.totals.stub import Engine, client, definitions, names, running
from tests.integration.totals.test_failover import move_slot
from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis, ask

pytestmark = pytest.mark.timeout(900)

LIMIT = 1000
LAG_S = 2.0
TTL_S = 0.7
(CUSTOMER,) = names(0, 1)


class Worker:
    """Counts what Kafka acknowledged, `LAG_S` late, and publishes it; it may die, freeze, or be replaced."""

    def __init__(self, redis: Any, app: str) -> None:
        self._redis, self._app = redis, app
        self.kafka: list[tuple[float, str, str, str]] = []
        self.engine = Engine()
        self.engine.below = self.watermark  # type: ignore[method-assign]
        self._about = definitions(limits=(Limit(metric="calls", window="total", limit=Decimal(LIMIT)),))
        self.frozen = False

    async def send(self, kind: Kind, _: str, hold: Reservation) -> None:
        # what does not count raises another metric: here it only has to settle its hold
        metric = "calls" if kind == "counted" else "errors"
        self.kafka.append((asyncio.get_running_loop().time(), CUSTOMER, metric, hold.id))

    async def watermark(self) -> int:
        return len(self.kafka)

    async def publisher(self) -> Publisher:
        """A writer that brings what Redis lacks of the commits before it, as the engine's takeover does."""
        made = self.engine.publisher(self._redis, self._app, self._about)
        self.engine.publish_since(await made.held())
        return made

    def replace(self) -> None:
        self.engine = Engine(term=(self.engine.version >> 32) + 1, after=self.engine)
        self.engine.below = self.watermark  # type: ignore[method-assign]

    def fold(self, now: float) -> None:
        for at, customer, metric, reservation in self.kafka[len(self.engine.log) :]:
            if at + LAG_S > now:
                break
            self.engine.event(customer, metric, reservation)

    async def work(self, writer: Publisher, stop: asyncio.Event) -> None:
        """Fold, commit and publish until told to stop; the last commit may then be in the log, but not in Redis."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            await asyncio.sleep(0.02)
            if not self.frozen:
                self.fold(loop.time())
                while (commit := self.engine.take()) is not None:
                    writer.offer(commit)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Valkey, or a Cluster of six."""
    if request.param == "cluster":
        with Cluster(need(Redis), replicas=True) as cluster:
            yield cluster.url
    else:
        yield request.getfixturevalue("valkey_server").url


@pytest.mark.parametrize(
    "url, trouble",
    [("valkey", "none"), ("valkey", "replaced"), ("valkey", "frozen"), ("cluster", "replaced")],
    indirect=["url"],
)
def test_exactly_the_limit_is_admitted(url: str, unique: str, trouble: str) -> None:
    """64 clients, totals later than the holds' time to live: what is admitted, sent and counted is the limit exactly."""

    async def main() -> None:
        async with client(url) as redis, AsyncGate.from_url(url, unique) as gate:
            worker = Worker(redis, unique)
            contest = Contest(gate, CUSTOMER, LIMIT, TTL_S, worker.send)
            everybody = asyncio.ensure_future(contest.run())
            turn = 0
            while not everybody.done():
                turn += 1
                stop = asyncio.Event()
                async with running(await worker.publisher()) as writer:
                    working = asyncio.ensure_future(worker.work(writer, stop))
                    wait = 0.7 if trouble == "replaced" and turn < 8 else 3600
                    if trouble == "frozen" and turn == 1:
                        await asyncio.wait([everybody], timeout=0.5)
                        worker.frozen = True
                        await asyncio.wait([everybody], timeout=3 * LAG_S)
                        worker.frozen = False
                    await asyncio.wait([everybody], timeout=wait)
                    stop.set()
                    await working
                # the worker dies: what it committed last may not have reached Redis
                worker.fold(asyncio.get_running_loop().time())
                worker.engine.take()
                worker.replace()
            await everybody
            async with running(await worker.publisher()) as writer:
                stop = asyncio.Event()
                working = asyncio.ensure_future(worker.work(writer, stop))
                await contest.settled()
                stop.set()
                await working
            contest.prove()

    asyncio.run(main())


def test_a_dead_primary_loses_no_more_than_the_open_holds(unique: str) -> None:
    """On a Cluster of six a primary dies ahead of its replica: the limit is passed by the holds open then, if at all."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis, AsyncGate.from_url(cluster.url, unique) as gate:
            worker = Worker(redis, unique)
            contest = Contest(gate, CUSTOMER, LIMIT, TTL_S, worker.send, loses=True)
            everybody = asyncio.ensure_future(contest.run())
            slot = await redis.cluster_keyslot(layout.Keys(unique, 0).status)
            stop = asyncio.Event()
            async with running(await worker.publisher()) as writer:
                working = asyncio.ensure_future(worker.work(writer, stop))
                async with asyncio.timeout(120):
                    while contest.granted < LIMIT * 3 // 4 or writer.position < LIMIT // 4:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                primary, replica = cluster.servers[slot * 3 // 16384], cluster.servers[3 + slot * 3 // 16384]
                replica.pause()
                ask(primary, "CLIENT", "KILL", "TYPE", "replica")  # else its socket keeps for it what comes now
                granted, published = contest.granted, writer.published
                async with asyncio.timeout(120):
                    while contest.granted < granted + 20 or writer.published == published:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                primary.kill()
                replica.resume()
                # what was granted, less what has come into the totals; what was released or has lapsed is in it too
                open_then = contest.granted + CLIENTS - writer.position
                async with asyncio.timeout(300):
                    await everybody
                await contest.settled()
                stop.set()
                await working
            assert len(worker.engine.asked) > 1, "the replica had everything: nothing was lost"
            contest.prove(lost=open_then)

    with Cluster(need(Redis), replicas=True) as cluster:
        asyncio.run(main(cluster))


def test_exactly_the_limit_is_admitted_while_the_slot_moves(unique: str) -> None:
    """While the partition's slot moves to another node, key by key, calls may be unavailable; the count is exact."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis, AsyncGate.from_url(cluster.url, unique) as gate:
            worker = Worker(redis, unique)
            contest = Contest(gate, CUSTOMER, LIMIT, TTL_S, worker.send)
            everybody = asyncio.ensure_future(contest.run())
            stop = asyncio.Event()
            async with running(await worker.publisher()) as writer:
                working = asyncio.ensure_future(worker.work(writer, stop))
                async with asyncio.timeout(120):
                    while writer.position < LIMIT // 4:  # noqa: ASYNC110 - the contest is in full swing then
                        await asyncio.sleep(0.01)
                await asyncio.to_thread(move_slot, cluster, unique, 1)
                async with asyncio.timeout(300):
                    await everybody
                await contest.settled()
                stop.set()
                await working
            contest.prove()

    with Cluster(need(Redis)) as cluster:
        asyncio.run(main(cluster))
