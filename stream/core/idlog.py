"""The dedupe records of a partition: which ids were accepted in which hour of the clock, and what was settled.

Each commit writes one record for its new ids (16 bytes each). Where traffic is low that makes many small ones, which
a takeover would have to read one by one for a week; so they are merged as soon as they fill one record or their hour
is over, and the small ones are deleted in the same commit. Each id is thus written at most twice, and an hour leaves
hardly more records than its ids fill.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream.core import wire

EACH = 3_500
"""Ids in one dedupe record, so that it stays below 64 KiB."""

_WIDTH = 16
_FORMAT = b"\x01"


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """A reservation that a commit settled."""

    customer: str
    reservation: str


class _Small(NamedTuple):
    """Ids of one hour that do not fill a record. `key` is None until they are written."""

    key: bytes | None
    hashes: bytes
    settles: list[Settled]


class IdLog:
    """Which dedupe records the changelog holds, and what goes into the next ones."""

    def __init__(self) -> None:
        self._keys: deque[tuple[int, bytes]] = deque()  # (hour, key), oldest first
        self._small: dict[int, list[_Small]] = {}

    # -- taking over

    def load(self, key: bytes, value: bytes) -> tuple[int, bytes, list[Settled]]:
        """Take note of a record from the changelog: its hour, hashes and settled reservations."""
        hour, hashes, settles = unpack(value)
        if len(hashes) < EACH * _WIDTH // 2:
            self._small.setdefault(hour, []).append(_Small(key, hashes, settles))
        else:
            self._keys.append((hour, key))
        return hour, hashes, settles

    def loaded(self) -> None:
        """All records are there."""
        self._keys = deque(sorted(self._keys))

    # -- commits

    def records(
        self, version: int, new: Iterable[tuple[int, bytes]], settles: list[Settled], hour: int
    ) -> list[tuple[bytes, bytes | None]]:
        """The records of a commit: what is new, and small ones merged. `hour` is the clock's.

        `new` are hashes by the hour in which they came.
        """
        by_hour: dict[int, list[bytes]] = {}
        for at, hashes in new:
            by_hour.setdefault(at, []).append(hashes)
        if settles:
            by_hour.setdefault(hour, [])  # no settle came later than in the clock's hour
        for at, several in by_hour.items():
            self._small.setdefault(at, []).append(_Small(None, b"".join(several), settles if at == hour else []))
        made: list[tuple[bytes, bytes | None]] = []
        gone: list[tuple[bytes, bytes | None]] = []
        for at in list(self._small):
            waiting = self._small[at]
            full = sum(len(each.hashes) for each in waiting) >= EACH * _WIDTH
            if full or (at < hour and len(waiting) > 1):
                gone += [(each.key, None) for each in waiting if each.key is not None]
                waiting = self._merged(at, waiting, version, made)
            else:
                waiting = [each if each.key is not None else _written(at, each, version, made) for each in waiting]
            if at < hour:
                self._keys += [(at, each.key) for each in waiting if each.key is not None]
                waiting = []
            self._small[at] = waiting
            if not waiting:
                del self._small[at]
        return made + gone

    def _merged(
        self, hour: int, several: list[_Small], version: int, made: list[tuple[bytes, bytes | None]]
    ) -> list[_Small]:
        """Write all ids together; what is left over of full records stays small."""
        hashes = b"".join(each.hashes for each in several)
        settles = [settled for each in several for settled in each.settles]
        left: list[_Small] = []
        for at in range(0, max(len(hashes), 1), EACH * _WIDTH):
            part = hashes[at : at + EACH * _WIDTH]
            one = _written(hour, _Small(None, part, settles), version, made)
            settles = []
            if len(part) < EACH * _WIDTH // 2:
                left.append(one)
            elif one.key is not None:
                self._keys.append((hour, one.key))
        return left

    def expired(self, before: int) -> list[bytes]:
        """Keys of the records of hours before one, which are then forgotten."""
        out = []
        while self._keys and self._keys[0][0] < before:
            out.append(self._keys.popleft()[1])
        for hour in [each for each in self._small if each < before]:
            out += [each.key for each in self._small.pop(hour) if each.key is not None]
        return out


def _written(hour: int, small: _Small, version: int, made: list[tuple[bytes, bytes | None]]) -> _Small:
    key = b"".join((wire.IDS, version.to_bytes(8, "big"), len(made).to_bytes(4, "big")))
    made += wire.pieces(key, pack(hour, small.hashes, small.settles))
    return small._replace(key=key)


def pack(hour: int, hashes: bytes, settles: list[Settled]) -> bytes:
    """A dedupe record: clock-hour (hours since the epoch), 16 bytes for each id, the reservations settled."""
    size = len(hashes).to_bytes(4, "big")
    return b"".join((_FORMAT, hour.to_bytes(4, "big"), size, hashes, msgspec.msgpack.encode(settles)))


def unpack(value: bytes) -> tuple[int, bytes, list[Settled]]:
    """Clock-hour, hashes and settled reservations of a dedupe record."""
    if value[:1] != _FORMAT:
        raise ValueError(f"a dedupe record of format {value[0]}, this worker knows 1")
    size = int.from_bytes(value[5:9], "big")
    settles = msgspec.msgpack.decode(value[9 + size :], type=list[Settled])
    return int.from_bytes(value[1:5], "big"), value[9 : 9 + size], settles


def version_of(key: bytes) -> int:
    """The version of the commit that wrote a dedupe record."""
    return int.from_bytes(key[1:9], "big")
