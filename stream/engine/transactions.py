"""Kafka transactions of one writer, request by request.

A commit needs three requests, one after the other: AddPartitionsToTxn, Produce, EndTxn (KIP-98). aiokafka's producer is
made for many senders and sends them through an accumulator, tasks and wake-ups, which cost more than the requests:
docs/decisions.md has the figures. Here one writer sends one commit at a time, and knows when it is fenced.

What is tried again is what may be sent twice without harm: adding a partition, a batch with the sequence number that it
had, and the end of a transaction. All else is raised; then the fate of the commit is unknown.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import (
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NoError,
    NotCoordinatorError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    NotLeaderForPartitionError,
    ProducerFenced,
    RequestTimedOutError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from stream.engine.describing import DescribeTransactionsRequest

#: Bytes of one record batch before compression; a single record may be larger. Kafka's default limit for a batch is
#: 1,048,588 bytes as sent.
BATCH_BYTES = 900_000

#: Milliseconds after which the broker ends a transaction that a stopped worker left open. About the session timeout:
#: a longer one holds back every reader of the changelog, a shorter one fails a commit that merely waits.
TRANSACTION_TIMEOUT_MS = 15_000

REQUEST_TIMEOUT_MS = 10_000

#: Seconds for which a request is tried again: a broker that restarts, a leader that moves.
PATIENCE = 10.0

#: Seconds before a request is tried again, doubled from the first to the last. The first is short because the broker
#: refuses a transaction until it has written the markers of the one before, a millisecond or two after its end.
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.1

#: TRANSACTIONAL_ID_NOT_FOUND: nobody has written under it.
_UNKNOWN_ID = 105

_LOST = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError)
_COORDINATOR_MOVED = (NotCoordinatorError, CoordinatorNotAvailableError, *_LOST)
_COORDINATOR_BUSY = (CoordinatorLoadInProgressError, ConcurrentTransactions, UnknownTopicOrPartitionError)
_LEADER_MOVED = (
    NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError, NotEnoughReplicasError,
    NotEnoughReplicasAfterAppendError, *_LOST,
)  # fmt: skip


class Fenced(Exception):  # noqa: N818 - what happened, not a fault of the caller
    """Another writer has the transactional id now: nothing more can be written under it."""


class Message(NamedTuple):
    """One record to write; `timestamp` in milliseconds since the epoch."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


#: A `Message`, or what is quicker made and as good: (key, value, headers, timestamp).
Row = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]], int]


@dataclass(slots=True)
class _Batch:
    """One encoded record batch, and where it goes."""

    place: TopicPartition
    data: bytes


