"""Windows of the calendar: which hour, day, month, ... of a time zone holds an instant.

Windows are half-open: the hour [12:00, 13:00) holds 12:00:00 and 12:59:59.999999, not 13:00:00. The windows
of one kind lie end to end, in the zone's own clock. An hour (or minute) is one run of the clock through one
hour: both 01:00 hours of autumn are windows of their own, at +05:30 an hour starts at half past in UTC, and
where a clock is put forward or back in the midst of an hour, a window ends and another begins there (so Lord
Howe's change of half an hour leaves one of 30 minutes). When a day begins is said in `clocks`. Every hour lies
in one day, and every day in one week, month, quarter, year and billing period.
"""

from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import ClassVar

from schemas.definitions import KINDS
from stream.core.clocks import DAY, Clock, clock_of
from stream.core.timestamps import SECOND, date_of_day, day_of_date, microseconds, show_date

__all__ = ["KINDS", "TOTAL", "Calendar", "calendar_for"]

MINUTE_KIND, HOUR_KIND, DAY_KIND, WEEK, MONTH, QUARTER, YEAR, BILLING_PERIOD, TOTAL = range(9)
_MONTHS = {MONTH: 1, QUARTER: 3, YEAR: 12, BILLING_PERIOD: 1}
_SIZE = (60, 3600)

STAMPS = 1 << 18
"""How many timestamps all calendars together may remember, at some 300 bytes each."""

Windows = tuple[int, ...]
Piece = tuple[
    int, int, int, bool, Windows
]  # from, offset, change of clock, minutes may be cached, starts of day and longer


