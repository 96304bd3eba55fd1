"""A shard: one partition of the source while this worker owns it, with its state, its commits and its totals.

A shard is used once. Whatever goes wrong with it (a commit whose fate is unknown, a fence, a lost assignment), it is
dropped with all its memory, and a new one recovers from the log: memory that is ahead of the log is never folded on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec
from aiokafka import TopicPartition
from faust.types import ConsumerMessage

from schemas.rejections import HEADER_KIND, HEADER_REASON
from stream import failpoints
from stream.core.commit import Commit, Out
from stream.engine.blocks import Block, Record
from stream.engine.committer import OUTBOX_KEY, Committer
from stream.engine.continuity import check_gap, hold_against_log
from stream.engine.kafka import Kafka
from stream.engine.pace import Pace
from stream.engine.state import State
from stream.engine.transactions import Fenced
from stream.telemetry import Telemetry

log = logging.getLogger(__name__)

#: Records that are folded between two commits where a commit has to fit into one record batch.
SLICE = 500


class Dropped(Exception):  # noqa: N818 - likewise
    """The shard was dropped while something waited for it."""


class Loss(NamedTuple):
    """Why a shard was lost, and whether to another worker."""

    why: str
    fenced: bool


class Publisher(Protocol):
    """What a shard needs of the one who writes its totals to Redis."""

    @property
    def room(self) -> int:
        """How many customers that have to be published again may come with the next commit."""

    def offer(self, commit: Commit) -> None:
        """Take over a commit's publications; returns at once."""

    async def run(self) -> None:
        """Publish what is offered, until cancelled."""

    async def held(self) -> int | None:
        """Return the version that Redis holds of this partition, None if it holds none or cannot be reached."""


@dataclass(slots=True)
class Poison:
    """What is known of events on which the fold itself failed: a fault of ours, not theirs.

    A fold that raises leaves half a block in memory, so the shard is dropped and recovers. Its successor folds the
    offsets below `careful_below` one by one, which finds the event; the one after that sends the offsets in `refused`
    to the rejected topic and goes on. So no event stops the stream, and none is lost.
    """

    careful_below: int = 0
    refused: dict[int, str] = field(default_factory=dict)

    def blame(self, records: Sequence[Record], exc: Exception) -> None:
        """Note that folding these records raised."""
        if len(records) == 1:
            self.refused[records[0].offset] = f"{type(exc).__name__}: {exc}"
        else:
            self.careful_below = records[-1].offset + 1


@dataclass(frozen=True)
class Parts:
    """How a shard gets what it is made of; one for the worker."""

    kafka: Kafka
    source: str
    changelog: str
    isolation: str
    count: int
    partition: Callable[[int, int | None], State]
    committer: Callable[[int], Committer]
    publisher: Callable[["Shard"], Publisher]
    ack: Callable[[ConsumerMessage], object]
    telemetry: Telemetry


