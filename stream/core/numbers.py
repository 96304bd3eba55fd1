"""Exact numbers as producers write them.

An integer is an `int`, any other number a `Decimal` with the digits that were written. A metric reads a
number of magnitude below 10^36 with at most 30 digits after the point (written out without an exponent);
what lies outside is an `Unreadable`, or a larger `int`, and can still be compared by value, without limit.
So a `Decimal` whose class is exactly `Decimal` may be read as it is.
"""

import re
from decimal import MAX_EMAX, MIN_EMIN, Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded
from functools import total_ordering
from typing import Any

LIMIT = 10**36
"""A number that a metric reads is smaller than this, whatever its sign."""
PLACES = 30
"""A number that a metric reads has at most so many digits after the point."""
LONGEST_INT = 4000
"""An integer of more digits is held as a decimal, since Python refuses to read more than 4300 into an int."""

number_text = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII).fullmatch
"""Matches a text that is a number in JSON's grammar, whole."""

# Makes a Decimal and checks its range in one C call: 31 digits, of which at most 30 after the point, below 10^36.
# What has more digits, but may still be in range, is trapped too, and read by `number`.
_EXACT = Context(prec=31, Emin=0, Emax=35, traps=[Inexact, Rounded, Clamped, Overflow, InvalidOperation])
exact = _EXACT.create_decimal
"""The `Decimal` of a number's text; raises an `ArithmeticError` for some that `number` reads."""
_WIDE = Context(prec=1_100_000, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[InvalidOperation])


class BadValue(ValueError):  # noqa: N818 (named as the reason that it becomes)
    """A metric cannot use this value; the message says why."""


class Unreadable(Decimal):
    """A number that filters, `unique` and groups compare by value, and that no metric can read."""

    __slots__ = ()


@total_ordering
class Immense:
    """A number whose exponent has more than 18 digits, which `Decimal` cannot hold: 1e9999999999999999999."""

    __slots__ = ("digits", "negative", "power")

    def __init__(self, negative: bool, digits: str, power: Decimal) -> None:
        """`digits` is without zeros at either end and not empty; `power` is that of ten of the first digit."""
        self.negative, self.digits, self.power = negative, digits, power

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Immense):
            return False
        return (self.negative, self.digits, self.power) == (other.negative, other.digits, other.power)

    def __lt__(self, other: "int | Decimal | Immense") -> bool:
        if not isinstance(other, Immense):
            sign = -1 if self.negative else 1
            return sign < 0 if self.power > 0 or not other else other > 0
        if self.negative != other.negative:
            return self.negative
        mine, its = (self.power, self.digits), (other.power, other.digits)
        return its < mine if self.negative else mine < its

    def __hash__(self) -> int:
        return hash((self.negative, self.digits, self.power))

    def nearest(self) -> Decimal:
        """A decimal of the same sign, likewise far beyond, or likewise far below, whatever is in range."""
        return Decimal((self.negative, (1,), 999 if self.power > 0 else -999))

    def __repr__(self) -> str:
        return f"Immense({self})"

    def __str__(self) -> str:
        """The shortest form with an exponent; equal for equal numbers."""
        point = f".{self.digits[1:]}" if len(self.digits) > 1 else ""
        return f"{'-' if self.negative else ''}{self.digits[0]}{point}e{self.power:f}"


Number = int | Decimal | Immense


def number(text: str) -> Number:
    """The number of a text in JSON's grammar, of any size, in time linear in its length.

    >>> number("-0"), number("1.50"), number("1e400")
    (0, Decimal('1.50'), Decimal('1E+400'))
    """
    if text.lstrip("-").isdigit() and len(text) <= LONGEST_INT:
        return int(text)
    try:
        found = Decimal(text)
    except InvalidOperation:
        return _immense(text)
    if not found:
        return _zero(found)
    return found if readable(found) else Unreadable(found)


def _zero(found: Decimal) -> Number:
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(0) if exponent >= 0 else found if exponent >= -PLACES else Unreadable(found)


