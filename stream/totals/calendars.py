"""The calendar as the gate reads it: which windows hold Redis's present time, also where no event has come yet.

A calendar is JSON: for each window kind, spans `[from, to, length]` in seconds. The windows of a span lie end to end
from `from`, each `length` long, the last one ending at `to`. A span covers [from, to): 26 hours ahead for minutes
and hours, up to the end of the next window for longer kinds, and at least the two hours past, in which the holds lie.
"""

import json
from collections.abc import Iterable

from stream.core.calendar import KINDS, Calendar, calendar_for

PAST_S = 2 * 3600
AHEAD_S = 26 * 3600
RENEWED_EVERY_US = 3600 * 1_000_000
"""Well before what is covered ends, so that a worker's short absence does not leave the gate without a calendar."""


def name_of(zone: str, anchor_day: int | None) -> str:
    """The name of a calendar: its zone, and the day on which its billing periods start.

    >>> name_of("Europe/Berlin", 15), name_of("UTC", None)
    ('Europe/Berlin 15', 'UTC')
    """
    return zone if anchor_day is None else f"{zone} {anchor_day}"


def calendar_named(name: str) -> Calendar:
    """The calendar that `name_of` named."""
    zone, _, day = name.partition(" ")
    return calendar_for(zone, int(day) if day else None)


def calendar_text(calendar: Calendar, kinds: Iterable[str], now_us: int) -> str:
    """The windows of these kinds around an instant (microseconds since the epoch)."""
    now = now_us // 1_000_000
    spans = {kind: _spans(calendar, KINDS.index(kind), now) for kind in kinds if kind != "total"}
    return json.dumps(spans, separators=(",", ":"))


def _spans(calendar: Calendar, kind: int, now: int) -> list[list[int]]:
    if kind == 0:
        return [span for start, end, _ in _spans(calendar, 1, now) for span in _minutes(calendar, start, end)]
    start = calendar.start(kind, now - PAST_S)
    until = now + AHEAD_S if kind == 1 else now + 1
    spans: list[list[int]] = []
    ahead = 0
    while ahead < 2:
        end = calendar.end(kind, start)
        assert end is not None, "only the window total has no end"
        if spans and spans[-1][2] == end - start:
            spans[-1][1] = end
        else:
            spans.append([start, end, end - start])
        ahead += end >= until
        start = end
    return spans


def _minutes(calendar: Calendar, start: int, end: int) -> list[list[int]]:
    """The minutes of a run of hours; where an hour is no whole number of minutes, each by itself."""
    if (end - start) % 60 == 0 and calendar.end(0, start) == start + 60:
        return [[start, end, 60]]
    spans = []
    while start < end:
        stop = calendar.end(0, start)
        assert stop is not None, "a minute ends"
        spans.append([start, stop, stop - start])
        start = stop
    return spans
