"""One world for the gate's contract tests: a fake one, and one of real scripts on a real Redis whose clock we move.

`RedisWorld` plays the worker: it counts events naively, renders rows as the worker does, and calls the very scripts
that the worker calls. Only `TIME` is replaced in them, by a clock that stands in the partition's hash.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha1
from typing import Any, Protocol

import msgspec
from tallygate import AsyncGate, Check, Gate, Release, Reservation, _protocol, layout
from tallygate._scripts import Script, script
from tallygate.testing import FakeLimit, FakeMetric

from schemas.definitions import Customer, Definitions, Limit, Metric
from stream.core.calendar import calendar_for
from stream.limits import Limits
from stream.totals.calendars import calendar_text
from stream.totals.gate_config import GateConfigs

PARTITIONS = 4
START = datetime(2026, 3, 5, 12, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SETTLED_FOR_US = 7_200_000_000
WINDOWS = layout.KINDS


class World(Protocol):
    """What a contract test may do: `FakeGate` says it."""

    now: datetime

    def define(
        self,
        limits: Iterable[FakeLimit],
        *,
        metrics: Mapping[str, FakeMetric] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None: ...
    def advance(self, by: float | timedelta) -> None: ...
    def stall(self) -> None: ...
    def resume(self) -> None: ...
    def freshen(self, to: datetime | None) -> None: ...
    def count(
        self,
        customer: str,
        metric: str,
        amount: Any = 1,
        group: Any = None,
        *,
        at: datetime | None = None,
        reservation: str | None = None,
    ) -> None: ...
    def set_state(self, customer: str, metric: str, state: Any, group: Any = None) -> None: ...
    def settle(self, customer: str, reservation: str) -> None: ...
    def check(self, customer: str, metric: str | None = None, *args: Any, **named: Any) -> Check: ...
    def reserve(self, customer: str, metric: str | None = None, *args: Any, **named: Any) -> Reservation: ...
    def release(self, customer: str, id: str) -> Release: ...  # noqa: A002 - the gate's name


def us(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - EPOCH) // timedelta(microseconds=1)


def on_our_clock(original: Script) -> Script:
    """The script with its TIME read from the partition's hash."""
    ours = "redis.call('HMGET', KEYS[1], '@s', '@u')"
    either = f"(redis.call('HEXISTS', KEYS[1], '@s') == 1 and {ours} or redis.call('TIME'))"
    text = original.text.replace("redis.call('TIME')", either)
    return Script(original.name, text, sha1(text.encode()).hexdigest())