@dataclass(slots=True)
class Transactions:
    """The transactions of one transactional id; one at a time, in order."""

    bootstrap: str
    transactional_id: str
    topics: Iterable[str]
    _client: AIOKafkaClient | None = None
    _coordinator: int | None = None
    _producer: tuple[int, int] = (-1, -1)  # id, epoch
    _sequences: dict[TopicPartition, int] = field(default_factory=dict)
    _left_committed: bool = False

    async def start(self) -> None:
        """Connect and shut out whoever wrote before (InitProducerId): on return its every write is refused.

        Raises:
            aiokafka.errors.KafkaError: no broker answers, or it refuses.

        """
        self._client = AIOKafkaClient(bootstrap_servers=self.bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS)
        await self._client.bootstrap()
        await self._client.set_topics(self.topics)
        self._left_committed = await self._decided() in {"PrepareCommit", "CompleteCommit"}
        answer = await self._coordinated(
            InitProducerIdRequest(self.transactional_id, TRANSACTION_TIMEOUT_MS), lambda answer: [answer.error_code]
        )
        self._producer = (answer.producer_id, answer.producer_epoch)
        self._sequences.clear()

    async def add(self, places: Iterable[TopicPartition]) -> None:
        """Begin a transaction that writes to these partitions."""
        topics: dict[str, list[int]] = {}
        for place in places:
            topics.setdefault(place.topic, []).append(place.partition)
        await self._coordinated(
            AddPartitionsToTxnRequest(self.transactional_id, *self._producer, list(topics.items())),
            lambda answer: [code for _, errors in answer.errors for _, code in errors],
        )

    async def produce(self, messages: Sequence[tuple[TopicPartition, Sequence[Row]]]) -> None:
        """Write records, each partition once in the list; on return every replica in sync has them.

        Raises:
            Fenced: a newer writer has the transactional id.
            aiokafka.errors.KafkaError: the fate of the records is unknown.

        """
        rounds: list[list[_Batch]] = []  # a request may hold one batch of each partition
        for place, records in messages:
            for n, batch in enumerate(self._batches(place, records)):
                if n == len(rounds):
                    rounds.append([])
                rounds[n].append(batch)
        for batches in rounds:
            await self._written(batches)

    async def settle(self, places: Iterable[TopicPartition]) -> None:
        """End what the broker left open of an earlier writer's transaction, in these partitions, as it was decided.

        After `start` nothing of an earlier writer can be open. But a broker that was killed between deciding to commit
        and marking the partitions has been seen to call the transaction complete and to mark none of them, and then
        no reader of committed records ever gets past its records. A marker of ours ends them, for the producer's id is
        the same. What was decided was asked for before `start` made the coordinator forget it; where it is not known
        (an earlier try did not come so far), what is open is aborted: its events are counted again.
        """
        await self.add(places)
        await self._end(commit=self._left_committed)

    async def end(self) -> None:
        """Commit what was written.

        Raises:
            Fenced: a newer writer has the transactional id.
            aiokafka.errors.KafkaError: the fate of the transaction is unknown.

        """
        await self._end(commit=True)

    async def _end(self, *, commit: bool) -> None:
        await self._coordinated(
            EndTxnRequest(self.transactional_id, *self._producer, commit), lambda answer: [answer.error_code]
        )

    async def _decided(self) -> str:
        """Return the state that the coordinator has of the last transaction; empty where it knows none, or cannot say."""
        try:
            answer = await self._coordinated(
                DescribeTransactionsRequest(self.transactional_id),
                lambda answer: [code for code, *_ in answer.transactions if code != _UNKNOWN_ID],
            )
        except (IncompatibleBrokerVersion, NotImplementedError):  # before Kafka 3.0
            return ""
        return str(answer.transactions[0][2])

    async def stop(self) -> None:
        """Close the connections; an open transaction is left to the next writer's start, which aborts it."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # -- batches

    def _batches(self, place: TopicPartition, records: Iterable[Row]) -> Iterator[_Batch]:
        """Pack records into as few batches as hold them, in order, and number them."""
        builder, count = self._builder(place), 0
        for key, value, headers, timestamp in records:
            while builder.append(count, timestamp, key, value, list(headers)) is None:  # full: a first one always fits
                yield self._built(place, builder, count)
                builder, count = self._builder(place), 0
            count += 1
        if count:
            yield self._built(place, builder, count)

    def _builder(self, place: TopicPartition) -> Any:
        producer_id, epoch = self._producer
        return DefaultRecordBatchBuilder(
            magic=2,
            compression_type=DefaultRecordBatch.CODEC_ZSTD,
            is_transactional=1,
            producer_id=producer_id,
            producer_epoch=epoch,
            base_sequence=self._sequences.get(place, 0),
            batch_size=BATCH_BYTES,
        )

    def _built(self, place: TopicPartition, builder: Any, count: int) -> _Batch:
        self._sequences[place] = (self._sequences.get(place, 0) + count) & 0x7FFFFFFF
        return _Batch(place, bytes(builder.build()))

    # -- requests

    @property
    def _connected(self) -> AIOKafkaClient:
        assert self._client is not None, "start() comes first"
        return self._client

    async def _coordinated(self, request: Any, codes: Callable[[Any], list[int]]) -> Any:
        """Send a request to the transaction's coordinator until it answers for good."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        until = loop.time() + PATIENCE
        while True:
            try:
                if self._coordinator is None:
                    self._coordinator = await self._connected.coordinator_lookup(
                        CoordinationType.TRANSACTION, self.transactional_id
                    )
                answer = await self._connected.send(self._coordinator, request, group=ConnectionGroup.COORDINATION)
            except (CoordinatorNotAvailableError, *_LOST) as exc:
                error: KafkaError = exc
            else:
                failed = _first(codes(answer))
                if failed is None:
                    return answer
                error = failed
            if isinstance(error, _COORDINATOR_MOVED):
                self._coordinator = None
            pause = await _again(error, _COORDINATOR_MOVED + _COORDINATOR_BUSY, pause, until)

    async def _written(self, batches: Sequence[_Batch]) -> None:
        """Send batches to the leaders of their partitions until all are acknowledged."""
        client, loop, pause = self._connected, asyncio.get_running_loop(), FIRST_PAUSE
        until, left = loop.time() + PATIENCE, list(batches)
        while True:
            by_leader: dict[int | None, list[_Batch]] = {}
            for batch in left:
                by_leader.setdefault(client.cluster.leader_for_partition(batch.place), []).append(batch)
            found = await asyncio.gather(*(self._sent(leader, those) for leader, those in by_leader.items()))
            failed = [each for those in found for each in those]
            if not failed:
                return
            fatal = next((error for _, error in failed if not isinstance(error, _LEADER_MOVED)), failed[0][1])
            pause = await _again(fatal, _LEADER_MOVED, pause, until)
            await asyncio.wait_for(client.force_metadata_update(), REQUEST_TIMEOUT_MS / 1000)
            left = [batch for batch, _ in failed]

    async def _sent(self, leader: int | None, batches: list[_Batch]) -> list[tuple[_Batch, KafkaError]]:
        """Send batches to one leader; return those that it did not take, and why."""
        if leader is None or leader == -1:
            return [(batch, LeaderNotAvailableError()) for batch in batches]
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for batch in batches:
            topics.setdefault(batch.place.topic, []).append((batch.place.partition, batch.data))
        request = ProduceRequest(self.transactional_id, -1, REQUEST_TIMEOUT_MS, list(topics.items()))
        try:
            answer = await self._connected.send(leader, request)
        except _LOST as exc:
            return [(batch, exc) for batch in batches]
        # A batch that comes twice is answered as it was the first time: the broker remembers the last five of a producer.
        codes = {TopicPartition(topic, info[0]): info[1] for topic, infos in answer.topics for info in infos}
        errors = [(batch, for_code(codes[batch.place])) for batch in batches]
        return [(batch, error()) for batch, error in errors if error is not NoError]


def _first(codes: Iterable[int]) -> KafkaError | None:
    errors = [for_code(code)() for code in codes if code]
    # Where one partition fails, the others say OPERATION_NOT_ATTEMPTED (55).
    return next((error for error in errors if error.errno != 55), errors[0] if errors else None)


async def _again(error: KafkaError, retriable: tuple[type[KafkaError], ...], pause: float, until: float) -> float:
    """Wait before the next try, or raise; return the pause after that."""
    if isinstance(error, (InvalidProducerEpoch, ProducerFenced)):
        raise Fenced(repr(error)) from error
    if not isinstance(error, retriable) or asyncio.get_running_loop().time() > until:
        raise error
    await asyncio.sleep(pause)
    return min(pause * 2, LAST_PAUSE)
