"""One writer's calls to one partition's keys: each changes all it says, or nothing.

What the scripts take and answer stands at their heads (`client/tallygate/scripts`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
from redis.exceptions import RedisClusterException, RedisError
from tallygate import layout
from tallygate._scripts import Script, script, whole

from stream.totals.gate_config import GateConfig
from stream.totals.pending import Waiting

HELD_WITHIN_S = 2.0
SETTLED_FOR_US = 7_200_000_000
"""Settled ids outlive every hold by an hour, so that a reservation repeated late is known."""

MOST_CONFIGURED = 200
SWEPT_AT_ONCE = 500

UNANSWERED = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What a call raises that may be tried again."""

_CLAIM = script("claim")
_BEAT = script("beat")
_PUBLISH = script("holds", "publish")
_CONFIGURE = script("configure")
_SWEEP = script("holds", "sweep")
_pack = msgspec.msgpack.Encoder().encode


class Behind(Exception):  # noqa: N818 - an answer, not an error
    """Redis is not as this writer left it."""


class Fenced(Exception):  # noqa: N818 - likewise
    """A newer writer has come; the argument is its version."""


@dataclass(frozen=True)
class Claimed:
    """What a claim found: the version held, the revision and decimals of the limits, and Redis's time."""

    version: int | None
    revision: str
    scales: str
    now_us: int


class Link:
    """The keys of one partition, and the sequence in which this writer left them.

    `version` is the one that it writes as: the last commit's. Every method raises `Fenced`, `Behind` or one of
    `UNANSWERED`; after the last, the call may have come through, and may be repeated as it was.
    """

    def __init__(self, redis: Any, app: str, number: int, count: int, address: str) -> None:
        self._redis, self._app, self._count, self._address = redis, app, count, address
        self._keys = layout.Keys(app, number)
        self._sequence = 0
        self.version: int | None = None

    async def held(self) -> int | None:
        """The version that Redis holds, None where it holds none of ours; only raises one of `UNANSWERED`."""
        fields = (layout.VERSION_HELD, layout.LAYOUT, layout.PARTITIONS)
        async with asyncio.timeout(HELD_WITHIN_S):
            version, kept_as, spread = await whole(self._redis.hmget(self._keys.status, fields))
        ours = kept_as == str(layout.VERSION).encode() and spread == str(self._count).encode()
        return int(version) if version and ours else None

    async def claim(self) -> Claimed:
        """Shut older writers out, and begin a sequence of our own."""
        args = [layout.VERSION, self._count, self._current(), self._sequence, self._address]
        held, sequence, revision, scales, now = await self._call(_CLAIM, [self._keys.status], args)
        self._sequence = int(sequence)
        return Claimed(int(held) if held else None, revision.decode(), scales.decode(), int(now))

    async def publish(self, chunk: Sequence[Waiting], done: tuple[int, int] | None, fresh_us: int | None) -> int:
        """Publish some customers; `done` is the version and position that Redis then holds whole, if any.

        Returns how many reservations were settled without an open hold: it had lapsed, or was not there.
        """
        keys = [self._keys.status, self._keys.due]
        for waiting in chunk:
            customer = waiting.customer
            keys += self._keys.of(customer) if waiting.settles else (self._keys.totals(customer),)
        args: list[Any] = [self._current(), self._sequence, self._sequence + 1, *(done or ("", ""))]
        args += ["" if fresh_us is None else fresh_us, SETTLED_FOR_US, _pack([_customer(each) for each in chunk])]
        _, overdue = await self._call(_PUBLISH, keys, args)
        self._sequence += 1
        return int(overdue)

    async def beat(self, fresh_us: int | None, fields: Sequence[str] = ()) -> tuple[int, list[str]]:
        """See that all is as it was left, and say how fresh it is; Redis's time, and who has holds to be swept."""
        keys = [self._keys.status, self._keys.due]
        args = [self._current(), self._sequence, "" if fresh_us is None else fresh_us, *fields]
        now, _, *due = await self._call(_BEAT, keys, args)
        return int(now), [customer.decode() for customer in due]

    async def configure(self, config: GateConfig) -> None:
        """Write limits, customers and aliases; the last call makes them hold."""
        keys = self._keys
        gone = {name.decode() for name in await whole(self._redis.smembers(keys.configured))} - set(config.customers)
        names = [*sorted(gone), *config.customers]
        named = [(customer, *config.customers.get(customer, ("", ""))) for customer in names]
        chunks = [named[i : i + MOST_CONFIGURED] for i in range(0, len(named), MOST_CONFIGURED)] or [[]]
        for n, chunk in enumerate(chunks):
            last = n == len(chunks) - 1
            args: list[Any] = [self._current(), self._sequence, config.revision if last else "", config.scales]
            args += [len(chunk), *(text for about in chunk for text in about)]
            if last:
                args += [text for pair in config.metrics.items() for text in pair]
            where = [keys.status, keys.configured, *(keys.totals(customer) for customer, _, _ in chunk)]
            await self._call(_CONFIGURE, where, args)

    async def sweep(self, customer: str) -> None:
        """Forget what has lapsed of a customer's holds; harmless whoever asks for it."""
        _, holds, deadlines = self._keys.of(customer)
        keys = [self._keys.status, self._keys.due, holds, deadlines]
        await _SWEEP.call_async(self._redis, keys, [customer, SWEPT_AT_ONCE])

    async def announce(self, *, always: bool) -> None:
        """Say in the app's hash which layout this is; another partition's writer says the same."""
        fields = {layout.APP_LAYOUT: layout.VERSION, layout.APP_PARTITIONS: self._count}
        key = layout.app_key(self._app)
        if always or not await whole(self._redis.exists(key)):
            await whole(self._redis.hset(key, mapping=fields))

    def _current(self) -> int:
        assert self.version is not None, "nothing is written before the first commit"
        return self.version

    async def _call(self, called: Script, keys: Sequence[str], args: Sequence[Any]) -> list[bytes]:
        answer = await called.call_async(self._redis, keys, args)
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # redis-py writes under wait_for, which before Python 3.12 swallows a cancellation that meets the end of
            # the write: without this a publisher that was told to end would go on for ever.
            raise asyncio.CancelledError
        if answer[0] == b"fenced":
            raise Fenced(answer[1].decode())
        if answer[0] == b"behind":
            raise Behind
        rest: list[bytes] = answer[1:]
        return rest


def _customer(waiting: Waiting) -> list[Any]:
    """One customer as publish.lua reads it; numbers as text, so that no double rounds them."""
    fields, dels = waiting.fields, []
    if None in fields.values():
        dels = [] if waiting.whole else [name for name, value in fields.items() if value is None]
        fields = {name: value for name, value in fields.items() if value is not None}
    sets = [*chain.from_iterable(fields.items())]
    shown: list[Any] = [str(waiting.version), str(waiting.position), waiting.whole, sets, dels]
    return [*shown, list(waiting.settles), waiting.customer] if waiting.settles else shown
