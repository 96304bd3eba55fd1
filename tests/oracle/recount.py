"""The whole contract of a file of events, recounted the slowest and clearest way.

The independent judge: it is written from the contract alone and imports nothing of the product.
`recount` gives the JSON object of `tally simulate --json`.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.oracle.attribution import billable as attribute, counter_shares, gauge_shares, rate_shares
from tests.oracle.counting import counter, inside, rate
from tests.oracle.gauging import Timeline, gauge, timeline
from tests.oracle.reading import Event, RefusedError, read_line
from tests.oracle.readings import OVERALL, BadValueError, Reading, by_group, read
from tests.oracle.rules import Rules, lateness
from tests.oracle.times import KINDS, SECOND, UNIT_US, Calendar, Window, instant, shown
from tests.oracle.values import Number, compact, decimal_text, leaving, python_number, rounded

DAY = UNIT_US["d"]
KEPT = {"minute": 2 * DAY, "hour": 8 * DAY, "day": 100 * DAY}
KEPT_LONGER = 400 * DAY
SLIDING_LATENESS = UNIT_US["h"]


@dataclass
class Accepted:
    """What reading the lines left: the events that count, and what is said about the others."""

    events: dict[tuple[str, tuple[str, ...]], Event] = field(default_factory=dict)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    duplicates: int = 0
    late: int = 0
    latest_us: int | None = None


def recount(
    definitions: dict[str, Any], lines: Sequence[bytes], at: str | int | None = None, billable: str | None = None
) -> dict[str, Any]:
    """The JSON object of `tally simulate --json`, a group's numbers as int and Decimal.

    `at` is a timestamp's text, or microseconds; `billable` a window kind.
    """
    rules = Rules(definitions)
    accepted = accept(rules, lines)
    last_us = accepted.latest_us if at is None else at if isinstance(at, int) else instant(at)
    rows = []
    if last_us is not None:
        for key, metric in rules.metrics.items():
            for customer, readings in readings_of(metric, accepted.events.values()).items():
                rows += rows_of(rules, key, metric, customer, readings, last_us, billable)
    rows.sort(key=place)
    return {
        "rows": [finished(row) for row in rows],
        "rejected": accepted.rejected,
        "duplicates": accepted.duplicates,
        "late": accepted.late,
    }


def accept(rules: Rules, lines: Sequence[bytes]) -> Accepted:
    """Read the lines in order: refuse, drop duplicates, replace, and say what some metric cannot use."""
    result = Accepted()
    clock: int | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = read_line(line.rstrip(b"\r\n"))
        except RefusedError as refused:
            result.rejected.append({"line": number, "reason": refused.reason, "detail": refused.detail})
            continue
        event.order = number
        event.customer = rules.canonical(event.customer)
        clock = event.us if clock is None else max(clock, event.us)
        known = result.events.get((event.customer, event.identity))
        if known is not None and not (rules.upserts(known.name) and rules.upserts(event.name)):
            result.duplicates += 1
            continue
        result.events[event.customer, event.identity] = event
        result.latest_us = event.us if result.latest_us is None else max(result.latest_us, event.us)
        result.late += sum(late_windows(rules, metric, event, clock) for metric in rules.metrics.values())
        unusable = [key for key, metric in rules.metrics.items() if not usable(metric, event)]
        if unusable:
            result.rejected.append(
                {"line": number, "reason": "bad_value", "kind": "partial", "metrics": unusable, "detail": ""}
            )
    return result


def usable(metric: dict[str, Any], event: Event) -> bool:
    """Whether the metric has no fault to find with the event's value."""
    try:
        read(metric, event)
    except BadValueError:
        return False
    return True


def late_windows(rules: Rules, metric: dict[str, Any], event: Event, clock: int) -> int:
    """For how many of the metric's windows a worker would have left the event out."""
    try:
        reading = read(metric, event)
    except BadValueError:
        return 0
    return 0 if reading is None else len(late_kinds(rules, metric, event, clock))


