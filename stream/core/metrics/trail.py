"""The seconds of a sliding rate: what came in each, and what the look-back from it makes.

A look-back of 60 from the second t covers the seconds (t - 60, t]: t itself and the 59 before it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from fractions import Fraction

from stream.core.metrics.base import Number, Value

Pair = tuple[int, Number]
"""The number of events, and their sum or greatest value."""


class Trail:
    """Seconds with an event in ascending order, each with its own pair and its look-back's.

    Events of the newest second are taken at once; what comes late is only noted, and `settle` makes
    the look-backs again that it touched, once for all.
    """

    __slots__ = ("_first", "_from", "_to", "greatest", "last", "own", "seconds", "unit", "whole")

    def __init__(self, unit: int, *, greatest: bool) -> None:
        """`unit` is in seconds; `greatest` keeps maxima instead of sums."""
        self.unit, self.greatest = unit, greatest
        self.seconds: list[int] = []
        self.own: list[Pair] = []
        self.whole: list[Pair | None] = []
        self.last = -(1 << 62)
        self._from, self._to = 1 << 62, -(1 << 62)
        self._first = 0  # the first second on which the newest looks back, unless `settle` is due

    def add(self, second: int, value: Number, number: int = 1) -> None:
        """Count so many events of any second, whose sum or greatest value this is."""
        if second == self.last:
            events, sum_ = self.own[-1]
            whole = self.whole[-1]
            if self.greatest:
                self.own[-1] = (events + number, max(sum_, value))
                if whole is not None:
                    self.whole[-1] = (whole[0] + number, max(whole[1], value))
            else:
                self.own[-1] = (events + number, sum_ + value)
                if whole is not None:
                    self.whole[-1] = (whole[0] + number, whole[1] + value)
            return
        if second > self.last:
            self._append(second, value, number)
            return
        index = bisect_left(self.seconds, second)
        if self.seconds[index] == second:
            events, sum_ = self.own[index]
            self.own[index] = (events + number, max(sum_, value) if self.greatest else sum_ + value)
        else:
            self.seconds.insert(index, second)
            self.own.insert(index, (number, value))
            self.whole.insert(index, None)
        self._note(second)

    def _append(self, second: int, value: Number, number: int) -> None:
        seconds, own, whole = self.seconds, self.own, self.whole
        previous = whole[-1] if whole else None
        seconds.append(second)
        own.append((number, value))
        self.last = second
        if self._from < self._to:  # what came before it may still change, so it waits for `settle` too
            whole.append(None)
            self._note(second)
            return
        if previous is None:
            self._first = len(seconds) - 1
            whole.append((number, value))
            return
        events, sum_ = previous
        first, limit = self._first, second - self.unit
        if self.greatest:
            gone = False
            while seconds[first] <= limit:
                events -= own[first][0]
                gone = gone or own[first][1] == sum_
                first += 1
            self._first = first
            whole.append(self._from_scratch(first, len(own)) if gone else (events + number, max(sum_, value)))
            return
        while seconds[first] <= limit:
            events -= own[first][0]
            sum_ -= own[first][1]
            first += 1
        self._first = first
        whole.append((events + number, sum_ + value))

    def put(self, second: int, own: Pair | None) -> None:
        """Set, or with None remove, what came in a second (to take an event back, or to restore)."""
        index = bisect_left(self.seconds, second)
        there = index < len(self.seconds) and self.seconds[index] == second
        if own is None:
            if there:
                del self.seconds[index], self.own[index], self.whole[index]
        elif there:
            self.own[index] = own
        else:
            self.seconds.insert(index, second)
            self.own.insert(index, own)
            self.whole.insert(index, None)
        self.last = self.seconds[-1] if self.seconds else -(1 << 62)
        self._note(second)

    def _note(self, second: int) -> None:
        self._from = min(self._from, second)
        self._to = max(self._to, second + self.unit)

    def settle(self) -> list[tuple[int, Pair | None, Pair]]:
        """Make the look-backs that late events touched: (second, what it was, what it is)."""
        changed: list[tuple[int, Pair | None, Pair]] = []
        for index in range(bisect_left(self.seconds, self._from), bisect_left(self.seconds, self._to)):
            before = self.whole[index]
            after = self.whole[index] = self._look_back(index)
            if after != before:
                changed.append((self.seconds[index], before, after))
        if self._from < self._to:
            self._from, self._to = 1 << 62, -(1 << 62)
            self._first = bisect_right(self.seconds, self.last - self.unit)
        return changed

    def _look_back(self, index: int) -> Pair:
        """What the look-back from a second makes, if the one before it is known to be right."""
        second = self.seconds[index]
        previous = self.whole[index - 1] if index else None
        first = bisect_right(self.seconds, second - self.unit, 0, index)
        if previous is None or first == index:
            return self._from_scratch(first, index + 1)
        left = bisect_right(self.seconds, self.seconds[index - 1] - self.unit, 0, index)
        gone, events, value = self.own[left:first], *previous
        own = self.own[index]
        events += own[0] - sum(pair[0] for pair in gone)
        if not self.greatest:
            for pair in gone:
                value -= pair[1]
            return (events, value + own[1])
        if any(pair[1] == value for pair in gone):  # the greatest has left
            return self._from_scratch(first, index + 1)
        return (events, max(value, own[1]))

    def _from_scratch(self, first: int, end: int) -> Pair:
        pairs = self.own[first:end]
        events = sum(pair[0] for pair in pairs)
        if self.greatest:
            return (events, max(pair[1] for pair in pairs))
        total: Number = 0
        for pair in pairs:
            total += pair[1]
        return (events, total)

    def drop_before(self, second: int) -> None:
        """Forget the seconds before this one; their look-backs must no longer be asked for."""
        index = bisect_left(self.seconds, second)
        del self.seconds[:index], self.own[:index], self.whole[:index]
        self._first = max(self._first - index, 0)
        if not self.seconds:
            self.last = -(1 << 62)


def _count(pair: Pair) -> Value:
    return pair[0]


def _second(pair: Pair) -> Value:
    return pair[1]


def _average(pair: Pair) -> Value:
    return Fraction(pair[1]) / pair[0]


VALUES: dict[str, Callable[[Pair], Value]] = {"count": _count, "sum": _second, "max": _second, "avg": _average}
"""What a look-back is worth, by aggregation."""
