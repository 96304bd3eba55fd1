"""The live steps of a gauge, sorted, for its timeline to go through: in columns, or one by one where they hang together.

`instants` are theirs, in microseconds; a place is a number from 0 to their count.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from stream.core.metrics.base import Number
from stream.core.metrics.lanes import MOVE, Plain, Step

_move = itemgetter(MOVE)
_FEW = 16
"""So many times more steps must follow than are new for these to be inserted one by one, not sorted with those."""


class Columns:
    """Steps of a gauge that is one entity: lists side by side, as an object for each step costs more to make and keep."""

    __slots__ = ("_chunks", "_newest", "_numbers", "_orders", "instants")

    def __init__(self) -> None:
        self.instants: list[int] = []
        self._newest = -1  # the greatest place in the log
        self._orders: list[int] = []
        self._numbers: list[Number] = []
        self._chunks: list[int] = []

    def add(self, instants: Sequence[int], orders: Sequence[int], numbers: Sequence[Number], chunk: int) -> int:
        """New steps, sorted; the answer is the place of the first of them."""
        mine, new = self.instants, len(instants)
        at = len(mine)
        if at and mine[-1] >= instants[0]:
            at = self._place(instants[0], orders[0])
        if at == len(mine):
            mine += instants
            self._orders += orders
            self._numbers += numbers
            self._chunks += repeat(chunk, new)
        elif new * _FEW < len(mine) - at:
            for us, order, number in zip(instants, orders, numbers, strict=True):
                place = self._place(us, order)
                mine.insert(place, us)
                self._orders.insert(place, order)
                self._numbers.insert(place, number)
                self._chunks.insert(place, chunk)
        elif min(orders) > self._newest:
            # sorting is stable, and of one instant the new ones come last
            later = [*mine[at:], *instants]
            sort = itemgetter(*sorted(range(len(later)), key=later.__getitem__))
            mine[at:] = sort(later)
            self._orders[at:] = sort([*self._orders[at:], *orders])
            self._numbers[at:] = sort([*self._numbers[at:], *numbers])
            self._chunks[at:] = sort([*self._chunks[at:], *repeat(chunk, new)])
        else:
            both = [*zip(mine[at:], self._orders[at:], self._numbers[at:], self._chunks[at:], strict=True)]
            both += zip(instants, orders, numbers, repeat(chunk))
            both.sort()
            mine[at:], self._orders[at:], self._numbers[at:], self._chunks[at:] = zip(*both, strict=True)
        self._newest = max(self._newest, *orders)
        return at

    def _place(self, us: int, order: int) -> int:
        """The place of the first step that is not before this instant and place in the log."""
        at = bisect_left(self.instants, us)
        return bisect_left(self._orders, order, at, bisect_right(self.instants, us, at))

    def find(self, us: int, order: int) -> int | None:
        """The place of the step of this instant and place in the log."""
        at = self._place(us, order)
        found = at < len(self.instants) and self.instants[at] == us and self._orders[at] == order
        return at if found else None

    def pop(self, at: int) -> Plain:
        """Take one out."""
        return self.instants.pop(at), self._orders.pop(at), self._numbers.pop(at), self._chunks.pop(at)

    def pop_first(self, number: int) -> list[Plain]:
        """Take so many out, the oldest."""
        columns = self.instants, self._orders, self._numbers, self._chunks
        gone = [*zip(*(column[:number] for column in columns), strict=True)]
        for column in columns:
            del column[:number]
        return gone

    def moves(self, first: int, end: int) -> list[Number]:
        """The numbers of steps by place."""
        return self._numbers[first:end]

    def load(self, steps: list[Plain]) -> None:
        """Take steps that were saved, sorted."""
        for us, order, number, chunk in steps:
            self.instants.append(us)
            self._orders.append(order)
            self._numbers.append(number)
            self._chunks.append(chunk)
        self._newest = max(self._orders, default=-1)


class Moves:
    """Steps of many entities, of which one may change by how much another moves the state."""

    __slots__ = ("_steps", "instants")

    def __init__(self) -> None:
        self.instants: list[int] = []
        self._steps: list[Step] = []

    def add(self, step: Step) -> int:
        """A new step; the answer is its place."""
        at = bisect_left(self._steps, step)
        self._steps.insert(at, step)
        self.instants.insert(at, step[0])
        return at

    def find(self, us: int, order: int) -> int | None:
        """The place of the step of this instant and place in the log."""
        at = bisect_left(self._steps, [us, order])
        return at if at < len(self._steps) and self._steps[at][:2] == [us, order] else None

    def pop(self, at: int) -> Step:
        """Take one out."""
        del self.instants[at]
        return self._steps.pop(at)

    def pop_first(self, number: int) -> list[Step]:
        """Take so many out, the oldest."""
        gone = self._steps[:number]
        del self._steps[:number], self.instants[:number]
        return gone

    def moves(self, first: int, end: int) -> list[Number]:
        """How much steps move the state, by place."""
        return [*map(_move, self._steps[first:end])]

    def load(self, steps: list[Any]) -> None:
        """Take steps that were saved, sorted."""
        self._steps, self.instants = steps, [step[0] for step in steps]
