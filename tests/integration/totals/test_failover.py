"""When a Redis dies and its replica takes over without its last writes, the totals come back by themselves."""

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import pytest
import redis as sync_redis
from redis.exceptions import RedisClusterException, RedisError
from tallygate import AsyncGate, GateUnavailable, layout

from schemas.definitions import Limit
from stream.totals.publisher import Publisher
from stream.totals.reader import read
from tests.integration.totals.stub import PARTITIONS, Engine, at_work, client, definitions, drive, names, running, until
from tests.servers.fixtures import need
from tests.servers.stores import Cluster, Redis, SentinelSet, ask


async def everything(redis: Any, app: str, engine: Engine, customers: list[str]) -> None:
    """Wait until each customer reads as the recount of the whole log."""
    async with asyncio.timeout(30):
        for customer in customers:
            while True:
                with contextlib.suppress(RedisError, RedisClusterException, OSError):
                    seen = await read(redis, app, customer, PARTITIONS)
                    if seen.position == len(engine.log):
                        break
                await asyncio.sleep(0.02)
            found = {} if seen.totals is None else {t.metric: int(t.value) for t in seen.totals.totals}
            assert found == engine.recount(customer, len(engine.log))


async def lose_last_writes(engine: Engine, writer: Publisher, customers: list[str], stores: Any) -> int:
    """Publish while the replica stands still, then kill the primary; the version that the replica has."""
    primary, replica = stores
    for customer in customers:
        engine.event(customer, "calls")
        engine.event(customer, "tokens")
    await until(lambda: drive(engine, writer))
    await until(lambda: ask(replica, "INFO", "replication")["slave_repl_offset"] == offset_of(primary))
    had = engine.version
    replica.pause()
    ask(primary, "CLIENT", "KILL", "TYPE", "replica")  # else its socket keeps for it what comes now
    for customer in customers[::2]:
        engine.event(customer, "errors")
    await until(lambda: drive(engine, writer))
    primary.kill()
    replica.resume()
    return had


def offset_of(primary: Any) -> int:
    """How far the primary's replication stream has come."""
    return int(ask(primary, "INFO", "replication")["master_repl_offset"])


def test_a_sentinel_promotes_a_replica_that_lagged(redis_sentinel: SentinelSet, unique: str) -> None:
    """What the old primary had acknowledged and its replica never got is published again, and nothing more is asked."""

    async def main() -> None:
        async with at_work(redis_sentinel.url, unique) as (redis, engine, writer, customers):
            had = await lose_last_writes(engine, writer, customers, redis_sentinel.stores)
            await until(lambda: engine.asked, within_s=40)
            assert engine.asked == [had]
            await until(lambda: drive(engine, writer), within_s=40)
            await everything(redis, unique, engine, customers)

    asyncio.run(main())


def test_a_cluster_promotes_a_replica_that_lagged(unique: str) -> None:
    """The same on a Cluster of six: only the partition whose primary died is asked for again."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis:
            slots = {number: await redis.cluster_keyslot(layout.Keys(unique, number).status) for number in range(4)}
            owner = {number: slot * 3 // 16384 for number, slot in slots.items()}
            victim = 0
            other = next(number for number in owner if owner[number] != owner[victim])
            engines = [Engine(victim), Engine(other)]
            writers = [engine.publisher(redis, unique) for engine in engines]
            async with running(writers[0]), running(writers[1]):
                engines[1].event(names(other, 1)[0], "calls")
                await until(lambda: drive(engines[1], writers[1]))
                customers = names(victim, 40)
                stores = (cluster.servers[owner[victim]], cluster.servers[3 + owner[victim]])
                had = await lose_last_writes(engines[0], writers[0], customers, stores)
                await until(lambda: engines[0].asked, within_s=40)
                assert engines[0].asked == [had]
                await until(lambda: drive(engines[0], writers[0]), within_s=40)
                await everything(redis, unique, engines[0], customers)
                assert engines[1].asked == []

    with Cluster(need(Redis), replicas=True) as cluster:
        asyncio.run(main(cluster))


def test_a_customer_at_its_limit_stays_there(unique: str) -> None:
    """While a Cluster's primary dies and totals come back, a customer at its limit is not let in once."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis, AsyncGate.from_url(cluster.url, unique) as gate:
            engine = Engine()
            customers = names(0, 10)
            about = definitions(limits=(Limit(metric="calls", window="total", limit=Decimal(1)),))
            writer = engine.publisher(redis, unique, about)
            seen = {"limit_reached": 0, "stale": 0, "unavailable": 0}
            done = asyncio.Event()

            async def knock() -> None:
                while not done.is_set():
                    for customer in customers:
                        try:
                            answer = await gate.reserve(customer, "calls", ttl=1, max_staleness=30)
                        except GateUnavailable:
                            seen["unavailable"] += 1
                        else:
                            assert not answer.allowed
                            seen[answer.reason] += 1
                        await asyncio.sleep(0.01)

            async with running(writer):
                for customer in customers:
                    engine.event(customer, "calls")
                await until(lambda: drive(engine, writer) and writer.fresh_us)
                slot = await redis.cluster_keyslot(layout.Keys(unique, 0).status)
                owner = slot * 3 // 16384
                knocking = asyncio.ensure_future(knock())
                stores = (cluster.servers[owner], cluster.servers[3 + owner])
                await lose_last_writes(engine, writer, customers, stores)
                await until(lambda: engine.asked or knocking.done(), within_s=40)
                await until(lambda: drive(engine, writer) or knocking.done(), within_s=40)
                done.set()
                await knocking
                await everything(redis, unique, engine, customers)
                assert seen["limit_reached"] > 0

    with Cluster(need(Redis), replicas=True) as cluster:
        asyncio.run(main(cluster))


