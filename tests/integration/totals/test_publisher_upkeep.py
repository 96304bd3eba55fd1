"""What the publisher keeps up beside totals: limits, freshness, calendars, the app's hash, holds that lapsed."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from tallygate import AsyncGate, layout

from schemas.definitions import Customer, Definitions, Limit
from stream.totals import publisher
from stream.totals.connection import connect, erase, faults
from stream.totals.reader import partitions_of, read, status_of
from tests.integration.totals.stub import PARTITIONS, Engine, client, definitions, drive, image, names, running, until
from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis, Valkey


def limited(*limits: tuple[str, str | None], aliases: tuple[str, ...] = ()) -> Definitions:
    """Limits on calls in total, each (limit, customer or None), and aliases of the first customer."""
    (one,) = names(0, 1)
    return definitions(
        limits=tuple(Limit(metric="calls", window="total", limit=Decimal(x), customer=who) for x, who in limits),
        customers={one: Customer(aliases=aliases)} if aliases else {},
        aliases=dict.fromkeys(aliases, one),
    )


def test_nothing_is_written_before_the_first_commit(unique: str, valkey_server: Any) -> None:
    """A writer whose first commit is not in the changelog changes nothing: it may never have been the owner."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            writer = engine.publisher(redis, unique)
            turn = asyncio.ensure_future(writer._step())
            for _ in range(100):  # a hundred round trips, where a first call needs two
                await redis.ping()
            assert not turn.done()
            assert await image(redis, unique) == {}
            assert await partitions_of(redis, unique) is None
            drive(engine, writer)
            await turn
            assert await partitions_of(redis, unique) == PARTITIONS
            if writer._asking is not None:
                await writer._asking

    asyncio.run(main())


def test_limits_follow_the_file(unique: str, valkey_server: Any) -> None:
    """A worker with another file brings limits and aliases up to date, and takes away those that went."""

    async def main() -> None:
        async with client(valkey_server.url) as redis, AsyncGate(redis, unique) as gate:
            one, two, alias = names(0, 3)
            engine = Engine()
            engine.event(one, "calls")
            engine.event(two, "calls")
            writer = engine.publisher(redis, unique, limited(("10", None), ("20", one), ("30", two), aliases=(alias,)))
            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                answers = [await gate.check(name, "calls") for name in (one, two, alias)]
                assert [(int(a.limit or 0), int(a.used or 0)) for a in answers] == [(20, 1), (30, 1), (20, 1)]
            engine = Engine(term=2, after=engine)
            writer = engine.publisher(redis, unique, limited(("15", None), ("30", two)))
            held = await writer.held()
            engine.publish_since(held)
            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                assert engine.asked == [held]  # totals were not touched by it
                fresh = AsyncGate(redis, unique)
                answers = [await fresh.check(name, "calls") for name in (one, two, alias)]
                assert [(int(a.limit or 0), int(a.used or 0)) for a in answers] == [(15, 1), (30, 1), (15, 0)]
                assert await redis.smembers(layout.Keys(unique, 0).configured) == {two.encode()}
                assert await redis.hkeys(layout.Keys(unique, 0).totals(alias)) == []

    asyncio.run(main())


def test_other_decimals_publish_all_again(unique: str, valkey_server: Any) -> None:
    """When a limit has other decimals, totals are not complete until all of them are scaled anew."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            for name in names(0, 20):
                engine.event(name, "calls")
            writer = engine.publisher(redis, unique, limited(("10", None)))
            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
            engine = Engine(term=2, after=engine)
            writer = engine.publisher(redis, unique, limited(("10.0", None)))
            held = await writer.held()
            engine.publish_since(held)
            async with running(writer):
                commit = engine.take()
                assert commit is not None
                writer.offer(commit)
                await until(lambda: engine.asked == [held, None])
                status = await status_of(redis, unique, 0)
                assert status is not None
                assert (status.complete, status.fresh_us, status.version) == (False, None, None)
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                assert len(commit.publications) < 20

    asyncio.run(main())


def test_freshness_waits_for_what_kafka_had(unique: str, valkey_server: Any) -> None:
    """Fresh-as-of moves only over moments at which nothing was in Kafka that is not in Redis, on Redis's clock."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            engine.event(one, "calls")
            writer = engine.publisher(redis, unique)
            seconds, rest = await redis.time()
            before = seconds * 1_000_000 + rest
            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                engine.watermark = 2  # another event is in Kafka, and not yet counted
                await until(lambda: writer._freshness._candidates)
                stood = writer.fresh_us
                beats = writer._beats
                await until(lambda: writer._beats >= beats + 3)
                assert writer.fresh_us == stood
                assert stood is not None
                assert stood >= before
                status = await status_of(redis, unique, 0)
                assert status is not None
                assert status.fresh_us == stood
                engine.event(one, "calls")
                drive(engine, writer)
                await until(lambda: writer.fresh_us != stood)
                seconds, rest = await redis.time()
                seen = await read(redis, unique, one, PARTITIONS)
                assert seen.status is not None
                assert seen.status.fresh_us is not None
                assert stood < seen.status.fresh_us <= seconds * 1_000_000 + rest

    asyncio.run(main())


