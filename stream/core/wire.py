"""Bytes of the changelog: numbers that msgpack lacks, keys, and values longer than a record may be.

Integers beyond 64 bits and decimals travel as text. Keys are length-prefixed, so no customer or event name can make
one key look like another.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

ROW, CLOSED, STATE, IDS, SHAPE, ZONES, PIECE, CONTRIBUTION, ALERTS = (
    b"r",
    b"c",
    b"g",
    b"i",
    b"s",
    b"z",
    b"x",
    b"u",
    b"a",
)
"""First byte of a changelog key: what the record is. The header's whole key is b"h"."""

MOST_BYTES = 60_000
"""A value of more bytes is cut into pieces, so that every record stays below 64 KiB."""

_encoder = msgspec.msgpack.Encoder()
decode = msgspec.msgpack.Decoder(list).decode
CUT = b"\xc1"
"""First byte of the stub of a value that was cut: one with which no msgpack value begins."""


def encode(value: Any) -> bytes:
    """Msgpack of lists of slots; decimals and integers beyond 64 bits become text.

    >>> decode(encode([1, 2**70]))
    [1, '1180591620717411303424']
    """
    try:
        return _encoder.encode(value)
    except OverflowError:
        return _encoder.encode(_fitted(value))


def _fitted(value: Any) -> Any:
    if value.__class__ is list:
        return [_fitted(item) for item in value]
    if value.__class__ is int and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def prefixed(*parts: bytes) -> bytes:
    r"""Each part behind its length in two bytes.

    >>> prefixed(b"ab", b"")
    b'\x00\x02ab\x00\x00'
    """
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def part_of(key: bytes, at: int) -> tuple[bytes, int]:
    """The length-prefixed part at a place of a key, and the place after it."""
    end = at + 2 + int.from_bytes(key[at : at + 2], "big")
    return key[at + 2 : end], end


def pieces(key: bytes, value: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The records that hold a value: one, or where it is too long a stub and its pieces."""
    if len(value) <= MOST_BYTES:
        yield key, value
        return
    parts = [value[at : at + MOST_BYTES] for at in range(0, len(value), MOST_BYTES)]
    yield key, CUT + len(parts).to_bytes(4, "big")
    for number, part in enumerate(parts):
        yield piece(key, number), part


def piece(key: bytes, number: int) -> bytes:
    """The key of a piece of a key's value."""
    return PIECE + number.to_bytes(4, "big") + key


def piece_of(key: bytes) -> tuple[int, bytes]:
    """The number of a piece, and the key whose value it is part of."""
    return int.from_bytes(key[1:5], "big"), key[5:]


def cut_into(value: bytes) -> int:
    """Into how many pieces a value was cut that begins so; 0 for a whole one."""
    return int.from_bytes(value[1:5], "big") if value[:1] == CUT else 0
