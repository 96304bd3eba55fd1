"""Windows of the calendar, in zones whose clocks do odd things."""

import pytest

from stream.core.calendar import KINDS, TOTAL, Calendar, calendar_for
from stream.core.timestamps import BadTimestamp, microseconds, show


def window(calendar: Calendar, kind: str, stamp: str) -> tuple[str, str]:
    """Start and end, as text, of the window of a kind that holds a timestamp."""
    index = KINDS.index(kind)
    start = calendar[stamp][1 + index]
    end = calendar.end(index, start)
    assert end is not None
    return show(start), show(end)


def hours(zone: str, first: str, count: int) -> list[str]:
    """The starts of hours from the one that holds `first`."""
    calendar = calendar_for(zone)
    at = calendar[first][2]
    starts = []
    for _ in range(count):
        starts.append(show(at)[5:16])
        following = calendar.next(1, at)
        assert following is not None
        at = following
    return starts


@pytest.mark.parametrize(
    "kind, start, end",
    [
        ("minute", "2026-03-05T12:34:00Z", "2026-03-05T12:35:00Z"),
        ("hour", "2026-03-05T12:00:00Z", "2026-03-05T13:00:00Z"),
        ("day", "2026-03-05T00:00:00Z", "2026-03-06T00:00:00Z"),
        ("week", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"),
        ("month", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("quarter", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("year", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("billing_period", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
    ],
)
def test_windows_of_utc(kind: str, start: str, end: str) -> None:
    """Each kind holds the instant in its calendar window, which ends where the next begins."""
    assert window(calendar_for("UTC"), kind, "2026-03-05T12:34:56.789Z") == (start, end)


def test_an_instant_on_the_bound_belongs_to_the_window_that_starts_there() -> None:
    """Windows are half-open: [12:00, 13:00) lacks 13:00:00 and holds the microsecond before."""
    utc = calendar_for("UTC")
    assert window(utc, "hour", "2026-03-05T13:00:00Z")[0] == "2026-03-05T13:00:00Z"
    assert window(utc, "hour", "2026-03-05T12:59:59.999999Z")[0] == "2026-03-05T12:00:00Z"
    assert window(utc, "week", "2026-03-08T23:59:59.999999Z")[0] == "2026-03-02T00:00:00Z"


def test_total_starts_at_nought_and_never_ends() -> None:
    """The window of all history has the start 0 and neither end nor neighbours."""
    utc = calendar_for("UTC")
    assert utc["2026-03-05T12:34:56Z"][1 + TOTAL] == 0
    assert utc.end(TOTAL, 0) is utc.next(TOTAL, 0) is utc.previous(TOTAL, 0) is None


def test_before_1970_windows_start_in_the_past() -> None:
    """Negative instants belong to the window that began before them."""
    assert calendar_for("UTC").windows(-1) == (
        -1,
        -60,
        -3600,
        -86400,
        -259200,
        -2678400,
        -7948800,
        -31536000,
        -2678400,
        0,
    )


def test_every_spelling_of_an_instant_gives_the_same_windows() -> None:
    """Text, number and numeric text of one instant give equal windows."""
    paris = calendar_for("Europe/Paris")
    assert (
        paris["2026-03-05T12:00:00Z"] == paris[1772712000] == paris["1772712000"] == paris["2026-03-05T13:00:00+01:00"]
    )


def test_what_is_no_timestamp_raises_each_time() -> None:
    """A refused timestamp is not remembered as anything."""
    for _ in range(2):
        with pytest.raises(BadTimestamp):
            calendar_for("UTC")["2026-03-05 12:00:00Z"]


def test_hours_follow_the_zone_s_own_clock() -> None:
    """At +05:30 an hour starts at half past in UTC, at +05:45 at a quarter past."""
    assert window(calendar_for("Asia/Kolkata"), "hour", "2026-03-05T12:15:00Z") == (
        "2026-03-05T11:30:00Z",
        "2026-03-05T12:30:00Z",
    )
    assert window(calendar_for("Asia/Kathmandu"), "hour", "2026-03-05T12:15:00Z") == (
        "2026-03-05T12:15:00Z",
        "2026-03-05T13:15:00Z",
    )


def test_days_of_daylight_saving_have_23_and_25_hours() -> None:
    """New York's spring day lacks an hour, its autumn day has both 01:00 hours as windows of their own."""
    york = calendar_for("America/New_York")
    assert window(york, "day", "2026-03-08T12:00:00Z") == ("2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z")
    assert window(york, "day", "2026-11-01T12:00:00Z") == ("2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z")
    assert hours("America/New_York", "2026-11-01T04:59:00Z", 4) == [
        "11-01T04:00",
        "11-01T05:00",
        "11-01T06:00",
        "11-01T07:00",
    ]
    assert window(york, "month", "2026-11-01T04:30:00Z") == ("2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z")


def test_a_change_of_half_an_hour_leaves_windows_of_half_an_hour() -> None:
    """Lord Howe's clock goes from 02:00 back to 01:30, and from 02:00 on to 02:30."""
    assert hours("Australia/Lord_Howe", "2026-04-04T14:00:00Z", 4) == [
        "04-04T14:00",
        "04-04T15:00",
        "04-04T15:30",
        "04-04T16:30",
    ]
    assert hours("Australia/Lord_Howe", "2026-10-03T14:30:00Z", 4) == [
        "10-03T14:30",
        "10-03T15:30",
        "10-03T16:00",
        "10-03T17:00",
    ]


def test_an_instant_after_such_a_change_lies_in_the_shorter_window() -> None:
    """From the change on, the window begins at the change, though the clock's hour began before it."""
    howe = calendar_for("Australia/Lord_Howe")
    assert window(howe, "hour", "2026-04-04T15:10:00Z") == ("2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z")
    assert window(howe, "hour", "2026-10-03T15:40:00Z") == ("2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z")
    york = calendar_for("America/New_York")
    assert window(york, "minute", "1883-11-18T17:00:30Z") == ("1883-11-18T17:00:00Z", "1883-11-18T17:01:00Z")


def test_a_day_whose_midnight_is_skipped_begins_at_one() -> None:
    """Sao Paulo and Beirut went from 00:00 to 01:00; the day begins when the clock reads 01:00."""
    paulo = calendar_for("America/Sao_Paulo")
    assert window(paulo, "day", "2018-11-04T12:00:00Z") == ("2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z")
    assert window(paulo, "day", "2018-11-04T02:59:59Z") == ("2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z")
    beirut = calendar_for("Asia/Beirut")
    assert window(beirut, "day", "2022-03-27T12:00:00Z") == ("2022-03-26T22:00:00Z", "2022-03-27T21:00:00Z")


def test_a_midnight_that_comes_twice_begins_the_day_once() -> None:
    """Where the clock falls back over midnight, the day begins at the first, and no instant is in two days."""
    paulo = calendar_for("America/Sao_Paulo")  # 2018-02-18 00:00 -02 became 2018-02-17 23:00 -03
    assert window(paulo, "day", "2018-02-18T02:30:00Z") == ("2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z")
    johns = calendar_for("America/St_Johns")  # 2010-11-07 00:01 -02:30 became 2010-11-06 23:01 -03:30
    assert window(johns, "day", "2010-11-07T02:30:30Z") == ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z")
    assert window(johns, "day", "2010-11-07T03:00:00Z") == ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z")
    assert hours("America/St_Johns", "2010-11-07T02:00:00Z", 5) == [
        "11-07T01:30",
        "11-07T02:30",
        "11-07T02:31",
        "11-07T03:30",
        "11-07T04:30",
    ]


def test_a_day_that_a_zone_skipped_has_no_window() -> None:
    """Apia went from 29 December 2011 to the 31st: the days lie end to end."""
    apia = calendar_for("Pacific/Apia")
    assert window(apia, "day", "2011-12-30T09:59:59Z") == ("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z")
    assert window(apia, "day", "2011-12-30T10:00:00Z") == ("2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z")
    start = apia["2011-12-30T10:00:00Z"][3]
    assert apia.date(start) == "2011-12-31"
    assert apia.previous(2, start) == microseconds("2011-12-29T10:00:00Z") // 1_000_000


def test_local_mean_time_counts_its_seconds() -> None:
    """Before standard time New York's clock was 4:56:02 behind; its minutes and days begin there."""
    york = calendar_for("America/New_York")
    assert window(york, "minute", "1850-06-01T12:00:00Z") == ("1850-06-01T11:59:02Z", "1850-06-01T12:00:02Z")
    assert window(york, "hour", "1850-06-01T12:00:00Z") == ("1850-06-01T11:56:02Z", "1850-06-01T12:56:02Z")
    assert window(york, "day", "1850-06-01T12:00:00Z") == ("1850-06-01T04:56:02Z", "1850-06-02T04:56:02Z")
    # 1883-11-18 17:00:00 UTC: 12:03:58 became 12:00:00
    assert window(york, "minute", "1883-11-18T16:59:59Z") == ("1883-11-18T16:59:02Z", "1883-11-18T17:00:00Z")
    assert window(york, "hour", "1883-11-18T16:59:59Z") == ("1883-11-18T16:56:02Z", "1883-11-18T17:00:00Z")


@pytest.mark.parametrize(
    "anchor, stamp, start, end",
    [
        (15, "2026-03-14T23:59:59Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z"),
        (15, "2026-03-15T00:00:00Z", "2026-03-15T00:00:00Z", "2026-04-15T00:00:00Z"),
        (31, "2026-01-31T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
        (31, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        (31, "2026-03-30T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        (31, "2024-02-29T12:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"),
        (30, "2024-02-28T12:00:00Z", "2024-01-30T00:00:00Z", "2024-02-29T00:00:00Z"),
        (29, "2025-02-28T12:00:00Z", "2025-02-28T00:00:00Z", "2025-03-29T00:00:00Z"),
        (31, "2026-04-30T12:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z"),
        (31, "2026-01-15T12:00:00Z", "2025-12-31T00:00:00Z", "2026-01-31T00:00:00Z"),
        (1, "2026-12-31T12:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
    ],
)
def test_billing_periods_run_from_the_anchor_s_day(anchor: int, stamp: str, start: str, end: str) -> None:
    """A billing period is a month from the anchor's day, or from the month's last day where it lacks that one."""
    assert window(calendar_for("UTC", anchor), "billing_period", stamp) == (start, end)


def test_a_billing_period_begins_at_the_start_of_the_customer_s_day() -> None:
    """The anchor's day begins in the customer's zone, at its own offset on each end."""
    assert window(calendar_for("America/New_York", 8), "billing_period", "2026-03-08T12:00:00Z") == (
        "2026-03-08T05:00:00Z",
        "2026-04-08T04:00:00Z",
    )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "Europe/Berlin"])
def test_the_edges_of_time_have_windows(zone: str) -> None:
    """The first and last instants of the years 1 and 9999 have windows whose bounds may lie outside those years."""
    calendar = calendar_for(zone, 31)
    for stamp in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"):
        us, *starts = calendar[stamp]
        for kind in range(TOTAL):
            end = calendar.end(kind, starts[kind])
            assert end is not None
            assert starts[kind] * 1_000_000 <= us < end * 1_000_000
            assert calendar.windows(end * 1_000_000)[1 + kind] == end
    assert (
        show(calendar_for("UTC").end(6, calendar_for("UTC")["9999-06-01T00:00:00Z"][7]) or 0) == "10000-01-01T00:00:00Z"
    )


def test_rules_of_daylight_saving_hold_in_far_years() -> None:
    """A zone's present rules go on to the year 9999."""
    york = calendar_for("America/New_York")
    assert window(york, "day", "9999-07-04T12:00:00Z")[0] == "9999-07-04T04:00:00Z"
    assert window(york, "day", "9999-12-04T12:00:00Z")[0] == "9999-12-04T05:00:00Z"


def test_what_is_remembered_is_bounded() -> None:
    """A calendar forgets and goes on when its share of remembered timestamps is used up."""
    calendar = Calendar(calendar_for("UTC").clock, 1)
    for second in range(70_000):
        calendar[1_772_712_000 + second * 60]
    assert len(calendar) <= 1 << 16
    assert len(calendar._minutes) <= 1 << 16
    assert calendar[1_772_712_000][1] == 1_772_712_000


def test_only_stamps_that_may_come_again_are_remembered() -> None:
    """A timestamp of whole milliseconds is kept, a finer one is worked out each time."""
    calendar = Calendar(calendar_for("UTC").clock, 1)
    for _ in range(2):
        assert calendar["2026-03-05T12:00:00.250Z"][0] == 1_772_712_000_250_000
        assert calendar["2026-03-05T12:00:00.250001Z"][0] == 1_772_712_000_250_001
    assert list(calendar) == ["2026-03-05T12:00:00.250Z"]


def test_a_zone_or_anchor_that_does_not_exist_is_an_error() -> None:
    """An unknown zone name and an anchor past 31 raise instead of falling back to UTC or a month's end."""
    with pytest.raises(KeyError):
        calendar_for("Mars/Olympus")
    with pytest.raises(ValueError, match="1 to 31"):
        calendar_for("UTC", 32)
    with pytest.raises(ValueError, match="1 to 31"):
        calendar_for("UTC", 0)
