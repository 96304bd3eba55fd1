"""The distinct values of one window, saved in the order in which they came.

A new value changes only the last part, of at most 1 KB; so what a commit writes does not grow with
the set. Beyond a number of members the set becomes a sketch, if the definition allows.
"""

from collections.abc import Set as AbstractSet

from stream.core.metrics.packs import Chunks
from stream.core.metrics.sketch import ERROR, Sketch

PART_BYTES = 1024

_NOTHING: AbstractSet[bytes] = frozenset()


class Members:
    """A set of byte strings of at most 255 bytes, or their sketch above `most` of them.

    `known` is the set for a quick look at what is already there: it may be empty although there are
    members (when they are encoded, or a sketch), so what is not in it goes to `add`, which knows.
    """

    __slots__ = (
        "_changed",
        "_estimate",
        "_parts",
        "_saved",
        "_sketch_changed",
        "count",
        "known",
        "most",
        "name",
        "sketch",
    )

    def __init__(self, name: bytes, most: int) -> None:
        self.name, self.most = name, most
        self.known: AbstractSet[bytes] = set()
        self.count = 0
        self.sketch: Sketch | None = None
        self._parts = [bytearray()]
        self._changed = 1 << 30  # the first part that differs from what is saved
        self._saved = 0  # how many parts are saved
        self._sketch_changed = False
        self._estimate: int | None = None

    def load(self, parts: list[bytes], sketch: bytes | None) -> None:
        """Take what `save` gave, in the order of its names; the set stays encoded."""
        if sketch is not None:
            self.sketch = Sketch(sketch)
        if parts:
            self._parts = [bytearray(part) for part in parts]
            self._saved = len(parts)
            self.count = sum(_number_in(part) for part in parts)
        self.known = _NOTHING

    def add(self, member: bytes) -> bool:
        """Add a member; whether that changed what must be saved."""
        if self.sketch is not None:
            if not self.sketch.add(member):
                return False
            self._sketch_changed = True
            self._estimate = None
            return True
        known = self.known
        if not isinstance(known, set):
            known = self._set()
        before = len(known)
        known.add(member)
        if len(known) == before:
            return False
        self.count += 1
        if self.count > self.most:
            self._to_sketch(known)
            return True
        part = self._parts[-1]
        if len(part) + len(member) >= PART_BYTES:
            part = bytearray()
            self._parts.append(part)
        part.append(len(member))
        part += member
        self._changed = min(self._changed, len(self._parts) - 1)
        return True

    def update(self, members: "Together") -> bool:
        """Add many; whether that changed what must be saved."""
        known = self.known
        if not isinstance(known, set) or self.count + len(members.values) > self.most:
            changed = [self.add(member) for member in members.values]
            return True in changed
        fresh = members.values - known
        if not fresh:
            return False
        known |= fresh
        self.count += len(fresh)
        parts = self._parts
        self._changed = min(self._changed, len(parts) - 1)
        data = members.data if len(fresh) == len(members.values) else _joined(fresh)
        if len(parts[-1]) + len(data) <= PART_BYTES:
            parts[-1] += data
            return True
        for member in fresh:
            if len(parts[-1]) + len(member) >= PART_BYTES:
                parts.append(bytearray())
            parts[-1].append(len(member))
            parts[-1] += member
        return True

    def holds(self, member: bytes) -> bool:
        """Whether a member is already there (of a sketch: whether it needs no room)."""
        return self.sketch is not None or member in self._set()

    def _set(self) -> set[bytes]:
        known = self.known
        if isinstance(known, set):
            return known
        self.known = known = {member for part in self._parts for member in _members_in(part)}
        return known

    def _to_sketch(self, known: set[bytes]) -> None:
        self.sketch = Sketch()
        for member in known:
            self.sketch.add(member)
        self._sketch_changed, self._estimate = True, None
        self.known, self._parts, self._changed, self.count = _NOTHING, [], 0, 0

    def cool(self) -> None:
        """Let the set go; it is made again from its parts when needed."""
        if self.sketch is None:
            self.known = _NOTHING

    def value(self) -> int:
        """How many distinct members; of a sketch, its estimate."""
        if self.sketch is None:
            return self.count
        if self._estimate is None:
            self._estimate = self.sketch.estimate()
        return self._estimate

    def error(self) -> str | None:
        """The sketch's relative standard error."""
        return None if self.sketch is None else ERROR

    def save(self, out: Chunks) -> None:
        """Add the parts that changed: `m` and `k` (the sketch) with the window's name."""
        for number in range(self._changed, len(self._parts)):
            out.append((b"m" + self.name + number.to_bytes(2), bytes(self._parts[number])))
        gone = range(len(self._parts), self._saved)
        out.extend((b"m" + self.name + number.to_bytes(2), None) for number in gone)
        self._saved, self._changed = len(self._parts), 1 << 30
        if self._sketch_changed and self.sketch is not None:
            out.append((b"k" + self.name, bytes(self.sketch.registers)))
            self._sketch_changed = False

    def delete(self, out: Chunks) -> None:
        """Add what deletes the saved parts."""
        out.extend((b"m" + self.name + number.to_bytes(2), None) for number in range(self._saved))
        if self.sketch is not None:
            out.append((b"k" + self.name, None))


class Together:
    """Byte strings that join several windows at once."""

    __slots__ = ("_data", "values")

    def __init__(self, values: set[bytes]) -> None:
        self.values = values
        self._data = b""

    @property
    def data(self) -> bytes:
        """All of them as they are saved."""
        self._data = self._data or _joined(self.values)
        return self._data


_SIZES = [bytes((size,)) for size in range(256)]


def _joined(members: set[bytes]) -> bytes:
    return b"".join([_SIZES[len(member)] + member for member in members])


def _members_in(part: bytes | bytearray) -> list[bytes]:
    out, at, end = [], 0, len(part)
    while at < end:
        size = part[at]
        out.append(bytes(part[at + 1 : at + 1 + size]))
        at += size + 1
    return out


def _number_in(part: bytes | bytearray) -> int:
    number, at, end = 0, 0, len(part)
    while at < end:
        at += part[at] + 1
        number += 1
    return number