class Shard:
    """One partition of the source, from its takeover to its loss."""

    def __init__(self, number: int, parts: Parts, poison: Poison) -> None:
        self.number = number
        self._poison = poison
        self.source = TopicPartition(parts.source, number)
        self.changelog = TopicPartition(parts.changelog, number)
        self.running = False
        self.recovered_rows = 0
        self._parts = parts
        self._state: State | None = None
        self._committed = 0
        self._committer = parts.committer(number)
        self._publisher = parts.publisher(self)
        self._messages: list[ConsumerMessage] = []
        self._pace = Pace(single=self._committer.one_batch)
        self._writing = False
        self._lost: asyncio.Future[Loss] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._telemetry = parts.telemetry.partition(number)
        self._counts: dict[str, int] = {}
        self._newest_ms: int | None = None

    @property
    def state(self) -> State:
        """The partition's rows, ids and header.

        Raises:
            Dropped: it is not recovered yet, or no more this worker's.

        """
        if self._state is None:
            raise Dropped
        return self._state

    @property
    def wanted(self) -> int | None:
        """The next offset of the source, None while nothing is to be read."""
        return self.state.header.next_offset if self.running else None

    # -- the takeover

    async def take_over(self) -> None:
        """Recover the partition.

        1. Fence: from here on the former owner can write nothing.
        2. The changelog's high watermark: all that the former owner committed lies below it. Behind a fence no
           transaction is open; one that the broker forgot to end is ended now, or no reader would ever get there.
        3. Read it all, the last value of a key wins; fail without progress.
        4. Hold the header against the source's log.
        5. A new term, and its first commit: so that no two owners ever use one version, and so that the fence is
           known to hold before anything reaches Redis.

        Raises:
            Halted: the source's log does not fit the header.
            Exception: Kafka failed; drop this shard and try again with another.

        """
        parts = self._parts
        began = asyncio.get_running_loop().time()
        failpoints.hit("takeover_before_fence")
        held = await self._publisher.held()
        await self._committer.start()  # 1
        failpoints.hit("takeover_after_fence")
        end = await parts.kafka.high_watermark(self.changelog)  # 2
        if not self._committer.one_batch and await parts.kafka.stable_offset(self.changelog) < end:
            await self._committer.settle()
            end = await parts.kafka.high_watermark(self.changelog)
        state = parts.partition(self.number, held)
        outbox: bytes | None = None
        async for records in parts.kafka.read(self.changelog, None, end, isolation=parts.isolation):  # 3
            state.restore(records)
            self.recovered_rows += len(records)
            outbox = next((r.value for r in reversed(records) if r.key == OUTBOX_KEY), outbox)
            if self.recovered_rows * 2 >= end:
                failpoints.hit("during_recovery")
        state.restored()
        exact = not self._committer.one_batch
        await hold_against_log(
            parts.kafka, self.source, state.header, parts.count, parts.isolation, exact_end=exact
        )  # 4
        await self._committer.resend(outbox, state.header.version)
        state.begin_term()  # 5
        state.publish_since(held)
        first = state.take()
        assert first is not None, "a new term has a header to write"
        await self._committer.write(first)
        if self._lost.done():
            raise Dropped
        self._state, self._committed = state, first.next_offset
        self._parts.telemetry.recovery_seconds.observe(asyncio.get_running_loop().time() - began)
        self._counts = msgspec.structs.asdict(state.header.counts)
        self._publisher.offer(first)
        self._spawn(self._commit_forever(), "commit")
        self._spawn(self._publisher.run(), "publish")
        self._pace.hurry()
        self.running = True

    async def check_gap(self, start: int) -> None:
        """Look why the log goes on at `start` and not at `wanted`.

        Raises:
            Halted: what lies between was deleted before it was counted.

        """
        if self.wanted is not None:
            await check_gap(self._parts.kafka, self.source, self.wanted, start)

    # -- the work

    async def fold(self, message: ConsumerMessage, block: Block) -> bool:
        """Fold a block; waits while too much is uncommitted.

        Returns:
            False where the block does not continue what was read: the caller seeks to `wanted`.

        """
        for piece in self._pieces(block, SLICE if self._committer.one_batch else len(block.records)):
            await self._pace.room(lambda: self.running)
            if not self.running:
                return True  # its next owner reads it again
            rest = piece.since(self.state.header.next_offset or 0)
            if rest is None:
                return False
            if rest.end > rest.start:
                self._committer.expect()
            await asyncio.sleep(0)  # what waits to be sent leaves before the fold keeps the loop
            if self._state is None:
                return True  # lost meanwhile
            try:
                self._fold(rest)
            except Exception as exc:
                # Half a block is in memory: no use but to drop it.
                log.exception("%s: folding the offsets %d to %d failed", self.source, rest.start, rest.end - 1)
                self._poison.blame(rest.records, exc)
                self.lose(f"a fold failed: {exc!r}")
                return True
            failpoints.hit("after_fold")
            if piece.end == block.end:
                self._messages.append(message)
            self._pace.folded(len(rest.records), rest.lag)
        return True

    def _pieces(self, block: Block, size: int) -> Iterator[Block]:
        """Cut a block: into `size` records, and into single ones where a fold failed before."""
        if block.start < self._poison.careful_below:
            size = 1
        if len(block.records) <= size:
            yield block
            return
        start = block.start
        for i in range(0, len(block.records), size):
            records = block.records[i : i + size]
            end = block.end if i + size >= len(block.records) else records[-1].offset + 1
            yield Block(start, records, end)
            start = end

    def _fold(self, block: Block) -> None:
        if len(block.records) == 1 and (why := self._poison.refused.get(block.records[0].offset)):
            self.state.refuse(block.records[0], block.end, f"Tallystream failed on this event, which is a bug: {why}")
        elif block.records or block.end > block.start:
            self.state.fold(block.records, block.end)
            if block.records:
                self._newest_ms = block.records[-1].timestamp

    async def _commit_forever(self) -> None:
        """Group commit: take all that is dirty at one instant between two blocks; events fold on meanwhile."""
        while True:
            await self._pace.due()
            messages, self._messages = self._messages, []
            commit = self.state.take(self._publisher.room)  # with no room the next change asks again
            if commit is not None:
                await self._commit(commit)
            for message in messages:
                self._parts.ack(message)
            self._pace.through()

    async def _commit(self, commit: Commit) -> None:
        loop, counts = asyncio.get_running_loop(), msgspec.structs.asdict(self.state.header.counts)
        newest_ms, self._newest_ms = self._newest_ms, None
        began = loop.time()
        self._writing = True
        await self._committer.write(commit)
        self._writing = False
        self._committed = commit.next_offset
        if newest_ms is not None:
            self._telemetry.waits(commit.next_offset, newest_ms)
        self._publisher.offer(commit)
        if not commit.complete:
            self._pace.hurry()
        self._telemetry.committed(
            {name: count - self._counts.get(name, 0) for name, count in counts.items()},
            records=len(commit.rows) + len(commit.outbox),
            size=sum(len(key) + len(value or b"") for key, value in commit.rows),
            seconds=loop.time() - began,
        )
        self._telemetry.outbox(
            (kind, reason) for out in commit.outbox if out.to == "rejected" for kind, reason in [_kind_and_reason(out)]
        )
        self._counts = counts

    async def below(self) -> int:
        """Return the offset that the totals in Redis must have reached to be fresh now.

        The high watermark; but where all below it is committed, and what came since was nothing but markers, the
        commit's own offset, for no commit will ever say more. A commit that is being written is not committed: its
        events are in Kafka and not in Redis, and holds must not lapse past them.
        """
        end = await self._parts.kafka.high_watermark(self.source)
        self._telemetry.lag.set(max(0, end - self._committed))
        state = self._state
        if state is None or self._pace.pending or self._writing:
            return end
        return min(end, self._committed) if (state.header.next_offset or 0) >= end else end

    def publish_since(self, version: int | None) -> int | None:
        """Publish again what changed after `version` (all, if None): Redis lost it.

        Returns:
            The version of the last commit taken: what was offered up to it was made without knowing of the loss.

        """
        if self._state is None:
            return None
        self.state.publish_since(version)
        self._pace.hurry()
        return self.state.header.version

    def sweep(self, steps: int) -> None:
        """Spend a little on what expires."""
        if self.running:
            self.state.sweep(steps)
            self._pace.changed()

    # -- the end

    def lose(self, why: str, *, fenced: bool = False) -> None:
        """Stop folding, committing and publishing at once. Idempotent; memory goes with `close`.

        `fenced` says that another worker writes where this one did.
        """
        self.running = False
        self._state = None
        for task in self._tasks:
            task.cancel()
        self._pace.through()
        if not self._lost.done():
            self._lost.set_result(Loss(why, fenced))

    async def lost(self) -> Loss:
        """Wait until the shard is lost; return why."""
        return await asyncio.shield(self._lost)

    async def close(self) -> None:
        """Lose it, and close its connections."""
        self.lose("closed")
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._committer.stop()

    def _spawn(self, work: Awaitable[None], what: str) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)

        def done(ended: "asyncio.Future[None]") -> None:
            if ended.cancelled() or self._lost.done():
                return
            exc = ended.exception()
            log.warning("%s: %s failed, the partition is taken over afresh: %r", self.source, what, exc)
            self.lose(f"{what}: {exc!r}", fenced=isinstance(exc, Fenced))

        task.add_done_callback(done)


def _kind_and_reason(out: Out) -> tuple[str, str]:
    headers = dict(out.headers)
    return headers.get(HEADER_KIND, b"").decode(), headers.get(HEADER_REASON, b"").decode()
