"""The live steps of a gauge as they are saved: in the order of their arrival, 16 or more to a chunk.

So a commit writes one chunk whatever its events' own times.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any

from stream.core.metrics.base import Number
from stream.core.metrics.lanes import CHUNK, ORDER, Step
from stream.core.metrics.packs import Chunks, Parts, key_of
from stream.core.metrics.wire import decode, encode, plain_of, value_of

_FULL = 16
"""A commit writes the newest chunk again until it has so many steps."""
_MOST = 64
"""A chunk takes no more steps when it has so many, though no commit came."""

Columns = tuple[list[int], list[int], list[Number]]
"""Instants, places in the log, and numbers."""


class StepLog:
    """Steps by the number of the chunk that they are saved in; of a gauge that is one entity, in columns.

    Chunks of columns that take no more steps lie as they were saved until one of their steps is taken back, also
    with steps that are no longer live: those are known when they are loaded.
    """

    __slots__ = ("_columns", "_dirty", "_full", "_left", "_parts", "_steps", "chunk")

    def __init__(self) -> None:
        self.chunk = 0  # where new steps go
        self._columns: dict[int, Columns] = {}
        self._full: dict[int, bytes] = {}
        self._left: dict[int, int] = {}  # how many steps of such a chunk, or of columns that were one, are live
        self._steps: dict[int, list[Step]] = {}
        self._dirty: set[int] = set()
        self._parts = Parts()

    def add_all(self, instants: Sequence[int], orders: Sequence[int], numbers: Sequence[Number]) -> None:
        """New steps of a gauge that is one entity."""
        chunk = self.chunk
        known = self._columns.get(chunk)
        if known is None:
            known = self._columns[chunk] = ([*instants], [*orders], [*numbers])
        else:
            known[0].extend(instants)
            known[1].extend(orders)
            known[2].extend(numbers)
        self._dirty.add(chunk)
        if len(known[0]) >= _MOST:
            self.chunk = chunk + 1

    def add(self, step: Step) -> None:
        """A new step of one of many entities, which bears the number of the chunk."""
        chunk = self.chunk
        known = self._steps.setdefault(chunk, [])
        known.append(step)
        self._dirty.add(chunk)
        if len(known) >= _MOST:
            self.chunk = chunk + 1

    def drop(self, step: Any, *, gone: bool) -> None:
        """A step is no longer live. One that had not been (not `gone`) must also go from what is saved at once."""
        chunk = step[CHUNK]
        if gone and chunk in self._full:
            left = self._left[chunk] = self._left[chunk] - 1
        elif chunk in self._full or chunk in self._columns:
            columns = self._columns[chunk] = self._thawed(chunk)
            at = columns[1].index(step[ORDER])
            for column in columns:
                del column[at]
            left = len(columns[0])
            if chunk in self._left:
                left = self._left[chunk] = self._left[chunk] - 1
        else:
            steps = self._steps[chunk]
            steps.remove(step)
            left = len(steps)
        if not left:
            self._columns.pop(chunk, None)
            self._full.pop(chunk, None)
            self._left.pop(chunk, None)
            self._steps.pop(chunk, None)
        if not left or not gone:
            self._dirty.add(chunk)

    def _thawed(self, chunk: int) -> Columns:
        """A chunk of which something is to change, in columns."""
        data = self._full.pop(chunk, None)
        return self._columns[chunk] if data is None else _columns_of(decode(data))

    def save(self, out: Chunks) -> None:
        """Add the chunks that changed (`c`)."""
        for chunk in self._dirty:
            data = self._encoded(chunk)
            self._parts.put(b"c" + key_of(chunk), data, out)
            columns = self._columns.get(chunk)
            if columns is not None and (chunk < self.chunk or len(columns[0]) >= _FULL):
                self._full[chunk] = data
                self._left.setdefault(chunk, len(columns[0]))
                del self._columns[chunk]
                self.chunk = max(self.chunk, chunk + 1)
        self._dirty.clear()
        if len(self._steps.get(self.chunk, ())) >= _FULL:
            self.chunk += 1

    def _encoded(self, chunk: int) -> bytes:
        """Steps as they are, decimals as text; where msgpack has no room for an integer, those as text too."""
        columns, steps = self._columns.get(chunk), self._steps.get(chunk)
        if columns is not None:
            instants, orders, numbers = columns
            try:
                return encode([*zip(instants, orders, numbers, repeat(chunk))])
            except OverflowError:
                return encode([*zip(instants, orders, map(plain_of, numbers), repeat(chunk))])
        if not steps:
            return b""
        try:
            return encode(steps)
        except OverflowError:
            return encode(
                [[us, order, 0, entity, plain_of(operand), chunk] for us, order, _, entity, operand, _ in steps]
            )

    def load(self, chunks: Mapping[bytes, bytes], mark: list[int], *, plain: bool, lanes: bool) -> Iterator[Any]:
        """Take what `save` gave; yields the steps after a mark, those before it being no longer live.

        `plain`: of a gauge that is one entity. `lanes`: by how much a step moves the state is not known yet.
        """
        for name, data in self._parts.join(chunks, b"c").items():
            chunk = int.from_bytes(name[1:]) - (1 << 47)
            live = [step for step in decode(data) if step[:2] > mark]
            self.chunk = max(self.chunk, chunk + 1)
            if not live:
                self._dirty.add(chunk)
            elif plain:
                self._full[chunk], self._left[chunk] = data, len(live)
                yield from zip(*_columns_of(live), repeat(chunk))
            else:
                steps: list[Step] = []
                for us, order, _, entity, operand, _ in live:
                    value = value_of(operand)
                    steps.append([us, order, 0 if lanes else value, entity, value, chunk])
                self._steps[chunk] = steps
                yield from steps


def _columns_of(steps: list[list[Any]]) -> Columns:
    """Saved steps in columns."""
    instants, orders, numbers, _ = zip(*steps, strict=True)
    return [*instants], [*orders], [*map(value_of, numbers)]
