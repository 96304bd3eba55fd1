"""Totals of one partition to Redis, and the one rule by which they come back when Redis has lost them."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from stream import failpoints
from stream.core.commit import Commit
from stream.totals.calendars import RENEWED_EVERY_US
from stream.totals.freshness import Freshness
from stream.totals.gate_config import GateConfig
from stream.totals.link import UNANSWERED, Behind, Fenced, Link
from stream.totals.pending import Pending, Waiting

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25
MOST_WAITING = 100_000
"""Customers that may wait while Redis is away: two of the largest commits (`stream.engine.pace.GROUPED`). Beyond, they
are forgotten and asked for again by version."""

MOST_IN_CALL = 256
"""Customers in one script call: some 0.9 ms in which Redis serves nobody else."""

MOST_BYTES_IN_CALL = 256 * 1024
ANNOUNCED_EVERY = 40
BACKOFF_S = (0.05, 2.0)


class Watch(Protocol):
    """Who wants to know what a publisher does (`stream.telemetry.PartitionTelemetry`)."""

    def published(self, customers: int, seconds: float) -> None:
        """Take note of one call with so many customers."""

    def overdue(self, reservations: int) -> None:
        """Take note of so many reservations whose holds had lapsed, or were not there, when their events came."""

    def reached(self, position: int) -> None:
        """Take note that Redis holds everything below an offset."""

    def refilled(self, cause: str) -> None:
        """Take note that Redis lacked totals: `missing` (it held nothing) or `behind`."""

    def unanswered(self) -> None:
        """Take note of a call that Redis did not answer, or refused; it is tried again."""


class Publisher:
    """Brings the totals of one partition, commit by commit, into Redis.

    Used once: from the takeover of a partition to its loss. `offer` each commit when it is in the changelog; `run` does
    the rest: publishes what waits, coalesced, and every 250 ms sees whether Redis is as it was left.

    The one rule, for a takeover, a restart, a failover and a flush: where Redis holds no version, or lacks a call
    that it had answered, `on_behind(version in Redis, or None)` asks the engine to publish again what changed since.
    It must return the version of the last commit it has taken: what that one and those before it say is not used,
    for they were made without knowing what Redis lost. When a newer writer has come, `on_fenced()` is called and
    `run` ends.

    Delivery: at least once, in order, each call idempotent; an older total never replaces a newer one.
    Back pressure: `room` for what is published again, none for what changes; what waits is bounded by the number of
    customers.
    """

    def __init__(
        self,
        redis: Any,
        app: str,
        number: int,
        count: int,
        *,
        address: str,
        config: GateConfig,
        below: Callable[[], Awaitable[int]],
        on_behind: Callable[[int | None], int | None],
        on_fenced: Callable[[], None],
        watch: Watch | None = None,
    ) -> None:
        """Make a publisher; nothing is called yet.

        Args:
            redis: an asyncio client, see `stream.totals.connection`.
            app: the name that keys begin with.
            number: the partition.
            count: how many partitions there are.
            address: host:port under which this worker answers others.
            config: limits, customers and calendars of this partition.
            below: the offset below which everything is to be published for the totals to be as fresh as the moment
                of the call: the source partition's high watermark.
            on_behind: see above.
            on_fenced: see above.
            watch: whom to tell.

        """
        self._link = Link(redis, app, number, count, address)
        self._number, self._config = number, config
        self._below, self._on_behind, self._on_fenced, self._watch = below, on_behind, on_fenced, watch
        self._pending = Pending(MOST_WAITING)
        self._chunks: list[list[Waiting]] = []
        self._flight: Pending | None = None
        self._floor = -1
        self._claimed = False
        self._lost = False
        self._freshness = Freshness()
        self._asking: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._beats = 0
        self._next_beat = 0.0
        self._calendars_until_us = 0
        self.published: int | None = None
        self.position = -1
        self.complete = False
        self.fresh_us: int | None = None
        self.trouble: str | None = None

    async def held(self) -> int | None:
        """The version that Redis holds of this partition; None if it holds none, or cannot be reached."""
        try:
            self.published = await self._link.held()
        except UNANSWERED as error:
            log.warning("partition %d: Redis did not say what it holds: %r", self._number, error)
            self.published = None
        return self.published

    def offer(self, commit: Commit) -> None:
        """Take over the publications of a commit that is in the changelog; returns at once."""
        self._link.version = commit.version
        if commit.version > self._floor and not self._lost and not self._pending.add(commit):
            log.warning("partition %d: too much waits for Redis; it will be asked for again", self._number)
            self._forget()
        self._wake.set()

    @property
    def room(self) -> int:
        """How many customers that have to be published again may come with the next commit.

        Rendering is faster than Redis. Were they all to come at once, they would be too much that waits, be forgotten
        and asked for again, for ever; so they leave half of the room to what changes meanwhile.
        """
        return 0 if self._lost else max(0, MOST_WAITING // 2 - len(self._pending.customers))

    @property
    def behind(self) -> int:
        """How many commits were offered of which Redis does not hold everything; at least 1 while it lacks totals."""
        version = self._link.version
        if version is None:
            return 0
        if self.published is None or not self.complete:
            return max(1, version & 0xFFFFFFFF)
        return max(0, version - self.published) if version >> 32 == self.published >> 32 else 1

    async def run(self) -> None:
        """Publish and beat, until cancelled or fenced."""
        backoff = BACKOFF_S[0]
        try:
            while True:
                try:
                    await self._step()
                    backoff, self.trouble = BACKOFF_S[0], None
                except Behind:
                    self._claimed, self._lost = False, True
                    await asyncio.sleep(0.01)  # another may just have flushed: no storm of claims
                except UNANSWERED as error:
                    if self._watch is not None:
                        self._watch.unanswered()
                    if self.trouble is None:
                        log.warning("partition %d: Redis: %r", self._number, error)
                    self.trouble = repr(error)
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, BACKOFF_S[1])
        except Fenced as newer:
            log.warning(
                "partition %d: a newer writer has come to Redis, with version %s; ours is %s. Where no other worker owns"
                " the partition, Kafka was made anew and Redis was not: `tally reset` begins both afresh.",
                self._number,
                newer,
                self._link.version,
            )
            self._on_fenced()
        finally:
            if self._asking is not None:
                self._asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._asking

    # -- one turn

    async def _step(self) -> None:
        if self._link.version is None:
            await self._wake.wait()  # nothing may be written for a term whose first commit is not in the changelog
        self._wake.clear()
        if not self._claimed or self._lost:
            await self._claim()
        if self._flight is None and self._pending:
            self._take()
        if self._flight is not None:
            await self._publish()
        now = asyncio.get_running_loop().time()
        reached = self._freshness.reached(self.position) if self.complete else None
        if now >= self._next_beat or reached != self.fresh_us:
            await self._beat(reached, ask=now >= self._next_beat)
            if now >= self._next_beat:
                self._next_beat = now + HEARTBEAT_S
        if not self._pending and not self._lost:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._next_beat - asyncio.get_running_loop().time())):
                    await self._wake.wait()

    def _forget(self) -> None:
        self._pending = Pending(MOST_WAITING)
        self._flight, self._chunks = None, []
        self._lost = True

    async def _claim(self) -> None:
        """Shut older writers out, see what Redis holds, and have published what it lacks.

        1. Claim: from here on no older writer changes anything.
        2. What is missing is marked, before anything else is published: no total may mix what Redis lost with what
           came after.
        3. Limits, customers and calendars, so that a refusal says the right thing while totals come back.
        """
        found = await self._link.claim()  # 1
        version = found.version
        if self._lost or (self.published is not None and (version is None or version < self.published)):
            self._refill(version)  # 2
        if found.revision != self._config.revision:
            await self._link.configure(self._config)  # 3
            if found.scales and found.scales != self._config.scales:
                self._refill(None)
        await self._link.announce(always=True)
        await self._renew_calendars(found.now_us)
        self._claimed = True

    def _refill(self, version: int | None) -> None:
        log.info("partition %d: Redis holds version %s, %s was published", self._number, version, self.published)
        if self._watch is not None:
            self._watch.refilled("missing" if version is None else "behind")
        self._forget()
        self._freshness.forget()
        self.published, self.position, self.complete, self.fresh_us = version, -1, False, None
        floor = self._on_behind(version)
        self._floor = floor if floor is not None else self._link.version or 0
        self._lost = False

    def _take(self) -> None:
        self._flight, self._pending = self._pending, Pending(MOST_WAITING)
        self._chunks = list(self._flight.chunks(MOST_IN_CALL, MOST_BYTES_IN_CALL))

    async def _publish(self) -> None:
        """Publish what was taken, chunk by chunk; after a failure it goes on where it stopped."""
        flight = self._flight
        assert flight is not None, "taken before"
        assert flight.version is not None, "only what holds a commit is taken"
        loop = asyncio.get_running_loop()
        while self._chunks:
            chunk, last = self._chunks[0], len(self._chunks) == 1
            whole = last and flight.complete
            fresh = self._freshness.reached(flight.position) if whole else None
            began = loop.time()
            overdue = await self._link.publish(chunk, (flight.version, flight.position) if whole else None, fresh)
            if self._flight is not flight:
                return  # forgotten meanwhile
            if self._watch is not None:
                self._watch.published(len(chunk), loop.time() - began)
                self._watch.overdue(overdue)
            del self._chunks[0]
            if whole:
                self.published, self.position, self.complete = flight.version, flight.position, True
                self.fresh_us = fresh or self.fresh_us
                if self._watch is not None:
                    self._watch.reached(flight.position)
            failpoints.hit("after_publish" if last else "between_publishes")
        self._flight = None

    async def _beat(self, reached: int | None, *, ask: bool) -> None:
        """See that Redis is as it was left, say how fresh it is, and take its time for the next such answer."""
        self._beats += 1
        now_us, due = await self._link.beat(reached)
        self.fresh_us = reached
        if ask and (self._asking is None or self._asking.done()):
            self._asking = asyncio.ensure_future(self._ask(now_us))
        if now_us >= self._calendars_until_us:
            await self._renew_calendars(now_us)
        for customer in due:
            await self._link.sweep(customer)
        if self._beats % ANNOUNCED_EVERY == 0:
            await self._link.announce(always=False)

    async def _ask(self, moment_us: int) -> None:
        """Ask for the watermark of a moment; a failure only leaves the totals less fresh."""
        try:
            self._freshness.asked(moment_us, await self._below())
        except Exception as error:  # noqa: BLE001 - whatever Kafka's client raises, the next heartbeat asks again
            log.info("partition %d: no high watermark: %r", self._number, error)
        else:
            self._wake.set()

    async def _renew_calendars(self, now_us: int) -> None:
        fields = [text for pair in self._config.calendar_fields(now_us).items() for text in pair]
        await self._link.beat(None, fields)
        self._calendars_until_us = now_us + RENEWED_EVERY_US
