"""Gauges: a state that lives on through every window.

Part of the independent judge. A timeline is the list of instants at which events came, each
with the state from then on; before the first one the state is `initial_value`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

from tests.oracle.readings import Reading
from tests.oracle.times import SECOND, Calendar, Window
from tests.oracle.values import canonical, fraction


@dataclass(frozen=True, slots=True)
class State:
    """A gauge's state: what it is, and the number that it is valued at."""

    identity: Any
    value: Fraction


@dataclass(frozen=True, slots=True)
class Timeline:
    """The states of one row of a gauge, by the microsecond from which each holds."""

    before: State
    changes: list[tuple[int, State]]

    def at(self, us: int) -> State:
        """The state at an instant: that of the last change at or before it."""
        state = self.before
        for since, changed in self.changes:
            if since > us:
                break
            state = changed
        return state

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, State]]:
        """`[start, end)` in pieces of one state each, none of them empty; in microseconds."""
        since, state = start, self.at(start)
        for us, changed in self.changes:
            if start < us < end:
                yield since, us, state
                since, state = us, changed
        yield since, end, state


def initial(metric: dict[str, Any]) -> Fraction:
    """The value of a state before its first event."""
    known = canonical(metric.get("initial_value") or 0)[1]
    return fraction(known)


def timeline(metric: dict[str, Any], readings: Sequence[Reading]) -> Timeline:
    """The states that readings (in order) lead through: the sum, or the union, of their groups' states.

    What holds for no time is not on it: of the events of one instant only the last state stays.
    """
    if metric["aggregation"] == "unique":
        return timeline_of_objects(readings)
    start = initial(metric)
    states: dict[bytes | None, Fraction] = {}
    changes = []
    for us, together in groupby(readings, key=lambda one: one.us):
        for one in together:
            if metric["event_type"] == "total":
                states[one.group] = one.value
            else:
                states[one.group] = states.get(one.group, start) + one.value
        total = sum(states.values(), Fraction(0))
        changes.append((us, State(total, total)))
    return Timeline(State(start, start), changes)


def timeline_of_objects(readings: Sequence[Reading]) -> Timeline:
    """The sets of objects present: each group has its own, and an object is present while one group has it."""
    present: set[tuple[bytes | None, Any]] = set()
    changes = []
    for us, together in groupby(readings, key=lambda one: one.us):
        for one in together:
            verb, item = one.value
            (present.add if verb == "add" else present.discard)((one.group, item))
        union = frozenset(item for _, item in present)
        changes.append((us, State(union, Fraction(len(union)))))
    return Timeline(State(frozenset(), Fraction(0)), changes)


def gauge(metric: dict[str, Any], line: Timeline, window: Window, days: Calendar) -> Fraction:
    """A gauge's value over a window; an open one is valued as if the state stays as it is."""
    start, end = window
    aggregation = metric["aggregation"]
    if start is None or end is None:
        states = [line.before, *(state for _, state in line.changes)]
    else:
        states = [state for _, _, state in line.pieces(start * SECOND, end * SECOND)]
    if metric.get("proration"):
        return sum((part for _, _, part in prorated(metric, line, window, days)), Fraction(0))
    match aggregation:
        case "max":
            return max(state.value for state in states)
        case "min":
            return min(state.value for state in states)
        case "weighted_sum":
            assert start is not None
            assert end is not None
            return integral(line, start * SECOND, end * SECOND) / ((end - start) * SECOND)
    assert aggregation in {"latest", "unique"}, aggregation
    return states[-1].value


def integral(line: Timeline, start: int, end: int) -> Fraction:
    """The integral of the state over `[start, end)`, in value x microseconds."""
    return sum((state.value * (until - since) for since, until, state in line.pieces(start, end)), Fraction(0))


def prorated(
    metric: dict[str, Any], line: Timeline, window: Window, days: Calendar
) -> Iterator[tuple[int, int, Fraction]]:
    """The share of each calendar bucket, or of a run of buckets of one state: from, to (in seconds), share.

    A bucket's share is (maximum of the state in it) x (its length inside the window) / (length of
    the calendar unit of the granularity that holds it).
    """
    second, end = window
    assert second is not None
    assert end is not None
    while second < end:
        bucket_start, bucket_end = bounds(days.window(metric["proration"], second))
        unit_start, unit_end = bounds(days.window(metric["granularity"], bucket_start))
        greatest = max(state.value for _, _, state in line.pieces(bucket_start * SECOND, bucket_end * SECOND))
        until = min(bucket_end, end)
        calm = calm_until(line, second, min(end, unit_end))
        if calm > until and bucket_start == second:
            until = last_bucket_edge(days, metric["proration"], calm, until)
        yield second, until, greatest * Fraction(until - second, unit_end - unit_start)
        second = until


def calm_until(line: Timeline, second: int, limit: int) -> int:
    """The first second, up to the limit, by which the state has changed since."""
    later = [us // SECOND for us, _ in line.changes if us > second * SECOND]
    return min([*later, limit])


def last_bucket_edge(days: Calendar, unit: str, calm: int, least: int) -> int:
    """The end of the last whole bucket before the state changes: all buckets up to it have one state."""
    return max(least, bounds(days.window(unit, calm))[0])


def bounds(window: Window) -> tuple[int, int]:
    """Start and end of a window that has them."""
    start, end = window
    assert start is not None
    assert end is not None
    return start, end
