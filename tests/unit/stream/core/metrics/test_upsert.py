"""Events that are taken back: what is remembered of them, and for how long."""

from typing import Any

import pytest

from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US
from stream.core.metrics.counter import Counter
from stream.core.metrics.gauge import Gauge
from stream.core.metrics.rate import Rate
from tests.unit.stream.core.metrics.harness import T0, Driven, definition, folded, terms

NOON = T0 // SECOND_US
UPSERT = terms(upsert=True)


def counter(aggregation: str, **fields: Any) -> Any:
    """A counter of upserted events."""
    return Counter().build(definition(aggregation=aggregation, **fields), UPSERT)


@pytest.mark.parametrize(
    "aggregation, before, after",
    [
        ("count", "3", "2"),
        ("sum", "12", "5"),
        ("avg", "4", "2.5"),
        ("min", "2", "2"),
        ("max", "7", "3"),
        ("latest", "7", "3"),
        ("unique", "3", "2"),
    ],
)
def test_a_removed_event_is_as_if_it_had_not_been(aggregation: str, before: str, after: str) -> None:
    """In every window, also after a restart."""
    values: list[Any] = [b"2", b"3", b"7"] if aggregation == "unique" else [2, 3, 7]
    driven = folded(counter(aggregation), [(T0 + order, value) for order, value in enumerate(values)])
    assert driven.rows()["month", 1_772_323_200] == (before, 3)
    driven.restore()
    driven.remove(T0 + 2, 2, values[2])
    assert set(driven.rows().values()) == {(after, 2)}
    driven.restore()
    assert set(driven.rows().values()) == {(after, 2)}


def test_a_window_that_is_emptied_has_no_row() -> None:
    """The hour is gone, the day has what is left."""
    driven = folded(counter("sum", windows=("hour", "day")), [(T0, 1), (T0 + HOUR_US, 2)])
    driven.remove(T0, 0, 1)
    assert driven.rows() == {("hour", NOON + 3600): ("2", 1), ("day", NOON - 43_200): ("2", 1)}


def test_an_event_that_came_too_late_for_a_window_is_not_taken_out_of_it() -> None:
    """What a window never counted it does not lose; the day counted it, and loses it."""
    driven = folded(counter("sum", windows=("hour", "day")), [(T0 + 9 * DAY_US, 1)])
    assert driven.fold(T0, 1, 5) == 1
    driven.remove(T0, 1, 5)
    assert driven.rows() == {("hour", NOON + 9 * 86_400): ("1", 1), ("day", NOON - 43_200 + 9 * 86_400): ("1", 1)}


@pytest.mark.parametrize("kind", ["gauge", "sliding"])
def test_an_event_that_came_too_late_altogether_is_not_taken_back(kind: str) -> None:
    """Its removal finds nothing and changes nothing."""
    fields: dict[str, Any] = {"windows": ("hour",), "lateness_us": HOUR_US}
    if kind == "gauge":
        metric = Gauge().build(definition(type="gauge", aggregation="latest", event_type="delta", **fields), UPSERT)
    else:
        fields |= {"type": "rate", "aggregation": "sum", "granularity": "minute", "sliding": True}
        metric = Rate().build(definition(**fields), UPSERT)
    driven = folded(metric, [(T0 + 2 * HOUR_US, 1)])
    assert driven.fold(T0, 1, 5) == 1
    driven.remove(T0, 1, 5)
    assert driven.rows(T0 + 2 * HOUR_US) == {("hour", NOON + 7200): ("1", 1)}


@pytest.mark.parametrize("aggregation, chunks", [("sum", 0), ("max", 2)])
def test_what_can_no_longer_be_replaced_is_let_go(aggregation: str, chunks: int) -> None:
    """After twice max_age and a little more only totals are saved; they stay, and removing changes nothing.

    Before that, only values that cannot be subtracted are saved, here 64 to a chunk.
    """
    events = [(T0 + order * HOUR_US, order) for order in range(100)]
    driven = folded(counter(aggregation, windows=("day", "total")), events)
    driven.restore()
    before = driven.rows()
    assert sum(1 for name in driven.chunks if name[:1] == b"i") == chunks
    driven.fold(T0 + 40 * DAY_US, 100, 0)
    driven.state.expire(T0 + 40 * DAY_US)
    driven.restore()
    newest = [b"i" + (2**47 + 2).to_bytes(6) + b"\0\0"] if chunks else []
    assert [name for name in driven.chunks if name[:1] == b"i"] == newest
    after = driven.rows()
    assert {at: row for at, row in after.items() if at in before and at[0] == "day"} == {
        at: row for at, row in before.items() if at[0] == "day"
    }
    assert after["total", 0] == ({"sum": "4950", "max": "99"}[aggregation], 101)
    driven.remove(T0, 0, 0)
    assert driven.rows() == after


def test_many_events_are_saved_in_small_chunks() -> None:
    """One more event writes the newest chunk of events again, not all of them."""
    driven = folded(counter("max"), [(T0 + order, order) for order in range(1000)])
    driven.save()
    driven.fold(T0 + 1000, 1000, 5)
    assert all(len(data or b"") < 400 for data in driven.save().values())


def test_a_state_without_saves_takes_back_alike() -> None:
    """Nothing depends on when the state was saved."""
    driven = Driven(counter("min"))
    for order, value in enumerate([3, 1, 2]):
        driven.fold(T0 + order, order, value)
    driven.remove(T0 + 1, 1, 1)
    assert driven.rows()["total", 0] == ("2", 2)


def test_looking_does_not_mix_the_newest_bucket_into_the_others() -> None:
    """A value that only the newest hour had is gone when it is taken back, though the day was shown before."""
    driven = folded(counter("unique", windows=("hour", "day")), [(T0, b"a"), (T0 + HOUR_US, b"b")])
    assert driven.rows()["day", NOON - 43_200] == ("2", 2)
    driven.remove(T0 + HOUR_US, 1, b"b")
    assert driven.rows()["day", NOON - 43_200] == ("1", 1)


def test_what_froze_is_there_after_a_restart() -> None:
    """The month counts the distinct values of the days that can no longer change."""
    driven = folded(counter("unique", windows=("day", "year")), [(T0, b"a"), (T0 + DAY_US, b"b")])
    driven.fold(T0 + 40 * DAY_US, 2, b"c")
    driven.state.expire(T0 + 40 * DAY_US)
    assert driven.rows()["year", 1_767_225_600] == ("3", 3)
    driven.restore()
    assert driven.rows()["year", 1_767_225_600] == ("3", 3)
    assert driven.rows()["day", NOON - 43_200] == ("1", 1)
