"""What each event of an upsert name contributed, so that a later one with its id can take its place.

One changelog record for each such event, about 100 bytes and 40 for each metric that counts it, in memory as in the
changelog; it goes when the id is forgotten.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from stream.core import wire
from stream.core.metrics.wire import HIGH, LOW, plain_of, value_of


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What one metric took from an event. `shape` names the parameters that shaped the metric's states.

    `order` is its place in the log where that is not the event's: a replay mended it later.
    """

    metric: str
    shape: str
    group: Any
    value: Any
    order: int | None = None


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """An event that counts: hour of the clock at which it came, whose it is, its instant and its place in the log."""

    hour: int
    customer: str
    us: int
    order: int
    parts: list[Part]


_encode = msgspec.msgpack.Encoder().encode
_LOW, _HIGH = -(2**63), 2**63
_decoder = msgspec.msgpack.Decoder(Contribution)


Plain = tuple[str, str, Any, Any] | tuple[str, str, Any, Any, int]
"""A `Part` as it is encoded, which costs less to make."""


def part(metric: str, shape: str, group: Any, value: Any) -> tuple[str, str, Any, Any]:
    """A part, its value in the form that msgpack can hold."""
    kind = value.__class__
    return metric, shape, group, value if kind is bytes or (kind is int and LOW < value < HIGH) else plain_of(value)


def value_in(found: Part) -> Any:
    """The value that the metric folded."""
    return value_of(found.value)


def group_in(found: Part) -> Any:
    """The group's key that the metric folded it under: msgpack makes lists of tuples."""
    return _tuples(found.group)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class Contributions:
    """Contributions by the hash of customer and id, encoded."""

    def __init__(self) -> None:
        self._held: dict[bytes, bytes] = {}
        self._hours: dict[int, list[bytes]] = {}  # the hashes that came in each hour of the clock
        self._changed: dict[bytes, bytes | None] = {}
        self.floor = -(1 << 62)  # the first hour of the clock that is remembered

    def __bool__(self) -> bool:
        return bool(self._held)

    def known(self, hashes: Sequence[bytes]) -> list[bool] | None:
        """Which of the hashes may have contributed, None where none has."""
        held = self._held
        return None if held.keys().isdisjoint(hashes) else [each in held for each in hashes]

    def get(self, digest: bytes) -> Contribution | None:
        """What an id contributed, as long as it is remembered."""
        data = self._held.get(digest)
        if data is None:
            return None
        found = _decoder.decode(data)
        return found if found.hour >= self.floor else None

    def put(self, digest: bytes, hour: int, customer: str, us: int, order: int, parts: Sequence[Part | Plain]) -> None:
        """Remember a `Contribution` of these fields, also in place of an earlier one."""
        self._held[digest] = self._changed[digest] = _encode((hour, customer, us, order, parts))
        hours = self._hours.get(hour)
        if hours is None:
            hours = self._hours[hour] = []
        hours.append(digest)

    def put_all(self, hour: int, made: dict[bytes, bytes]) -> None:
        """Remember encoded contributions that came in one hour of the clock."""
        self._held |= made
        self._changed |= made
        hours = self._hours.get(hour)
        if hours is None:
            hours = self._hours[hour] = []
        hours += made

    def load(self, digest: bytes, value: bytes) -> None:
        """Keep a contribution from the changelog."""
        self._held[digest] = value
        self._hours.setdefault(_decoder.decode(value).hour, []).append(digest)

    def expire(self, before: int, steps: int) -> int:
        """Forget up to so many of those that came before an hour of the clock; the answer is how many were looked at."""
        looked = 0
        for hour in sorted(hour for hour in self._hours if hour < before):
            digests = self._hours[hour]
            while digests and looked < steps:
                looked += 1
                digest = digests.pop()
                data = self._held.get(digest)
                if data is not None and _decoder.decode(data).hour < before:  # else it was replaced later
                    del self._held[digest]
                    self._changed[digest] = None
            if digests:
                break
            del self._hours[hour]
        return looked

    def changed(self) -> bool:
        """Whether there is something to write."""
        return bool(self._changed)

    def encoded(self) -> list[tuple[bytes, bytes | None]]:
        """The changelog records of what changed since the last call."""
        changed, self._changed = self._changed, {}
        return [(wire.CONTRIBUTION + digest, data) for digest, data in changed.items()]
