"""Billable attribution, type by type, with the days written out."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.definitions import KINDS, Operation, Rounding
from stream.core.calendar import Calendar, calendar_for
from stream.core.metrics.base import DAY_US, SECOND_US, MetricType
from stream.core.metrics.billable import Attribution
from stream.core.metrics.counter import Counter
from stream.core.metrics.gauge import Gauge
from stream.core.metrics.rate import Rate
from tests.unit.stream.core.metrics.harness import UTC, Driven, definition, terms

MARCH = 1_772_323_200 * SECOND_US
"""2026-03-01T00:00:00Z, in microseconds."""
TYPES: dict[str, MetricType] = {"counter": Counter(), "gauge": Gauge(), "rate": Rate()}


def on(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """An instant of March 2026 in UTC."""
    return MARCH + (day - 1) * DAY_US + (hour * 3600 + minute * 60 + second) * SECOND_US


def days(
    events: list[tuple[int, Any]], window: str = "month", calendar: Calendar = UTC, at: int = on(5), **fields: Any
) -> tuple[str, list[tuple[str, str]]]:
    """The value of the window that holds `at`, and its parts by day of the month."""
    made = definition(windows=(window,), **fields)
    metric = TYPES[made.type].build(made, terms(simulate=True))
    overall = metric.keyed
    driven = Driven(metric, calendar, overall=overall)
    attribution = Attribution(made, terms(simulate=True), calendar, overall=overall)
    for order, (us, value) in enumerate(events):
        driven.fold(us, order, value)
        attribution.add(us, order, value)
    kind = KINDS.index(window)
    row = driven.state.total(kind, calendar.windows(at)[1 + kind])
    assert row is not None
    parts = attribution.days(row)
    assert sum((Decimal(part.value) for part in parts), Decimal(0)) == Decimal(row.value)
    return row.value, [(part.day[-2:], part.value) for part in parts]


def test_count_falls_as_events_do() -> None:
    """Each event counts on its own day."""
    assert days([(on(5), 1), (on(5, 9), 1), (on(7), 1)], aggregation="count") == ("3", [("05", "2"), ("07", "1")])


def test_sum_falls_as_events_do_and_leaves_days_of_nothing_out() -> None:
    """Values add up on their own day; a day whose values cancel each other has no part."""
    events = [(on(5), Decimal("0.1")), (on(6), 4), (on(6, 1), -4), (on(7), 2)]
    assert days(events, aggregation="sum") == ("2.1", [("05", "0.1"), ("07", "2")])


def test_max_is_of_the_first_event_that_set_it() -> None:
    """On a tie the first event's day has the value."""
    events = [(on(5), 3), (on(8), 7), (on(6), 7)]
    assert days(events, aggregation="max") == ("7", [("06", "7")])


def test_min_is_of_the_first_event_that_set_it() -> None:
    """On a tie the first event's day has the value."""
    events = [(on(9), 3), (on(8), 3), (on(6), 7)]
    assert days(events, aggregation="min") == ("3", [("08", "3")])


def test_latest_is_of_its_event() -> None:
    """The whole value is on the day of the latest event."""
    assert days([(on(9), 3), (on(6), 7)], aggregation="latest") == ("3", [("09", "3")])


def test_unique_is_of_each_first_day() -> None:
    """A value counts on the first day on which it was seen."""
    events = [(on(6), b"a"), (on(5), b"a"), (on(6), b"b"), (on(9), b"b")]
    assert days(events, aggregation="unique") == ("2", [("05", "1"), ("06", "1")])


def test_avg_is_each_days_sum_by_the_periods_count() -> None:
    """The day's sum is divided by the count of the whole period, the remainder falls on the last day."""
    assert days([(on(5), 1), (on(6), 1), (on(7), 3)], aggregation="avg") == (
        "1.666666666666666667",
        [("05", "0.333333333333333333"), ("06", "0.333333333333333333"), ("07", "1.000000000000000001")],
    )


def test_rounding_falls_on_the_last_day() -> None:
    """What rounding adds or takes is on the last day that has a part."""
    events = [(on(5), Decimal("1.3")), (on(6), Decimal("1.3")), (on(7), 2), (on(7), -2)]
    made = days(events, aggregation="sum", rounding=Rounding("ceil"))
    assert made == ("3", [("05", "1.3"), ("06", "1.7")])


def test_a_rate_is_of_its_greatest_sub_period() -> None:
    """The first of the greatest hours has the value."""
    events = [(on(5, 1), 1), (on(5, 2), 2), (on(6, 2), 2), (on(6, 3), 1)]
    assert days(events, type="rate", aggregation="sum", granularity="hour") == ("2", [("05", "2")])


def test_a_longer_rate_is_of_its_first_day() -> None:
    """A sub-period longer than a day counts on its first one."""
    events = [(on(5, 1), 1), (on(6, 2), 2)]
    assert days(events, window="year", type="rate", aggregation="sum", granularity="month") == ("3", [("01", "3")])


