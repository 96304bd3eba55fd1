"""The demo's judge: every total, counted again from the events as they were sent.

It imports nothing of the house it judges, only Python's own library, and it is written in the simplest way there is:
all events in a list, one pass, one dict. What it finds is compared with what stands in Redis.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

Series = tuple[str, str, str, str, int | None]
"""Customer, metric, group as JSON (empty for the overall total), window, start in seconds (None for `total`)."""

WEEK_S = 7 * 86400
WINDOWS = ("hour", "day", "month", "total")
MEASURED = {
    "request": (("requests", None, None), ("tokens", "tokens", "model"), ("cost", "cost", None)),
    "job": (("jobs", None, None),),
}
"""For each event name its metrics: the property that is added up (None: events are counted), and that which groups."""


@dataclass
class Sent:
    """What was sent of one customer."""

    events: int = 0
    duplicates: int = 0
    too_old: int = 0


@dataclass
class Recount:
    """What must stand in Redis (each series' value and events), and what was sent of each customer."""

    totals: dict[Series, tuple[str, int]]
    sent: dict[str, Sent] = field(default_factory=dict)

    @property
    def duplicates(self) -> int:
        """How many lines had an id that had been there before."""
        return sum(sent.duplicates for sent in self.sent.values())


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


def recount(lines: Iterable[bytes], now: float) -> Recount:
    """Count the demo's metrics; `now` (seconds since the epoch) is when it began: what was a week older does not count."""
    seen: set[tuple[str, str]] = set()
    sent: dict[str, Sent] = {}
    values: dict[Series, Decimal] = {}
    events: dict[Series, int] = {}
    for line in lines:
        event = json.loads(line, parse_float=Decimal)
        customer, at = event["customer_id"], event["timestamp"]
        of_customer = sent.setdefault(customer, Sent())
        of_customer.events += 1
        if (customer, event["id"]) in seen:
            of_customer.duplicates += 1
            continue
        if at < now - WEEK_S:
            of_customer.too_old += 1
            continue
        seen.add((customer, event["id"]))
        properties = event["properties"]
        for metric, added, grouped in MEASURED[event["event_name"]]:
            value = Decimal(1) if added is None else Decimal(properties[added])
            group = "" if grouped is None else json.dumps({grouped: properties[grouped]}, separators=(",", ":"))
            for shown in {"", group}:
                for window in WINDOWS:
                    series = (customer, metric, shown, window, start_of(window, int(at)))
                    values[series] = values.get(series, Decimal(0)) + value
                    events[series] = events.get(series, 0) + 1
    return Recount({series: (plain(value), events[series]) for series, value in values.items()}, sent)


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
