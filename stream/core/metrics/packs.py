"""Cells by the start of their window, saved together in packs and encoded until touched."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from stream.core.metrics.wire import decode, encode

C = TypeVar("C")
Chunks = list[tuple[bytes, bytes | None]]

PART = 48 * 1024
"""What is longer than this is saved in parts, so that a row of the changelog stays below 64 KB."""

_BIAS = 1 << 47  # starts before 1970 are negative, keys are not


def key_of(number: int) -> bytes:
    """A start, or the number of a pack, as 6 bytes that sort as it does."""
    return (number + _BIAS).to_bytes(6)


def orphans(chunks: Mapping[bytes, bytes], prefixes: bytes, kinds: Iterable[int]) -> Chunks:
    """What deletes the chunks of window kinds that a definition no longer has.

    Those chunks begin with one of the bytes of `prefixes`, followed by that of the kind.
    """
    known = {bytes((prefix, kind)) for prefix in prefixes for kind in kinds}
    return [(name, None) for name in chunks if name[0] in prefixes and name[:2] not in known]


class Parts:
    """Byte strings of any length as chunks: a name and a two-byte number each."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[bytes, int] = {}

    def put(self, name: bytes, data: bytes, out: Chunks) -> None:
        """Add the chunks that make the value of `name` be `data`; empty deletes it."""
        if 0 < len(data) <= PART and self.counts.get(name, 1) == 1:
            out.append((name + b"\0\0", data))
            self.counts[name] = 1
            return
        number = -(-len(data) // PART)
        for part in range(number):
            out.append((name + part.to_bytes(2), data[part * PART : (part + 1) * PART]))
        out.extend((name + part.to_bytes(2), None) for part in range(number, self.counts.pop(name, 0)))
        if number:
            self.counts[name] = number

    def join(self, chunks: Mapping[bytes, bytes], prefix: bytes) -> dict[bytes, bytes]:
        """The byte strings whose names begin with `prefix`, from all chunks."""
        found: dict[bytes, bytes] = {}
        for name in sorted(name for name in chunks if name.startswith(prefix)):
            whole = name[:-2]
            found[whole] = found.get(whole, b"") + chunks[name]
            self.counts[whole] = self.counts.get(whole, 0) + 1
        return found


class Packs(Generic[C]):
    """Cells of one kind of window: `span` seconds of starts are one pack.

    `plain` makes a cell something that msgpack can hold, `cell` makes it a cell again. A cell that
    was got may be changed in place if `touch` is called for it before the next `save`, which
    encodes the packs again and lets their cells go: hold no cell across it.
    """

    __slots__ = ("_cell", "_packs", "_parts", "_plain", "_prefix", "_span", "dirty")

    def __init__(self, prefix: bytes, span: int, plain: Callable[[C], Any], cell: Callable[[Any], C]) -> None:
        self._prefix, self._span, self._plain, self._cell = prefix, span, plain, cell
        self._packs: dict[int, dict[int, C] | bytes] = {}
        self.dirty: set[int] = set()  # the numbers of the packs to save
        self._parts = Parts()

    def load(self, chunks: Mapping[bytes, bytes]) -> None:
        """Take what `save` gave; nothing is decoded yet."""
        for name, data in self._parts.join(chunks, self._prefix).items():
            self._packs[int.from_bytes(name[len(self._prefix) :]) - _BIAS] = data

    def _pack(self, number: int) -> dict[int, C]:
        pack = self._packs.get(number)
        if pack is None:
            return {}
        if isinstance(pack, bytes):
            pack = self._packs[number] = {start: self._cell(plain) for start, plain in decode(pack)}
        return pack

    def get(self, start: int) -> C | None:
        """The cell of the window that begins at `start`."""
        return self._pack(start // self._span).get(start)

    def put(self, start: int, cell: C) -> None:
        """Add or replace a cell."""
        number = start // self._span
        if number not in self._packs:
            self._packs[number] = {}
        self._pack(number)[start] = cell
        self.dirty.add(number)

    def touch(self, start: int) -> None:
        """Say that a cell was changed in place."""
        self.dirty.add(start // self._span)

    def drop(self, start: int) -> None:
        """Remove a cell, if there."""
        number = start // self._span
        if self._pack(number).pop(start, None) is not None:
            self.dirty.add(number)

    def between(self, first: int, last: int) -> Iterator[tuple[int, C]]:
        """Cells with first <= start <= last, oldest first."""
        low, high = first // self._span, last // self._span
        for number in sorted(number for number in self._packs if low <= number <= high):
            for start, cell in sorted(self._pack(number).items()):
                if first <= start <= last:
                    yield start, cell

    def last_before(self, start: int) -> C | None:
        """The newest cell whose start is before this one."""
        for number in sorted((number for number in self._packs if number <= start // self._span), reverse=True):
            found = max((at for at in self._pack(number) if at < start), default=None)
            if found is not None:
                return self._pack(number)[found]
        return None

    def since(self, first: int) -> Iterator[tuple[int, C]]:
        """Cells with first <= start, oldest first."""
        return self.between(first, _BIAS)

    def all(self) -> Iterator[tuple[int, C]]:
        """Every cell, oldest first."""
        return self.between(-_BIAS, _BIAS)

    def __bool__(self) -> bool:
        return any(self._packs.values())

    def pop_while(self, old: Callable[[int], bool]) -> list[tuple[int, C]]:
        """Remove and answer the oldest cells, up to the first whose start is not `old`."""
        gone: list[tuple[int, C]] = []
        for number in sorted(self._packs):
            pack = self._pack(number)
            for start in sorted(pack):
                if not old(start):
                    return gone
                gone.append((start, pack.pop(start)))
                self.dirty.add(number)
        return gone

    def pop_packs(self, old: Callable[[int], bool]) -> Iterator[tuple[int, C]]:
        """Remove and answer the oldest packs, up to the first whose last second of starts is not `old`."""
        for number in sorted(self._packs):
            if not old((number + 1) * self._span - 1):
                return
            yield from sorted(self._pack(number).items())
            self._packs[number] = {}
            self.dirty.add(number)

    def clear(self) -> None:
        """Remove every cell."""
        for number in self._packs:
            self._packs[number] = {}
            self.dirty.add(number)

    def save(self, out: Chunks) -> None:
        """Add the chunks of the packs that changed."""
        for number in self.dirty:
            pack = self._pack(number)
            data = encode([[start, self._plain(cell)] for start, cell in sorted(pack.items())]) if pack else b""
            self._parts.put(self._prefix + key_of(number), data, out)
            if pack:
                self._packs[number] = data
            else:
                self._packs.pop(number, None)
        self.dirty.clear()
