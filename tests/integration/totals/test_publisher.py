"""The publisher against real servers: what reaches Redis, what comes back, and who is shut out."""

import asyncio
import contextlib
import functools
import random
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tallygate import layout

from stream.core.commit import TERM, Commit, Publication
from stream.totals import link, publisher
from stream.totals.reader import read, status_of
from tests.integration.totals.stub import (
    PARTITIONS,
    Engine,
    Faulty,
    at_work,
    client,
    drive,
    image,
    names,
    running,
    shown,
    until,
)


@pytest.fixture(params=["valkey", "redis", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Valkey, Redis, and a Cluster of three."""
    if request.param == "cluster":
        yield request.getfixturevalue("cluster_url")
    else:
        yield request.getfixturevalue(f"{request.param}_server").url


async def published(writer: publisher.Publisher, engine: Engine) -> None:
    """Everything the engine has is in Redis."""
    await until(lambda: writer.published == engine.version and writer.complete)


def is_at(writer: publisher.Publisher, version: int) -> bool:
    """Whether Redis holds this version."""
    return writer.published == version


async def check_all(redis: Any, app: str, engine: Engine, customers: list[str]) -> None:
    """What a reader sees of each customer is the recount up to the position that it is told."""
    for customer in customers:
        seen = await read(redis, app, customer, PARTITIONS)
        position = seen.position
        assert position is not None
        found = {} if seen.totals is None else {t.metric: int(t.value) for t in seen.totals.totals}
        assert found == engine.recount(customer, position), (customer, position)


def test_totals_reach_redis(url: str, unique: str) -> None:
    """What commits changed is in Redis with the version and position of the last commit that touched it."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            one, two = names(0, 2)
            writer = engine.publisher(redis, unique)
            assert await writer.held() is None
            async with running(writer):
                engine.event(one, "calls")
                engine.event(two, "calls")
                drive(engine, writer)
                engine.event(two, "tokens")
                drive(engine, writer)
                await published(writer, engine)
                first, second = await read(redis, unique, one, 4), await read(redis, unique, two, 4)
                assert first.totals is not None
                assert (first.totals.version, first.totals.position, first.position) == (TERM + 1, 2, 3)
                assert second.totals is not None
                assert (second.totals.version, second.totals.position) == (TERM + 2, 3)
                assert {t.metric: t.value for t in second.totals.totals} == {"calls": "1", "tokens": "1"}
                assert engine.asked == []

    asyncio.run(main())


def test_coalesced_commits_keep_the_last_value(unique: str, valkey_server: Any) -> None:
    """Commits that waited together are published once, with the last value of each field and every settled id."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique)
            for version, field, settles in ((1, "calls", ["a"]), (2, "tokens", ["b"]), (3, "calls", [])):
                fields: dict[str, str | None] = {field: shown(version)}
                row = Publication(one, fields, settles, version == 1)
                writer.offer(Commit(TERM + version, version, [], [], [row], complete=True))
            async with running(writer):
                await until(lambda: writer.published == TERM + 3)
            seen = await read(redis, unique, one, 4)
            assert seen.totals is not None
            assert {t.metric: t.value for t in seen.totals.totals} == {"calls": "3", "tokens": "2"}
            holds = await redis.hgetall(f"{unique}:{{0}}:h:{one}")
            assert holds == {b"#a": b"S", b"#b": b"S"}

    asyncio.run(main())


def test_fields_go(url: str, unique: str) -> None:
    """None deletes a field, `whole` every field that is not named, and a customer with none left is gone."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique)
            key = f"{unique}:{{0}}:u:{one}"
            async with running(writer):
                steps: list[tuple[dict[str, str | None], bool, set[bytes]]] = [
                    ({"calls": "{}", "tokens": "{}", "errors": "{}"}, True, {b"calls", b"tokens", b"errors"}),
                    ({"calls": None}, False, {b"tokens", b"errors"}),
                    ({"tokens": "{}"}, True, {b"tokens"}),
                    ({"tokens": None}, False, set()),
                ]
                for number, (fields, whole, left) in enumerate(steps, 1):
                    row = Publication(one, fields, [], whole)
                    writer.offer(Commit(TERM + number, number, [], [], [row], complete=True))
                    await until(functools.partial(is_at, writer, TERM + number))
                    found = await redis.hgetall(key)
                    assert set(found) == (left | {b":v", b":o"} if left else set())

    asyncio.run(main())


def test_many_fields_of_one_customer(url: str, unique: str) -> None:
    """A customer with thousands of groups is published in one step."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique)
            fields: dict[str, str | None] = {f'calls{{"g":{n}}}': "{}" for n in range(20_000)}
            async with running(writer):
                writer.offer(Commit(TERM + 1, 1, [], [], [Publication(one, fields, [], whole=True)], complete=True))
                await until(lambda: writer.published == TERM + 1)
            assert await redis.hlen(f"{unique}:{{0}}:u:{one}") == 20_002

    asyncio.run(main())


def test_a_zombie_changes_nothing(url: str, unique: str) -> None:
    """After a newer writer has come, an older one changes no key: not with totals, settles, freshness or a claim."""

    async def main() -> None:
        async with client(url) as redis:
            (one,) = names(0, 1)
            old = Engine()
            zombie = old.publisher(redis, unique)
            old.event(one, "calls")
            async with running(zombie):
                drive(old, zombie)
                await published(zombie, old)
            new = Engine(term=2, after=old)
            writer = new.publisher(redis, unique)
            assert await writer.held() == TERM + 1
            async with running(writer):
                new.event(one, "tokens")
                drive(new, writer)
                await published(writer, new)
            before = await image(redis, unique)
            late = old.publisher(redis, unique)  # one that claims as well
            for ghost in (zombie, late):
                old.event(one, "errors", "r-1")
                drive(old, ghost)
                await asyncio.wait_for(ghost.run(), 20)  # ends by itself
                assert old.fenced
                old.fenced = False
            # the beat of one that had not noticed yet
            with pytest.raises(link.Fenced):
                await zombie._beat(123, ask=False)
            assert await image(redis, unique) == before

    asyncio.run(main())


def test_a_zombie_at_the_moment_of_a_takeover(url: str, unique: str) -> None:
    """Between a new writer's claim and its first totals, the old writer's next call is refused, not taken as repeated."""

    async def main() -> None:
        async with client(url) as redis:
            (one,) = names(0, 1)
            old = Engine()
            zombie = old.publisher(redis, unique)
            old.event(one, "calls")
            async with running(zombie):
                drive(old, zombie)
                await published(zombie, old)
            new = Engine(term=2, after=old)
            writer = new.publisher(redis, unique)
            await writer.held()
            drive(new, writer)
            await writer._claim()
            before = await image(redis, unique)
            old.event(one, "errors", "r-1")
            drive(old, zombie)
            zombie._take()
            with pytest.raises(link.Fenced):
                await zombie._publish()
            assert await image(redis, unique) == before

    asyncio.run(main())


def test_a_flush_between_two_calls_is_noticed(url: str, unique: str) -> None:
    """When Redis loses everything between two calls of one publication, everything is published again."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            customers = names(0, 450)
            faulty = Faulty(redis)
            writer = engine.publisher(faulty, unique)
            async with running(writer):
                drive(engine, writer)
                await published(writer, engine)
                for customer in customers:
                    engine.event(customer, "calls")
                    engine.event(customer, "tokens")

                async def flush() -> None:
                    if await redis.exists(f"{unique}:{{0}}:u:{customers[0]}"):
                        faulty.after = None
                        await flush_app(redis, unique)

                faulty.after = flush
                drive(engine, writer)
                await until(lambda: engine.asked)
                await until(lambda: drive(engine, writer))
                assert engine.asked == [None]
                await check_all(redis, unique, engine, customers)

    asyncio.run(main())


def test_nothing_is_complete_until_all_is_back(unique: str, valkey_server: Any) -> None:
    """While totals come back after a flush, the partition is neither complete nor fresh."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            customers = names(0, 120)
            writer = engine.publisher(redis, unique)
            async with running(writer):
                for customer in customers:
                    engine.event(customer, "calls")
                drive(engine, writer)
                await until(lambda: writer.fresh_us)
                await flush_app(redis, unique)
                await until(lambda: engine.asked)
                commit = engine.take(50)
                assert commit is not None
                assert not commit.complete
                writer.offer(commit)
                await until(lambda: not writer._pending and writer._flight is None)
                status = await status_of(redis, unique, 0)
                assert status is not None
                assert (status.complete, status.fresh_us, status.version, status.position) == (False, None, None, None)
                drive(engine, writer)
                await until(lambda: writer.fresh_us)
                status = await status_of(redis, unique, 0)
                assert status is not None
                assert (status.complete, status.version) == (True, engine.version)
                await check_all(redis, unique, engine, customers)

    asyncio.run(main())


def test_a_commit_in_flight_at_a_loss_is_not_used(unique: str, valkey_server: Any) -> None:
    """A commit taken before the engine knew of the loss is left out: its fields would stand on what was lost."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            writer = engine.publisher(redis, unique)
            async with running(writer):
                engine.event(one, "calls")
                drive(engine, writer)
                await published(writer, engine)
                engine.event(one, "tokens")
                in_flight = engine.take()  # partial: tokens only
                assert in_flight is not None
                await flush_app(redis, unique)
                await until(lambda: engine.asked)
                writer.offer(in_flight)
                await asyncio.wait_for(writer._beat(None, ask=False), 5)
                assert await redis.hgetall(f"{unique}:{{0}}:u:{one}") == {}
                drive(engine, writer)
                await published(writer, engine)
                await check_all(redis, unique, engine, [one])

    asyncio.run(main())


def test_a_loss_during_the_takeover_is_noticed(url: str, unique: str) -> None:
    """What Redis loses after a new owner has asked what it holds, and before its first call, is published again."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            customers = names(0, 3)
            for customer in customers:
                engine.event(customer, "calls")
            writer = engine.publisher(redis, unique)
            async with running(writer):
                drive(engine, writer)
                await published(writer, engine)
            engine = Engine(term=2, after=engine)
            writer = engine.publisher(redis, unique)
            engine.publish_since(await writer.held())
            engine.asked.clear()
            await flush_app(redis, unique)
            async with running(writer):
                await until(lambda: drive(engine, writer))
                assert engine.asked == [None]
                await check_all(redis, unique, engine, customers)

    asyncio.run(main())


def test_an_older_total_never_takes_the_place_of_a_newer_one(unique: str, valkey_server: Any) -> None:
    """Even a call that is in its turn leaves alone a customer whose totals are of the same version or a newer one."""

    async def main() -> None:
        async with client(valkey_server.url) as redis:
            engine = Engine()
            one, two = names(0, 2)
            writer = engine.publisher(redis, unique)
            keys = layout.Keys(unique, 0)
            async with running(writer):
                drive(engine, writer)
                await published(writer, engine)
                await redis.hset(keys.totals(one), mapping={":v": TERM + 5, ":o": 5, "calls": "newer"})
                rows = [Publication(name, {"calls": "older"}, ["r"], whole=True) for name in (one, two)]
                writer.offer(Commit(TERM + 5, 9, [], [], rows, complete=True))
                await until(lambda: writer.published == TERM + 5)
            assert await redis.hget(keys.totals(one), "calls") == b"newer"
            assert await redis.hget(keys.totals(two), "calls") == b"older"
            assert (await redis.exists(keys.holds(one)), await redis.exists(keys.holds(two))) == (0, 1)

    asyncio.run(main())


def test_scripts_are_loaded_again(url: str, unique: str) -> None:
    """A server that forgets its scripts, even each time, holds nothing up."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            faulty = Faulty(redis)
            faulty.before = redis.script_flush
            writer = engine.publisher(faulty, unique)
            async with running(writer):
                for _ in range(5):
                    engine.event(one, "calls")
                    drive(engine, writer)
                    await published(writer, engine)
                await check_all(redis, unique, engine, [one])
                assert engine.asked == []

    asyncio.run(main())


def test_an_answer_that_was_lost_is_no_loss(url: str, unique: str) -> None:
    """A call that came through, but whose answer did not, is repeated without effect, and nothing is asked for."""

    async def main() -> None:
        async with client(url) as redis:
            engine = Engine()
            (one,) = names(0, 1)
            faulty = Faulty(redis)
            writer = engine.publisher(faulty, unique)

            async def lose() -> None:
                if faulty.calls % 3 == 0:
                    raise RedisConnectionError("the answer was lost")

            async with running(writer):
                drive(engine, writer)
                await published(writer, engine)
                faulty.after = lose
                for number in range(6):
                    engine.event(one, "calls", f"r{number}")
                    drive(engine, writer)
                    await published(writer, engine)
                faulty.after = None
                await check_all(redis, unique, engine, [one])
                assert engine.asked == []

    asyncio.run(main())


def test_too_much_that_waits_is_asked_for_again(
    unique: str, valkey_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Redis is away, what waits is bounded; when it is back, the engine is asked for the rest by version."""
    monkeypatch.setattr(publisher, "MOST_WAITING", 10)
    faulty: list[Faulty] = []

    def through(redis: Any) -> Faulty:
        faulty.append(Faulty(redis))
        return faulty[0]

    async def away() -> None:
        raise RedisConnectionError("away")

    async def main() -> None:
        async with at_work(valkey_server.url, unique, through) as (redis, engine, writer, customers):
            engine.event(customers[0], "calls")
            drive(engine, writer)
            await published(writer, engine)
            held = engine.version
            faulty[0].before = away
            for customer in customers:
                engine.event(customer, "calls")
                commit = engine.take()
                assert commit is not None
                writer.offer(commit)
                assert len(writer._pending.customers) <= 10
            faulty[0].before = None
            await until(lambda: engine.asked)
            assert engine.asked == [held]
            while (commit := engine.take(8)) is not None:
                writer.offer(commit)
                await until(lambda: not writer._pending and writer._flight is None)
            await published(writer, engine)
            await check_all(redis, unique, engine, customers)

    asyncio.run(main())


def test_more_customers_than_may_wait_come_back_in_turns(
    unique: str, valkey_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a flush an engine that offers what there is room for is asked once, whatever the number of customers."""
    monkeypatch.setattr(publisher, "MOST_WAITING", 10)

    async def main() -> None:
        async with at_work(valkey_server.url, unique) as (redis, engine, writer, customers):
            for customer in customers:
                engine.event(customer, "calls")
                drive(engine, writer)
                await published(writer, engine)
            await flush_app(redis, unique)
            await until(lambda: engine.asked)
            complete = False
            async with asyncio.timeout(60):
                while not complete:
                    while (room := writer.room) and not complete:
                        commit = engine.take(min(room, 3))
                        assert commit is not None
                        writer.offer(commit)
                        complete = commit.complete
                    await asyncio.sleep(0.002)
            await published(writer, engine)
            assert engine.asked == [None]
            await check_all(redis, unique, engine, customers)

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(12))
def test_every_pair_that_a_reader_sees_is_true(
    seed: int, unique: str, valkey_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through flushes, lost writes, lost answers, takeovers and zombies, (position, totals) equal the recount."""
    monkeypatch.setattr(publisher, "MOST_IN_CALL", 3)
    randomly = random.Random(seed)
    losses = 0
    seen_pairs = 0

    async def main() -> None:
        nonlocal losses, seen_pairs
        async with client(valkey_server.url) as redis, client(valkey_server.url) as reading:
            customers = names(0, 30)
            engine, faulty, images = Engine(), Faulty(redis), [await dump(redis, unique)]
            late: list[Commit] = []  # what the last owner had in the changelog, but not yet in Redis
            ghost: publisher.Publisher | None = None

            async def before() -> None:
                if randomly.random() < 0.04:
                    raise RedisConnectionError("before the call")

            async def after() -> None:
                nonlocal losses
                images.append(await dump(redis, unique))
                draw = randomly.random()
                if draw < 0.04:
                    raise RedisConnectionError("after the call")
                if draw < 0.07:
                    losses += 1
                    await flush_app(redis, unique)
                    losses += 1
                elif draw < 0.12:
                    losses += 1
                    await restore(redis, unique, randomly.choice(images[-6:]))
                    losses += 1

            async def watch(stop: asyncio.Event) -> None:
                nonlocal seen_pairs
                versions: dict[str, tuple[int, int]] = {}
                while not stop.is_set():
                    customer = randomly.choice(customers)
                    lost_before = losses
                    seen = await read(reading, unique, customer, PARTITIONS)
                    if seen.position is None:
                        continue
                    found = {} if seen.totals is None else {t.metric: int(t.value) for t in seen.totals.totals}
                    assert found == engine.recount(customer, seen.position), (customer, seen)
                    seen_pairs += 1
                    if seen.totals is not None:
                        lost_then, version = versions.get(customer, (lost_before, 0))
                        assert seen.totals.version >= version or lost_then != losses
                        versions[customer] = (lost_before, seen.totals.version)

            faulty.before, faulty.after = before, after
            stop = asyncio.Event()
            watching = asyncio.ensure_future(watch(stop))
            for term in range(1, 4):
                engine = Engine(term=term, after=engine)
                writer = engine.publisher(faulty, unique)
                held = await writer.held()
                engine.publish_since(held)
                async with running(writer):
                    for turn in range(25):
                        engine.work(randomly, customers, randomly.randint(0, 6))
                        commit = engine.take(7)
                        if commit is not None:
                            await asyncio.sleep(randomly.choice((0, 0.003)))
                            writer.offer(commit)
                        await asyncio.sleep(0.002)
                        if ghost is not None and turn % 6 == 1:
                            if late:
                                ghost.offer(late.pop(0))
                            with contextlib.suppress(link.Fenced, link.Behind, RedisConnectionError):
                                await ghost._step()
                        assert not watching.done() or watching.result() is None
                late, ghost = [], writer
                for _ in range(4):
                    engine.work(randomly, customers, 3)
                    commit = engine.take(7)
                    assert commit is not None
                    late.append(commit)
            faulty.before = faulty.after = None
            engine = Engine(term=9, after=engine)
            writer = engine.publisher(redis, unique)
            engine.publish_since(await writer.held())
            async with running(writer):
                await until(lambda: drive(engine, writer))
            await check_all(redis, unique, engine, customers)
            stop.set()
            await watching

    asyncio.run(main())
    assert seen_pairs > 50


DUMP = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
end
return found
"""
RESTORE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end
for i = 2, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end
"""


async def flush_app(redis: Any, app: str) -> None:
    """FLUSHALL, of partition 0 of one app: the server is shared."""
    await restore(redis, app, [])


async def dump(redis: Any, app: str) -> list[bytes]:
    """Partition 0 of an app at one instant: what a replica may hold when it takes over."""
    found: list[bytes] = await redis.eval(DUMP, 1, f"{app}:{{0}}", f"{app}:{{0}}*")
    return found


async def restore(redis: Any, app: str, kept: list[bytes]) -> None:
    """Put partition 0 of an app back to what it was, in one step: a failover to a replica that lagged."""
    await redis.eval(RESTORE, 1, f"{app}:{{0}}", f"{app}:{{0}}*", *kept)
