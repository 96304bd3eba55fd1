"""A time zone's clock, by whole seconds: its offset at an instant, and when each of its days begins.

A day begins at the first instant at which the zone's clock shows that day's midnight or later, and ends
where the next one begins. So where the clock jumps from 00:00 to 01:00 the day begins at 01:00, where it
falls back over midnight the day begins once, at the first midnight, and a day that a zone skipped
(Apia's 30 December 2011) has no instant. Instants are seconds since the epoch, days count from 1970-01-01.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from stream.core.timestamps import DAYS_OF_400_YEARS, EPOCH

DAY = 86400
_CYCLE = DAYS_OF_400_YEARS * DAY
# Zone rules repeat with the calendar every 400 years, and before the year 1000 each zone keeps its first offset.
# Within these bounds datetime can also hold the local time.
_FROM = int((datetime(500, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
_TO = int((datetime(9500, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())


class Clock:
    """The clock of one named zone. Raises `zoneinfo.ZoneInfoNotFoundError` for a name that is none."""

    def __init__(self, name: str) -> None:
        """`name` is one of the IANA time zone database, like `America/New_York`."""
        self.name = name
        self._info = ZoneInfo(name)
        self.offset = lru_cache(maxsize=4096)(self._offset)
        self.spans = lru_cache(maxsize=4096)(self._spans)
        self.midnight = lru_cache(maxsize=4096)(self._midnight)

    def _offset(self, second: int) -> int:
        """Seconds that the zone's clock is ahead of UTC at this instant."""
        if second >= _TO:
            second -= -(-(second - _TO + 1) // _CYCLE) * _CYCLE
        elif second < _FROM:
            second += -(-(_FROM - second) // _CYCLE) * _CYCLE
        local = (EPOCH + timedelta(seconds=second)).astimezone(self._info)
        shift = local.utcoffset()
        assert shift is not None
        return shift.days * DAY + shift.seconds

    def change(self, after: int, until: int) -> int | None:
        """The first second in (after, until] at which the offset is another, or None.

        At most a day apart: a zone never changes its clock twice within four days (tested for all
        zones), which is what lets this compare the two ends and search between them.
        """
        before = self.offset(after)
        if self.offset(until) == before:
            return None
        while until - after > 1:
            middle = (after + until) // 2
            if self._offset(middle) == before:
                after = middle
            else:
                until = middle
        return until

    def _spans(self, day: int) -> tuple[tuple[int, int], ...]:
        """(from second, offset) of each run of one offset, from two UTC days before this one to two after it."""
        start = (day - 2) * DAY
        spans = [(start, self.offset(start))]
        for at in range(start, start + 5 * DAY, DAY):
            change = self.change(at, at + DAY)
            if change is not None:
                spans.append((change, self.offset(change)))
        return tuple(spans)

    def _midnight(self, day: int) -> int:
        """The instant at which the local day begins: the first whose clock shows this midnight or later."""
        spans = self.spans(day)  # offsets are below 24 hours, so the midnight lies within a day of UTC's
        for number, (start, offset) in enumerate(spans):
            at = max(start, day * DAY - offset)
            if number + 1 == len(spans) or at < spans[number + 1][0]:
                return at
        raise AssertionError(day)

    def day(self, second: int) -> int:
        """The local day that holds this instant: the last one that has begun."""
        day = (second + self.offset(second)) // DAY
        while self.midnight(day + 1) <= second:  # fallen back over midnight, or the day was skipped
            day += 1
        while self.midnight(day) > second:
            day -= 1
        return day

    def last_change(self, second: int) -> int | None:
        """The last change of the clock at or before this instant, if within the day before it."""
        spans = self.spans(second // DAY)
        number = bisect_right(spans, second, key=lambda span: span[0]) - 1
        return spans[number][0] if number else None


@lru_cache(maxsize=1024)
def clock_of(name: str) -> Clock:
    """The one `Clock` of this zone."""
    return Clock(name)
