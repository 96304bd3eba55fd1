"""The gate's side of the scripts: what to send, what an answer means, when to ask again. No IO.

A conversation is a generator: it yields what to send to Redis and is sent what came back; a gate for threads and one
for asyncio run the same ones.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from tallygate import layout
from tallygate._scripts import Script, script
from tallygate.answers import Check, Release, Reservation, instant
from tallygate.errors import GateUnavailable, OtherLines, UnknownLayout, WrongGroup
from tallygate.requests import Asked, Duration, customer_id, hold_id, new_id, staleness_us, ttl_us

GATE = script("holds", "gate")
RELEASE = script("holds", "release")

REREAD_AFTER_S = 1.0
"""How often the number of partitions is read again while Redis holds nothing fresh of a customer's partition."""

ALIASES_FOR_S = 60.0
"""How long an alias is remembered: definitions change, and a service lives long."""

MOST_ALIASES = 10_000
MOST_TRIES = 5


class Send(NamedTuple):
    """One call: a script, or with no script the reading of the app's hash."""

    script: Script | None
    keys: tuple[str, ...]
    args: tuple[str | int, ...]


Talk = Generator[Send, Any, Any]


class Protocol:
    """What a gate knows of an app: its number of partitions, and the aliases it has met."""

    def __init__(self, app: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._partitions: int | None = None
        self._read_at = float("-inf")
        self._aliases: dict[str, tuple[str, float]] = {}

    def check(self, customer: str | int, request: Asked, staleness: Duration | None) -> Talk:
        """Talk about a check; returns a `Check`."""
        return self._decide("check", customer_id(customer), request, staleness_us(staleness), "", "")

    def reserve(
        self, customer: str | int, request: Asked, staleness: Duration | None, id_: str | int | None, ttl: Duration
    ) -> Talk:
        """Talk about a reservation; returns a `Reservation`."""
        name, allowed, time_to_live = customer_id(customer), staleness_us(staleness), ttl_us(ttl)
        hold = new_id() if id_ is None else hold_id(id_)
        return self._decide("reserve", name, request, allowed, hold, time_to_live)

    def _decide(self, op: str, customer: str, asked: Asked, staleness: str, id_: str, ttl: str) -> Talk:
        reply = yield from self._call(GATE, customer, (op,), (staleness, id_, ttl, *asked.args))
        if reply is None:
            reply = ["missing", "0", "stale", asked.lines[0][0], *[""] * 10]
        elif reply[0] == "other_lines":
            raise OtherLines(f"the hold {id_!r} is there already, with other lines")
        elif reply[0] == "wrong_group":
            raise WrongGroup(f"a group of {reply[1]} names exactly the properties that it is grouped by")
        answered = _answered(reply)
        if op == "check":
            return _made(Check, _CHECK, answered)
        at = instant(int(reply[13])) if reply[13] else None
        return _made(Reservation, _RESERVATION, (*answered, id_, at))

    def release(self, customer: str | int, id_: str | int) -> Talk:
        """Talk about a release; returns a `Release`."""
        return self._give_back(customer_id(customer), hold_id(id_))

    def _give_back(self, customer: str, hold: str) -> Talk:
        reply = yield from self._call(RELEASE, customer, (), (hold,))
        if reply is None or reply[0] == "missing":
            return Release(False, "unknown")
        return Release(reply[1] == "1", reply[2])

    def _call(self, called: Script, customer: str, before: tuple[str, ...], after: tuple[str, ...]) -> Talk:
        """Call a script for a customer: follow an alias, read the layout again where it was wrong.

        Its arguments are those `before` the layout, partitions and customer, and those `after` them. Returns the answer's texts; None where nobody has said how many partitions there are.
        """
        name = self._known(customer)
        for _ in range(MOST_TRIES):
            if self._partitions is None:
                yield from self._read_layout()
            partitions = self._partitions
            if partitions is None:
                return None
            where = _where(self._app, name, partitions)
            reply = yield Send(called, where, (*before, layout.VERSION, partitions, name, *after))
            reply = (reply.decode() if isinstance(reply, bytes) else reply).split("\n")
            if reply[0] == "layout":
                yield from self._read_layout()
                if self._partitions == partitions:
                    # This partition is kept otherwise than the app says: a worker of another number of partitions.
                    raise GateUnavailable("Redis is being filled with another number of partitions")
            elif reply[0] == "alias":
                name = reply[1]
                self._remember(customer, name)
            elif self._may_be_elsewhere(reply):
                yield from self._read_layout()
                if self._partitions == partitions:
                    return reply
            else:
                return reply
        raise GateUnavailable("Redis gave another layout or alias each time")

    def _may_be_elsewhere(self, reply: list[str]) -> bool:
        """Whether Redis holds nothing, or nothing fresh, where we looked: the partitions may be others by now."""
        nothing = reply[0] == "missing" or "stale" in reply[2:3]
        return nothing and self._clock() - self._read_at >= REREAD_AFTER_S

    def _read_layout(self) -> Generator[Send, Any, None]:
        key = layout.app_key(self._app)
        kept_as, partitions = yield Send(None, (key,), (layout.APP_LAYOUT, layout.APP_PARTITIONS))
        self._read_at = self._clock()
        if kept_as is not None and int(kept_as) != layout.VERSION:
            raise UnknownLayout(f"Redis holds layout {int(kept_as)}, this tallygate reads layout {layout.VERSION}")
        if partitions is not None:
            self._partitions = int(partitions)

    def _known(self, customer: str) -> str:
        found = self._aliases.get(customer)
        if found is None:
            return customer
        name, until = found
        if self._clock() < until:
            return name
        self._aliases.pop(customer, None)
        return customer

    def _remember(self, alias: str, name: str) -> None:
        if len(self._aliases) >= MOST_ALIASES:
            self._aliases.clear()
        self._aliases[alias] = (name, self._clock() + ALIASES_FOR_S)


@lru_cache(maxsize=10_000)
def _where(app: str, customer: str, partitions: int) -> tuple[str, ...]:
    """The keys of a customer, in the scripts' order; kept, since services ask for the same customers again."""
    keys = layout.Keys(app, layout.partition_of(customer, partitions))
    return (keys.status, *keys.of(customer), keys.due)


_CHECK = tuple(each.name for each in fields(Check))
_RESERVATION = tuple(each.name for each in fields(Reservation))


def _made(kind: type[Any], names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    """An answer with all its fields set at once: a frozen class's own `__init__` takes twice as long."""
    answer = object.__new__(kind)
    answer.__dict__.update(zip(names, values, strict=True))
    return answer


_amount = lru_cache(maxsize=4096)(Decimal)


def _answered(reply: list[str]) -> tuple[Any, ...]:
    """The fields of a `Check`, in their order."""
    _, allowed, reason, metric, used, reserved, limit, remaining, window, ends, warnings, fresh, now, _ = reply
    return (
        allowed == "1",
        reason,
        metric,
        _amount(used) if used else None,
        _amount(reserved) if reserved else None,
        _amount(limit) if limit else None,
        _amount(remaining) if remaining else None,
        window or None,
        instant(int(ends) * 1_000_000) if ends else None,
        tuple(Decimal(share) for share in warnings.split()) if warnings else (),
        instant(int(fresh)) if fresh else None,
        max(0, int(now) - int(fresh)) // 1000 if fresh else None,
    )
