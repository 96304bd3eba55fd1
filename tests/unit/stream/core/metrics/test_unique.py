"""Distinct values: exact to a bound, and beyond it refused or estimated, as the definition says."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from schemas.load import load
from stream.core.metrics import unique
from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US, BadValue
from stream.core.metrics.counter import Counter
from stream.core.metrics.sketch import ERROR, REGISTERS, Sketch
from stream.core.simulate import simulate
from tests.unit.stream.core.metrics.harness import T0, Driven, definition, folded, terms

NOON = T0 // SECOND_US


def counter(above: int | None = None, **options: Any) -> Any:
    """A counter of distinct values."""
    windows = options.pop("windows", ("hour", "total"))
    made = definition(aggregation="unique", windows=windows, approximate_above=above)
    return Counter().build(made, terms(**options))


def members(numbers: range) -> list[tuple[int, bytes]]:
    """One member for each number, a microsecond apart."""
    return [(T0 + number, b"%d" % number) for number in numbers]


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most ten members are counted exactly."""
    monkeypatch.setattr(unique, "EXACT_MEMBERS", 10)


@pytest.mark.usefixtures("ten")
@pytest.mark.parametrize("upsert", [False, True])
def test_a_value_too_many_is_refused_and_changes_nothing(upsert: bool) -> None:
    """The eleventh value is bad for the metric; a known one, and another hour of its own, are not asked to leave."""
    driven = folded(counter(upsert=upsert), members(range(10)))
    driven.restore()
    before = driven.rows()
    with pytest.raises(BadValue, match="10 distinct values"):
        driven.fold(T0, 99, b"eleven")
    assert driven.rows() == before == {("hour", NOON): ("10", 10), ("total", 0): ("10", 10)}
    assert driven.fold(T0, 100, b"3") == 0
    assert driven.rows()["total", 0] == ("10", 11)


@pytest.mark.usefixtures("ten")
def test_the_bound_is_for_each_window() -> None:
    """Hours have their own ten; where only hours are counted, an eleventh value in the next hour is welcome."""
    driven = folded(counter(windows=("hour",)), members(range(10)))
    assert driven.fold(T0 + HOUR_US, 99, b"eleven") == 0
    assert driven.values("hour") == [(NOON, "10", 10), (NOON + 3600, "1", 1)]


@pytest.mark.parametrize("upsert", [False, True])
def test_above_the_given_number_a_window_is_estimated_and_says_so(upsert: bool) -> None:
    """Up to 5 values a window is exact, with a sixth it states its error; others stay exact."""
    driven = folded(counter(above=5, upsert=upsert), members(range(5)))
    total = driven.state.total(8, 0)
    assert total is not None
    assert (total.value, total.error) == ("5", None)
    driven.fold(T0 + HOUR_US, 9, b"six")
    driven.restore()
    total, hour = driven.state.total(8, 0), driven.state.total(1, NOON + 3600)
    assert total is not None
    assert hour is not None
    assert (total.value, total.error, total.events) == ("6", "0.0081", 6)
    assert (hour.value, hour.error) == ("1", None)


def test_an_estimate_does_not_depend_on_the_order() -> None:
    """Whichever value comes last, the sketch is that of all of them."""
    one = folded(counter(above=100), members(range(1000)))
    other = folded(counter(above=100), list(reversed(members(range(1000)))))
    other.restore()
    assert one.rows() == other.rows()
    assert one.rows()["total", 0] == ("998", 1000)


def test_an_estimate_is_within_a_few_of_its_stated_errors() -> None:
    """100,000 values are estimated within 2.5 % (three standard errors of 0.81 %)."""
    sketch = Sketch()
    for number in range(100_000):
        sketch.add(b"%d" % number)
    assert ERROR == "0.0081"
    assert sketch.estimate() == 99_949
    assert len(sketch.registers) == REGISTERS == 16_384


