"""How a commit reaches Kafka: in one transaction, or, where the broker has none, as one record batch.

Both promise that a reader of the changelog with `read_committed` sees a commit whole or not at all.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import murmur2
from aiokafka.producer.message_accumulator import BatchBuilder

from stream import failpoints
from stream.core.commit import Commit, Out
from stream.engine.transactions import REQUEST_TIMEOUT_MS, Message, Row, Transactions

log = logging.getLogger(__name__)

#: Bytes of one record batch where a commit has to fit into one.
ONE_BATCH_BYTES = 8_000_000

#: Key of the changelog record that keeps the side records of a commit where there are no transactions.
OUTBOX_KEY = b"O"


@dataclass(frozen=True, slots=True)
class Topics:
    """Where the records of a commit go."""

    changelog: str
    #: `Out.to` -> topic
    side: Mapping[str, str]
    #: Partitions of each topic; the side records with a key and no partition go to the key's home.
    partitions: Mapping[str, int]

    def place(self, out: Out) -> tuple[str, int]:
        """Return the topic and the partition of a side record."""
        topic = self.side[out.to]
        if out.partition is not None:
            return topic, out.partition
        return topic, (murmur2(out.key or b"") & 0x7FFFFFFF) % self.partitions[topic]


class Committer(Protocol):
    """Writes the commits of one partition, one after the other."""

    one_batch: bool
    """Whether a commit has to fit into one record batch, and nothing shuts out whoever wrote before."""

    async def start(self) -> None:
        """Shut out whoever wrote before, where the broker can do that."""

    async def settle(self) -> None:
        """End whatever the broker left open of the former owner's last commit, as it had decided."""

    def expect(self) -> None:
        """Hear that a commit is sure to come within seconds, so that what needs not wait for it can be done meanwhile."""

    async def write(self, commit: Commit) -> None:
        """Write a commit; on return it is durable, on an exception its fate is unknown: recover afresh."""

    async def resend(self, stored: bytes | None, version: int) -> None:
        """Send the side records of the last commit again where it is not known whether they went out.

        `stored` is the value of the changelog's last record under `OUTBOX_KEY`, `version` the last commit's.
        """

    async def stop(self) -> None:
        """Close the connections. Never raises."""


def _batches(producer: AIOKafkaProducer, records: Iterable[Message]) -> list[BatchBuilder]:
    """Pack records into as few batches as hold them, in order; a batch takes its first record whatever its size."""
    out = [producer.create_batch()]
    for key, value, headers, timestamp in records:
        while out[-1].append(timestamp=timestamp, key=key, value=value, headers=list(headers)) is None:
            out.append(producer.create_batch())
    return out


async def _stop(producer: AIOKafkaProducer | None) -> None:
    """Stop a producer, fenced and broken ones too.

    Where a batch was refused or the producer fenced, its sender waits for what never comes and swallows being
    cancelled; then it is left behind, and its connections go with it at the next garbage collection.
    """
    if producer is not None:
        stopping = asyncio.ensure_future(producer.stop())
        await asyncio.wait({stopping}, timeout=2)
        stopping.cancel()


class TransactionalCommitter:
    """One Kafka transaction for each commit, under the partition's own transactional id."""

    one_batch = False

    def __init__(self, bootstrap: str, topics: Topics, partition: int, transactional_id: str) -> None:
        self._topics, self._changelog = topics, TopicPartition(topics.changelog, partition)
        self._transactions = Transactions(bootstrap, transactional_id, {topics.changelog, *topics.side.values()})
        self._begun: asyncio.Task[None] | None = None
        self._writing = self._expected = False

    async def start(self) -> None:
        """From its return on every write of the former owner is refused."""
        await self._transactions.start()

    async def settle(self) -> None:
        """The changelog's partition, and every one that side records may have gone to."""
        topics, changelog = self._topics, self._changelog
        side = [TopicPartition(topic, n) for topic in topics.side.values() for n in range(topics.partitions[topic])]
        log.warning("%s: a commit of its former owner was left open by the broker: ended", changelog)
        await self._transactions.settle([changelog, *side])

    def expect(self) -> None:
        """Begin the transaction: its first request travels while the events are folded.

        A transaction that is begun and not ended is aborted by the broker after `TRANSACTION_TIMEOUT_MS`, and its
        writer shut out: only a commit that is sure to come may be expected.
        """
        if self._writing:
            self._expected = True
        elif self._begun is None:
            self._begun = asyncio.create_task(self._transactions.add([self._changelog]))
            # Retrieved here, for the shard may be dropped before `write` hears of it.
            self._begun.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def write(self, commit: Commit) -> None:
        """Write a commit: the changelog's records and the side records, all of them or none.

        Raises:
            Fenced: another worker owns the partition.

        """
        now, write = int(time.time() * 1000), self._transactions
        self._writing = True
        rows = [(key, value, (), now) for key, value in commit.rows]
        records: list[tuple[TopicPartition, Sequence[Row]]] = [(self._changelog, rows)]
        records += side_records(self._topics, commit.outbox, now)
        places = [place for place, _ in records]
        begun, self._begun = self._begun, None
        if begun is not None:
            places.remove(self._changelog)
            await begun
        if places:
            await write.add(places)
        await write.produce(records)
        failpoints.hit("after_produce")
        failpoints.hit("before_end")
        await write.end()
        failpoints.hit("after_end")
        self._writing = False
        if self._expected:
            self._expected = False
            self.expect()

    async def resend(self, stored: bytes | None, version: int) -> None:
        """Nothing to do: side records are part of the transaction."""

    async def stop(self) -> None:
        """Close the connections; an open transaction is left to the next owner's start, which aborts it."""
        if self._begun is not None:
            self._begun.cancel()
        await self._transactions.stop()