class Calendar(dict[str | int | Decimal, Windows]):
    """The windows of one time zone and billing anchor, by instant or by timestamp as written.

    `calendar[stamp]` is `(us, start of minute, of hour, ..., of billing period, 0)`: microseconds since the
    epoch, then the starts in whole seconds in the order of `KINDS`; so `calendar[stamp][1 + kind]`. It raises
    `BadTimestamp`. It remembers what it was asked, within bounds; look up nothing but str, int and Decimal.
    """

    __slots__ = ("_days", "_ends", "_minutes", "anchor", "clock")
    room: ClassVar[int] = 1 << 16

    def __init__(self, clock: Clock, anchor: int) -> None:
        """`anchor` is the day of the month, 1 to 31, on which billing periods begin."""
        super().__init__()
        if not 1 <= anchor <= 31:
            raise ValueError(f"a billing anchor is a day of the month, 1 to 31, not {anchor}")
        self.clock, self.anchor = clock, anchor
        self._minutes: dict[int, Windows] = {}
        self._days: dict[int, tuple[Piece, ...]] = {}
        self._ends: dict[tuple[int, int], int] = {}

    def __missing__(self, stamp: str | int | Decimal) -> Windows:
        us = microseconds(stamp)
        windows = self.windows(us)
        if us % 1000 == 0:  # finer than a millisecond is hardly ever seen twice
            if len(self) >= self.room:
                self.clear()
            self[stamp] = windows
        return windows

    def windows(self, us: int) -> Windows:
        """The same tuple of an instant in microseconds; any instant, also outside the years 1 to 9999."""
        second = us // SECOND
        tail = self._minutes.get(second // 60)
        if tail is None:
            return (us, *self._starts(second))
        return (us, *tail)

    def _starts(self, second: int) -> Windows:
        """The starts of all kinds of windows that hold this second."""
        pieces = self._days.get(second // DAY) or self._pieces(second // DAY)
        at = -1
        while pieces[at][0] > second:
            at -= 1
        _, offset, change, cached, dates = pieces[at]
        local = second + offset
        minute, hour = second - local % 60, second - local % 3600
        starts = (max(minute, change), max(hour, change), *dates, 0)
        if cached:
            if len(self._minutes) >= self.room:
                self._minutes.clear()
            self._minutes[second // 60] = starts
        return starts

    def _pieces(self, utc_day: int) -> tuple[Piece, ...]:
        """A UTC day cut where the clock changes and where local days begin."""
        clock, start, beyond = self.clock, utc_day * DAY, (utc_day + 1) * DAY
        cuts = {start} | {at for at, _ in clock.spans(utc_day) if start <= at < beyond}
        last = clock.day(beyond - 1)
        cuts |= {at for day in range(clock.day(start), last + 1) if start <= (at := clock.midnight(day)) < beyond}
        ordered = [*sorted(cuts), beyond]
        pieces = []
        for at, until in pairwise(ordered):
            change = clock.last_change(at)
            offset = clock.offset(at)
            dates = tuple(clock.midnight(self._first(kind, clock.day(at))) for kind in range(DAY_KIND, TOTAL))
            whole = at % 60 == until % 60 == offset % 60 == 0
            pieces.append((at, offset, at - DAY if change is None else change, whole, dates))
        if len(self._days) >= 4096:
            self._days.clear()
        self._days[utc_day] = tuple(pieces)
        return self._days[utc_day]

    def _first(self, kind: int, day: int) -> int:
        """The first local day of the period of this kind that holds a local day."""
        if kind == DAY_KIND:
            return day
        if kind == WEEK:
            return day - (day + 3) % 7  # day 0 was a Thursday
        year, month, of_month = date_of_day(day)
        if kind == BILLING_PERIOD:
            if of_month < _clamped(year, month, self.anchor):
                year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            return day_of_date(year, month, _clamped(year, month, self.anchor))
        months = _MONTHS[kind]
        return day_of_date(year, (month - 1) // months * months + 1)

    def _next(self, kind: int, day: int) -> int:
        """The first local day of the period after the one that holds a local day."""
        first = self._first(kind, day)
        if kind in {DAY_KIND, WEEK}:
            return first + (1 if kind == DAY_KIND else 7)
        year, month, _ = date_of_day(first)
        months = year * 12 + month - 1 + _MONTHS[kind]
        year, month = months // 12, months % 12 + 1
        return day_of_date(year, month, _clamped(year, month, self.anchor) if kind == BILLING_PERIOD else 1)

    def end(self, kind: int, start: int) -> int | None:
        """The exclusive end, in seconds, of the window that starts at (or holds) a second; None for `total`."""
        if kind == TOTAL:
            return None
        end = self._ends.get((kind, start))
        if end is None:
            if len(self._ends) >= 1 << 14:
                self._ends.clear()
            end = self._ends[kind, start] = self._end(kind, start)
        return end

    def _end(self, kind: int, start: int) -> int:
        clock = self.clock
        if kind >= DAY_KIND:
            return clock.midnight(self._next(kind, clock.day(start)))
        end = start + _SIZE[kind] - (start + clock.offset(start)) % _SIZE[kind]
        change = clock.change(start, end)
        return end if change is None else change

    def next(self, kind: int, start: int) -> int | None:
        """The start of the window after this one, which is this one's end; None for `total`."""
        return self.end(kind, start)

    def previous(self, kind: int, start: int) -> int | None:
        """The start of the window before the one that starts at `start`; None for `total`."""
        return None if kind == TOTAL else self._starts(start - 1)[kind]

    def start(self, kind: int, second: int) -> int:
        """The start of the window of this kind that holds a second."""
        return self._starts(second)[kind]

    def date(self, second: int) -> str:
        """The local date that holds a second, like `2026-03-05`."""
        return show_date(self.clock.day(second))


def _clamped(year: int, month: int, day: int) -> int:
    """The day of the month, or the month's last day where it has no such day."""
    if day <= 28:
        return day
    following = day_of_date(year + month // 12, month % 12 + 1)
    return min(day, following - day_of_date(year, month))


@lru_cache(maxsize=4096)
def _shared(zone: str, anchor: int) -> Calendar:
    # each calendar keeps an equal share of STAMPS, but at least 256 entries and at most 65536
    Calendar.room = min(max(STAMPS // (_shared.cache_info().currsize + 1), 256), 1 << 16)
    return Calendar(clock_of(zone), anchor)


def calendar_for(zone: str, anchor: int | None = None) -> Calendar:
    """The one calendar of a time zone and billing anchor day; without an anchor, billing periods are months.

    Raises `zoneinfo.ZoneInfoNotFoundError` or `ValueError` for a zone that does not exist.
    """
    return _shared(zone, 1 if anchor is None else anchor)
