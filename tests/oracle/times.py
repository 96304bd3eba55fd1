"""Instants and calendar windows, by stepping through a time zone.

Part of the independent judge. An instant is microseconds since the epoch; a window is a pair
of whole seconds `[start, end)`, `(None, None)` for all history.
"""

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.values import JSON_NUMBER, Number, exact, fraction

KINDS = ("minute", "hour", "day", "week", "month", "quarter", "year", "billing_period", "total")
SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_US = -62_135_596_800 * SECOND
END_US = 253_402_300_800 * SECOND
RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
DURATION = re.compile(r"([0-9]+)(ms|s|m|h|d)")
UNIT_US = {"ms": 1_000, "s": SECOND, "m": 60 * SECOND, "h": 3_600 * SECOND, "d": 86_400 * SECOND}

Window = tuple[int | None, int | None]


class BadTimestampError(ValueError):
    """The value is no timestamp of the years 1 to 9999."""


def duration(text: str) -> int:
    """Microseconds of a duration such as 250ms, 5s, 10m, 8h or 35d."""
    match = DURATION.fullmatch(text)
    assert match is not None, text
    return int(match[1]) * UNIT_US[match[2]]


def instant(value: Any) -> int:
    """Microseconds of a timestamp as an event carries it; finer digits are cut toward the past."""
    if isinstance(value, str) and JSON_NUMBER.fullmatch(value):
        return of_number(value)
    if isinstance(value, str) and not isinstance(value, Number):
        return of_text(value)
    raise BadTimestampError(repr(value))


def of_number(text: str) -> int:
    """Seconds since the epoch, or milliseconds from 10**11 on."""
    value = exact(text)
    assert value is not None
    if value.adjusted > 20:
        raise BadTimestampError(text)
    if value.adjusted < -20:
        return -1 if value.sign < 0 else 0
    seconds = fraction(value)
    if seconds >= 10**11:
        seconds /= 1_000
    return within((seconds * SECOND).__floor__(), text)


