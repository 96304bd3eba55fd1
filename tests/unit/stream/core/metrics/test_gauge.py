"""Gauges: states that live on, with every value written out."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.definitions import Operation, Rounding
from stream.core.calendar import calendar_for
from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US, BadValue
from stream.core.metrics.gauge import Gauge
from tests.unit.stream.core.metrics.harness import MINUTE_US, T0, Driven, definition, folded, terms

MARCH = 1_772_323_200 * SECOND_US
"""2026-03-01T00:00:00Z."""
NOON = T0 // SECOND_US
SEATS = {"granularity": "month", "proration": "day"}


def gauge(**fields: Any) -> Any:
    """A gauge of deltas and its latest state, unless said otherwise."""
    given = {"type": "gauge", "aggregation": "latest", "event_type": "delta", "windows": ("hour", "day", "total")}
    options = {name: fields.pop(name) for name in ("upsert", "max_age_us", "simulate") if name in fields}
    return Gauge().build(definition(**(given | fields)), terms(**options))


def hours(driven: Driven, until_us: int) -> list[tuple[int, str, int]]:
    """Hours of the day, values and events of the hours up to an instant."""
    return [(row.start % 86_400 // 3600, row.value, row.events) for row in driven.state.rows(1, until_us)]


def test_a_seat_held_ten_of_marchs_days_is_ten_thirty_firsts() -> None:
    """The contract's own example, with 18 digits where no finite decimal exists."""
    metric = gauge(aggregation="max", windows=("month",), **SEATS)
    driven = folded(metric, [(MARCH + 4 * DAY_US + HOUR_US, 1), (MARCH + 13 * DAY_US + HOUR_US, -1)])
    assert driven.values_until("month", MARCH + 31 * DAY_US - 1) == [(MARCH // SECOND_US, "0.322580645161290323", 2)]


def test_proration_counts_any_part_of_a_day_as_the_day() -> None:
    """A seat added and removed within one hour of the 5th costs that whole day."""
    metric = gauge(aggregation="max", windows=("day", "month"), **SEATS)
    driven = folded(metric, [(MARCH + 4 * DAY_US + HOUR_US, 31), (MARCH + 4 * DAY_US + 2 * HOUR_US, -31)])
    assert driven.values_until("month", MARCH + 5 * DAY_US) == [(MARCH // SECOND_US, "1", 2)]


def test_a_change_at_a_buckets_start_replaces_what_was_carried_in() -> None:
    """Removed at midnight exactly, the seat does not cost the day that begins."""
    metric = gauge(aggregation="max", windows=("month",), **SEATS)
    driven = folded(metric, [(MARCH + 4 * DAY_US, 31), (MARCH + 5 * DAY_US, -31)])
    assert driven.values_until("month", MARCH + 6 * DAY_US) == [(MARCH // SECOND_US, "1", 2)]


def test_an_open_window_is_valued_as_if_the_state_stays() -> None:
    """A seat taken on the 22nd costs the 10 days that are left of March at once."""
    metric = gauge(aggregation="max", windows=("month",), **SEATS)
    driven = folded(metric, [(MARCH + 21 * DAY_US + HOUR_US, 31)])
    assert driven.values_until("month", MARCH + 22 * DAY_US) == [(MARCH // SECOND_US, "10", 1)]


def test_a_day_of_23_hours_weighs_23_hours() -> None:
    """In New York's March of 2026 a day is 24 hours of 743, and the 8th, on which clocks go forward, 23."""
    calendar = calendar_for("America/New_York")
    metric = gauge(aggregation="max", windows=("month",), **SEATS)
    eighth = 1_772_946_000 * SECOND_US  # 2026-03-08T00:00 in New York
    driven = folded(metric, [(eighth, 743), (eighth + HOUR_US, -743)], calendar)
    assert [value for _, value, _ in driven.values_until("month", eighth)] == ["23"]


def test_windows_shorter_than_a_bucket_share_its_maximum_by_length() -> None:
    """The hour before a peak has its share of the whole day's maximum, so hours add up to the day."""
    metric = gauge(aggregation="max", windows=("hour", "day"), granularity="month", proration="day")
    driven = folded(metric, [(T0, 744), (T0 + 60 * MINUTE_US, 744)])
    noon = driven.state.total(1, NOON)
    day = driven.state.total(2, NOON - 12 * 3600)
    assert noon is not None
    assert day is not None
    assert (noon.value, day.value) == ("2", "48")


def test_weighted_sum_is_the_average_by_time() -> None:
    """4 seats from 12:15 make 3 over the hour."""
    metric = gauge(aggregation="weighted_sum", windows=("hour", "day"))
    driven = folded(metric, [(T0 + 15 * MINUTE_US, 4)])
    assert hours(driven, T0 + HOUR_US) == [(12, "3", 1), (13, "4", 0)]


def test_delta_adds_and_total_sets() -> None:
    """The same two events, read both ways."""
    events = [(T0, 5), (T0 + MINUTE_US, 2)]
    assert folded(gauge(), events).state.present() == "7"
    assert folded(gauge(event_type="total"), events).state.present() == "2"


def test_a_state_is_carried_through_windows_without_an_event() -> None:
    """Every hour from the first event's on has a row, its events being its own."""
    driven = folded(gauge(aggregation="max"), [(T0, 5), (T0 + 3 * HOUR_US, -2)])
    assert hours(driven, T0 + 4 * HOUR_US) == [(12, "5", 1), (13, "5", 0), (14, "5", 0), (15, "3", 1), (16, "3", 0)]


def test_what_was_carried_in_counts_until_the_first_change() -> None:
    """At 15:00 the state is still 5 for a minute, so the hour's maximum is 5."""
    driven = folded(gauge(aggregation="max"), [(T0, 5), (T0 + 3 * HOUR_US + MINUTE_US, -2)])
    assert hours(driven, T0 + 3 * HOUR_US)[-1] == (15, "5", 1)


def test_what_holds_for_no_time_does_not_count() -> None:
    """Of two changes at one instant only the outcome counts."""
    driven = folded(gauge(aggregation="max"), [(T0, 5), (T0 + MINUTE_US, 9), (T0 + MINUTE_US, -9)])
    assert hours(driven, T0) == [(12, "5", 3)]


def test_the_order_of_the_log_decides_within_an_instant() -> None:
    """The later record sets the state, though it is folded first."""
    driven = Driven(gauge(event_type="total"))
    driven.fold(T0, 8, 5)
    driven.fold(T0, 7, 3)
    assert driven.state.present() == "5"


def test_the_initial_value_holds_before_the_first_event() -> None:
    """The minimum of the first hour is the initial value, and the total counts it as well."""
    metric = gauge(aggregation="min", initial_value=Decimal("0.5"))
    driven = folded(metric, [(T0 + MINUTE_US, 2)])
    assert driven.rows(T0) == {
        ("hour", NOON): ("0.5", 1),
        ("day", NOON - 43_200): ("0.5", 1),
        ("total", 0): ("0.5", 1),
    }
    assert driven.state.present() == "2.5"


def test_each_group_brings_the_initial_value_at_its_first_event() -> None:
    """Before any group the overall state is the initial value once, then once for each group that came."""
    metric = gauge(initial_value=10, group_by=("g",), aggregation="min")
    driven = Driven(metric, overall=True)
    driven.fold(T0 + MINUTE_US, 0, (b"a", 1))
    assert driven.state.present() == "11"
    driven.fold(T0 + 2 * MINUTE_US, 1, (b"b", 2))
    driven.fold(T0 + 3 * MINUTE_US, 2, (b"", 3))
    assert driven.state.present() == "36"
    assert hours(driven, T0) == [(12, "10", 3)]


def test_a_group_that_turns_out_to_have_come_earlier_brings_its_initial_value_then() -> None:
    """A late event moves the joining to its own time; the later one no longer brings it."""
    metric = gauge(initial_value=10, group_by=("g",))
    driven = Driven(metric, overall=True)
    driven.fold(T0, 0, (b"a", 1))
    driven.fold(T0 + 2 * HOUR_US, 1, (b"b", 1))
    driven.fold(T0 + HOUR_US, 2, (b"b", 1))
    assert hours(driven, T0 + 2 * HOUR_US) == [(12, "11", 1), (13, "22", 1), (14, "23", 1)]


def test_the_overall_state_of_totals_is_the_groups_sum() -> None:
    """A total sets its group's share only."""
    metric = gauge(event_type="total", group_by=("g",))
    driven = Driven(metric, overall=True)
    for order, (group, value) in enumerate([(b"a", 5), (b"b", 3), (b"a", 1)]):
        driven.fold(T0 + order * MINUTE_US, order, (group, value))
    assert driven.state.present() == "4"


def test_the_overall_set_of_objects_is_the_groups_union() -> None:
    """An object in two groups counts once, until both have removed it."""
    metric = gauge(aggregation="unique", operation=Operation("op", "add", "remove"), group_by=("g",))
    driven = Driven(metric, overall=True)
    counts = []
    for order, event in enumerate([(b"a", (b"x", 1)), (b"b", (b"x", 1)), (b"a", (b"x", 0)), (b"b", (b"x", 0))]):
        driven.fold(T0 + order * MINUTE_US, order, event)
        counts.append(driven.state.present())
    assert counts == ["1", "1", "1", "0"]


def test_an_object_added_twice_is_there_once() -> None:
    """Adding what is present and removing what is not change nothing."""
    metric = gauge(aggregation="unique", operation=Operation("op", "add", "remove"))
    driven = folded(metric, [(T0, (b"x", 1)), (T0 + 1, (b"x", 1)), (T0 + 2, (b"y", 0)), (T0 + 3, (b"z", 1))])
    assert driven.state.present() == "2"


def test_the_operation_is_read_from_its_property() -> None:
    """Other values are bad, an absent one is no fault and no event."""
    read = gauge(aggregation="unique", operation=Operation("op", "add", 0)).read
    assert read({"value": "seat", "op": "add"}) == (b"sseat", 1)
    assert read({"value": "seat", "op": 0}) == (b"sseat", 0)
    assert read({"value": "seat"}) is None
    assert read({"op": "add"}) is None
    with pytest.raises(BadValue, match="op is neither"):
        read({"value": "seat", "op": "0"})


def test_a_late_event_changes_every_window_after_it() -> None:
    """Hours that had ended, and the state itself, take it in."""
    driven = folded(gauge(), [(T0, 1), (T0 + HOUR_US, 1), (T0 + 2 * HOUR_US, 1)])
    driven.restore()
    assert driven.fold(T0 + MINUTE_US, 3, 10) == 0
    assert hours(driven, T0 + 2 * HOUR_US) == [(12, "11", 2), (13, "12", 1), (14, "13", 1)]


def test_lateness_leaves_out_what_is_older() -> None:
    """With a lateness of an hour an event an hour old still counts; a microsecond more is late for all windows."""
    metric = gauge(lateness_us=HOUR_US)
    driven = folded(metric, [(T0 + HOUR_US, 1)])
    assert driven.fold(T0, 1, 1) == 0
    assert driven.fold(T0 - 1, 2, 1) == 3
    assert driven.state.present() == "2"


def test_a_simulation_counts_late_events_and_folds_them() -> None:
    """Nothing is left out of a file."""
    driven = folded(gauge(lateness_us=HOUR_US, simulate=True), [(T0 + HOUR_US, 1)])
    assert driven.fold(T0 - 1, 1, 1) == 3
    assert driven.state.present() == "2"


def test_rounding_applies_last() -> None:
    """To the weighted sum, not to the state that limits compare."""
    metric = gauge(aggregation="weighted_sum", windows=("hour",), rounding=Rounding("ceil", 1))
    driven = folded(metric, [(T0 + 20 * MINUTE_US, Decimal("0.5"))])
    assert hours(driven, T0) == [(12, "0.4", 1)]
    assert driven.state.present() == "0.5"


def test_redis_shows_open_windows_and_the_one_that_ended() -> None:
    """At 14:30 those are the hours 13 and 14; an event ahead of the clock adds its own."""
    driven = folded(gauge(windows=("hour", "total")), [(T0, 5)])
    clock_us = T0 + 2 * HOUR_US + 30 * MINUTE_US
    assert [(row.kind, row.start % 86_400 // 3600, row.value) for row in driven.state.shown(clock_us)] == [
        (1, 13, "5"),
        (1, 14, "5"),
        (8, 0, "5"),
    ]
    driven.fold(T0 + 3 * HOUR_US, 1, 1, clock_us)
    assert [row.value for row in driven.state.shown(clock_us)] == ["5", "5", "6", "6"]


def test_steps_that_can_no_longer_change_are_let_go() -> None:
    """After max_age only the state and the records of windows are saved, and totals stay as they were."""
    metric = gauge(event_type="total", windows=("hour", "day"))
    driven = folded(metric, [(T0 + number * MINUTE_US, number) for number in range(300)])
    driven.restore()
    before = driven.rows(T0 + 5 * HOUR_US)
    assert sum(1 for name in driven.chunks if name[:1] == b"c") == 5
    driven.state.expire(T0 + 7 * DAY_US + 12 * HOUR_US)
    driven.restore()
    assert sum(1 for name in driven.chunks if name[:1] == b"c") == 0
    assert driven.rows(T0 + 5 * HOUR_US) == before
    driven.fold(T0 + 7 * DAY_US + 11 * HOUR_US, 999, 1)
    assert driven.state.present() == "1"


def test_records_of_windows_expire_but_the_state_is_carried_on() -> None:
    """Hours are read for 8 days; after 30 the gauge still says what it holds."""
    driven = folded(gauge(windows=("hour",)), [(T0, 5), (T0 + HOUR_US, 1)])
    driven.restore()
    driven.state.expire(T0 + 30 * DAY_US)
    driven.restore()
    driven.state.expire(T0 + 30 * DAY_US)
    assert driven.state.rows(1, T0 + 20 * DAY_US) == []
    row = driven.state.total(1, (T0 + 30 * DAY_US) // SECOND_US)
    assert row is not None
    assert (row.value, row.events) == ("6", 0)


def test_many_objects_are_saved_in_small_chunks() -> None:
    """What entities were before the live steps is spread over buckets, each below 64 KB."""
    metric = gauge(aggregation="unique", operation=Operation("op", "a", "r"), max_age_us=DAY_US, windows=("day",))
    driven = folded(metric, [(T0 + number, (b"%d" % number, 1)) for number in range(10_000)])
    driven.save()
    driven.state.expire(T0 + 2 * DAY_US)
    driven.restore()
    assert sum(1 for name in driven.chunks if name[:1] == b"l") > 64
    driven.fold(T0 + 2 * DAY_US, 10_001, (b"17", 0))
    driven.fold(T0 + 2 * DAY_US, 10_002, (b"x", 1))
    assert driven.state.present() == "10000"


@pytest.mark.parametrize("settled", [False, True])
def test_a_new_kind_of_window_has_the_state_at_once(settled: bool) -> None:
    """Whether its steps are live or long final, a gauge keeps its state when windows are added and removed."""
    driven = folded(gauge(aggregation="max", windows=("hour", "day")), [(T0 + MINUTE_US, 5), (T0 + 2 * MINUTE_US, -2)])
    if settled:
        driven.state.expire(T0 + 9 * DAY_US)
    driven.save()
    driven.metric = gauge(aggregation="max", windows=("day", "week", "total"))
    driven.restore()
    assert driven.state.present() == "3"
    later = T0 + 10 * DAY_US
    driven.fold(later, 2, 4)
    rows = {kind: value for (kind, _), (value, _) in driven.rows(later).items()}
    assert rows == {"day": "7", "week": "7", "total": "7"}


def test_a_group_brings_its_initial_value_only_once() -> None:
    """Also where its first event has long become final, and after a restart."""
    driven = Driven(gauge(initial_value=10, group_by=("g",)), overall=True)
    driven.fold(T0, 0, (b"a", 1))
    driven.state.expire(T0 + 8 * DAY_US)
    driven.restore()
    driven.fold(T0 + 8 * DAY_US, 1, (b"a", 1))
    driven.fold(T0 + 8 * DAY_US, 2, (b"b", 1))
    assert driven.state.present() == "23"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, Decimal("0.5")])
def test_steps_of_any_size_are_saved(value: Any) -> None:
    """Beyond 64 bits as text, and told the same afterwards."""
    driven = folded(gauge(), [(T0, value), (T0 + 1, 1)])
    driven.restore()
    assert driven.state.present() == str(value + 1)


def test_a_late_event_counts_in_the_hour_that_it_fell_into() -> None:
    """Though the sum does not ask for the order, the hour before and the open one each count their own events."""
    driven = folded(gauge(), [(T0 + 30 * MINUTE_US, 1), (T0 + 70 * MINUTE_US, 1)])
    assert driven.state.present() == "2"
    driven.fold(T0 + 65 * MINUTE_US, 2, 10)
    assert hours(driven, T0 + 80 * MINUTE_US) == [(12, "1", 1), (13, "12", 2)]
    driven.fold(T0 + 45 * MINUTE_US, 3, 5)
    assert hours(driven, T0 + 80 * MINUTE_US) == [(12, "6", 2), (13, "17", 2)]
    driven.fold(T0 + 15 * MINUTE_US, 4, 100)
    driven.restore()
    assert hours(driven, T0 + 80 * MINUTE_US) == [(12, "106", 3), (13, "117", 2)]


@pytest.mark.parametrize("number", [2, 20])
def test_what_was_taken_back_stays_away_after_a_takeover(number: int) -> None:
    """Also one of many steps that were saved together, and one more after the others went."""
    driven = folded(gauge(upsert=True), [(T0 + each, 1) for each in range(number)])
    driven.save()
    driven.remove(T0, 0, 1)
    driven.restore()
    assert driven.state.present() == str(number - 1)
    for order in range(1, number):
        driven.remove(T0 + order, order, 1)
    driven.restore()
    assert driven.state.present() is None
    assert not any(name[:1] == b"c" for name in driven.chunks)


@pytest.mark.parametrize("place", [0, 62, 63, 64, 65, 127, 128, 199])
def test_a_late_event_finds_its_place_among_many(place: int) -> None:
    """Wherever it belongs among 200 steps, it is as if it had come in time; removing it, as if never."""
    metric = gauge(aggregation="max", event_type="total", windows=("minute", "hour"), upsert=True)
    steps = [(T0 + number * 30 * SECOND_US, number * 7 % 50) for number in range(200)]
    late = (steps[place][0] - SECOND_US, 99)
    until_us = T0 + 2 * HOUR_US
    driven, without, within = folded(metric, steps), folded(metric, steps), folded(metric, sorted([*steps, late]))
    driven.rows(until_us)
    driven.fold(late[0], 1000, late[1])
    assert driven.rows(until_us) == within.rows(until_us)
    driven.remove(late[0], 1000, late[1])
    assert driven.rows(until_us) == without.rows(until_us)
