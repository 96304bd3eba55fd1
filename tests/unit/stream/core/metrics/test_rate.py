"""Rates, tumbling and sliding, with values written out."""

from decimal import Decimal
from typing import Any

import pytest

from stream.core.calendar import calendar_for
from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US
from stream.core.metrics.rate import Rate
from tests.unit.stream.core.metrics.harness import T0, Driven, definition, folded, terms

NOON = T0 // SECOND_US


def rate(aggregation: str = "sum", granularity: str = "minute", **fields: Any) -> Any:
    """A rate by the minute, over minutes and hours."""
    options = {name: fields.pop(name) for name in ("upsert", "simulate", "sliding_late_us") if name in fields}
    given = {"type": "rate", "aggregation": aggregation, "granularity": granularity, "windows": ("minute", "hour")}
    return Rate().build(definition(**(given | fields)), terms(**options))


def seconds(*events: tuple[float, Any]) -> list[tuple[int, Any]]:
    """Events so many seconds after noon."""
    return [(T0 + int(after * SECOND_US), value) for after, value in events]


@pytest.mark.parametrize(
    "aggregation, first, second, hour",
    [("count", "2", "1", "2"), ("sum", "5", "4", "5"), ("max", "3", "4", "4"), ("avg", "2.5", "4", "4")],
)
def test_a_window_has_the_greatest_of_its_sub_periods(aggregation: str, first: str, second: str, hour: str) -> None:
    """The window that equals the granularity has its own value, a longer one the greatest."""
    driven = folded(rate(aggregation), seconds((0, 2), (59.9, 3), (60, 4)))
    assert driven.rows() == {
        ("minute", NOON): (first, 2),
        ("minute", NOON + 60): (second, 1),
        ("hour", NOON): (hour, 3),
    }


def test_a_sub_period_that_falls_is_no_longer_the_greatest() -> None:
    """A late negative value takes the greatest minute below another, which is then the greatest."""
    driven = folded(rate(), seconds((0, 5), (60, 4), (120, 1)))
    assert driven.values("hour") == [(NOON, "5", 3)]
    driven.restore()
    driven.fold(T0, 3, -3)
    assert driven.values("hour") == [(NOON, "4", 4)]


def test_a_total_may_be_negative() -> None:
    """A window whose sub-periods are all negative has the greatest of those, not 0."""
    assert folded(rate(), seconds((0, -5), (60, -4))).values("hour") == [(NOON, "-4", 2)]


def test_months_are_cut_where_a_billing_period_begins() -> None:
    """A billing period from the 4th has two months' parts: 5 in March, 3 in April."""
    metric = rate(granularity="month", windows=("month", "billing_period", "year"))
    events = [(T0 - 3 * DAY_US, 9), (T0, 5), (T0 + 28 * DAY_US, 3)]
    driven = folded(metric, events, calendar_for("UTC", 4))
    driven.restore()
    assert [(value, events) for _, value, events in driven.values("billing_period")] == [("9", 1), ("5", 2)]
    assert [(value, events) for _, value, events in driven.values("month")] == [("14", 2), ("3", 1)]
    assert [(value, events) for _, value, events in driven.values("year")] == [("14", 3)]


def test_sub_periods_freeze_and_are_let_go() -> None:
    """After max_age a day still knows its greatest minute, but the minutes are no longer saved."""
    metric = rate(windows=("day",))
    driven = folded(metric, seconds(*((60 * number, number % 7) for number in range(300))))
    driven.save()
    assert sum(1 for name in driven.chunks if name[:1] == b"s") == 5
    driven.fold(T0 + 8 * DAY_US, 999, 1)
    driven.state.expire(T0 + 8 * DAY_US)
    driven.restore()
    assert sum(1 for name in driven.chunks if name[:1] == b"s") == 0
    assert [value for _, value, _ in driven.values("day")] == ["6", "1"]


