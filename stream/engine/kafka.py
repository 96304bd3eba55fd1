# ruff: noqa: SLF001  (metadata and raw requests are private; pyproject.toml pins aiokafka)
"""What the engine asks Kafka outside the consumer group: topics, offsets, single records, and what the broker can."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import TopicAlreadyExistsError, UnknownError, for_code
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from stream.engine.blocks import Record
from stream.engine.fetching import fetched

REQUEST_TIMEOUT_MS = 10_000

#: How often a broker must refuse to give out a producer id before it counts as one without transactions.
PROBES = 3


class NoProgress(Exception):  # noqa: N818 - what happened, not a fault of the caller
    """A log that should be read to an offset brought nothing for too long."""


class Kafka:
    """A client of its own in the main loop, apart from the consumer's thread."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._offsets: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._waiting: dict[TopicPartition, asyncio.Future[int]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect.

        Raises:
            aiokafka.errors.KafkaConnectionError: no broker answers.

        """
        # read_uncommitted: its end offset is the high watermark, with read_committed the last stable offset.
        self._offsets = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level="read_uncommitted",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            enable_auto_commit=False,
        )
        await self._offsets.start()
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS)
        await self._admin.start()

    async def stop(self) -> None:
        """Close the connections."""
        if self._asking is not None:
            self._asking.cancel()
        if self._offsets is not None:
            await self._offsets.stop()
        if self._admin is not None:
            await self._admin.close()

    @property
    def offsets(self) -> AIOKafkaConsumer:
        """The consumer that is only asked for offsets."""
        assert self._offsets is not None, "start() comes first"
        return self._offsets

    @property
    def admin(self) -> AIOKafkaAdminClient:
        """The client for topics and settings."""
        assert self._admin is not None, "start() comes first"
        return self._admin

    async def ensure_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> int:
        """Create a topic where it is missing; return how many partitions it has."""
        there = (await self.admin.list_topics()) or []
        if name not in there:
            # The broker's own default for the replication: -1, except where the broker cannot do that (error 38).
            for replication in (-1, 1):
                topic = NewTopic(name, partitions, 1, topic_configs=dict(config))
                topic.replication_factor = replication  # its own check refuses -1, the protocol does not
                try:
                    answer = await self.admin.create_topics([topic])
                except TopicAlreadyExistsError:
                    break
                codes = [error[1] for error in answer.topic_errors]
                if all(code in {0, TopicAlreadyExistsError.errno} for code in codes):
                    break
                if replication == 1:
                    raise for_code(codes[0])(f"topic {name} could not be created: {answer.topic_errors}")
        return await self.partitions(name)

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has, waiting until it is known."""
        client = self.offsets._client
        while True:
            client.add_topic(topic)
            await client.force_metadata_update()
            found = client.cluster.partitions_for_topic(topic)
            if found:
                return len(found)
            await asyncio.sleep(0.1)

    async def begin(self, tp: TopicPartition) -> int:
        """Return the first offset that the log still has."""
        return int((await self.offsets.beginning_offsets([tp]))[tp])

    async def high_watermark(self, tp: TopicPartition) -> int:
        """Return the offset after the last record that Kafka acknowledged, open transactions included.

        One request asks for all partitions that were asked for since the last request left, and never for an older
        one: an answer is at least as new as its question.
        """
        future = self._waiting.get(tp)
        if future is None:
            future = self._waiting[tp] = asyncio.get_running_loop().create_future()
            # Retrieved here, so that a question whose asker went away is no "exception never retrieved".
            future.add_done_callback(lambda f: f.cancelled() or f.exception())
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(future)

    async def stable_offset(self, tp: TopicPartition) -> int:
        """Return the offset below which no transaction is open, of a partition whose high watermark was asked for.

        Raises:
            aiokafka.errors.KafkaError: no answer, or not from the leader.

        """
        client = self.offsets._client
        leader = client.cluster.leader_for_partition(tp)
        answer = await client.send(leader, OffsetRequest(-1, READ_COMMITTED, [(tp.topic, [(tp.partition, -1)])]))
        (_, ((_, code, _, offset),)) = answer.topics[0]
        if code:
            raise for_code(code)(tp)
        return int(offset)

    async def _ask(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # questions of the same instant travel together
            waiting, self._waiting = self._waiting, {}
            try:
                ends = await self.offsets.end_offsets(list(waiting))
            except Exception as exc:  # noqa: BLE001 - whatever it is, the askers hear it
                for future in waiting.values():
                    if not future.done():
                        future.set_exception(exc)
            else:
                for tp, future in waiting.items():
                    if not future.done():
                        future.set_result(ends[tp])

    async def has_transactions(self) -> bool:
        """Tell whether the broker can fence and commit.

        The embedded broker lists the requests but answers UNKNOWN_SERVER_ERROR to InitProducerId, each time. A broker
        that is merely busy answers otherwise, and counts as one that can.
        """
        client = self.offsets._client
        for _ in range(PROBES):
            node = client.get_random_node()
            answer = await client.send(node, InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000))
            if for_code(answer.error_code) is not UnknownError:
                return True
            await asyncio.sleep(0.05)
        return False

    async def record(self, tp: TopicPartition, offset: int, isolation: str, patience: float = 5.0) -> Record | None:
        """Return the record at `offset`; another one, or None, where the log has not got it.

        Raises:
            NoProgress: the log did not get so far for `patience` seconds.

        """
        async for records in self.read(tp, offset, offset + 1, isolation=isolation, patience=patience):
            return records[0]
        return None

    async def read(
        self, tp: TopicPartition, start: int | None, end: int, *, isolation: str, patience: float = 30.0
    ) -> AsyncIterator[Sequence[Record]]:
        """Yield the records of `[start, end)` in runs, until the consumer's position has reached `end`.

        The position, not the last record: what takes the last offsets may be a marker that is never delivered.

        Args:
            tp: the partition.
            start: first offset, None for the log's beginning.
            end: offset to reach.
            isolation: `read_committed` or `read_uncommitted`.
            patience: seconds without progress after which reading fails.

        Raises:
            NoProgress: the position did not move for `patience` seconds.

        """
        async with self._reader(isolation, tp) as consumer:
            if start is None:
                await consumer.seek_to_beginning(tp)
            else:
                consumer.seek(tp, start)
            loop = asyncio.get_running_loop()
            position, moved = await consumer.position(tp), loop.time()
            while position < end:
                block = (await fetched(consumer, {tp}, 0.2)).get(tp)
                if block is not None:
                    position, moved = block.end, loop.time()
                    if block.records:
                        yield block.records
                elif loop.time() - moved > patience:
                    msg = f"{tp.topic} partition {tp.partition}: stands at {position} of {end} for {patience:.0f} s"
                    raise NoProgress(msg)

    @asynccontextmanager
    async def _reader(self, isolation: str, tp: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap,
            isolation_level=isolation,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=4 << 20,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        await consumer.start()
        try:
            await consumer._client._wait_on_metadata(tp.topic)
            consumer.assign([tp])
            yield consumer
        finally:
            await consumer.stop()
