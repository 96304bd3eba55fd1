"""Values as msgpack can hold them: it refuses integers beyond 64 bits and knows no decimals."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from stream.core.metrics.base import Value

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder().decode

NATIVE = frozenset({int, Decimal, bytes})
"""Classes of values that msgpack encodes as after `plain_of`; of integers beyond 64 bits it raises OverflowError."""

LOW, HIGH = -(2**63), 2**64
"""msgpack holds integers from the one up to below the other."""


def packed(value: Value | None) -> int | str | None:
    """A number as msgpack holds it: small integers as they are, all else as text.

    >>> packed(7), packed(2**64), packed(Decimal("0.10")), packed(Fraction(1, 3)), packed(None)
    (7, '18446744073709551616', '0.10', '1/3', None)
    """
    if value.__class__ is int:
        return value if LOW <= value < HIGH else str(value)
    return None if value is None else str(value)


def unpacked(value: int | str | None) -> Any:
    """The number again, of the same class where that matters: an integer stays an integer.

    >>> unpacked(7), unpacked("18446744073709551616"), unpacked("0.10"), unpacked("1/3")
    (7, 18446744073709551616, Decimal('0.10'), Fraction(1, 3))
    """
    if value.__class__ is not str:
        return value
    if "/" in value:
        return Fraction(value)
    if "." in value or "E" in value:
        return Decimal(value)
    return int(value)


def plain_of(value: Any) -> Any:
    """What `Metric.read` answered, as msgpack holds it: numbers, bytes, and tuples of them."""
    if isinstance(value, tuple):
        return [plain_of(item) for item in value]
    return value if isinstance(value, (bytes, bool)) else packed(value)


def value_of(plain: Any) -> Any:
    """The value again, after `plain_of`."""
    if isinstance(plain, list):
        return tuple(value_of(item) for item in plain)
    return unpacked(plain)
