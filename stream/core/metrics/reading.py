"""Reading a metric's values off an event's properties."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import xxhash

from stream.core import numbers
from stream.core.metrics.base import BadValue, Number

_SHORT = 10**36

Reader = Callable[[Any], Any | None]

MEMBER_BYTES = 16
"""A value of at most 15 bytes stands for itself, a longer one for its 128-bit hash."""


def numeric(read: Reader) -> Reader:
    """Reads the number of a property; None where it is absent, `BadValue` where it is no number."""

    def number(properties: Any) -> Number | None:
        raw = read(properties)
        if raw.__class__ is int and -(10**36) < raw < 10**36:
            return raw
        if raw is None:
            return None
        return numbers.read(raw)

    return number


def one(_properties: Any) -> int:
    """What `count` reads: every event counts."""
    return 1


def member(read: Reader) -> Reader:
    """Reads the value of a property as the bytes that `unique` tells values apart by."""
    small = [member_of(number) for number in range(256)]

    def bytes_of(properties: Any) -> bytes | None:
        raw: Any = read(properties)
        kind = raw.__class__
        if kind is str:
            if len(raw) < MEMBER_BYTES - 1 and raw.isascii():
                text: str = raw
                return b"s" + text.encode()
        elif kind is int and 0 <= raw < 256:
            number: int = raw
            return small[number]
        return None if raw is None else member_of(raw)

    return bytes_of


def member_of(value: Any) -> bytes:
    """At most 16 bytes that two JSON values share only if they are equal: numbers by value, true not 1.

    >>> member_of("1") != member_of(1) == member_of(Decimal("1.0")) != member_of(True)
    True
    """
    name = _name(value)
    return name if len(name) < MEMBER_BYTES else xxhash.xxh3_128_digest(name)


def _name(value: Any) -> bytes:
    if value is None:
        return b"z"
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return b"t" if value else b"f"
    if isinstance(value, (int, Decimal)):
        return b"n" + _digits(value)
    if isinstance(value, numbers.Immense):
        return b"i" + str(value).encode()
    if isinstance(value, dict):  # sorted, each item with its length, so that no text can be mistaken for two
        items = sorted((_name(key), _name(item)) for key, item in value.items())
        return b"o" + b"".join(_sized(key) + _sized(item) for key, item in items)
    if isinstance(value, (list, tuple)):
        return b"a" + b"".join(_sized(_name(item)) for item in value)
    raise BadValue(f"a {type(value).__name__} is no JSON value")


def _sized(name: bytes) -> bytes:
    return len(name).to_bytes(4) + name


def _digits(value: Number) -> bytes:
    """A number without zeros that say nothing: 100 and 1E+2 are `1e2`."""
    if value.__class__ is int and -_SHORT < value < _SHORT:
        whole = b"%d" % value
        short = whole.rstrip(b"0")
        return short + b"e%d" % (len(whole) - len(short)) if value else b"0"
    sign, digits, exponent = Decimal(value).as_tuple()
    assert isinstance(exponent, int)
    shown = bytes(48 + digit for digit in digits).lstrip(b"0")
    short = shown.rstrip(b"0")
    if not short:
        return b"0"
    return b"-" * sign + short + b"e%d" % (exponent + len(shown) - len(short))