def test_a_month_cut_by_a_billing_period_is_of_the_periods_first_day() -> None:
    """Where a billing period begins inside a month, the month's part in it begins there."""
    calendar = calendar_for("UTC", 4)
    events = [(on(2), 9), (on(5, 1), 1), (on(6, 2), 2)]
    made = days(events, "billing_period", calendar, type="rate", aggregation="sum", granularity="month")
    assert made == ("3", [("04", "3")])


def test_a_sliding_rate_is_of_its_event() -> None:
    """The event at which the look-back was greatest has the value, the first on a tie."""
    events = [(on(5, 23, 59, 50), 1), (on(6, 0, 0, 10), 1), (on(8), 2)]
    made = days(events, type="rate", aggregation="sum", granularity="minute", sliding=True)
    assert made == ("2", [("06", "2")])


def test_weighted_sum_is_by_each_days_share() -> None:
    """Ten of March's 31 days with one seat: each of them has 1/31, the last the remainder."""
    fields: dict[str, Any] = {"type": "gauge", "aggregation": "weighted_sum", "event_type": "delta"}
    value, parts = days([(on(5), 1), (on(7), -1)], **fields)
    assert value == "0.064516129032258065"
    assert parts == [("05", "0.032258064516129032"), ("06", "0.032258064516129033")]


def test_weighted_sum_counts_what_was_held_before_the_first_event() -> None:
    """The days before the first event have the initial value's shares."""
    fields: dict[str, Any] = {"type": "gauge", "aggregation": "weighted_sum", "event_type": "total"}
    value, parts = days([(on(3), 0)], at=on(3), initial_value=31, **fields)
    assert (value, parts) == ("2", [("01", "1"), ("02", "1")])


def test_proration_is_by_each_day() -> None:
    """A seat held on 3 days of March makes 1/31 on each of them."""
    fields: dict[str, Any] = {"type": "gauge", "event_type": "delta", "granularity": "month", "proration": "day"}
    value, parts = days([(on(5, 9), 31), (on(7, 9), -31)], aggregation="max", **fields)
    assert (value, parts) == ("3", [("05", "1"), ("06", "1"), ("07", "1")])


def test_a_bucket_longer_than_a_day_is_spread_by_length() -> None:
    """The maximum of March, prorated by month in a quarter, is spread over all of March's days alike."""
    fields: dict[str, Any] = {"type": "gauge", "event_type": "delta", "granularity": "quarter", "proration": "month"}
    value, parts = days([(on(31), 90), (on(31, 1), -90)], aggregation="max", **fields)
    assert value == "31"
    assert parts == [(f"{day:02}", "1") for day in range(1, 32)]


@pytest.mark.parametrize("aggregation, day", [("max", "06"), ("min", "01")])
def test_a_gauges_extreme_is_of_the_first_day_that_had_it(aggregation: str, day: str) -> None:
    """What was carried in counts from the period's first day."""
    events = [(on(1) - DAY_US, 2), (on(6), 3), (on(7), -3), (on(9), 3)]
    value, parts = days(events, type="gauge", aggregation=aggregation, event_type="delta")
    assert parts == [(day, value)]


def test_a_gauges_latest_is_of_its_last_change() -> None:
    """An event that leaves the state as it was is no change."""
    events = [(on(4), 2), (on(6), 5), (on(8), 5)]
    assert days(events, type="gauge", aggregation="latest", event_type="total") == ("5", [("06", "5")])


def test_a_gauges_latest_without_a_change_is_of_the_first_day() -> None:
    """A state that was only carried through is of the period's first day."""
    events = [(on(1) - DAY_US, 2), (on(6), 2)]
    assert days(events, type="gauge", aggregation="latest", event_type="total") == ("2", [("01", "2")])


def test_objects_that_take_each_others_place_are_a_change() -> None:
    """The set is another one although its number stays."""
    events = [(on(4), (b"x", 1)), (on(6), (b"x", 0)), (on(6), (b"y", 1)), (on(7), (b"y", 1))]
    fields: dict[str, Any] = {"type": "gauge", "aggregation": "unique", "operation": Operation("op", "a", "r")}
    assert days(events, **fields) == ("1", [("06", "1")])


def test_the_overall_state_of_groups_is_their_sum() -> None:
    """The sum's change counts, not a group's."""
    events = [(on(4), (b"a", 2)), (on(6), (b"b", 1)), (on(7), (b"a", 1)), (on(7), (b"b", 2))]
    made = days(events, type="gauge", aggregation="latest", event_type="total", group_by=("g",))
    assert made == ("3", [("06", "3")])


def test_a_window_shorter_than_a_day_is_of_its_day() -> None:
    """An hour's share is on the hour's day."""
    fields: dict[str, Any] = {"type": "gauge", "event_type": "delta", "granularity": "day", "proration": "hour"}
    assert days([(on(5), 24)], "hour", aggregation="max", **fields) == ("1", [("05", "1")])
