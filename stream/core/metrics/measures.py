"""What a gauge measures of its state over one window.

A measure is told, in the order of time, which state held from when to when inside the window, and
says at the window's end what that makes. Instants are microseconds, `[begin, end)`.
"""

from fractions import Fraction
from itertools import compress
from operator import mul, ne, sub
from typing import Any, Protocol

from schemas.definitions import KINDS, UNITS
from stream.core.metrics.base import (
    DAY,
    DAY_US,
    HOUR,
    HOUR_US,
    MINUTE,
    MINUTE_US,
    SECOND_US,
    CalendarLike,
    Number,
    Value,
)
from stream.core.metrics.wire import packed, unpacked

_SIZES: dict[int | None, int] = {MINUTE: MINUTE_US, HOUR: HOUR_US}

FOREVER = 1 << 62
"""The end, in microseconds, of the window that has none; its start is minus this."""


class Measure(Protocol):
    """What of the state counts; the accumulator of a window is None until something held in it."""

    holds: bool
    """Whether what held before the window's end matters at all."""

    def held(self, acc: Any, state: Number, begin: int, end: int) -> Any:
        """The state held for the non-empty [begin, end), which follows on what held before."""
        ...

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Any:
        """What a run of states makes by itself, each of which held for its [begin, end), empty or not.

        None where nothing held, or where it must be told with `held`, as `runs` then says.
        """
        ...

    runs: bool
    """Whether `run` and `join` can stand for `held`."""

    def join(self, acc: Any, run: Any) -> Any:
        """The accumulator after such a run."""
        ...

    def value(self, acc: Any, state: Number, start: int, end: int) -> Value:
        """The total of the window [start, end), which ended with this state, all of it held."""
        ...

    def plain(self, acc: Any) -> Any:
        """The accumulator as msgpack holds it."""
        ...

    def restored(self, plain: Any) -> Any:
        """The accumulator again."""
        ...


class Last:
    """The state at the window's end.

    >>> measure(Last(), 10, [(0, 5), (4, 7), (8, 6)])
    6
    """

    holds = False
    runs = True

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Any:  # noqa: ARG002
        """Nothing."""
        return None

    def join(self, acc: Any, run: Any) -> Any:
        """Nothing but what a subclass keeps."""
        return acc if run is None else run if acc is None else self._both(acc, run)

    def _both(self, acc: Any, run: Any) -> Any:  # noqa: ARG002
        return acc

    def held(self, acc: Any, state: Number, begin: int, end: int) -> Any:  # noqa: ARG002
        """Nothing to keep."""
        return acc

    def value(self, acc: Any, state: Number, start: int, end: int) -> Value:  # noqa: ARG002
        """The state."""
        return state

    def plain(self, acc: Any) -> Any:
        """Nothing."""
        return acc

    def restored(self, plain: Any) -> Any:
        """Nothing."""
        return plain


class Greatest(Last):
    """The greatest state that held for any time.

    >>> measure(Greatest(), 10, [(0, 5), (4, 7), (8, 6)])
    7
    """

    holds = True

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Number | None:
        """The greatest of those that held."""
        return max(compress(states, map(ne, begins, ends)), default=None)

    def _both(self, acc: Number, run: Number) -> Number:
        return max(acc, run)

    def held(self, acc: Number | None, state: Number, begin: int, end: int) -> Number:  # noqa: ARG002
        """The greater of both."""
        return state if acc is None or state > acc else acc

    def value(self, acc: Number, state: Number, start: int, end: int) -> Value:  # noqa: ARG002
        """The greatest."""
        return acc

    def plain(self, acc: Any) -> Any:
        """As msgpack holds it."""
        return packed(acc)

    def restored(self, plain: Any) -> Any:
        """Again."""
        return unpacked(plain)


class Least(Greatest):
    """The least state that held for any time.

    >>> measure(Least(), 10, [(0, 5), (4, 7), (8, 6)])
    5
    """

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Number | None:
        """The least of those that held."""
        return min(compress(states, map(ne, begins, ends)), default=None)

    def _both(self, acc: Number, run: Number) -> Number:
        return min(acc, run)

    def held(self, acc: Number | None, state: Number, begin: int, end: int) -> Number:  # noqa: ARG002
        """The lesser of both."""
        return state if acc is None or state < acc else acc


class Weighted(Greatest):
    """The integral of the state over the window, divided by the window's length.

    >>> measure(Weighted(), 10, [(0, 5), (4, 7), (8, 6)])
    Fraction(6, 1)
    """

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Number:
        """The integral."""
        integral: Number = sum(map(mul, states, map(sub, ends, begins)))
        return integral

    def _both(self, acc: Number, run: Number) -> Number:
        return acc + run

    def held(self, acc: Number | None, state: Number, begin: int, end: int) -> Number:
        """The integral so far."""
        return state * (end - begin) + (0 if acc is None else acc)

    def value(self, acc: Number, state: Number, start: int, end: int) -> Value:  # noqa: ARG002
        """The average by time."""
        return Fraction(acc, end - start) if acc.__class__ is int else Fraction(acc) / (end - start)


Units = tuple[int, int, Number, Fraction | int]
"""The end and length of the granularity's unit at hand; in it, the sum of ended buckets' maximum times
length; and the shares of the units before it."""

