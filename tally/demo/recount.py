"""The demo's judge: every total, counted again from the events as they were sent.

It imports nothing of the house it judges, only Python's own library, and it is written in the simplest way there is:
all events in a list, one pass, one dict. What it finds is compared with what stands in Redis.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

Series = tuple[str, str, str, str, int | None]
"""Customer, metric, group as JSON (empty for the overall total), window, start in seconds (None for `total`)."""

WEEK_S = 7 * 86400
WINDOWS = ("hour", "day", "month", "total")


def start_of(window: str, seconds: int) -> int | None:
    """The start of the UTC window that holds a time.

    >>> start_of("hour", 1772715599), start_of("month", 1772712000), start_of("total", 1)
    (1772712000, 1772323200, None)
    """
    if window == "hour":
        return seconds // 3600 * 3600
    if window == "day":
        return seconds // 86400 * 86400
    if window == "month":
        moment = datetime.fromtimestamp(seconds, UTC)
        return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp())
    return None


def recount(lines: Iterable[bytes], now: float) -> tuple[dict[Series, tuple[str, int]], int]:
    """Count the demo's three metrics: each series' value and events, and how many lines were duplicates.

    `now` (seconds since the epoch) is when the events were sent: older ones than a week do not count.
    """
    seen: set[tuple[str, str]] = set()
    values: dict[Series, Decimal] = {}
    events: dict[Series, int] = {}
    duplicates = 0
    for line in lines:
        event = json.loads(line, parse_float=Decimal)
        customer, at = event["customer_id"], event["timestamp"]
        if (customer, event["id"]) in seen:
            duplicates += 1
            continue
        if at < now - WEEK_S:
            continue
        seen.add((customer, event["id"]))
        properties = event["properties"]
        group = json.dumps({"model": properties["model"]}, separators=(",", ":"))
        for metric, value, groups in (
            ("requests", Decimal(1), ("",)),
            ("tokens", Decimal(properties["tokens"]), ("", group)),
            ("cost", Decimal(properties["cost"]), ("",)),
        ):
            for shown in groups:
                for window in WINDOWS:
                    series = (customer, metric, shown, window, start_of(window, int(at)))
                    values[series] = values.get(series, Decimal(0)) + value
                    events[series] = events.get(series, 0) + 1
    return {series: (plain(value), events[series]) for series, value in values.items()}, duplicates


def plain(value: Decimal) -> str:
    """The shortest plain form: 1.5, not 1.50 or 15E-1."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def compare(wanted: Mapping[Series, tuple[str, int]], found: Mapping[Series, tuple[str, int]], now: float) -> list[str]:
    """Every difference, a sentence each.

    Redis holds the windows that are open and the last ended one: each of its rows must be right, and none of an open
    window may be missing.
    """
    faults = [
        f"{_name(series)}: Redis says {value} in {events} events, the recount {_spell(wanted.get(series))}"
        for series, (value, events) in sorted(found.items(), key=lambda item: _name(item[0]))
        if wanted.get(series) != (value, events)
    ]
    faults += [
        f"{_name(series)}: Redis has nothing, the recount {_spell(wanted[series])}"
        for series in sorted(wanted, key=_name)
        if series not in found and series[4] == start_of(series[3], int(now))
    ]
    return faults


def _name(series: Series) -> str:
    customer, metric, group, window, start = series
    return f"{customer} {metric}{group} {window}" + (
        "" if start is None else f" from {datetime.fromtimestamp(start, UTC)}"
    )


def _spell(total: tuple[str, int] | None) -> str:
    return "nothing" if total is None else f"{total[0]} in {total[1]}"
