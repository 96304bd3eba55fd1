"""What a gate answers: frozen objects with the fields of the HTTP API's JSON."""

from dataclasses import dataclass, fields
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Check:
    """Whether a request may go ahead, and how the limit stands that decided it.

    The limit is, of those that refuse, else of all that apply, the one with the least remaining. An answer is true where
    it allows: `if gate.check(...):` means what it says.

    `reason` is `ok`, `settled`, `limit_reached`, `soft_limit_reached`, `no_limit`, `unknown_metric` or `stale`. `used` is
    the total and `reserved` the open holds, rounded up to the limit's decimals; `remaining` is what is left of `limit`
    before the cost of the request. They are None where no limit decided. `window` and `resets_at` (its end) are None for
    a gauge, `resets_at` also for `total`. `warnings` are the limit's `warn_at` shares that `used` has passed. All below
    `as_of` is in these numbers; `lag_ms` is how long ago that was.
    """

    allowed: bool
    reason: str
    metric: str
    used: Decimal | None
    reserved: Decimal | None
    limit: Decimal | None
    remaining: Decimal | None
    window: str | None
    resets_at: datetime | None
    warnings: tuple[Decimal, ...]
    as_of: datetime | None
    lag_ms: int | None

    def __bool__(self) -> bool:
        """Whether it is allowed."""
        return self.allowed

    def to_json(self) -> dict[str, Any]:
        """The answer as the HTTP API gives it: amounts as decimal strings, times in RFC 3339."""
        return {each.name: _json(getattr(self, each.name)) for each in fields(self)}


@dataclass(frozen=True)
class Reservation(Check):
    """The answer to `reserve`: a `Check` whose `reserved` and `remaining` include the hold that was taken.

    `id` is what the event must carry as its `reservation` (and `release` takes); `at` is the time that the event must
    carry, in whose windows the hold counts, None where no hold was taken.
    """

    id: str
    at: datetime | None


@dataclass(frozen=True)
class Release:
    """The answer to `release`: whether a hold was given back; true where it was.

    `reason` is `ok`, `settled` (its event has come) or `unknown` (never taken, released before, or lapsed).
    """

    released: bool
    reason: str

    def __bool__(self) -> bool:
        """Whether a hold was given back."""
        return self.released

    def to_json(self) -> dict[str, Any]:
        """The answer as the HTTP API gives it."""
        return {"released": self.released, "reason": self.reason}


@lru_cache(maxsize=1024)
def instant(us: int) -> datetime:
    """Microseconds since the epoch as a time in UTC, exactly.

    >>> instant(1_772_712_000_250_001).isoformat()
    '2026-03-05T12:00:00.250001+00:00'
    """
    return datetime.fromtimestamp(us // 1_000_000, timezone.utc).replace(microsecond=us % 1_000_000)


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    return value
