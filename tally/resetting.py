"""`tally reset`: an app's state dropped, its source read again from a chosen place."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import aiohttp
import click
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.new_partitions import NewPartitions
from tallygate import layout
from tallygate._scripts import script

from schemas.totals import instant_us
from stream.core import header as headers
from stream.core.commit import Commit
from stream.core.header import Fingerprint, Header
from stream.engine.committer import Committer, SingleBatchCommitter, Topics, TransactionalCommitter
from stream.engine.kafka import Kafka
from stream.settings import Settings
from stream.totals.connection import erase_partition
from tally import kafka
from tally.doctor.redis import addresses
from tally.topics import changelog_of, transactional_id

Where = Literal["beginning", "end"] | int
"""The first event that is there, past the last one, or the first with this Kafka timestamp or a later one (ms)."""

ANSWER_S = 2.0  # a worker that does not answer for so long is not at work
LOOK_BACK = 500  # offsets read at once when looking for the last record before a position: markers may stand there
SLICE = 20_000  # rows removed by one batch where the broker has no transactions


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What a reset does to one partition: `rows` go, `counted` events are forgotten, reading goes on at `position`.

    `begin` and `end` are the source's offsets as they are; `position` lies in [begin, end].
    """

    partition: int
    header: Header
    keys: tuple[bytes, ...]
    begin: int
    end: int
    position: int

    def to_json(self) -> dict[str, Any]:
        """The fate as `--json` prints it."""
        return {
            "partition": self.partition,
            "rows": len(self.keys),
            "counted": self.header.counts.counted,
            "read_up_to": self.header.next_offset,
            "restart_at": self.position,
            "events": self.end - self.position,
            "term": self.header.term + 1,
        }


async def refuse_if_live(config: Settings, client: Any) -> None:
    """Raise ClickException where a worker of the app is in its group: it would go on with what it has in memory."""
    async with kafka.admin(config.kafka) as admin:
        live = await kafka.members(admin, config.app)
    if live and not await _transactions(config.kafka):
        # the embedded broker lists members that left long ago: there the workers themselves are asked
        live = await answering(client, config.app)
    if live:
        raise click.ClickException(
            f"{len(live)} worker(s) of {config.app!r} are at work: {', '.join(sorted(live))}. Stop them first; one that "
            "was killed counts as live until its session ends."
        )


async def _transactions(bootstrap: str) -> bool:
    broker = Kafka(bootstrap)
    await broker.start()
    try:
        return await broker.has_transactions()
    finally:
        await broker.stop()


async def answering(client: Any, app: str) -> list[str]:
    """The addresses in Redis under which a worker answers."""
    live = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
        for address in await addresses(client, app):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                async with session.get(f"http://{address}/healthz/live") as answer:
                    if answer.status == 200:
                        live.append(address)
    return live


async def plan(config: Settings, chosen: Sequence[int], where: Where, step: Callable[[int], None]) -> list[Fate]:
    """Look what a reset would do, changing nothing. `chosen` are partitions; none means all."""
    changelog = changelog_of(config.app)
    async with kafka.admin(config.kafka) as admin:
        there = await kafka.topics(admin)
    count = there.get(config.events_topic)
    if count is None:
        raise click.ClickException(f"The topic {config.events_topic} does not exist: there is nothing to reset.")
    if wrong := [number for number in chosen if number >= count]:
        raise click.UsageError(f"{config.events_topic} has {count} partitions: there is no partition {wrong[0]}.")
    numbers = sorted(set(chosen)) or list(range(count))
    logs = there.get(changelog, 0)
    fates = []
    async with kafka.consumer(config.kafka) as consumer:
        keys, found = await _state(consumer, changelog, [number for number in numbers if number < logs], logs, step)
        parts = [TopicPartition(config.events_topic, number) for number in numbers]
        reported = {tp.partition: end for tp, end in (await consumer.end_offsets(parts)).items()}
        ends = await kafka.exact_ends(consumer, config.events_topic, reported)
        begins = await consumer.beginning_offsets(parts)
        first = {} if isinstance(where, str) else await _first_since(consumer, config.events_topic, ends, where)
        for tp in parts:
            places = {"beginning": begins[tp], "end": ends[tp.partition]}
            position = places[where] if isinstance(where, str) else first[tp.partition]
            fates.append(
                Fate(
                    partition=tp.partition,
                    header=found.get(tp.partition, Header()),
                    keys=tuple(keys.get(tp.partition, ())),
                    begin=begins[tp],
                    end=ends[tp.partition],
                    position=position,
                )
            )
    others = {fate.header.partitions for fate in fates} - {0, count}
    if others and len(numbers) < count:
        raise click.UsageError(
            f"{config.events_topic} has {count} partitions and had {max(others)}: customers' homes moved, so that only "
            "all partitions can be reset together."
        )
    return fates