def test_a_frozen_sub_period_is_still_the_greatest_when_another_falls() -> None:
    """The month's greatest hour froze after max_age; when a later, greater one falls, it is the greatest again."""
    metric = rate(granularity="hour", windows=("month",))
    events = [(T0, 5), (T0 + 8 * DAY_US, 9), (T0 + 20 * DAY_US, 1)]
    driven = folded(metric, events)
    driven.state.expire(T0 + 20 * DAY_US)
    driven.restore()
    assert [value for _, value, _ in driven.values("month")] == ["9"]
    fallen = folded(metric, events[:2])
    fallen.state.expire(T0 + 9 * DAY_US)
    fallen.fold(T0 + 9 * DAY_US, 3, 1)
    fallen.restore()
    fallen.fold(T0 + 8 * DAY_US, 4, -7)
    assert [value for _, value, _ in fallen.values("month")] == ["5"]


def test_a_rate_expires_whole() -> None:
    """Nothing of it stays in the changelog."""
    driven = folded(rate(), seconds((0, 1), (4000, 1)))
    driven.restore()
    driven.state.expire(T0 + 30 * DAY_US)
    driven.save()
    assert driven.chunks == {}


# -- sliding


def sliding(aggregation: str = "sum", granularity: str = "minute", **fields: Any) -> Any:
    """The same, sliding."""
    return rate(aggregation, granularity, sliding=True, **fields)


def test_the_look_back_is_half_open() -> None:
    """At 12:01:00 the minute looks back on (12:00:00, 12:01:00]: not on noon's own second."""
    driven = folded(sliding(windows=("hour",)), seconds((0, 1), (1, 2), (60, 4)))
    assert driven.values("hour") == [(NOON, "6", 3)]


def test_times_are_cut_to_whole_seconds() -> None:
    """12:00:59.9 looks back on 12:00:00.0, and both halves of one second see each other."""
    driven = folded(sliding(windows=("hour",)), seconds((0, 1), (59.9, 2), (59.1, 4)))
    assert driven.values("hour") == [(NOON, "7", 3)]


def test_the_look_back_crosses_a_windows_start() -> None:
    """The first event of an hour sees the last minute of the hour before; each window has its own events only."""
    driven = folded(sliding(windows=("hour",)), seconds((3599, 5), (3600, 1)))
    assert driven.values("hour") == [(NOON, "5", 1), (NOON + 3600, "6", 1)]


@pytest.mark.parametrize("aggregation, value", [("count", "2"), ("sum", "2"), ("max", "3"), ("avg", "3")])
def test_each_aggregation_slides(aggregation: str, value: str) -> None:
    """3, then -1 within the minute, then 0 alone."""
    driven = folded(sliding(aggregation, windows=("hour",)), seconds((0, 3), (30, -1), (300, 0), (330, 2)))
    assert driven.values("hour") == [(NOON, {"sum": "3"}.get(aggregation, value), 4)]


def test_the_look_back_is_half_open_when_it_is_made_again() -> None:
    """A late event between them does not let 12:01:00 look back on noon's own second."""
    driven = folded(sliding(windows=("hour",)), seconds((0, 1), (60, 4), (30, 2)))
    assert driven.values("hour") == [(NOON, "6", 3)]
    driven = folded(sliding("max", windows=("minute",)), seconds((0, 9), (60, 4), (30, 2)))
    assert [value for _, value, _ in driven.values("minute")] == ["9", "4"]


def test_a_late_event_changes_those_that_look_back_on_it() -> None:
    """Taken up to an hour late, it raises the look-back of the event after it, also after a restart."""
    driven = folded(sliding(windows=("hour",)), seconds((30, 1), (3000, 1)))
    driven.restore()
    assert driven.fold(T0, 2, 7) == 0
    assert driven.values("hour") == [(NOON, "8", 3)]


def test_an_event_an_hour_late_counts_and_a_later_one_in_no_window() -> None:
    """The bound is included; past it the event is late for each of the windows."""
    driven = folded(sliding(windows=("hour", "day")), seconds((3600, 1)))
    assert driven.fold(T0, 1, 1) == 0
    assert driven.fold(T0 - 1, 2, 1) == 2
    assert [events for _, _, events in driven.values("day")] == [2]