def of_text(text: str) -> int:
    """RFC 3339 with an offset; no leap second, no space for the T."""
    match = RFC3339.fullmatch(text)
    if match is None:
        raise BadTimestampError(text)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise BadTimestampError(text) from error
    offset = 0
    if match[8]:
        if int(match[9]) > 23 or int(match[10]) > 59:
            raise BadTimestampError(text)
        offset = (int(match[9]) * 60 + int(match[10])) * 60 * (-1 if match[8] == "-" else 1)
    microseconds = int(((match[7] or "") + "000000")[:6])
    return within(((local - EPOCH) // timedelta(seconds=1) - offset) * SECOND + microseconds, text)


def within(us: int, text: str) -> int:
    """The instant itself, if it lies in the years 1 to 9999."""
    if not FIRST_US <= us < END_US:
        raise BadTimestampError(text)
    return us


def shown(seconds: int | None) -> str | None:
    """A window's bound as a row shows it, in UTC."""
    if seconds is None:
        return None
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


class Calendar:
    """The windows of one time zone and one billing anchor's day (None: calendar months)."""

    def __init__(self, zone: str, anchor_day: int | None = None) -> None:
        self.zone = ZoneInfo(zone)
        self.anchor_day = 1 if anchor_day is None else anchor_day
        self.window = cache(self._window)
        self.day_of = cache(self._day_of)
        self.first_instant = cache(self._first_instant)

    def offset(self, second: int) -> int:
        """Seconds that the zone's clock is ahead of UTC at an instant."""
        at = (EPOCH + timedelta(seconds=second)).astimezone(self.zone).utcoffset()
        assert at is not None
        return at // timedelta(seconds=1)

    def change(self, low: int, high: int) -> int | None:
        """The first second in (low, high] with another offset than at low, stepping by a quarter of an hour."""
        here = self.offset(low)
        step = low
        while step < high:
            before, step = step, min(step + 900, high)
            if self.offset(step) != here:
                while step - before > 1:
                    middle = (before + step) // 2
                    before, step = (middle, step) if self.offset(middle) == here else (before, middle)
                return step
        return None

    def _first_instant(self, day: date) -> int:
        """The first second at which the zone's calendar shows this day, or a later one."""
        midnight = (day - EPOCH.date()).days * 86_400
        second = midnight - 2 * 86_400
        while True:
            offset = self.offset(second)
            change = self.change(second, second + 4 * 86_400)
            if change is None or midnight - offset < change:
                return max(second, midnight - offset)
            second = change

    def _day_of(self, second: int) -> date:
        """The day whose `[first instant, next day's first instant)` holds this second."""
        day = (EPOCH + timedelta(seconds=second)).astimezone(self.zone).date() + timedelta(2)
        while self.first_instant(day) > second:
            day -= timedelta(1)
        return day

    def _window(self, kind: str, second: int) -> Window:
        """The window of a kind that holds a second; also of the units that a gauge is prorated by."""
        if kind == "total":
            return (None, None)
        if kind == "second":
            return (second, second + 1)
        if kind in {"minute", "hour"}:
            return self.clock_window(60 if kind == "minute" else 3_600, second)
        start = self.unit_start(kind, self.day_of(second))
        return (self.first_instant(start), self.first_instant(self.next_start(kind, start)))

    def clock_window(self, length: int, second: int) -> tuple[int, int]:
        """The minute or hour of the zone's own clock: it ends early where the clock is put forward or back."""
        offset = self.offset(second)
        start = (second + offset) // length * length - offset
        end = start + length
        while (change := self.change(start, second)) is not None:
            start = change
        return (start, self.change(second, end) or end)

    def unit_start(self, kind: str, day: date) -> date:
        """The first day of the unit that a day belongs to."""
        match kind:
            case "day":
                return day
            case "week":
                return day - timedelta(day.weekday())
            case "month":
                return day.replace(day=1)
            case "quarter":
                return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
            case "year":
                return day.replace(month=1, day=1)
        assert kind == "billing_period", kind
        anchored = self.anchored(day.year, day.month)
        return anchored if anchored <= day else self.anchored(*month_after(day.year, day.month, -1))

    def anchored(self, year: int, month: int) -> date:
        """The anchor's day in a month, or the month's last day where it lacks that."""
        return date(year, month, min(self.anchor_day, calendar.monthrange(year, month)[1]))

    def next_start(self, kind: str, start: date) -> date:
        """The first day of the unit after the one that starts on a day."""
        match kind:
            case "day" | "week":
                return start + timedelta(1 if kind == "day" else 7)
            case "billing_period":
                return self.anchored(*month_after(start.year, start.month, 1))
        year, month = month_after(start.year, start.month, {"month": 1, "quarter": 3, "year": 12}[kind])
        return date(year, month, 1)

    def windows(self, kind: str, first_us: int, last_us: int) -> Iterator[Window]:
        """Every window of a kind from the one that holds the first instant to the one that holds the last."""
        last = last_us // SECOND
        window = self.window(kind, first_us // SECOND)
        if kind == "total":
            yield window
            return
        while window[0] is not None and window[0] <= last:
            yield window
            assert window[1] is not None
            window = self.window(kind, window[1])


def month_after(year: int, month: int, months: int) -> tuple[int, int]:
    """The year and month so many months later (or earlier)."""
    count = year * 12 + month - 1 + months
    return count // 12, count % 12 + 1


@cache
def calendar_for(zone: str, anchor_day: int | None) -> Calendar:
    """One calendar for each zone and anchor, so that its answers are remembered."""
    return Calendar(zone, anchor_day)


def spans(start: int, end: int, cuts: list[int]) -> Iterator[tuple[int, int]]:
    """`[start, end)` cut at the given points.

    >>> list(spans(0, 10, [4, 12, 0]))
    [(0, 4), (4, 10)]
    """
    edges = sorted({start, end, *(cut for cut in cuts if start < cut < end)})
    yield from pairwise(edges)