def test_sketches_merge_to_that_of_both() -> None:
    """Merged sketches are equal to one of all values."""
    one, two, both = Sketch(), Sketch(), Sketch()
    for number in range(3000):
        (one if number % 2 else two).add(b"%d" % number)
        both.add(b"%d" % number)
    one.merge(two)
    assert one.registers == both.registers


def test_a_new_member_writes_one_small_part() -> None:
    """What a commit writes does not grow with the set."""
    driven = folded(counter(), members(range(5000)))
    driven.save()
    assert driven.save() == {}
    driven.fold(T0, 9999, b"new")
    sizes = {name[:2]: len(data or b"") for name, data in driven.save().items()}
    assert sorted(sizes) == [b"m\x01", b"m\x08", b"n\0"]
    assert max(sizes.values()) < 4096 + 17


def test_members_survive_a_restart_while_encoded() -> None:
    """A known member is known after a restart, and the set is decoded only then."""
    driven = folded(counter(), members(range(500)))
    driven.restore()
    assert driven.rows()["total", 0] == ("500", 500)
    driven.fold(T0, 9999, b"17")
    assert driven.rows()["total", 0] == ("500", 501)


def test_a_late_value_counts_in_the_closed_window_that_lacks_it() -> None:
    """Closed windows know their members."""
    driven = folded(counter(windows=("hour",)), [(T0 + number * HOUR_US, b"a") for number in range(5)])
    driven.restore()
    driven.fold(T0, 8, b"a")
    driven.restore()
    driven.fold(T0, 9, b"b")
    assert driven.values("hour")[0] == (NOON, "2", 3)


@pytest.mark.parametrize("above", [None, 3])
def test_members_expire_with_their_window(above: int | None) -> None:
    """Nothing of an expired window stays in the changelog, be it members or a sketch."""
    driven = folded(counter(above, windows=("hour",)), members(range(500)))
    driven.fold(T0 + HOUR_US, 999, b"x")
    driven.restore()
    driven.state.expire(T0 + 30 * DAY_US)
    driven.save()
    assert driven.chunks == {}


def test_driving_needs_no_saving() -> None:
    """A state that is never saved counts alike."""
    driven = Driven(counter(above=3))
    for order, (us, value) in enumerate(members(range(3))):
        driven.fold(us, order, value)
    assert driven.rows()["total", 0] == ("3", 3)


def calls(values: Iterable[int]) -> list[bytes]:
    """The lines of a file: one call for each value, so many seconds after noon."""
    return [
        json.dumps(
            {"id": f"e{n}", "event_name": "call", "customer_id": "c", "timestamp": NOON + n, "properties": {"value": n}}
        ).encode()
        for n in values
    ]


def test_a_row_says_that_it_is_an_estimate() -> None:
    """From the definitions to the printed row: `error` where the value is estimated, nothing where it is exact."""
    definitions = load(
        "metrics:\n"
        "  seen: {event_name: call, type: counter, aggregation: unique, property: value,"
        " windows: [hour, total], approximate_above: 2}\n"
    )
    lines = calls((0, 1, 3600))
    rows = simulate(definitions, lines)["rows"]
    assert [(row["window"], row["value"], row.get("error")) for row in rows] == [
        ("hour", "2", None),
        ("hour", "1", None),
        ("total", "3", "0.0081"),
    ]


@pytest.mark.usefixtures("ten")
def test_a_refused_value_is_a_partial_rejection() -> None:
    """The event counts for the other metrics, and the refused one is named."""
    definitions = load(
        "metrics:\n"
        "  calls: {event_name: call, type: counter, aggregation: count, windows: [total]}\n"
        "  seen: {event_name: call, type: counter, aggregation: unique, property: value, windows: [total]}\n"
    )
    lines = calls(range(11))
    report = simulate(definitions, lines)
    assert [(row["metric"], row["value"], row["events"]) for row in report["rows"]] == [
        ("calls", "11", 11),
        ("seen", "10", 10),
    ]
    assert [(each["line"], each["reason"], each["metrics"]) for each in report["rejected"]] == [
        (11, "bad_value", ["seen"])
    ]
