"""Counters: every aggregation and the life of their windows, with values written out."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.definitions import Rounding
from stream.core.calendar import calendar_for
from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US, BadValue
from stream.core.metrics.counter import Counter
from stream.core.numbers import number
from tests.unit.stream.core.metrics.harness import MINUTE_US, T0, Driven, definition, folded, terms

NOON = T0 // SECOND_US
TODAY = NOON - 43_200


def counter(aggregation: str, **fields: Any) -> Any:
    """A counter of this aggregation."""
    options = {name: fields.pop(name) for name in ("upsert", "simulate") if name in fields}
    return Counter().build(definition(aggregation=aggregation, **fields), terms(**options))


EVENTS = [(T0, 3), (T0 + 2 * MINUTE_US, Decimal("0.5")), (T0 + MINUTE_US, 3), (T0 + HOUR_US, -2)]


@pytest.mark.parametrize(
    "aggregation, noon, one, total",
    [
        ("count", "3", "1", "4"),
        ("sum", "6.5", "-2", "4.5"),
        ("avg", "2.166666666666666667", "-2", "1.125"),
        ("min", "0.5", "-2", "-2"),
        ("max", "3", "-2", "3"),
        ("latest", "0.5", "-2", "-2"),
    ],
)
def test_each_aggregation_over_each_window(aggregation: str, noon: str, one: str, total: str) -> None:
    """An hour holds [12:00, 13:00): the event at 13:00:00 belongs to the next one."""
    driven = folded(counter(aggregation, windows=("hour", "total")), EVENTS)
    assert driven.rows() == {("hour", NOON): (noon, 3), ("hour", NOON + 3600): (one, 1), ("total", 0): (total, 4)}


def test_unique_tells_values_apart_as_json_does() -> None:
    """1, 1.0 and 1e0 are one value; "1" and true are others; null and an absent property count in no way."""
    metric = counter("unique", windows=("total",))
    values = [
        1,
        Decimal("1.0"),
        number("1e0"),
        "1",
        True,
        False,
        [1],
        [1, 2],
        {"a": 1},
        number("1e99999999999999999999"),
    ]
    read = [metric.read({"value": value}) for value in values]
    assert metric.read({"value": None}) is None
    assert metric.read({}) is None
    driven = folded(metric, [(T0, member) for member in read])
    assert driven.rows() == {("total", 0): ("8", 10)}


def test_a_long_value_is_one_value() -> None:
    """Values beyond 15 bytes are told apart by a 128-bit hash."""
    metric = counter("unique", windows=("total",))
    assert [len(metric.read({"value": "x" * size})) for size in (14, 15, 10_000)] == [15, 16, 16]
    assert metric.read({"value": "x" * 20}) != metric.read({"value": "x" * 21})


def test_count_reads_no_property() -> None:
    """Every event counts, whatever its properties."""
    assert counter("count").read({}) == 1


def test_other_aggregations_read_numbers() -> None:
    """Numeric text is its number, what is absent does not count, anything else is bad."""
    read = counter("sum").read
    assert read({"value": "1.50"}) == Decimal("1.50")
    assert read({"value": 7}) == 7
    assert read({}) is None
    for bad in ("x", True, [1], 10**36, number("1e-31")):
        with pytest.raises(BadValue):
            read({"value": bad})


def test_sums_keep_every_digit() -> None:
    """10^35 and 10^-30 added are 66 digits, all of them there."""
    driven = folded(counter("sum", windows=("total",)), [(T0, 10**35), (T0, Decimal("1E-30"))])
    assert driven.rows() == {("total", 0): ("100000000000000000000000000000000000.000000000000000000000000000001", 2)}
    driven.restore()
    assert driven.rows() == {("total", 0): ("100000000000000000000000000000000000.000000000000000000000000000001", 2)}


def test_latest_takes_the_later_record_of_one_instant() -> None:
    """The order of the log decides, not that of the folds."""
    driven = Driven(counter("latest", windows=("total",)))
    driven.fold(T0, 5, 1)
    driven.fold(T0, 4, 2)
    assert driven.rows() == {("total", 0): ("1", 2)}


def test_rounding_applies_last() -> None:
    """2.1666... is rounded up to 2.17."""
    driven = folded(counter("avg", windows=("hour",), rounding=Rounding("ceil", 2)), EVENTS[:3])
    assert driven.rows() == {("hour", NOON): ("2.17", 3)}


def test_a_late_event_counts_where_its_window_is_kept() -> None:
    """Nine days on the hour (8 days) is no longer kept, the day (100 days) is: one late window."""
    driven = folded(counter("sum", windows=("hour", "day")), [(T0 + 9 * DAY_US, 1)])
    assert driven.fold(T0, 1, 5) == 1
    assert driven.rows() == {
        ("hour", NOON + 9 * 86_400): ("1", 1),
        ("day", TODAY): ("5", 1),
        ("day", TODAY + 9 * 86_400): ("1", 1),
    }


def test_a_window_is_kept_for_its_retention_after_its_end() -> None:
    """The hour that ends at 13:00 takes events up to the clock 12:59:59.999999 of the 8th day after."""
    last_us = T0 + HOUR_US + 8 * DAY_US - 1
    metric = counter("sum", windows=("hour",))
    assert Driven(metric).fold(T0, 0, 1, last_us) == 0
    assert Driven(metric).fold(T0, 0, 1, last_us + 1) == 1


def test_lateness_is_for_all_windows() -> None:
    """With 10 minutes the hour is late at 13:10, the day is not yet, the total never."""
    metric = counter("sum", windows=("hour", "day", "total"), lateness_us=10 * MINUTE_US)
    assert Driven(metric).fold(T0, 0, 1, T0 + 70 * MINUTE_US - 1) == 0
    assert Driven(metric).fold(T0, 0, 1, T0 + 70 * MINUTE_US) == 1
    assert Driven(metric).fold(T0, 0, 1, T0 + 90 * DAY_US) == 2


def test_a_newest_window_that_is_no_longer_kept_takes_nothing() -> None:
    """The clock moves on with other customers' events."""
    driven = folded(counter("sum", windows=("hour", "total")), [(T0, 1)])
    assert driven.fold(T0 + 1, 1, 1, T0 + 20 * DAY_US) == 1
    assert driven.rows() == {("hour", NOON): ("1", 1), ("total", 0): ("2", 2)}