@pytest.mark.parametrize("by", ["key", "all at once"])
def test_a_slot_moves_while_totals_are_written_and_gated(unique: str, by: str) -> None:
    """While a partition's slot moves to another node, calls may be unavailable; no answer and no total is wrong."""

    async def main(cluster: Cluster) -> None:
        async with client(cluster.url) as redis, AsyncGate.from_url(cluster.url, unique) as gate:
            engine = Engine()
            customers = names(0, 30)
            about = definitions(limits=(Limit(metric="calls", window="total", limit=Decimal(5000)),))
            writer = engine.publisher(redis, unique, about)
            stop = asyncio.Event()
            answers = {"ok": 0, "unavailable": 0}

            async def watch() -> None:
                while not stop.is_set():
                    for customer in customers[:5]:
                        try:
                            answer = await gate.check(customer, "calls", max_staleness=60)
                        except GateUnavailable:
                            answers["unavailable"] += 1
                            continue
                        answers["ok"] += 1
                        counted = {engine.recount(customer, at)["calls"] for at in range(len(engine.log) + 1)}
                        assert answer.used is not None
                        assert int(answer.used) in counted
                        assert int(answer.used) >= floor[customer]
                        floor[customer] = int(answer.used)
                        await asyncio.sleep(0)

            floor = dict.fromkeys(customers, 0)
            async with running(writer):
                for customer in customers:
                    engine.event(customer, "calls")
                await until(lambda: drive(engine, writer))
                watching = asyncio.ensure_future(watch())
                move = asyncio.ensure_future(asyncio.to_thread(move_slot, cluster, unique, 7 if by == "key" else 1000))
                while not move.done():
                    for customer in customers[:5]:
                        engine.event(customer, "calls")
                    drive(engine, writer)
                    await asyncio.sleep(0.05)
                    assert not watching.done() or watching.result() is None
                await move
                await until(lambda: drive(engine, writer), within_s=30)
                stop.set()
                await watching
                await everything(redis, unique, engine, customers)
                assert engine.asked == []
                assert answers["ok"] > 0

    with Cluster(need(Redis)) as cluster:
        asyncio.run(main(cluster))


def move_slot(cluster: Cluster, app: str, keys_at_once: int) -> None:
    """Move partition 0's slot to the next node, some keys at a time, as redis-cli --cluster reshard does."""
    slot = int(ask(cluster.servers[0], "CLUSTER", "KEYSLOT", layout.Keys(app, 0).status))
    source = cluster.servers[slot * 3 // 16384]
    target = cluster.servers[(slot * 3 // 16384 + 1) % 3]
    ids = [ask(server, "CLUSTER", "MYID") for server in (source, target)]
    ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    with sync_redis.Redis(port=source.port) as node:
        while keys := node.execute_command("CLUSTER", "GETKEYSINSLOT", slot, keys_at_once):
            node.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for server in (target, source, *cluster.servers):
        ask(server, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
