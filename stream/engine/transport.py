# ruff: noqa: SLF001  (the hooks are private; pyproject.toml pins the two packages that have them)
"""Faust's transport, with blocks for messages: one message is one fetched run of a partition.

Stock Faust spends 130 to 400 microseconds of event loop on each message (two tasks, a lock, a queue). With a whole
run as one message that is paid once for thousands of events, and Faust keeps what it is good at: membership,
assignment, flow control, the worker's life.

Two things differ from stock Faust besides:

- The position of a partition comes from its header (design: the source offset stands in the commit, nowhere else),
  never from the group's offsets. `Consumer.perform_seek`, which Faust calls wherever it would seek to the committed
  offsets, asks the `Positions` instead. The group's offsets are still written, for lag tools.
- A block says which offsets it covers, so that its taker sees a gap or a repetition whatever seeks and rebalances
  did meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, Message

from stream.engine.blocks import Block
from stream.engine.fetching import Demand

#: Milliseconds that a fetch waits for data. Faust's 1500 would make a rebalance on a quiet topic wait for the long
#: poll in flight (measured: 1.5 to 3 s against 0.1 to 0.2 s).
FETCH_WAIT_MS = 100

#: Seconds for which others are waited for while the blocks of a partition fill its buffer.
BUFFERED_WAIT = 0.02

#: Seconds after which blocks that were handed out count as lost: a rebalance may drop them between here and the fold.
FOLDED_WAIT = 1.0

#: Seconds after which a worker without a partition to read looks again whether it has one.
UNASSIGNED_WAIT = 0.1


class Positions(Protocol):
    """Who knows where each assigned partition is to be read from."""

    def wanted(self, tp: TP) -> int | None:
        """Return the next offset to read of `tp`, None while the partition is not to be read."""

    async def assigned(self, tps: set[TP], generation: int) -> None:
        """Hear that a rebalance gave this worker exactly `tps`."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that owns aiokafka's consumer: fetches runs and notes which offsets they cover."""

    consumer: "Consumer"  # type: ignore[mutable-override]
    _demand: Demand | None = None

    @property
    def lagging(self) -> bool:
        """Whether the log has more than one fetch brings."""
        return self._demand is not None and self._demand.lagging

    async def on_start(self) -> None:
        """Start aiokafka's consumer, to fetch when it is asked to."""
        await super().on_start()
        self._demand = Demand(self._consumer)

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Faust reads committed records only under its own exactly_once, which is not used here; an event that a
        # producer aborted was never sent.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        # Without tables Faust falls back to round robin, which moves partitions at every rebalance; its own assignor
        # leaves them where they are, and a partition that moves has to be recovered.
        self._assignor = self.app.assignor
        consumer._partition_assignment_strategy = (self._assignor,)
        return consumer

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,  # noqa: ARG002 - the one that was started
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,  # noqa: ARG002 - a block is all that was fetched
    ) -> Mapping[TP, Any]:
        if self._demand is None or not self.consumer.flow_active:
            return {}
        blocks = await self._demand.fetched(active_partitions, timeout or 0.0)
        return {TP(tp.topic, tp.partition): block for tp, block in blocks.items()}

    def place(self, positions: Mapping[TP, int | None]) -> None:
        """Seek partitions, and pause those whose position is None. Call from any thread; returns at once.

        A real pause, inside aiokafka: Faust's own is a filter on what was fetched, so that aiokafka fetches on, holds
        the answer, and blocks the node's other partitions for 0.1 s each time.
        """
        self.thread_loop.call_soon_threadsafe(self._place, dict(positions))

    def _place(self, positions: Mapping[TP, int | None]) -> None:
        consumer = self._consumer
        if consumer is None or consumer._closed:
            return
        assigned = consumer.assignment()
        for (topic, partition), offset in positions.items():
            tp = TopicPartition(topic, partition)
            if tp not in assigned:
                continue
            if offset is None:
                consumer.pause(tp)
            else:
                consumer.seek(tp, offset)
                consumer.resume(tp)

    def rejoin(self) -> None:
        """Ask for a new assignment and keep the process. Call from any thread.

        Crashing instead would close the connection before LeaveGroup and cost a session timeout more.
        """

        def ask() -> None:
            if self._consumer is not None:
                self._consumer._coordinator.request_rejoin()

        self.thread_loop.call_soon_threadsafe(ask)


