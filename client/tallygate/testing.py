"""A gate without Redis, for the tests of services that use one. It passes the contract tests of the real one.

    gate = FakeGate(limits=[FakeLimit("api_requests", 2, window="month")])
    gate.count("acme", "api_requests", 2)
    assert not gate.check("acme", "api_requests")

Its clock stands until it is moved (`advance`), its windows are those of UTC, and its totals are always fresh unless it
is told otherwise (`stall`). `unavailable = True` makes every call raise `GateUnavailable`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from tallygate._calendar import window_of
from tallygate._fakes import Customer, FakeLimit, FakeMetric, Hold
from tallygate.answers import Check, Release, Reservation
from tallygate.errors import GateUnavailable, OtherLines, WrongGroup
from tallygate.layout import Scalar, field_of, plain, split_field
from tallygate.requests import Asked, Duration, Lines, Number, asked, customer_id, hold_id, new_id, staleness_us, ttl_us

_START = datetime(2026, 3, 5, 12, tzinfo=timezone.utc)
_SETTLED_FOR = timedelta(hours=2)
_WIDE = Context(prec=100)


class FakeGate:
    """A `Gate` on totals in memory.

    `metrics` need naming only where they have no limit, are gauges or are grouped; `aliases` map to customers.
    """

    def __init__(
        self,
        limits: Iterable[FakeLimit] = (),
        *,
        metrics: Mapping[str, FakeMetric] | None = None,
        aliases: Mapping[str, str] | None = None,
        now: datetime = _START,
    ) -> None:
        self.unavailable = False
        self.now = now
        self._fresh: datetime | None = now
        self._stalled = False
        self._customers: dict[str, Customer] = defaultdict(Customer)
        self.define(limits, metrics=metrics, aliases=aliases)

    # -- what a test does to it

    def define(
        self,
        limits: Iterable[FakeLimit],
        *,
        metrics: Mapping[str, FakeMetric] | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        """Take other limits from now on, as a worker does that starts with another file. Totals and holds stay."""
        self._limits = tuple(limits)
        self._aliases = dict(aliases or {})
        self._metrics = {**{limit.metric: FakeMetric() for limit in self._limits}, **(metrics or {})}

    def advance(self, by: Duration) -> None:
        """Move the clock; the totals are as fresh as it, unless they are stalled."""
        self.now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        if not self._stalled:
            self.freshen(self.now)

    def stall(self) -> None:
        """Let the totals fall behind the clock: no worker is at work."""
        self._stalled = True

    def resume(self) -> None:
        """Let the totals be as fresh as the clock again."""
        self._stalled = False
        self.freshen(self.now)

    def freshen(self, to: datetime | None) -> None:
        """Say up to which moment everything is in the totals; None: Redis has lost them, and they are not yet back."""
        self._fresh = to
        if to is not None:
            for known in self._customers.values():
                known.holds = {id_: hold for id_, hold in known.holds.items() if hold.deadline > to}
                known.settled = {id_: until for id_, until in known.settled.items() if until > to}

    def count(
        self,
        customer: str,
        metric: str,
        amount: Number = 1,
        group: Mapping[str, Scalar] | None = None,
        *,
        at: datetime | None = None,
        reservation: str | None = None,
    ) -> None:
        """Count an event of a counter, in the metric's total and the group's, and settle its reservation."""
        known = self._customer(customer)
        for name in {metric, field_of(metric, group)}:
            known.events[name].append((at or self.now, Decimal(str(amount))))
        if reservation is not None:
            self.settle(customer, reservation)

    def set_state(self, customer: str, metric: str, state: Number, group: Mapping[str, Scalar] | None = None) -> None:
        """Set a gauge's state, of one group where one is given: the overall state is its own."""
        self._customer(customer).states[field_of(metric, group)] = Decimal(str(state))

    def settle(self, customer: str, reservation: str) -> None:
        """Settle a reservation, as an event does that was rejected or a duplicate."""
        known = self._customer(customer)
        known.holds.pop(reservation, None)
        known.settled[reservation] = self.now + _SETTLED_FOR

    # -- what a gate does

    def check(
        self,
        customer: str | int,
        metric: str | None = None,
        cost: Number = 1,
        group: Mapping[str, Scalar] | None = None,
        max_staleness: Duration | None = None,
        *,
        lines: Lines | None = None,
    ) -> Check:
        """See `Gate.check`."""
        request, staleness = asked(metric, cost, group, lines), staleness_us(max_staleness)
        return self._decide(
            self._customer(customer_id(customer)), self._named(customer), request, staleness, costs=True
        )

    def reserve(
        self,
        customer: str | int,
        metric: str | None = None,
        cost: Number = 1,
        id: str | int | None = None,  # noqa: A002 - the contract's name
        ttl: Duration = 60,
        group: Mapping[str, Scalar] | None = None,
        max_staleness: Duration | None = None,
        *,
        lines: Lines | None = None,
    ) -> Reservation:
        """See `Gate.reserve`."""
        request, staleness, name = asked(metric, cost, group, lines), staleness_us(max_staleness), self._named(customer)
        hold, lives = new_id() if id is None else hold_id(id), timedelta(microseconds=int(ttl_us(ttl)))
        known = self._customer(customer_id(customer))
        there = known.holds.get(hold)
        if there is not None and there.asked != request:
            raise OtherLines(f"the hold {hold!r} is there already, with other lines")
        if there is not None or hold in known.settled:
            answer = self._decide(known, name, request, staleness, costs=False)
            if answer.reason == "unknown_metric":
                return _reservation(answer, hold, None)
            if there is None:
                return _reservation(replace(answer, allowed=False, reason="settled"), hold, None)
            reason = "ok" if answer.reason in {"limit_reached", "stale"} else answer.reason
            return _reservation(replace(answer, allowed=True, reason=reason), hold, there.at)
        answer = self._decide(known, name, request, staleness, costs=True)
        if not answer.allowed:
            return _reservation(answer, hold, None)
        known.holds[hold] = Hold(name, request, self.now, self.now + lives)
        if answer.limit is None:
            return _reservation(answer, hold, self.now)
        after = self._decide(known, name, request, staleness, costs=False)
        reason = "stale" if after.reason == "stale" else "soft_limit_reached" if (after.remaining or 0) < 0 else "ok"
        return _reservation(replace(after, allowed=True, reason=reason), hold, self.now)

    def release(self, customer: str | int, id: str | int) -> Release:  # noqa: A002 - likewise
        """See `Gate.release`."""
        known = self._customer(customer_id(customer))
        if hold_id(id) in known.settled:
            return Release(False, "settled")
        released = known.holds.pop(hold_id(id), None) is not None
        return Release(released, "ok" if released else "unknown")

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    # -- how it decides

    def _named(self, customer: str | int) -> str:
        return self._aliases.get(str(customer), str(customer))

    def _customer(self, customer: str | int) -> Customer:
        if self.unavailable:
            raise GateUnavailable("this fake was told to be unavailable")
        return self._customers[self._named(customer)]

    def _decide(self, known: Customer, customer: str, request: Asked, staleness: str, *, costs: bool) -> Check:
        targets: dict[tuple[str, str], Decimal] = {}
        for metric, group, cost in request.lines:
            if metric not in self._metrics:
                return self._answer("unknown_metric", metric, allowed=False)
            if group and set(split_field(group)[1]) != set(self._metrics[metric].group_by):
                raise WrongGroup(f"a group of {metric} names exactly the properties that it is grouped by")
            amount = _up(Decimal(cost), self._scale(metric)) if costs else Decimal()
            for target in dict.fromkeys(((metric, metric), (metric, metric + group))):
                targets[target] = targets.get(target, Decimal()) + amount
        verdicts = [
            self._judge(known, limit, name, cost, staleness)
            for (metric, name), cost in targets.items()
            for limit in self._limits_of(customer, metric, name)
        ]
        refusing = [verdict for verdict in verdicts if not verdict.allowed]
        if not verdicts:
            return self._answer("no_limit", request.lines[0][0], allowed=True)
        return min(refusing or verdicts, key=lambda verdict: verdict.remaining or Decimal())

    def _limits_of(self, customer: str, metric: str, name: str) -> list[FakeLimit]:
        mine = [x for x in self._limits if x.customer == customer and field_of(metric, x.group) == name]
        mine = [x for x in mine if x.metric == metric]
        windows = {x.window for x in mine}
        shared = [x for x in self._limits if x.customer is None and x.metric == metric and x.window not in windows]
        return mine + [x for x in shared if field_of(metric, x.group) == name]

    def _judge(self, known: Customer, limit: FakeLimit, name: str, cost: Decimal, staleness: str) -> Check:
        start, end = (None, None) if limit.window in {None, "total"} else window_of(limit.window or "", self.now)
        total = self._total(known, limit, name, start)
        decimals = limit.decimals
        used, amount = _up(total, decimals), _up(cost, decimals)
        reserved = _up(self._held(known, limit, name, start), decimals)
        passes = used + reserved + amount <= limit.amount
        allowed = timedelta(microseconds=int(staleness)) if staleness else timedelta(seconds=limit.max_staleness)
        if self._fresh is None or self.now - self._fresh > allowed:
            on_stale = limit.on_stale or ("allow" if limit.mode == "soft" else "deny")
            reason, passes = "stale", on_stale == "allow"
        elif limit.mode == "soft":
            reason, passes = ("ok" if passes else "soft_limit_reached"), True
        else:
            reason = "ok" if passes else "limit_reached"
        warnings = tuple(Decimal(str(x)) for x in limit.warn_at if total >= Decimal(str(x)) * limit.amount)
        return replace(
            self._answer(reason, limit.metric, allowed=passes),
            used=_short(used),
            reserved=_short(reserved),
            limit=_short(limit.amount),
            remaining=_short(limit.amount - used - reserved),
            window=limit.window,
            resets_at=end,
            warnings=warnings,
        )

    def _total(self, known: Customer, limit: FakeLimit, name: str, start: datetime | None) -> Decimal:
        if limit.window is None:
            return known.states.get(name, Decimal(str(self._metrics[limit.metric].initial_value)))
        return sum((amount for at, amount in known.events.get(name, ()) if self._in(limit, at, start)), Decimal())

    def _held(self, known: Customer, limit: FakeLimit, name: str, start: datetime | None) -> Decimal:
        scale = self._scale(limit.metric)
        lines = ((hold.at, line) for hold in known.holds.values() for line in hold.asked.lines)
        return sum(
            (
                _up(Decimal(cost), scale)
                for at, (metric, group, cost) in lines
                if name in {metric, metric + group} and self._in(limit, at, start)
            ),
            Decimal(),
        )

    def _in(self, limit: FakeLimit, at: datetime, start: datetime | None) -> bool:
        return limit.window in {None, "total"} or window_of(limit.window or "", at)[0] == start

    def _scale(self, metric: str) -> int:
        return max((limit.decimals for limit in self._limits if limit.metric == metric), default=0)

    def _answer(self, reason: str, metric: str, *, allowed: bool) -> Check:
        lag = None if self._fresh is None else max(0, (self.now - self._fresh) // timedelta(milliseconds=1))
        return Check(allowed, reason, metric, None, None, None, None, None, None, (), self._fresh, lag)


class AsyncFakeGate:
    """An `AsyncGate` on the totals of a `FakeGate`, to which a test does what it likes."""

    def __init__(self, fake: FakeGate) -> None:
        self.fake = fake

    async def check(self, *args: Any, **named: Any) -> Check:
        """See `AsyncGate.check`."""
        return self.fake.check(*args, **named)

    async def reserve(self, *args: Any, **named: Any) -> Reservation:
        """See `AsyncGate.reserve`."""
        return self.fake.reserve(*args, **named)

    async def release(self, *args: Any, **named: Any) -> Release:
        """See `AsyncGate.release`."""
        return self.fake.release(*args, **named)

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _up(amount: Decimal, decimals: int) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_CEILING, context=_WIDE)


def _short(amount: Decimal) -> Decimal:
    return Decimal(plain(amount))


def _reservation(check: Check, id_: str, at: datetime | None) -> Reservation:
    return Reservation(**{name: getattr(check, name) for name in Check.__dataclass_fields__}, id=id_, at=at)


__all__ = ["AsyncFakeGate", "FakeGate", "FakeLimit", "FakeMetric", "window_of"]