def _immense(text: str) -> Number:
    coefficient, _, exponent = text.lower().partition("e")
    whole, _, fraction = coefficient.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return Decimal(0)
    leading_zeros = len(whole) + len(fraction) - len(digits)
    power = _WIDE.add(Decimal(exponent), Decimal(len(whole) - leading_zeros - 1))
    return Immense(text.startswith("-"), digits.rstrip("0"), power)


def readable(value: Decimal) -> bool:
    """Whether a metric can read a decimal: below 10^36, at most 30 digits after the point as it is written."""
    if value and value.adjusted() >= 36:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -PLACES


def read(value: Any) -> int | Decimal:
    """The number that a metric reads from a property; raises `BadValue`. An absent property is the caller's to skip."""
    kind = value.__class__
    if kind is str:
        if not number_text(value):
            raise BadValue(f"{_quoted(value)} is text, not a number")
        value = number(value)
        kind = value.__class__
    if kind is Decimal:
        return value  # type: ignore[no-any-return]
    if kind is int:
        if -LIMIT < value < LIMIT:
            return value  # type: ignore[no-any-return]
        raise BadValue(f"{_quoted(value)} is 10^36 or more in magnitude")
    raise _refusal(value)


def _refusal(value: Any) -> BadValue:
    match value:
        case Immense():
            large = value.power > 0
        case Decimal():
            large = bool(value) and value.adjusted() >= 36
        case _:
            name = {bool: "a truth value", list: "a list", dict: "an object"}.get(value.__class__, "nothing")
            return BadValue(f"the property holds {name}, not a number")
    if large:
        return BadValue(f"{_quoted(value)} is 10^36 or more in magnitude")
    return BadValue(f"{_quoted(value)} has more than {PLACES} digits after the point")


def order(value: Any) -> Number | None:
    """The number by which `gt`, `gte`, `lt` and `lte` compare a property: also that of a numeric string; else None."""
    kind = value.__class__
    if kind is int or kind is Decimal or kind is Unreadable or kind is Immense:
        return value  # type: ignore[no-any-return]
    if kind is str and number_text(value):
        return number(value)
    return None


def plain(value: Number, most: int = 4096) -> str | None:
    """The shortest form without an exponent, or None where that has more than `most` characters.

    There is always a bound, since 1e999999999 written out would fill the memory.

    >>> plain(Decimal("1.50")), plain(Decimal("1E+3")), plain(Decimal("-0.0")), plain(Decimal("1E+400"), 256)
    ('1.5', '1000', '0', None)
    """
    if isinstance(value, int):
        text = str(value)
        return text if len(text) <= most else None
    if isinstance(value, Immense):
        return None
    if not value:
        return "0"
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    coefficient = "".join(map(str, digits))
    shortest = coefficient.rstrip("0")
    exponent += len(coefficient) - len(shortest)
    point = len(shortest) + exponent  # where the point stands, counted from the first digit
    if exponent >= 0:
        length = point
    elif point > 0:
        length = len(shortest) + 1
    else:
        length = len(shortest) + 2 - point
    if sign + length > most:
        return None
    minus = "-" if sign else ""
    if exponent >= 0:
        return f"{minus}{shortest}{'0' * exponent}"
    if point > 0:
        return f"{minus}{shortest[:point]}.{shortest[point:]}"
    return f"{minus}0.{'0' * -point}{shortest}"


def _quoted(value: Any) -> str:
    """At most some 50 characters of what the producer wrote, on one line."""
    if isinstance(value, str):
        text = ascii(value[:60])
    elif isinstance(value, int):
        text = (
            str(value)
            if abs(value) < 10**50
            else f"a number of {value.bit_length() * 30103 // 100000 + 1} digits or so"
        )
    elif isinstance(value, Decimal):
        text = str(value) if len(value.as_tuple().digits) < 60 else "a number of more than 60 digits"
    else:
        text = "a number with an exponent of more than 18 digits"
    return text if len(text) <= 50 else f"{text[:48]}..."