def test_a_day_is_24_hours_when_sliding() -> None:
    """Whatever the zone's clock does: a look-back of 86,400 seconds."""
    calendar = calendar_for("America/New_York")
    start = (1_772_946_000 - 3600) * SECOND_US  # 23:00 before the day of 23 hours
    driven = folded(sliding(granularity="day", windows=("month",)), [(start, 1), (start + 24 * HOUR_US, 1)], calendar)
    assert [value for _, value, _ in driven.values("month")] == ["1"]
    driven = folded(
        sliding(granularity="day", windows=("month",)), [(start, 1), (start + 24 * HOUR_US - SECOND_US, 1)], calendar
    )
    assert [value for _, value, _ in driven.values("month")] == ["2"]


def test_only_seconds_that_may_still_matter_are_kept() -> None:
    """Those of the last hour and of one unit before it; the windows keep their greatest."""
    metric = sliding("max", windows=("day",))
    driven = folded(metric, seconds(*((number, 1000 - number) for number in range(0, 20_000, 10))))
    driven.save()
    held = len(driven.state._trail.seconds)  # type: ignore[attr-defined]
    assert held <= (3600 + 60 + 16) // 10 + 2
    driven.restore()
    assert [value for _, value, _ in driven.values("day")] == ["1000"]


def test_values_stay_exact_while_they_leave_the_look_back() -> None:
    """What was added is subtracted to the last digit."""
    metric = sliding(windows=("minute",))
    values = [Decimal("0.1"), Decimal("1E+30"), Decimal("1E-30")]
    driven = folded(metric, [(T0 + number * 40 * SECOND_US, value) for number, value in enumerate(values)])
    assert [value for _, value, _ in driven.values("minute")] == [
        "1000000000000000000000000000000.1",
        "1000000000000000000000000000000.000000000000000000000000000001",
    ]


def test_a_sliding_rate_expires_whole() -> None:
    """Nothing of it stays in the changelog."""
    driven = folded(sliding(), seconds((0, 1), (4000, 1)))
    driven.restore()
    driven.state.expire(T0 + 30 * DAY_US)
    driven.save()
    assert driven.chunks == {}
    driven.fold(T0 + 31 * DAY_US, 9, 3)
    assert [value for _, value, _ in driven.values("hour")] == ["3"]


def test_a_simulation_folds_what_comes_too_late() -> None:
    """It is counted as late for each window, and counts."""
    driven = folded(sliding(windows=("hour",), simulate=True), seconds((9000, 1), (30, 1)))
    assert driven.fold(T0, 2, 5) == 1
    assert Driven(sliding(windows=("hour",), simulate=True)).fold(T0, 0, 1) == 0
    assert driven.values("hour") == [(NOON, "6", 2), (NOON + 7200, "1", 1)]


def test_frozen_seconds_are_still_the_greatest_when_a_live_one_falls() -> None:
    """5, then 9, freeze one after the other; when a live 50 falls to 5, the day's greatest is 9."""
    driven = folded(sliding(windows=("day",)), seconds((0, 5)))
    for order, after in enumerate((3000, 3700, 6900, 7400), 1):
        driven.fold(T0 + after * SECOND_US, order, 9 if after == 3000 else 0)
        driven.restore()
    driven.fold(T0 + 9000 * SECOND_US, 8, 50)
    driven.fold(T0 + 9100 * SECOND_US, 9, 1)
    driven.restore()
    assert [value for _, value, _ in driven.values("day")] == ["50"]
    driven.fold(T0 + 9000 * SECOND_US, 10, -45)
    assert [value for _, value, _ in driven.values("day")] == ["9"]


def test_what_a_late_event_looks_back_on_is_still_there() -> None:
    """An event 3590 seconds late sees the second 30 before it, which is itself too old to change."""
    driven = folded(sliding(windows=("hour",)), seconds((10, 5), (25, 0), (3630, 0)))
    driven.restore()
    assert driven.fold(T0 + 40 * SECOND_US, 3, 1) == 0
    assert driven.values("hour")[0] == (NOON, "6", 3)