def test_kafka_that_does_not_answer_leaves_totals_less_fresh(unique: str, valkey_server: Any) -> None:
    """While the watermark cannot be asked, totals go on and freshness stands; then it moves again."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            down = True

            async def below() -> int:
                if down:
                    raise ConnectionError("Kafka is away")
                return 0

            engine.below = below  # type: ignore[method-assign]
            writer = engine.publisher(redis, unique)
            async with running(writer):
                engine.event(one, "calls")
                await until(lambda: drive(engine, writer))
                beats = writer._beats
                await until(lambda: writer._beats >= beats + 2)
                assert writer.fresh_us is None
                down = False
                await until(lambda: writer.fresh_us)

    asyncio.run(main())


def test_the_apps_hash_comes_back(unique: str, valkey_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Cluster the app's hash is on a node of its own: lost there, it comes back without anything else."""
    monkeypatch.setattr(publisher, "ANNOUNCED_EVERY", 2)

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            writer = engine.publisher(redis, unique)
            async with running(writer):
                await until(lambda: drive(engine, writer))
                assert await partitions_of(redis, unique) == PARTITIONS
                await redis.delete(unique)
                async with asyncio.timeout(20):
                    while await partitions_of(redis, unique) is None:  # noqa: ASYNC110 - another program's
                        await asyncio.sleep(0.01)
                assert engine.asked == []

    asyncio.run(main())


def test_calendars_are_renewed(unique: str, valkey_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's calendars are written again before they end."""
    monkeypatch.setattr(publisher, "RENEWED_EVERY_US", 100_000)

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            about = definitions(limits=(Limit(metric="calls", window="hour", limit=Decimal(1)),))
            writer = engine.publisher(redis, unique, about)
            async with running(writer):
                await until(lambda: drive(engine, writer))
                status = layout.Keys(unique, 0).status
                seconds, _ = await redis.time()
                spans = json.loads(await redis.hget(status, "C:"))["hour"]
                assert any(start <= seconds < end for start, end, _ in spans)
                await redis.hset(status, "C:", "{}")
                async with asyncio.timeout(20):
                    while await redis.hget(status, "C:") == b"{}":  # noqa: ASYNC110 - another program's
                        await asyncio.sleep(0.01)

    asyncio.run(main())


def test_lapsed_holds_are_swept(unique: str, valkey_server: Any) -> None:
    """A hold that lapsed leaves Redis although its customer never comes again."""

    async def main() -> None:
        async with client(valkey_server.url) as redis, AsyncGate(redis, unique) as gate:
            engine = Engine()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique, limited(("10", None)))
            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                assert await gate.reserve(one, "calls", 3, ttl=0.01)
                key = layout.Keys(unique, 0).holds(one)
                assert await redis.exists(key)
                async with asyncio.timeout(20):
                    while await redis.exists(key):  # noqa: ASYNC110 - another program's
                        await asyncio.sleep(0.01)
                assert await redis.exists(layout.Keys(unique, 0).due) == 0

    asyncio.run(main())


