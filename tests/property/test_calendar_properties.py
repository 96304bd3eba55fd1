"""What holds of the windows of every zone, kind and instant."""

from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings, strategies as st

from stream.core.calendar import KINDS, TOTAL, calendar_for
from stream.core.clocks import clock_of
from stream.core.timestamps import BEYOND, FIRST

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
SOME = [
    "UTC", "America/New_York", "Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Beirut",
    "Pacific/Apia", "America/St_Johns", "America/Juneau", "Asia/Manila", "Africa/Monrovia", "America/Toronto", "Africa/Casablanca",
    "Europe/Amsterdam", "Europe/Dublin", "Antarctica/Troll", "Pacific/Kwajalein", "America/Godthab", "Asia/Gaza",
]  # fmt: skip


def changes(zone: str, year: int) -> list[int]:
    """The seconds at which the zone's clock changes in a year, found hour by hour from its offsets."""
    clock, start = clock_of(zone), (year - 1970) * 31_556_952 // 86400 * 86400
    found = [clock.change(day, day + 86400) for day in range(start, start + 366 * 86400, 86400)]
    return [second for second in found if second is not None]


@st.composite
def instants(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and an instant, half of them within two days of a change of its clock."""
    zone = draw(st.sampled_from(SOME) | st.sampled_from(ZONES))
    near = changes(zone, draw(st.integers(1840, 2040))) if draw(st.booleans()) else []
    if near:
        return zone, draw(st.sampled_from(near)) * 1_000_000 + draw(
            st.sampled_from([-1, 0, 1]) | st.integers(-2 * 10**11, 2 * 10**11)
        )
    return zone, draw(st.integers(FIRST, BEYOND - 1) | st.integers(-(10**15), 4 * 10**15))


@settings(max_examples=300, deadline=None)
@given(instants(), st.sampled_from([None, 1, 15, 28, 29, 30, 31]))
@example(("America/Juneau", -3_225_223_727_000_000), 31)
@example(("America/Toronto", -1_601_753_400_000_000), None)
def test_windows_lie_end_to_end_and_hold_their_instant(where: tuple[str, int], anchor: int | None) -> None:
    """Each kind's window holds the instant, starts and ends in itself, and its end is the next one's start."""
    zone, us = where
    calendar = calendar_for(zone, anchor)
    windows = calendar.windows(us)
    assert windows[0] == us
    for kind in range(TOTAL):
        start = windows[1 + kind]
        end = calendar.end(kind, start)
        assert end is not None
        assert start * 1_000_000 <= us < end * 1_000_000, KINDS[kind]
        assert calendar.windows(start * 1_000_000)[1 + kind] == start
        assert calendar.windows(end * 1_000_000 - 1)[1 + kind] == start
        assert calendar.windows(end * 1_000_000)[1 + kind] == end
        assert calendar.end(kind, us // 1_000_000) == end
        assert calendar.previous(kind, end) == start
        before = calendar.previous(kind, start)
        assert before is not None
        assert calendar.end(kind, before) == start


@settings(max_examples=200, deadline=None)
@given(instants(), st.sampled_from([None, 29, 31]))
def test_shorter_windows_nest_in_longer_ones(where: tuple[str, int], anchor: int | None) -> None:
    """A minute lies in one hour, an hour in one day, and a day in one of each longer kind; months in quarters in years."""
    zone, us = where
    calendar = calendar_for(zone, anchor)
    windows = calendar.windows(us)
    inner_and_outer = [(0, 1), (1, 2), (2, 3), (2, 4), (2, 7), (4, 5), (5, 6)]
    for inner, outer in inner_and_outer:
        inner_end = calendar.end(inner, windows[1 + inner])
        outer_end = calendar.end(outer, windows[1 + outer])
        assert inner_end is not None
        assert outer_end is not None
        assert windows[1 + outer] <= windows[1 + inner] < inner_end <= outer_end


@settings(max_examples=200, deadline=None)
@given(instants())
def test_hours_and_minutes_are_runs_of_the_clock(where: tuple[str, int]) -> None:
    """Through an hour the clock shows one hour, through a minute one minute; none is longer than itself."""
    zone, us = where
    calendar, clock = calendar_for(zone), clock_of(zone)
    windows = calendar.windows(us)
    for kind, size in ((0, 60), (1, 3600)):
        start = windows[1 + kind]
        end = calendar.end(kind, start)
        assert end is not None
        assert 0 < end - start <= size
        assert (start + clock.offset(start)) // size == (end - 1 + clock.offset(end - 1)) // size
        assert clock.offset(start) == clock.offset(end - 1)
        starts_where_the_clock_says = (start + clock.offset(start)) % size == 0
        assert starts_where_the_clock_says or clock.offset(start - 1) != clock.offset(start)


@settings(max_examples=200, deadline=None)
@given(instants())
def test_a_day_begins_when_the_clock_first_shows_it(where: tuple[str, int]) -> None:
    """Just before a day's start the clock showed an earlier date; at it, the day's date; and the date never goes back."""
    zone, us = where
    calendar, clock = calendar_for(zone), clock_of(zone)
    start = calendar.windows(us)[3]
    day = clock.day(start)
    assert (start + clock.offset(start)) // 86400 == day
    assert (start - 1 + clock.offset(start - 1)) // 86400 < day
    end = calendar.end(2, start)
    assert end is not None
    assert clock.day(end) > day


def test_no_zone_changes_its_clock_twice_within_four_days() -> None:
    """What `Clock.change` relies on: two ends of a day with one offset have no change between them."""
    private = pytest.importorskip("zoneinfo._zoneinfo")
    closest = 10**9
    for name in ZONES:
        info = private.ZoneInfo(name)
        offset, last = info._tti_before.utcoff if info._tti_before else None, None
        for at, after in zip(info._trans_utc, info._ttinfos, strict=True):
            if after.utcoff == offset:
                continue
            if last is not None:
                closest = min(closest, at - last)
            offset, last = after.utcoff, at
    assert closest > 3 * 86400
