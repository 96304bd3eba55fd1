"""Counters and rates against a naive recount, in any order of arrival."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schemas.definitions import KINDS
from stream.core.calendar import calendar_for
from stream.core.metrics.base import DAY_US, SECOND_US
from stream.core.metrics.counter import Counter
from stream.core.metrics.rate import Rate
from stream.core.text import text
from tests.unit.stream.core.metrics.harness import MINUTE_US, T0, Driven, definition, terms

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]
ALL = tuple(KINDS)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(
        [Decimal("0.1"), Decimal("-0.25"), Decimal("1E+30"), 10**35, Decimal("0.000000000000000000000000000001")]
    ),
)
# close together, so that windows are shared, and around the end of daylight saving in New York (2026-03-08)
instants = st.one_of(
    st.integers(-3, 3).map(lambda n: T0 + n * SECOND_US),
    st.integers(-200, 200).map(lambda n: T0 + n * MINUTE_US // 7),
    st.integers(-6 * 24, 0).map(lambda n: T0 + n * 3600 * SECOND_US),
)
events = st.lists(st.tuples(instants, numbers), min_size=1, max_size=24)


def naive(aggregation: str, values: list[tuple[int, int, Any]]) -> Any:
    """One number of (us, order, value)."""
    plain = [value for _, _, value in values]
    match aggregation:
        case "count":
            return len(plain)
        case "sum":
            return sum(map(Fraction, plain))
        case "avg":
            return sum(map(Fraction, plain)) / len(plain)
        case "min":
            return min(map(Fraction, plain))
        case "max":
            return max(map(Fraction, plain))
        case "latest":
            return Fraction(max(values)[2])
    return len(set(plain))


def drive(driven: Driven, arrivals: list[tuple[int, int, Any]], data: Any) -> None:
    """Fold (us, order, value) in the order given, saving, restoring and expiring in between."""
    for us, order, value in arrivals:
        assert driven.fold(us, order, value, T0) == 0
        match data.draw(st.integers(0, 9)):
            case 0:
                driven.restore()
            case 1:
                driven.save()
            case 2:
                driven.state.expire(driven.clock_us)
    driven.restore()


@pytest.mark.parametrize("aggregation", ["count", "sum", "avg", "min", "max", "latest", "unique"])
@settings(max_examples=40, deadline=None)
@given(events=events, zone=st.sampled_from(ZONES), data=st.data())
def test_counter_equals_the_recount(aggregation: str, events: list[Any], zone: str, data: Any) -> None:
    """Every window of every kind holds what a scan over its events gives, whatever their order of arrival."""
    calendar = calendar_for(zone, data.draw(st.sampled_from([1, 5, 31])))
    metric = Counter().build(
        definition(aggregation=aggregation, windows=ALL), terms(keep_us=(400 * DAY_US,) * 8 + (None,))
    )
    numbered = [(us, order, value) for order, (us, value) in enumerate(events)]
    windows: dict[tuple[str, int], list[tuple[int, int, Any]]] = defaultdict(list)
    for event in numbered:
        for kind, start in zip(KINDS, calendar.windows(event[0])[1:], strict=True):
            windows[kind, start].append(event)
    arrivals = data.draw(st.permutations(numbered))
    driven = Driven(metric, calendar)
    read = [(us, order, metric.read({"value": value})) for us, order, value in arrivals]
    drive(driven, read, data)
    assert driven.rows() == {at: (text(naive(aggregation, held)), len(held)) for at, held in windows.items()}


@pytest.mark.parametrize("aggregation", ["count", "sum", "max", "avg"])
@pytest.mark.parametrize("granularity", ["minute", "hour", "day", "month"])
@settings(max_examples=30, deadline=None)
@given(events=events, zone=st.sampled_from(ZONES), data=st.data())
def test_rate_equals_the_recount(aggregation: str, granularity: str, events: list[Any], zone: str, data: Any) -> None:
    """A window's rate is the greatest of its sub-periods', whatever the order of arrival."""
    calendar = calendar_for(zone, data.draw(st.sampled_from([1, 5, 31])))
    kinds = [
        kind
        for kind in KINDS
        if KINDS.index(kind) >= KINDS.index(granularity) and (granularity, kind) != ("month", "week")
    ]
    metric = Rate().build(
        definition(type="rate", aggregation=aggregation, granularity=granularity, windows=tuple(kinds)), terms()
    )
    numbered = [(us, order, value) for order, (us, value) in enumerate(events)]
    windows: dict[tuple[str, int], dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for event in numbered:
        w = calendar.windows(event[0])
        for kind in kinds:
            windows[kind, w[1 + KINDS.index(kind)]][w[1 + KINDS.index(granularity)]].append(event)
    driven = Driven(metric, calendar)
    old = (2 * DAY_US) if granularity == "minute" else 8 * DAY_US
    arrivals = data.draw(st.permutations([each for each in numbered if each[0] > T0 - old + 3600 * SECOND_US]))
    kept = set(arrivals)
    drive(driven, arrivals, data)
    expected = {}
    for at, subs in windows.items():
        held = [[each for each in sub if each in kept] for sub in subs.values()]
        held = [sub for sub in held if sub]
        if held:
            expected[at] = (text(max(naive(aggregation, sub) for sub in held)), sum(map(len, held)))
    assert driven.rows() == expected


@pytest.mark.parametrize("aggregation", ["count", "sum", "max", "avg"])
@pytest.mark.parametrize("unit", ["minute", "hour", "day"])
@settings(max_examples=40, deadline=None)
@given(
    events=st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 8).map(lambda n: T0 + n * SECOND_US // 2),
                st.integers(0, 3600).map(lambda n: T0 + n * SECOND_US),
                st.integers(-26, 0).map(lambda n: T0 + n * 3600 * SECOND_US),
            ),
            numbers,
        ),
        min_size=1,
        max_size=24,
    ),
    data=st.data(),
)
def test_sliding_rate_equals_the_recount(aggregation: str, unit: str, events: list[Any], data: Any) -> None:
    """A window's sliding rate is the greatest of what its events look back on, each over (t - unit, t]."""
    calendar = calendar_for("America/New_York")
    kinds = ("minute", "hour", "day", "total")
    metric = Rate().build(
        definition(type="rate", aggregation=aggregation, granularity=unit, windows=kinds, sliding=True),
        terms(sliding_late_us=2 * DAY_US),
    )
    numbered = [(us, order, value) for order, (us, value) in enumerate(events)]
    length = {"minute": 60, "hour": 3600, "day": 86400}[unit]
    windows: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for us, _, _ in numbered:
        t = us // SECOND_US
        back = [each for each in numbered if t - length < each[0] // SECOND_US <= t]
        for kind in kinds:
            windows[kind, calendar.windows(us)[1 + KINDS.index(kind)]].append(naive(aggregation, back))
    driven = Driven(metric, calendar)
    drive(driven, data.draw(st.permutations(numbered)), data)
    assert driven.rows() == {at: (text(max(worths)), len(worths)) for at, worths in windows.items()}