Share = tuple[int, int, Number, Units]
"""The bucket at hand: its start, end and maximum; and what the buckets before it made."""


class Prorated:
    """The sum over P-buckets of their greatest state, times their share of the G-unit that holds them.

    Only for windows in which P-buckets nest: each bucket lies in one window. `prorated` is P, and
    `granularity` G; buckets nest in units.
    """

    holds = True
    runs = False

    def run(self, states: list[Number], begins: list[int], ends: list[int]) -> Any:  # noqa: ARG002
        """Buckets have to be told one after the other."""
        return None

    def join(self, acc: Any, run: Any) -> Any:
        """See `run`."""
        raise NotImplementedError

    def __init__(self, granularity: str, proration: str, calendar: CalendarLike) -> None:
        self.unit, self.bucket, self.calendar = unit_kind(granularity), unit_kind(proration), calendar
        self._known: dict[tuple[int | None, int], tuple[int, int]] = {}  # the ends of open windows, mostly

    def held(self, acc: Share | None, state: Number, begin: int, end: int) -> Share:
        """The greatest state of the bucket; buckets that ended join the sum."""
        if acc is None:
            start, stop = self._bounds(self.bucket, begin)
            unit_start, unit_end = self._bounds(self.unit, begin)
            acc = (start, stop, state, (unit_end, unit_end - unit_start, 0, 0))
        start, stop, top, rest = acc
        if begin == stop:  # the bucket has ended, and what holds from its end on is not its own
            rest = self._add(rest, top, start, stop)
            start, stop = self._bounds(self.bucket, begin)
            top = state
        top = max(top, state)
        if end <= stop:
            return (start, stop, top, rest)
        rest = self._add(rest, top, start, stop)
        begun, ends = self._bounds(self.bucket, end - 1)
        if begun > stop:
            rest = self._add(rest, state, stop, begun)
        return (begun, ends, state, rest)

    def _add(self, rest: Units, top: Number, begin: int, end: int) -> Units:
        """Whole buckets of this maximum join the sum, the non-empty [begin, end), unit by unit."""
        unit_end, length, inside, done = rest
        if end > unit_end:
            if begin < unit_end:
                inside += top * (unit_end - begin)
                begin = unit_end
            done += Fraction(inside) / length
            whole, begin = self._whole_units(begin, end)
            done += Fraction(top) * whole
            start, unit_end = self._bounds(self.unit, begin)
            length, inside = unit_end - start, 0
        return unit_end, length, inside + top * (end - begin), done

    def _whole_units(self, begin: int, end: int) -> tuple[int, int]:
        """How many whole units fit from `begin`, where one starts, up to `end`; and where they end."""
        number, size = 0, _SIZES.get(self.unit)
        while begin < end:
            if size is not None:
                start, stop = self._bounds(DAY, begin)
                if stop - start == DAY_US:  # a day without a change of the clock, so its units are all alike
                    fit = (min(stop, end) - begin) // size
                    number, begin = number + fit, begin + fit * size
                    if begin < stop:
                        break
                    continue
            stop = self._bounds(self.unit, begin)[1]
            if stop > end:
                break
            number, begin = number + 1, stop
        return number, begin

    def _bounds(self, kind: int | None, us: int) -> tuple[int, int]:
        known = self._known.get((kind, us))
        if known is None:
            if len(self._known) >= 256:
                self._known.clear()
            known = self._known[kind, us] = unit_bounds(self.calendar, kind, us)
        return known

    def value(self, acc: Share, state: Number, start: int, end: int) -> Value:  # noqa: ARG002
        """The sum, with the last bucket."""
        begun, ends, top, rest = acc
        _, length, inside, done = self._add(rest, top, begun, ends)
        return done + Fraction(inside) / length

    def plain(self, acc: Share | None) -> Any:
        """As msgpack holds it."""
        if acc is None:
            return None
        begun, ends, top, (unit_end, length, inside, done) = acc
        return [begun, ends, packed(top), unit_end, length, packed(inside), packed(done)]

    def restored(self, plain: Any) -> Any:
        """Again."""
        if plain is None:
            return None
        begun, ends, top, unit_end, length, inside, done = plain
        return begun, ends, unpacked(top), (unit_end, length, unpacked(inside), unpacked(done))


def unit_kind(unit: str) -> int | None:
    """The window kind of a calendar unit, None for the second, of which there are no windows."""
    return None if unit == UNITS[0] else KINDS.index(unit)


def unit_bounds(calendar: CalendarLike, kind: int | None, us: int) -> tuple[int, int]:
    """The calendar unit that holds an instant, [start, end) in microseconds."""
    second = us // SECOND_US
    if kind is None:
        return second * SECOND_US, (second + 1) * SECOND_US
    start = calendar.start(kind, second)
    end = calendar.end(kind, start)
    assert end is not None
    return start * SECOND_US, end * SECOND_US


def measure(how: Measure, length: int, states: list[tuple[int, Number]]) -> Value:
    """The total over [0, length) of a state that is what it is from each instant on."""
    acc = None
    ends = [begin for begin, _ in states[1:]] + [length]
    for (begin, state), end in zip(states, ends, strict=True):
        acc = how.held(acc, state, begin, end)
    return how.value(acc, states[-1][1], 0, length)
