"""Totals of one partition to Redis, and the one rule by which they come back when Redis has lost them."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from redis.exceptions import RedisClusterException, RedisError
from tallygate import layout
from tallygate._scripts import script, whole

from stream import failpoints
from stream.core.commit import Commit
from stream.totals.calendars import RENEWED_EVERY_US
from stream.totals.freshness import Freshness
from stream.totals.gate_config import GateConfig
from stream.totals.pending import Pending, Waiting

log = logging.getLogger(__name__)

HEARTBEAT_S = 0.25
HELD_WITHIN_S = 2.0
MOST_WAITING = 50_000
"""Customers that may wait while Redis is away. Beyond, they are forgotten and asked for again by version."""

MOST_IN_CALL = 200
"""Customers in one script call: some 0.7 ms in which Redis serves nobody else."""

MOST_BYTES_IN_CALL = 256 * 1024
SETTLED_FOR_US = 7_200_000_000
ANNOUNCED_EVERY = 40
BACKOFF_S = (0.05, 2.0)

_CLAIM = script("claim")
_BEAT = script("beat")
_PUBLISH = script("holds", "publish")
_CONFIGURE = script("configure")
_SWEEP = script("holds", "sweep")
_pack = msgspec.msgpack.Encoder().encode


class Watch(Protocol):
    """Who wants to know what a publisher does (`stream.telemetry.PartitionTelemetry`)."""

    def published(self, customers: int, seconds: float) -> None:
        """Take note of one call with so many customers."""

    def reached(self, position: int) -> None:
        """Take note that Redis holds everything below an offset."""

    def refilled(self, cause: str) -> None:
        """Take note that Redis lacked totals: `missing` (it held nothing) or `behind`."""

    def unanswered(self) -> None:
        """Take note of a call that Redis did not answer, or refused; it is tried again."""


class _Behind(Exception):  # noqa: N818 - an answer, not an error
    """Redis is not as this writer left it."""


class _Fenced(Exception):  # noqa: N818 - likewise
    """A newer writer has come."""


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
    Back pressure: none towards the engine; what waits is bounded by the number of customers.
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
        self._redis, self._app, self._number, self._count = redis, app, number, count
        self._keys = layout.Keys(app, number)
        self._address, self._config = address, config
        self._below, self._on_behind, self._on_fenced, self._watch = below, on_behind, on_fenced, watch
        self._pending = Pending(MOST_WAITING)
        self._chunks: list[list[Waiting]] = []
        self._flight: Pending | None = None
        self._version: int | None = None
        self._floor = -1
        self._sequence = 0
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
        fields = (layout.VERSION_HELD, layout.LAYOUT, layout.PARTITIONS)
        try:
            async with asyncio.timeout(HELD_WITHIN_S):
                version, kept_as, spread = await whole(self._redis.hmget(self._keys.status, fields))
        except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
            log.warning("partition %d: Redis did not say what it holds: %r", self._number, error)
            return None
        ours = kept_as == str(layout.VERSION).encode() and spread == str(self._count).encode()
        self.published = int(version) if version and ours else None
        return self.published

    def offer(self, commit: Commit) -> None:
        """Take over the publications of a commit that is in the changelog; returns at once."""
        self._version = commit.version
        if commit.version > self._floor and not self._lost and not self._pending.add(commit):
            log.warning("partition %d: too much waits for Redis; it will be asked for again", self._number)
            self._forget()
        self._wake.set()

    @property
    def behind(self) -> int:
        """How many commits were offered of which Redis does not hold everything; at least 1 while it lacks totals."""
        if self._version is None:
            return 0
        if self.published is None or not self.complete:
            return max(1, self._version & 0xFFFFFFFF)
        return max(0, self._version - self.published) if self._version >> 32 == self.published >> 32 else 1

    async def run(self) -> None:
        """Publish and beat, until cancelled or fenced."""
        backoff = BACKOFF_S[0]
        try:
            while True:
                try:
                    await self._step()
                    backoff, self.trouble = BACKOFF_S[0], None
                except _Behind:
                    self._claimed, self._lost = False, True
                    await asyncio.sleep(0.01)  # another may just have flushed: no storm of claims
                except (RedisError, RedisClusterException, OSError, TimeoutError) as error:
                    if self._watch is not None:
                        self._watch.unanswered()
                    if self.trouble is None:
                        log.warning("partition %d: Redis: %r", self._number, error)
                    self.trouble = repr(error)
                    await asyncio.sleep(backoff)
                    backoff = min(backoff * 2, BACKOFF_S[1])
        except _Fenced as newer:
            log.warning(
                "partition %d: a newer writer has come to Redis, with version %s; ours is %s. Where no other worker owns"
                " the partition, Kafka was made anew and Redis was not: `tally reset` begins both afresh.",
                self._number,
                newer,
                self._version,
            )
            self._on_fenced()
        finally:
            if self._asking is not None:
                self._asking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._asking

    # -- one turn

    async def _step(self) -> None:
        if self._version is None:
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
        args = [layout.VERSION, self._count, self._current(), self._sequence, self._address]
        held, sequence, revision, scales, now = await self._call(_CLAIM, [self._keys.status], args)  # 1
        self._sequence = int(sequence)
        version = int(held) if held else None
        if self._lost or (self.published is not None and (version is None or version < self.published)):
            self._refill(version)  # 2
        if revision.decode() != self._config.revision:
            await self._configure()  # 3
            if scales and scales.decode() != self._config.scales:
                self._refill(None)
        await self._announce(always=True)
        await self._renew_calendars(int(now))
        self._claimed = True

    def _refill(self, version: int | None) -> None:
        log.info("partition %d: Redis holds version %s, %s was published", self._number, version, self.published)
        if self._watch is not None:
            self._watch.refilled("missing" if version is None else "behind")
        self._forget()
        self._freshness.forget()
        self.published, self.position, self.complete, self.fresh_us = version, -1, False, None
        floor = self._on_behind(version)
        self._floor = floor if floor is not None else self._current()
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
            keys = [self._keys.status, self._keys.due]
            for waiting in chunk:
                totals, holds, deadlines = self._keys.of(waiting.customer)
                keys += [totals, holds, deadlines] if waiting.settles else [totals]
            args: list[str | int | bytes] = [self._current(), self._sequence, self._sequence + 1]
            args += [flight.version, flight.position] if whole else ["", ""]
            args += ["" if fresh is None else fresh, SETTLED_FOR_US, _pack([_customer(waiting) for waiting in chunk])]
            began = loop.time()
            await self._call(_PUBLISH, keys, args)
            if self._flight is not flight:
                return  # forgotten meanwhile
            self._sequence += 1
            if self._watch is not None:
                self._watch.published(len(chunk), loop.time() - began)
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
        keys = [self._keys.status, self._keys.due]
        args = [self._current(), self._sequence, "" if reached is None else reached]
        now, _, *due = await self._call(_BEAT, keys, args)
        self.fresh_us = reached
        if ask and (self._asking is None or self._asking.done()):
            self._asking = asyncio.ensure_future(self._ask(int(now)))
        if int(now) >= self._calendars_until_us:
            await self._renew_calendars(int(now))
        for customer in due:
            _, holds, deadlines = self._keys.of(customer.decode())
            await _SWEEP.call_async(self._redis, [*keys, holds, deadlines], [customer, 500])
        if self._beats % ANNOUNCED_EVERY == 0:
            await self._announce(always=False)

    async def _ask(self, moment_us: int) -> None:
        """Ask for the watermark of a moment; a failure only leaves the totals less fresh."""
        try:
            self._freshness.asked(moment_us, await self._below())
        except Exception as error:  # noqa: BLE001 - whatever Kafka's client raises, the next heartbeat asks again
            log.info("partition %d: no high watermark: %r", self._number, error)
        else:
            self._wake.set()

    async def _configure(self) -> None:
        """Write limits, customers and aliases; the last call makes them hold."""
        config, keys = self._config, self._keys
        gone = {name.decode() for name in await whole(self._redis.smembers(keys.configured))} - set(config.customers)
        named = [
            (customer, *config.customers.get(customer, ("", ""))) for customer in [*sorted(gone), *config.customers]
        ]
        chunks = [named[i : i + MOST_IN_CALL] for i in range(0, len(named), MOST_IN_CALL)] or [[]]
        for n, chunk in enumerate(chunks):
            last = n == len(chunks) - 1
            args: list[str | int | bytes] = [self._current(), self._sequence, config.revision if last else ""]
            args += [config.scales, len(chunk), *(text for about in chunk for text in about)]
            if last:
                args += [text for pair in config.metrics.items() for text in pair]
            where = [keys.status, keys.configured, *(keys.totals(customer) for customer, _, _ in chunk)]
            await self._call(_CONFIGURE, where, args)

    async def _renew_calendars(self, now_us: int) -> None:
        fields = [text for pair in self._config.calendar_fields(now_us).items() for text in pair]
        await self._call(_BEAT, [self._keys.status, self._keys.due], [self._current(), self._sequence, "", *fields])
        self._calendars_until_us = now_us + RENEWED_EVERY_US

    async def _announce(self, *, always: bool) -> None:
        """Say in the app's hash which layout this is; another partition's writer says the same."""
        fields = {layout.APP_LAYOUT: layout.VERSION, layout.APP_PARTITIONS: self._count}
        key = layout.app_key(self._app)
        if always or not await whole(self._redis.exists(key)):
            await whole(self._redis.hset(key, mapping=fields))

    def _current(self) -> int:
        assert self._version is not None, "nothing is written before the first commit"
        return self._version

    async def _call(self, call: Any, keys: list[str], args: list[Any]) -> list[bytes]:
        answer = await call.call_async(self._redis, keys, args)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # redis-py writes under wait_for, which before Python 3.12 swallows a cancellation that meets the end of
            # the write: without this a publisher that was told to end would go on for ever.
            raise asyncio.CancelledError
        if answer[0] == b"fenced":
            raise _Fenced(answer[1].decode())
        if answer[0] == b"behind":
            raise _Behind
        rest: list[bytes] = answer[1:]
        return rest


def _customer(waiting: Waiting) -> list[Any]:
    """One customer as publish.lua reads it; numbers as text, so that no double rounds them."""
    sets = [text for name, value in waiting.fields.items() if value is not None for text in (name, value)]
    dels = [] if waiting.whole else [name for name, value in waiting.fields.items() if value is None]
    shown: list[Any] = [str(waiting.version), str(waiting.position), waiting.whole, sets, dels]
    return [*shown, list(waiting.settles), waiting.customer] if waiting.settles else shown
