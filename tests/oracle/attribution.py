"""Billable attribution: on which day of a period each part of the period's value arose.

Part of the independent judge. Shares are exact and keyed by day; `billable` turns them into
the list that a row carries, which adds up to the row's value.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from tests.oracle.counting import at_events, inside, sub_periods
from tests.oracle.gauging import Timeline, bounds, integral, prorated
from tests.oracle.readings import Reading
from tests.oracle.times import SECOND, Calendar, Window, spans
from tests.oracle.values import decimal_text, ends

Shares = Iterable[tuple[date, Fraction]]


def billable(shares: Shares, value: Fraction) -> list[dict[str, str]]:
    """Each day's part; rounding and the rest of shares that do not end fall on the last day with a share.

    `value` is the row's value as it leaves.
    """
    days: dict[date, Fraction] = {}
    for day, part in shares:
        days[day] = days.get(day, Fraction(0)) + part
    kept = [(day, part) for day, part in sorted(days.items()) if part != 0]
    if not kept:
        return []
    shown = [(day, part if ends(part) else Fraction(round(part * 10**18), 10**18)) for day, part in kept]
    last_day = shown[-1][0]
    shown[-1] = (last_day, value - sum((part for _, part in shown[:-1]), Fraction(0)))
    return [{"day": day.isoformat(), "value": decimal_text(part)} for day, part in shown]


def counter_shares(
    metric: dict[str, Any], readings: Sequence[Reading], window: Window, days: Calendar
) -> Iterator[tuple[date, Fraction]]:
    """A counter's: as events fall, or on the day of the event that set the value."""
    members = inside(readings, window)
    aggregation = metric["aggregation"]
    if aggregation == "unique":
        seen = set()
        for one in members:
            if one.value not in seen:
                seen.add(one.value)
                yield day_of(days, one), Fraction(1)
    elif aggregation in {"min", "max"}:
        chosen = (min if aggregation == "min" else max)(members, key=lambda one: Fraction(one.value))
        yield day_of(days, chosen), chosen.value
    elif aggregation == "latest":
        yield day_of(days, members[-1]), members[-1].value
    else:
        for one in members:
            yield day_of(days, one), one.value / (len(members) if aggregation == "avg" else 1)


def rate_shares(
    metric: dict[str, Any], readings: Sequence[Reading], window: Window, days: Calendar
) -> Iterator[tuple[date, Fraction]]:
    """A rate's: on the day of its greatest sub-period or event, the first on a tie."""
    if metric.get("sliding"):
        one, value = max(at_events(metric, readings, window), key=lambda found: found[1])
        yield day_of(days, one), value
        return
    period, value = max(sub_periods(metric, readings, window, days), key=lambda found: found[1])
    assert period[0] is not None
    yield days.day_of(period[0] if window[0] is None else max(period[0], window[0])), value


def gauge_shares(
    metric: dict[str, Any], line: Timeline, window: Window, days: Calendar
) -> Iterator[tuple[date, Fraction]]:
    """A gauge's: by time for what is prorated or weighted, else on the day of one change."""
    start, end = bounds(window)
    aggregation = metric["aggregation"]
    if metric.get("proration"):
        for since, until, part in prorated(metric, line, window, days):
            for day, low, high in split_by_day(days, since, until):
                yield day, part * Fraction(high - low, until - since)
    elif aggregation == "weighted_sum":
        for day, low, high in split_by_day(days, start, end):
            yield day, integral(line, low * SECOND, high * SECOND) / ((end - start) * SECOND)
    elif aggregation in {"min", "max"}:
        pieces = list(line.pieces(start * SECOND, end * SECOND))
        since, _, state = (min if aggregation == "min" else max)(pieces, key=lambda piece: piece[2].value)
        yield days.day_of(since // SECOND), state.value
    else:
        yield last_change(line, start, end, days), line.at(end * SECOND - 1).value


def last_change(line: Timeline, start: int, end: int, days: Calendar) -> date:
    """The day of the last instant in `[start, end)` that left another state, else the period's first day."""
    found, state = start, line.before
    for us, changed in line.changes:
        if us >= end * SECOND:
            break
        if changed.identity != state.identity and us >= start * SECOND:
            found = us // SECOND
        state = changed
    return days.day_of(found)


def split_by_day(days: Calendar, start: int, end: int) -> Iterator[tuple[date, int, int]]:
    """`[start, end)` in seconds, cut where the zone's days begin."""
    cuts = []
    edge = start
    while edge < end:
        edge = bounds(days.window("day", edge))[1]
        cuts.append(edge)
    for low, high in spans(start, end, cuts):
        yield days.day_of(low), low, high


def day_of(days: Calendar, one: Reading) -> date:
    """The day of the customer's calendar on which an event lies."""
    return days.day_of(one.us // SECOND)