def late_kinds(
    rules: Rules, metric: dict[str, Any], event: Event, clock: int, keep: Callable[[str], int] | None = None
) -> list[str]:
    """The window kinds of the metric whose window of the event is no longer kept at the clock.

    A window is kept for `[end, end + retention)` after its end. A gauge or a sliding rate is
    late by the event, for all windows: a gauge by `max_age`, which is the caller's to check.
    """
    kinds = rules.windows(metric)
    own = lateness(metric)
    if metric["type"] == "gauge" or metric.get("sliding"):
        horizon = own if own is not None else SLIDING_LATENESS if metric.get("sliding") else None
        return kinds if horizon is not None and clock - event.us > horizon else []
    late = []
    for kind in kinds:
        end = rules.calendar(event.customer).window(kind, event.us // SECOND)[1]
        kept = own if own is not None else (keep or retention)(kind)
        if end is not None and clock >= end * SECOND + kept:
            late.append(kind)
    return late


def retention(kind: str) -> int:
    """Microseconds for which a window is kept after its end, unless the settings say otherwise."""
    return KEPT.get(kind, KEPT_LONGER)


def readings_of(metric: dict[str, Any], events: Any) -> dict[str, list[Reading]]:
    """The readings of each customer that the metric counts."""
    found: dict[str, list[Reading]] = {}
    for event in events:
        try:
            reading = read(metric, event)
        except BadValueError:
            continue
        if reading is not None:
            found.setdefault(event.customer, []).append(reading)
    return found


def rows_of(
    rules: Rules,
    key: str,
    metric: dict[str, Any],
    customer: str,
    readings: list[Reading],
    last_us: int,
    billable: str | None,
) -> list[dict[str, Any]]:
    """The rows of one customer and metric, up to the windows that hold `last_us`."""
    days = rules.calendar(customer)
    rows = []
    for group, members in by_group(readings).items():
        line = timeline(metric, members) if metric["type"] == "gauge" else None
        for kind in rules.windows(metric):
            for window in shown_windows(days, kind, members, last_us, every=line is not None):
                value = rounded(leaving(value_of(metric, members, line, window, days)), metric.get("rounding"))
                row: dict[str, Any] = {
                    "customer": customer,
                    "metric": key,
                    "window": kind,
                    "start": shown(window[0]),
                    "end": shown(window[1]),
                    "group": group,
                    "value": decimal_text(value),
                    "events": len(inside(members, window)),
                }
                if kind == billable:
                    row["billable"] = attribute(shares(metric, members, line, window, days), value)
                rows.append(row)
    return rows


def shown_windows(days: Calendar, kind: str, members: list[Reading], last_us: int, *, every: bool) -> list[Window]:
    """The windows that have events or, for a gauge, every one from its first event on; none after `last_us`."""
    if every:
        return list(days.windows(kind, members[0].us, last_us))
    found = dict.fromkeys(days.window(kind, one.us // SECOND) for one in members)
    return [window for window in found if window[0] is None or window[0] * SECOND <= last_us]


def value_of(
    metric: dict[str, Any], members: list[Reading], line: Timeline | None, window: Window, days: Calendar
) -> Fraction:
    """The exact value of one row."""
    if line is not None:
        return gauge(metric, line, window, days)
    if metric["type"] == "rate":
        return rate(metric, members, window, days)
    return counter(metric, members, window)


def shares(
    metric: dict[str, Any], members: list[Reading], line: Timeline | None, window: Window, days: Calendar
) -> Any:
    """The parts of one row's value, by day."""
    if line is not None:
        return gauge_shares(metric, line, window, days)
    if metric["type"] == "rate":
        return rate_shares(metric, members, window, days)
    return counter_shares(metric, members, window, days)


def place(row: dict[str, Any]) -> tuple[Any, ...]:
    """Customer, metric and group by the bytes of their compact JSON ({} first), window, start."""
    group = row["group"]
    return (
        compact(row["customer"]),
        compact(row["metric"]),
        group != OVERALL,
        group,
        KINDS.index(row["window"]),
        row["start"] or "",
    )


def finished(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its group as a dict."""
    group = json.loads(row["group"], parse_int=Number, parse_float=Number)
    return row | {"group": {key: python_number(v) if isinstance(v, Number) else v for key, v in group.items()}}