async def _first_since(
    consumer: AIOKafkaConsumer, topic: str, ends: Mapping[int, int], since_ms: int
) -> dict[int, int]:
    """The offset of the first record of this Kafka timestamp or a later one, of each partition; its end where none is.

    Kafka knows; but the embedded broker answers with its first record, so what is there is looked at.
    """
    told = await consumer.offsets_for_times({TopicPartition(topic, number): since_ms for number in ends})
    first = dict(ends)
    for tp, at in told.items():
        if at is not None:
            start, end = {tp.partition: at.offset}, {tp.partition: ends[tp.partition]}
            async with contextlib.aclosing(kafka.read(consumer, topic, end, start)) as blocks:
                async for block in blocks:
                    found = next((record.offset for record in block if record.timestamp >= since_ms), None)
                    if found is not None:
                        first[tp.partition] = found
                        break
    return first


async def _state(
    consumer: AIOKafkaConsumer, changelog: str, numbers: Iterable[int], count: int, step: Callable[[int], None]
) -> tuple[dict[int, set[bytes]], dict[int, Header]]:
    """The keys that hold something, and the newest header, of each partition of the changelog."""
    keys: dict[int, set[bytes]] = {number: set() for number in numbers}
    found: dict[int, Header] = {}
    ends = await kafka.ends(consumer, changelog, count) if count else {}
    async for block in kafka.read(consumer, changelog, {number: ends[number] for number in keys}):
        step(len(block))
        for record in block:
            if record.key == headers.KEY and record.value is not None:
                found[record.partition] = headers.unpack(record.value)
            elif record.key is not None:
                mine = keys[record.partition]
                (mine.discard if record.value is None else mine.add)(record.key)
    return keys, found


async def carry_out(config: Settings, client: Any, fates: Sequence[Fate], done: Callable[[Fate], None]) -> None:
    """Reset partitions, one after the other. Interrupted, it may be run again.

    1. Whoever wrote before is shut out (where the broker has transactions), a stopped worker too.
    2. One transaction: a header of the next term that names the new position, and a tombstone for every row.
    3. Redis: a version of the new term is claimed, so that nobody older can write; then all keys go, holds included.
       Until a worker has published the partition again, gates answer stale there.
    """
    broker = Kafka(config.kafka)
    await broker.start()
    try:
        transactions = await broker.has_transactions()
        count = await broker.partitions(config.events_topic)
        changelog = changelog_of(config.app)
        await _widen(config, broker, count)
        topics = Topics(changelog, {}, {})
        for fate in fates:
            header = await _header(broker, config.events_topic, fate, count, transactions=transactions)
            committer: Committer
            if transactions:
                name = transactional_id(config.app, config.events_topic, fate.partition)
                committer = TransactionalCommitter(config.kafka, topics, fate.partition, name)
            else:
                committer = SingleBatchCommitter(config.kafka, topics, fate.partition)
            await committer.start()  # 1
            try:
                size = max(len(fate.keys), 1) if transactions else SLICE
                for commit in _commits(header, fate.keys, size):  # 2
                    await committer.write(commit)
            finally:
                await committer.stop()
            await _claim(client, config.app, fate.partition, count, header.version)  # 3
            await erase_partition(client, config.app, fate.partition)
            await _claim(client, config.app, fate.partition, count, header.version)  # what was erased, this claim too
            done(fate)
    finally:
        await broker.stop()


def _commits(header: Header, keys: Sequence[bytes], size: int) -> Iterable[Commit]:
    """The header first, then the tombstones, `size` at a time."""
    position = header.next_offset or 0
    for at in range(0, max(len(keys), 1), size):
        rows: list[tuple[bytes, bytes | None]] = [(headers.KEY, header.pack())]
        rows += [(key, None) for key in keys[at : at + size]]
        yield Commit(header.version, position, rows, [], [], complete=True)


async def _header(broker: Kafka, topic: str, fate: Fate, count: int, *, transactions: bool) -> Header:
    """The header with which the next owner begins; its fingerprint is the last record before the position."""
    isolation = "read_committed" if transactions else "read_uncommitted"
    tp, last, upto = TopicPartition(topic, fate.partition), None, fate.position
    while last is None and upto > fate.begin:
        start = max(fate.begin, upto - LOOK_BACK)
        async for block in broker.read(tp, start, fate.position, isolation=isolation):
            for record in block:
                if record.offset < fate.position:
                    last = Fingerprint.of(record)
        upto = start
    return Header(term=fate.header.term + 1, next_offset=fate.position, fingerprint=last, partitions=count)


async def _claim(client: Any, app: str, number: int, count: int, version: int) -> None:
    """Say in Redis that a writer of this version has come: an older one is refused from now on."""
    keys = layout.Keys(app, number)
    await script("claim").call_async(client, [keys.status], [layout.VERSION, count, version, 0, ""])


async def _widen(config: Settings, broker: Kafka, count: int) -> None:
    """Give the changelog as many partitions as the events have; make it where it is missing."""
    from stream.engine.app import CHANGELOG_CONFIG

    changelog = changelog_of(config.app)
    if await broker.ensure_topic(changelog, count, CHANGELOG_CONFIG) < count:
        async with kafka.admin(config.kafka) as admin:
            await admin.create_partitions({changelog: NewPartitions(count)})
        while await broker.partitions(changelog) < count:  # noqa: ASYNC110 - the broker tells nobody when it is done
            await asyncio.sleep(0.1)


def spelled(where: Where) -> str:
    """Where reading begins again, for a person."""
    return (
        f"the {where}"
        if isinstance(where, str)
        else f"the first event that Kafka got at {instant_us(where * 1000)} or later"
    )