class RedisWorld:
    """The worker's side of a real Redis, and a gate on it."""

    def __init__(self, redis: Any, app: str, *, gate: Any) -> None:
        self.redis, self.app, self.gate = redis, app, gate
        self.now = START
        self._stalled = False
        self._version = 0
        self._sequence = [0] * PARTITIONS
        self._events: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = defaultdict(list)
        self._states: dict[tuple[str, str], Decimal] = {}
        self._scripts = {name: on_our_clock(script(*parts)) for name, *parts in _PARTS}
        self.definitions = Definitions(metrics={})
        redis.hset(layout.app_key(app), mapping={layout.APP_LAYOUT: layout.VERSION, layout.APP_PARTITIONS: PARTITIONS})
        self.define([])

    # -- what a test does

    def define(
        self,
        limits: Iterable[FakeLimit],
        *,
        metrics: Mapping[str, FakeMetric] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        limits = tuple(limits)
        kinds = {**{limit.metric: FakeMetric() for limit in limits}, **(metrics or {})}
        customers: dict[str, Customer] = {}
        for alias, customer in (aliases or {}).items():
            customers[customer] = Customer(aliases=(*customers.get(customer, Customer()).aliases, alias))
        self.definitions = Definitions(
            metrics={key: _metric(key, kind) for key, kind in kinds.items()},
            limits=tuple(_limit(each) for each in limits),
            customers=customers,
            aliases=dict(aliases or {}),
        )
        self._version += 1
        configs = GateConfigs(self.definitions, PARTITIONS)
        for number in range(PARTITIONS):
            keys, config = layout.Keys(self.app, number), configs.of(number)
            self._claim(number)
            gone = {name.decode() for name in self.redis.smembers(keys.configured)} - set(config.customers)
            named = [(name, *config.customers.get(name, ("", ""))) for name in [*gone, *config.customers]]
            args = [self._version, self._sequence[number], config.revision, config.scales, len(named)]
            args += [text for about in named for text in about]
            args += [text for pair in config.metrics.items() for text in pair]
            where = [keys.status, keys.configured, *(keys.totals(name) for name, *_ in named)]
            self._call("configure", where, args)
        self._clock()
        for number in range(PARTITIONS):
            self._publish_all(number)
        if not self._stalled:
            self.freshen(self.now)

    def advance(self, by: float | timedelta) -> None:
        self.now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        self._clock()
        if not self._stalled:
            self.freshen(self.now)

    def stall(self) -> None:
        self._stalled = True

    def resume(self) -> None:
        self._stalled = False
        self.freshen(self.now)

    def freshen(self, to: datetime | None) -> None:
        for number in range(PARTITIONS):
            keys = layout.Keys(self.app, number)
            if to is None:
                self.redis.hdel(keys.status, layout.FRESH)
                continue
            self._call("beat", [keys.status, keys.due], [self._version, self._sequence[number], us(to)])

    def sweep(self) -> int:
        """What the publisher does with the due customers that a heartbeat names; returns how many ids were forgotten."""
        count = 0
        for number in range(PARTITIONS):
            keys = layout.Keys(self.app, number)
            beat = [keys.status, keys.due]
            for customer in self._call("beat", beat, [self._version, self._sequence[number], ""])[3:]:
                _, holds, deadlines = keys.of(customer.decode())
                sweep = self._scripts["sweep"]
                count += sweep.call(self.redis, [*beat, holds, deadlines], [customer, 500])
        return count

    def count(
        self,
        customer: str,
        metric: str,
        amount: Any = 1,
        group: Any = None,
        *,
        at: datetime | None = None,
        reservation: str | None = None,
    ) -> None:
        customer = self.definitions.canonical(customer)
        for name in {metric, layout.field_of(metric, group)}:
            self._events[customer, name].append((at or self.now, Decimal(str(amount))))
        self._publish(customer, [] if reservation is None else [reservation])

    def set_state(self, customer: str, metric: str, state: Any, group: Any = None) -> None:
        self._states[customer, layout.field_of(metric, group)] = Decimal(str(state))
        self._publish(customer, [])

    def settle(self, customer: str, reservation: str) -> None:
        self._publish(self.definitions.canonical(customer), [reservation])

    def lose_everything(self) -> None:
        """FLUSHALL, of this app."""
        for number in range(PARTITIONS):
            for key in self.redis.scan_iter(match=f"{self.app}:{{{number}}}*", count=1000):
                self.redis.delete(key)
        self.redis.delete(self.app)

    def check(self, customer: str, metric: str | None = None, *args: Any, **named: Any) -> Check:
        answer: Check = self._ask(self.gate.check, customer, metric, *args, **named)
        return answer

    def reserve(self, customer: str, metric: str | None = None, *args: Any, **named: Any) -> Reservation:
        answer: Reservation = self._ask(self.gate.reserve, customer, metric, *args, **named)
        return answer

    def release(self, customer: str, id: str) -> Release:  # noqa: A002
        answer: Release = self._ask(self.gate.release, customer, id)
        return answer

    # -- the worker's part

    def _ask(self, method: Any, *args: Any, **named: Any) -> Any:
        return method(*args, **named)

    def _call(self, name: str, keys: list[str], args: list[Any]) -> list[bytes]:
        answer: list[bytes] = self._scripts[name].call(self.redis, keys, args)
        assert answer[0] == b"ok", answer
        return answer

    def _claim(self, number: int) -> None:
        keys = [layout.Keys(self.app, number).status]
        claim = script("claim")  # on Redis's clock: the hash is not there yet
        answer = claim.call(
            self.redis, keys, [layout.VERSION, PARTITIONS, self._version, self._sequence[number], "x:1"]
        )
        assert answer[0] == b"ok"
        self._sequence[number] = int(answer[2])

    def _clock(self) -> None:
        seconds, rest = divmod(us(self.now), 1_000_000)
        text = calendar_text(calendar_for("UTC"), WINDOWS, us(self.now))
        for number in range(PARTITIONS):
            clock = {"@s": seconds, "@u": rest, layout.CALENDAR_OF: text}
            self.redis.hset(layout.Keys(self.app, number).status, mapping=clock)

    def _publish_all(self, number: int) -> None:
        names = {name for name, _ in (*self._events, *self._states)}
        here = sorted(name for name in names if layout.partition_of(name, PARTITIONS) == number)
        self._send(number, [(name, []) for name in here])

    def _publish(self, customer: str, settles: list[str]) -> None:
        self._version += 1
        self._send(layout.partition_of(customer, PARTITIONS), [(customer, settles)])

    def _send(self, number: int, customers: list[tuple[str, list[str]]]) -> None:
        keys = layout.Keys(self.app, number)
        where = [keys.status, keys.due]
        packed = []
        for customer, settles in customers:
            where += keys.of(customer) if settles else [keys.totals(customer)]
            fields = [text for pair in self._rows(customer).items() for text in pair]
            packed.append([str(self._version), "7", True, fields, [], *([settles, customer] if settles else [])])
        sequence = self._sequence[number]
        args = [self._version, sequence, sequence + 1, self._version, 7, "", SETTLED_FOR_US]
        self._call("publish", where, [*args, msgspec.msgpack.encode(packed)])
        self._sequence[number] += 1

    def _rows(self, customer: str) -> dict[str, str]:
        scales = Limits(self.definitions.limits).decimals
        rows: dict[str, str] = {}
        for (name, field), events in self._events.items():
            metric = layout.split_field(field)[0]
            if name != customer or metric not in self.definitions.metrics:
                continue
            windows: dict[str, dict[tuple[int | None, int | None], list[Decimal]]] = {}
            for at, amount in events:
                starts = calendar_for("UTC").windows(us(at))[1:]
                for kind, start in enumerate(starts):
                    edges = (None, None) if kind == 8 else (start, calendar_for("UTC").end(kind, start))
                    windows.setdefault(WINDOWS[kind], {}).setdefault(edges, []).append(amount)
            scale = scales.get(metric)
            shown = {
                kind: [
                    [start, end, str(sum(amounts)), len(amounts), _scaled(sum(amounts, Decimal()), scale)]
                    for (start, end), amounts in cells.items()
                ]
                for kind, cells in windows.items()
            }
            rows[field] = json.dumps({"w": shown}, separators=(",", ":"))
        for (name, field), state in self._states.items():
            scale = scales.get(layout.split_field(field)[0])
            if name == customer and scale is not None:
                rows[field] = json.dumps({"w": {}, "s": str(state), "ss": _scaled(state, scale)}, separators=(",", ":"))
        return rows


class AsyncRedisWorld(RedisWorld):
    """The same with an `AsyncGate`."""

    def __init__(self, *args: Any, loop: asyncio.AbstractEventLoop, **named: Any) -> None:
        self._loop = loop
        super().__init__(*args, **named)

    def _ask(self, method: Any, *args: Any, **named: Any) -> Any:
        return self._loop.run_until_complete(method(*args, **named))


_PARTS = (
    ("configure", "configure"),
    ("publish", "holds", "publish"),
    ("beat", "beat"),
    ("sweep", "holds", "sweep"),
)


def use_our_clock(monkeypatch: Any) -> None:
    """Let gates call the scripts on the world's clock."""
    monkeypatch.setattr(_protocol, "GATE", on_our_clock(script("holds", "gate")))
    monkeypatch.setattr(_protocol, "RELEASE", on_our_clock(script("holds", "release")))


def _scaled(amount: Decimal, scale: int | None) -> str:
    return "" if scale is None else layout.scaled(amount, scale)


def _metric(key: str, kind: FakeMetric) -> Metric:
    return Metric(
        key=key,
        name=key,
        event_name=key,
        type="gauge" if kind.gauge else "counter",
        aggregation="latest" if kind.gauge else "sum",
        windows=WINDOWS,
        group_by=kind.group_by,
        initial_value=Decimal(str(kind.initial_value)),
    )


def _limit(each: FakeLimit) -> Limit:
    on_stale = each.on_stale or ("allow" if each.mode == "soft" else "deny")
    return Limit(
        metric=each.metric,
        limit=each.amount,
        window=each.window,
        customer=each.customer,
        group=dict(each.group) if each.group else None,  # type: ignore[arg-type]
        mode=each.mode,  # type: ignore[arg-type]
        warn_at=tuple(Decimal(str(share)) for share in each.warn_at),
        on_stale=on_stale,  # type: ignore[arg-type]
        max_staleness_us=round(each.max_staleness * 1_000_000),
    )


__all__ = ["PARTITIONS", "START", "AsyncGate", "AsyncRedisWorld", "Gate", "RedisWorld", "World", "use_our_clock"]