def test_events_after_their_deadline_are_counted(unique: str, valkey_server: Any) -> None:
    """An event whose hold had lapsed, or was never taken, is counted once; one that came in time is not."""

    class Watch:
        def __init__(self) -> None:
            self.overdues: list[int] = []

        def overdue(self, reservations: int) -> None:
            self.overdues.append(reservations)

        def __getattr__(self, _: str) -> Any:
            return lambda *_: None

    async def main() -> None:
        async with client(valkey_server.url) as redis, AsyncGate(redis, unique) as gate:
            engine, watch = Engine(), Watch()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique, limited(("10", None)))
            writer._watch = watch

            async def publish(*settled: str) -> int:
                for reservation in settled:
                    engine.event(one, "calls", reservation)
                watch.overdues.clear()
                await until(lambda: drive(engine, writer))
                return sum(watch.overdues)

            async with running(writer):
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                assert await gate.reserve(one, "calls", id="in-time", ttl=3600)
                assert await publish("in-time") == 0
                assert await publish("in-time") == 0, "it is settled already"
                assert await publish("unknown", "in-time") == 1
                late = await gate.reserve(one, "calls", id="late", ttl=0.001)
                assert late.at is not None
                deadline_us = round(late.at.timestamp() * 1e6) + 1000
                await until(lambda: (writer.fresh_us or 0) > deadline_us)
                assert await publish("late") == 1
                assert await publish("late") == 0

    asyncio.run(main())


def test_what_is_held_of_another_number_of_partitions(unique: str, valkey_server: Any) -> None:
    """Totals that were spread over another number of partitions are none of ours: all is published again."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            engine.event(one, "calls")
            writer = engine.publisher(redis, unique)
            async with running(writer):
                await until(lambda: drive(engine, writer))
            await redis.hset(layout.Keys(unique, 0).status, layout.PARTITIONS, 9)
            engine = Engine(term=2, after=engine)
            writer = engine.publisher(redis, unique)
            assert await writer.held() is None
            engine.publish_since(None)
            commit = engine.take(0)
            assert commit is not None
            writer.offer(commit)
            await writer._claim()
            status = await status_of(redis, unique, 0)
            assert status is not None
            assert (status.partitions, status.complete, status.position) == (PARTITIONS, False, None)
            async with running(writer):
                await until(lambda: drive(engine, writer))
                status = await status_of(redis, unique, 0)
                assert status is not None
                assert (status.partitions, status.complete, status.position) == (PARTITIONS, True, 1)

    asyncio.run(main())


def test_a_redis_that_is_away_holds_nothing_known() -> None:
    """Where Redis cannot be reached, what it holds is not known; the takeover goes on."""

    async def main() -> None:
        redis = connect("redis://127.0.0.1:1/0", timeout_s=0.2)
        assert await Engine().publisher(redis, "t").held() is None
        await redis.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Valkey, Redis], ids=["valkey", "redis"])
def test_a_server_that_evicts_is_a_fault(kind: Any) -> None:
    """A server that throws keys away is named, with the command that mends it."""

    async def main(url: str) -> None:
        async with client(url) as redis:
            assert await faults(redis) == []
            await redis.config_set("maxmemory-policy", "allkeys-lru")
            (fault,) = await faults(redis)
            assert "allkeys-lru" in fault.text
            assert fault.mend is not None
            assert fault.mend.endswith("CONFIG SET maxmemory-policy noeviction")

    with need(kind)() as server:
        asyncio.run(main(server.url))


def test_each_node_of_a_cluster_is_asked() -> None:
    """On a Cluster every primary is looked at."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis:
            assert await faults(redis) == []
            async with client(cluster.servers[1].url) as one:
                await one.config_set("maxmemory-policy", "volatile-ttl")
            (fault,) = await faults(redis)
            assert str(cluster.servers[1].port) in fault.server

    with Cluster(need(Valkey)) as cluster:
        asyncio.run(main(cluster))


def test_erasing_an_app(unique: str, valkey_server: Any) -> None:
    """Every key of an app goes, and no key of another whose name begins likewise."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            for app in (unique, f"{unique}-b"):
                engine = Engine()
                for name in names(0, 30):
                    engine.event(name, "calls", "r")
                writer = engine.publisher(redis, app, limited(("5", None)))
                async with running(writer):
                    await until(lambda: drive(engine, writer))  # noqa: B023 - waited for at once
            kept = await image(redis, f"{unique}-b")
            assert await erase(redis, unique, PARTITIONS) == 1 + 1 + 30 * 3 + 1
            assert await image(redis, unique) == {}
            assert await redis.exists(unique) == 0
            assert set(await image(redis, f"{unique}-b")) == set(kept)
            assert await erase(redis, f"{unique}-b", PARTITIONS) == 1 + 1 + 30 * 3 + 1

    asyncio.run(main())
