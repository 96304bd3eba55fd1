"""Counters and rates over the readings of one window.

Part of the independent judge. Readings come in order of their instants; values are exact.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tests.oracle.readings import Reading
from tests.oracle.times import SECOND, Calendar, Window

UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


def inside(readings: Sequence[Reading], window: Window) -> list[Reading]:
    """The readings of a window, [start, end)."""
    start, end = window
    if start is None or end is None:
        return list(readings)
    return [one for one in readings if start * SECOND <= one.us < end * SECOND]


def aggregate(aggregation: str, readings: Sequence[Reading]) -> Fraction:
    """One aggregation over at least one reading."""
    values = [one.value for one in readings]
    match aggregation:
        case "count":
            return Fraction(len(values))
        case "sum":
            return sum(values, Fraction(0))
        case "avg":
            return sum(values, Fraction(0)) / len(values)
        case "min":
            return Fraction(min(values))
        case "max":
            return Fraction(max(values))
        case "unique":
            return Fraction(len(set(values)))
    assert aggregation == "latest", aggregation
    return Fraction(max(readings, key=lambda one: one.when).value)


def counter(metric: dict[str, Any], readings: Sequence[Reading], window: Window) -> Fraction:
    """A counter's value over a window that has events."""
    return aggregate(metric["aggregation"], inside(readings, window))


def sub_periods(
    metric: dict[str, Any], readings: Sequence[Reading], window: Window, days: Calendar
) -> list[tuple[Window, Fraction]]:
    """The value of each tumbling sub-period that has events in the window, in order of time."""
    unit = metric["granularity"]
    found: dict[Window, list[Reading]] = {}
    for one in inside(readings, window):
        found.setdefault(days.window(unit, one.us // SECOND), []).append(one)
    return [(period, aggregate(metric["aggregation"], members)) for period, members in found.items()]


def at_events(metric: dict[str, Any], readings: Sequence[Reading], window: Window) -> list[tuple[Reading, Fraction]]:
    """For each event of the window, the aggregation over (t - unit, t], in whole seconds, across its start."""
    unit = UNIT_SECONDS[metric["granularity"]]
    found = []
    for one in inside(readings, window):
        second = one.us // SECOND
        members = [other for other in readings if second - unit < other.us // SECOND <= second]
        found.append((one, aggregate(metric["aggregation"], members)))
    return found


def rate(metric: dict[str, Any], readings: Sequence[Reading], window: Window, days: Calendar) -> Fraction:
    """A rate's value over a window that has events: the greatest of its parts."""
    if metric.get("sliding"):
        return max(value for _, value in at_events(metric, readings, window))
    return max(value for _, value in sub_periods(metric, readings, window, days))