def test_a_simulation_leaves_nothing_out_but_counts_it() -> None:
    """Every window that was ever filled is there; `late` is as a worker would have counted."""
    driven = folded(counter("sum", windows=("hour", "total"), simulate=True), [(T0 + 20 * DAY_US, 1)])
    assert driven.fold(T0, 1, 5) == 1
    driven.state.expire(T0 + 900 * DAY_US)
    assert driven.rows()["hour", NOON] == ("5", 1)


def test_windows_expire() -> None:
    """Nine days on the hours are gone from memory and changelog, the days are not."""
    driven = folded(counter("sum", windows=("hour", "day")), [(T0 + number * HOUR_US, 1) for number in range(5)])
    driven.restore()
    driven.state.expire(T0 + 9 * DAY_US)
    driven.restore()
    assert driven.rows() == {("day", TODAY): ("5", 5)}
    driven.state.expire(T0 + 101 * DAY_US)
    driven.save()
    assert driven.chunks == {}


def test_an_expired_state_counts_anew() -> None:
    """After everything expired, a new event starts from nothing."""
    driven = folded(counter("sum", windows=("hour",)), [(T0, 1)])
    driven.state.expire(T0 + 30 * DAY_US)
    driven.fold(T0 + 30 * DAY_US, 1, 2)
    driven.restore()
    assert driven.rows() == {("hour", NOON + 30 * 86_400): ("2", 1)}


def test_redis_shows_open_windows_and_the_one_that_ended() -> None:
    """At 14:30: the hours 13 and 14, and 15 where an event came ahead of the clock; not 12."""
    driven = folded(counter("count", windows=("hour", "total")), [(T0 + number * HOUR_US, 1) for number in range(4)])
    shown = driven.state.shown(T0 + 2 * HOUR_US + 30 * MINUTE_US)
    assert [(row.kind, row.start % 86_400 // 3600, row.events) for row in shown] == [
        (1, 13, 1),
        (1, 14, 1),
        (1, 15, 1),
        (8, 0, 4),
    ]


def test_redis_shows_nothing_that_ended_long_ago() -> None:
    """An hour that ended before the last one is not shown, however long nothing came."""
    driven = folded(counter("count", windows=("hour",)), [(T0, 1)])
    assert [row.events for row in driven.state.shown(T0 + HOUR_US)] == [1]
    assert driven.state.shown(T0 + 2 * HOUR_US) == []


def test_an_event_writes_one_chunk() -> None:
    """What one more event of the newest windows changes is one small chunk."""
    driven = folded(counter("sum"), [(T0 + number * HOUR_US, 1) for number in range(200)])
    driven.save()
    driven.fold(T0 + 199 * HOUR_US, 999, 1)
    assert [(name, len(data or b"")) for name, data in driven.save().items()] == [(b"n\0\0", 41)]


def test_windows_are_of_the_customers_zone() -> None:
    """At +05:30 noon UTC is in the hour that began at 11:30 UTC, and in the day that began at 18:30 the evening before."""
    driven = folded(counter("count", windows=("hour", "day")), [(T0, 1)], calendar_for("Asia/Kolkata"))
    assert driven.rows() == {("hour", NOON - 1800): ("1", 1), ("day", NOON - 63_000): ("1", 1)}


def test_week_and_month_stand_beside_each_other() -> None:
    """Weeks start on Monday, and neither nests in the other."""
    driven = folded(counter("count", windows=("week", "month")), [(T0, 1), (T0 + 30 * DAY_US, 1)])
    assert [(kind, start) for kind, start in driven.rows()] == [
        ("week", 1_772_409_600),
        ("week", 1_774_828_800),
        ("month", 1_772_323_200),
        ("month", 1_775_001_600),
    ]


@pytest.mark.parametrize("aggregation, one, two", [("sum", "3", "5"), ("unique", "1", "2")])
def test_kinds_of_window_come_and_go(aggregation: str, one: str, two: str) -> None:
    """Those that stay carry on; new ones, finer or coarser, start with nothing."""
    values: list[Any] = [b"a", b"b"] if aggregation == "unique" else [1, 2]
    driven = folded(
        counter(aggregation, windows=("hour", "day")), [(T0 - hour * HOUR_US, values[0]) for hour in (2, 1, 0)]
    )
    driven.restore()
    assert {name[:2] for name in driven.chunks} >= {b"w\1"}
    driven.metric = counter(aggregation, windows=("minute", "day", "total"))
    driven.restore()
    driven.restore()
    assert not {name[:2] for name in driven.chunks} & {b"w\1", b"m\1"}
    assert driven.rows() == {("day", TODAY): (one, 3)}
    driven.fold(T0 + MINUTE_US, 9, values[1])
    driven.restore()
    assert {at: events for at, (_, events) in driven.rows().items()} == {
        ("minute", NOON + 60): 1,
        ("day", TODAY): 4,
        ("total", 0): 1,
    }
    assert driven.rows()["day", TODAY] == (two, 4)