class Consumer(driver.Consumer):
    """Faust's consumer, yielding blocks, placed by the headers instead of the group's offsets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._acked_to: dict[TP, int] = {}
        self._drained = asyncio.Event()
        self._unfolded, self._folded = 0, asyncio.Event()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def positions(self) -> Positions:
        """Who knows the positions; the app has them once it is started, this consumer is made before."""
        return cast("Positions", self._app.shards)

    @property
    def _app(self) -> Any:
        """The app that Faust knows, with what `stream.engine.app.App` adds."""
        return self.app

    @property
    def thread(self) -> ConsumerThread:
        """The thread that owns aiokafka's consumer."""
        return cast("ConsumerThread", self._thread)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield one message for each partition that has moved: the value is a `Block`, the offset its last one."""
        await self._all_folded()
        blocks, active = cast("tuple[Mapping[TP, Block] | None, set[TP]]", await self._wait_next_records(timeout))
        generation = self.app.consumer_generation_id
        if blocks is None or self.should_stop or not self.flow_active:
            return
        for tp, block in blocks.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:  # type: ignore[redundant-expr]  # it changes between yields
                return
            if tp in active or tp in self._buffered_partitions:
                self._unfolded += 1
                yield tp, self._message(tp, block, generation)

    def folded(self) -> None:
        """Note that a block that was handed out has been folded."""
        self._unfolded = max(0, self._unfolded - 1)  # one that counted as lost may come after all
        if not self._unfolded:
            self._folded.set()

    async def _all_folded(self) -> None:
        """Wait for the fold before the next fetch, unless the partitions lag.

        Faust would ask for more while the last blocks still wait for the fold, and what it gets would be as old as
        their folding takes when its own turn comes.
        """
        if self._unfolded and not self.thread.lagging:
            self._folded.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._folded.wait(), FOLDED_WAIT)
            self._unfolded = 0

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP]]:
        """Fetch of the partitions whose buffer has room; where none has, wait until one has.

        Faust sleeps a second there, while the buffer of 16 blocks drains in a third of it; and it does not look at a
        partition that has drained before the others have brought something.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode's types know only its own events
        self._drained.clear()
        active = self._get_active_partitions()
        if active:
            wait = BUFFERED_WAIT if self._buffered_partitions else timeout
            return await self._getmany(active_partitions=active, timeout=wait), active
        with suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), UNASSIGNED_WAIT)
        return {}, active

    def on_buffer_drop(self, tp: TP) -> None:
        """Go on fetching of a partition whose blocks were taken."""
        super().on_buffer_drop(tp)
        self._drained.set()

    @staticmethod
    def _message(tp: TP, block: Block, generation: int) -> ConsumerMessage:
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=block.end - 1,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast("Any", block),  # Faust says bytes; its streams hand it on as it is
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=generation,
        )

    async def perform_seek(self) -> None:
        """Place every assigned partition where its header says; pause those that are not recovered yet."""
        tps = {tp for tp in self.assignment() if tp.topic in self._app.source_topics}
        self.thread.place({tp: self.positions.wanted(tp) for tp in tps})
        # Faust drops messages below the read offset; the taker of a block checks what it covers, so nothing is to be
        # dropped here, and a stale value would drop what a new owner has to read again.
        for tp in tps:
            self._read_offset[tp] = None

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell the positions first, so that what is resumed afterwards is placed by the new assignment."""
        await self.positions.assigned({tp for tp in assigned if tp.topic in self._app.source_topics}, generation_id)
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget the acknowledgements of what may be another's now."""
        await super().on_partitions_revoked(revoked)
        self._folded.set()  # what has not got there by now may never get there
        for tp in revoked:
            self._acked_to.pop(tp, None)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave the watch over standstills to the readiness check, which knows what a standstill is here."""

    # Acknowledgements: the blocks of a partition are committed in order, so "the acknowledged prefix" is one number,
    # and Faust's gaps and sorted lists have nothing to do.

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        pass

    def ack(self, message: Message) -> bool:
        """Note that all up to this message is committed; Faust writes it as the group's offset, for lag tools."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        self._acked_to[message.tp] = max(self._acked_to.get(message.tp, 0), message.offset + 1)
        self._n_acked += 1
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter([tp for tp in self._acked_to if topics is None or tp in topics or tp.topic in topics])

    def _new_offset(self, tp: TP) -> int | None:
        return self._acked_to.pop(tp, None)


class Transport(driver.Transport):
    """Faust's aiokafka transport with blocks."""

    Consumer: ClassVar[type[Consumer]] = Consumer  # type: ignore[mutable-override]
