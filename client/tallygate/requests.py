"""What is asked of a gate: lines, costs and times, checked before anything is sent."""

import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Context, Decimal, InvalidOperation
from functools import cached_property, lru_cache
from typing import Any

from tallygate.layout import Scalar, group_text, plain

TIMEOUT_S = 1.0
"""How long a gate waits for Redis unless it is told otherwise."""

Number = int | Decimal | str | float
"""A cost: text is read as the number it writes, a float as the digits that it shows."""

Duration = float | timedelta
"""Seconds, or a timedelta."""

LONGEST_TTL_S = 3600
_EXACT = Context(prec=100)
"""Costs have up to 66 digits, and the sum of a request's lines is exact: the default context keeps 28."""
MOST_BYTES = 256


@dataclass(frozen=True)
class Line:
    """One line of a request: so much of a metric, and of one of its groups."""

    metric: str
    cost: Number = 1
    group: Mapping[str, Scalar] | None = None


Lines = Iterable[Line | Mapping[str, Any]]
"""Several lines; a mapping has the fields of `Line`."""


@dataclass(frozen=True)
class Asked:
    """A request as the scripts take it: lines of (metric, group text, cost text), each metric and group once."""

    lines: tuple[tuple[str, str, str], ...]

    @cached_property
    def args(self) -> tuple[str, ...]:
        """The lines as the scripts' last arguments."""
        return tuple(text for line in self.lines for text in line)


def asked(
    metric: str | None,
    cost: Number,
    group: Mapping[str, Scalar] | None,
    lines: Lines | None,
) -> Asked:
    """Make a request of either one metric or several lines; lines of one metric and group are added up.

    Raises:
        ValueError: both or neither are given, or a line is wrong.
    """
    if (metric is None) == (lines is None):
        raise ValueError("name either a metric or lines")
    if lines is None:
        assert metric is not None, "one of them is there"
        if type(cost) is int and group is None and type(metric) is str:
            return _plain(metric, cost)
        return Asked((_line(Line(metric, cost, group)),))
    if cost != 1 or group is not None:
        raise ValueError("with lines, each line has its own cost and group")
    summed: dict[tuple[str, str], Decimal] = {}
    for each in lines:
        name, text, amount = _line(each if isinstance(each, Line) else Line(**each))
        summed[name, text] = _EXACT.add(summed.get((name, text), Decimal()), Decimal(amount))
    if not summed:
        raise ValueError("a request has at least one line")
    return Asked(tuple((name, text, plain(summed[name, text])) for name, text in sorted(summed)))


@lru_cache(maxsize=1024)
def _plain(metric: str, cost: int) -> Asked:
    """The commonest request, kept: checking it takes longer than all else that a gate does beside asking Redis."""
    return Asked((_line(Line(metric, cost)),))


def customer_id(customer: str | int) -> str:
    """A customer's id as text.

    Raises:
        ValueError: it is not 1 to 256 bytes without control characters.
    """
    return _customer(customer) if type(customer) is str else _identifier(customer, "a customer")


@lru_cache(maxsize=10_000)
def _customer(customer: str) -> str:
    return _identifier(customer, "a customer")


def hold_id(given: str | int) -> str:
    """The id of a hold as text.

    Raises:
        ValueError: it is not 1 to 256 bytes without control characters.
    """
    return _identifier(given, "an id")


def new_id() -> str:
    """An id that no other hold has."""
    return uuid.uuid4().hex


def staleness_us(given: Duration | None) -> str:
    """The staleness that a call allows, in microseconds; "" where each limit's own holds.

    Raises:
        ValueError: it is below 0.
    """
    return "" if given is None else str(_microseconds(given, "max_staleness", 10**9))


def ttl_us(given: Duration) -> str:
    """A hold's time to live in microseconds.

    Raises:
        ValueError: it is not above 0 and at most an hour.
    """
    us = _microseconds(given, "ttl", LONGEST_TTL_S)
    if us == 0:
        raise ValueError("a ttl is above 0 seconds")
    return str(us)


def _microseconds(given: Duration, name: str, most_s: int) -> int:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if not 0 <= seconds <= most_s:
        raise ValueError(f"{name} is from 0 to {most_s} seconds, not {seconds}")
    return round(seconds * 1_000_000)


def _line(line: Line) -> tuple[str, str, str]:
    metric: Any = line.metric
    if not isinstance(metric, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", metric):
        raise ValueError(f"{metric!r} is no metric's key")
    return metric, group_text(line.group), _cost(line.cost)


def _cost(cost: Number) -> str:
    if isinstance(cost, bool):
        raise ValueError("a cost is a number")  # noqa: TRY004 - wrong values are ValueErrors here
    try:
        amount = Decimal(repr(cost)) if isinstance(cost, float) else Decimal(cost)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"{cost!r} is not a number") from error
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"a cost is 0 or more, not {cost}")
    _, digits, exponent = amount.as_tuple()
    if amount and (len(digits) + int(exponent) > 36 or int(exponent) < -30):
        raise ValueError("a cost is below 10^36, with at most 30 decimals")
    return plain(amount) if amount else "0"


def _identifier(given: str | int, what: str) -> str:
    text = str(given) if type(given) is int else given
    if not isinstance(text, str):
        raise ValueError(f"{what} is text or an integer, not {given!r}")  # noqa: TRY004 - likewise
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(f"{what} is no text that UTF-8 can write: {text!r}") from error
    if not 1 <= size <= MOST_BYTES:
        raise ValueError(f"{what} is 1 to {MOST_BYTES} bytes, not {size}")
    if not text.isprintable() and any(unicodedata.category(each) == "Cc" for each in text):
        raise ValueError(f"{what} holds a control character: {text!r}")
    return text