def side_records(topics: Topics, outbox: Sequence[Out], now: int) -> list[tuple[TopicPartition, list[Message]]]:
    """Gather side records by topic and partition; `now` (milliseconds) is the time of those that have none."""
    by_place: dict[TopicPartition, list[Message]] = {}
    for out in outbox:
        message = Message(out.key, out.value, out.headers, now if out.timestamp_ms is None else out.timestamp_ms)
        by_place.setdefault(TopicPartition(*topics.place(out)), []).append(message)
    return list(by_place.items())


class _Outbox(msgspec.Struct, array_like=True):
    """Side records as the changelog keeps them: version of the commit, then the records."""

    version: int
    records: list[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]], int | None, int | None]]


class SingleBatchCommitter:
    """One record batch for each commit: a broker appends a batch whole or not at all.

    The side records stand inside it and are sent when it is written; a worker that dies between the two sends them
    again at its next start, so that one of them may come twice. There is no fence: nothing but the consumer group
    keeps two workers apart. For trying things, not for money.
    """

    one_batch = True

    def __init__(self, bootstrap: str, topics: Topics, partition: int) -> None:
        self._bootstrap, self._topics, self._partition = bootstrap, topics, partition
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            max_batch_size=ONE_BATCH_BYTES,
            max_request_size=2 * ONE_BATCH_BYTES,
            compression_type="zstd",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await self._producer.start()

    async def settle(self) -> None:
        """Nothing is ever open."""

    def expect(self) -> None:
        """Nothing to do: a batch is all that a commit needs."""

    async def write(self, commit: Commit) -> None:
        """Write a commit as one batch, then send what stands beside it.

        Raises:
            ValueError: the commit does not fit into one batch.

        """
        producer = self._producer
        assert producer is not None, "start() comes first"
        now = int(time.time() * 1000)
        rows: list[tuple[bytes, bytes | None]] = list(commit.rows)
        if commit.outbox:
            records = [tuple(o) for o in commit.outbox]
            rows.append((OUTBOX_KEY, msgspec.msgpack.encode([commit.version, records])))
        batch, *more = _batches(producer, (Message(key, value, (), now) for key, value in rows))
        if more:
            msg = f"a commit of {len(rows)} rows does not fit into one record batch of {ONE_BATCH_BYTES} bytes"
            raise ValueError(msg)
        future = await producer.send_batch(batch, self._topics.changelog, partition=self._partition)
        failpoints.hit("after_produce")
        await future
        failpoints.hit("after_end")
        await self._send(commit.outbox, now)

    async def resend(self, stored: bytes | None, version: int) -> None:
        """Send the side records of the last commit again: whether they went out before is not known.

        `stored` is the value of the changelog's last record under `OUTBOX_KEY`, `version` the last commit's: an
        outbox of an older commit was sent before the commits after it.
        """
        if stored is None:
            return
        outbox = msgspec.msgpack.decode(stored, type=_Outbox)
        if outbox.version == version:
            await self._send([Out(*record) for record in outbox.records], int(time.time() * 1000))

    async def _send(self, outbox: Sequence[Out], now: int) -> None:
        producer = self._producer
        assert producer is not None
        futures = [
            await producer.send_batch(batch, place.topic, partition=place.partition)
            for place, records in side_records(self._topics, outbox, now)
            for batch in _batches(producer, records)
        ]
        await asyncio.gather(*futures)

    async def stop(self) -> None:
        """Close the connections."""
        producer, self._producer = self._producer, None
        await _stop(producer)
