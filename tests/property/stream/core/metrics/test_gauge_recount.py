"""Gauges against a naive scan over time, in any order of arrival."""

from bisect import bisect_left, bisect_right
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, given, settings, strategies as st

from schemas.definitions import KINDS, UNITS, Operation
from stream.core.calendar import Calendar, calendar_for
from stream.core.metrics.base import DAY_US, SECOND_US
from stream.core.metrics.gauge import Gauge
from stream.core.text import text
from tests.unit.stream.core.metrics.harness import MINUTE_US, T0, Driven, definition, terms

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]
KEEP = (400 * DAY_US,) * 8 + (None,)
numbers = st.one_of(st.integers(-3, 5), st.sampled_from([Decimal("0.1"), Decimal("-2.5")]))
instants = st.one_of(
    st.integers(-2, 3).map(lambda n: T0 + n * MINUTE_US // 2),
    st.integers(-6 * 24, 0).map(lambda n: T0 + n * 3600 * SECOND_US),
    st.integers(-6 * 24 * 3600, 0).map(lambda n: T0 + n * SECOND_US),
)
groups = st.sampled_from([b"", b"a", b"b"])

State = list[tuple[int, Any]]
"""The state from each instant on."""


def walk(kind: str, initial: Any, grouped: bool, events: list[Any]) -> State:
    """Go through (us, order, group, value) in order and note the overall state after each instant."""
    states: dict[bytes, Any] = {}
    out: State = []
    for us, _, group, value in sorted(events):
        if kind == "unique":
            held = states.setdefault(group, set())
            (held.add if value[1] else held.discard)(value[0])
            now: Any = len(set().union(*states.values()))
        else:
            states[group] = value if kind == "total" else states.get(group, initial) + value
            now = sum(states.values()) if grouped else states[group]
        if out and out[-1][0] == us:
            out.pop()
        out.append((us, now))
    return out


def at(state: State, initial: Any, us: int) -> Any:
    """The state at an instant."""
    place = bisect_right(state, us, key=lambda each: each[0])
    return state[place - 1][1] if place else initial


def held_in(state: State, initial: Any, start: int, end: int) -> list[tuple[int, int, Any]]:
    """(begin, end, value) of what held for some time of [start, end)."""
    cuts = [start, *[begin for begin, _ in state if start < begin < end], end]
    return [(a, b, at(state, initial, a)) for a, b in pairwise(cuts)]


def units(calendar: Calendar, unit: str, start: int, end: int) -> list[tuple[int, int]]:
    """The calendar units that touch [start, end), in microseconds."""
    out, us = [], start
    while us < end:
        if unit == "second":
            begun, ends = us // SECOND_US * SECOND_US, (us // SECOND_US + 1) * SECOND_US
        else:
            kind = KINDS.index(unit)
            begun = calendar.windows(us)[1 + kind]
            stop = calendar.end(kind, begun)
            assert stop is not None
            begun, ends = begun * SECOND_US, stop * SECOND_US
        out.append((begun, ends))
        us = ends
    return out


def naive(aggregation: str, state: State, initial: Any, start: int, end: int) -> Any:
    """A window, by looking at all that held in it."""
    if aggregation in {"latest", "unique"}:
        return at(state, initial, end - 1)
    held = held_in(state, initial, start, end)
    if aggregation == "weighted_sum":
        return sum(Fraction(value) * (b - a) for a, b, value in held) / (end - start)
    return (max if aggregation == "max" else min)(value for _, _, value in held)


def prorated(calendar: Calendar, unit: str, bucket: str, state: State, initial: Any, start: int, end: int) -> Any:
    """The contract's sum over buckets, bucket by bucket."""
    total, unit_start, unit_end = Fraction(0), 0, 0
    changes = [begin for begin, _ in state]
    for begun, ends in units(calendar, bucket, start, end):
        if bisect_right(changes, begun) == bisect_left(changes, ends):
            top = at(state, initial, begun)
        else:
            top = max(value for _, _, value in held_in(state, initial, begun, ends))
        if not unit_start <= begun < unit_end:
            [(unit_start, unit_end)] = units(calendar, unit, begun, begun + 1)
        total += Fraction(top * (min(end, ends) - max(start, begun))) / (unit_end - unit_start) if top else 0
    return total


def check(
    metric: Any, calendar: Calendar, events: list[Any], data: Any, kind: str, initial: Any, value_of: Any, overall: bool
) -> None:
    """Fold in a random order, with saves and expiry between, and compare every row."""
    driven = Driven(metric, calendar, overall=overall)
    for us, order, group, value in data.draw(st.permutations(events)):
        assert driven.fold(us, order, (group, value) if overall else value, T0) == 0
        match data.draw(st.integers(0, 9)):
            case 0:
                driven.restore()
            case 1:
                driven.save()
            case 2:
                driven.state.expire(T0)
            case 3:
                driven.rows(T0 - DAY_US)
    if data.draw(st.booleans()):
        driven.state.expire(T0 + 8 * DAY_US)
        driven.restore()
    until = T0 + 3600 * SECOND_US
    state = walk(kind, initial, overall, events)
    expected = {}
    first = state[0][0]
    for name in (KINDS[each] for each in metric.windows):
        if name == "total":
            expected["total", 0] = (text(value_of("total", state, first - 1, until + DAY_US)), len(events))
            continue
        number = KINDS.index(name)
        for start, end in units(calendar, name, calendar.windows(first)[1 + number] * SECOND_US, until + 1):
            counted = sum(1 for us, *_ in events if start <= us < end)
            expected[name, start // SECOND_US] = (text(value_of(name, state, start, end)), counted)
    assert driven.rows(until) == expected
    assert driven.state.present() == text(state[-1][1])


def numbered(events: list[Any]) -> list[Any]:
    """(us, order, group, value) of events in the order of the log."""
    return [(us, order, group, value) for order, (us, group, value) in enumerate(events)]


@pytest.mark.parametrize("aggregation", ["latest", "max", "min", "weighted_sum"])
@pytest.mark.parametrize("event_type", ["delta", "total"])
@settings(max_examples=40, deadline=None)
@given(
    events=st.lists(st.tuples(instants, groups, numbers), min_size=1, max_size=14),
    zone=st.sampled_from(ZONES),
    initial=st.sampled_from([0, 3, Decimal("-0.5")]),
    overall=st.booleans(),
    data=st.data(),
)
def test_gauge_equals_the_recount(
    aggregation: str, event_type: str, events: list[Any], zone: str, initial: Any, overall: bool, data: Any
) -> None:
    """Every window from the first event's on holds what a scan over time gives, whatever the order of arrival."""
    calendar = calendar_for(zone, 5)
    kinds = ("hour", "day", "week", "month", "billing_period") + (("total",) if aggregation != "weighted_sum" else ())
    metric = Gauge().build(
        definition(
            type="gauge",
            aggregation=aggregation,
            event_type=event_type,
            initial_value=initial,
            windows=kinds,
            group_by=("g",) if overall else (),
        ),
        terms(keep_us=KEEP),
    )
    given_events = numbered(events if overall else [(us, b"", value) for us, _, value in events])
    check(
        metric,
        calendar,
        given_events,
        data,
        event_type,
        initial,
        lambda _, state, start, end: naive(aggregation, state, initial, start, end),
        overall,
    )


@settings(max_examples=80, deadline=None)
@given(
    events=st.lists(
        st.tuples(instants, groups, st.tuples(st.sampled_from([b"x", b"y"]), st.integers(0, 1))),
        min_size=1,
        max_size=16,
    ),
    overall=st.booleans(),
    data=st.data(),
)
def test_objects_equal_the_recount(events: list[Any], overall: bool, data: Any) -> None:
    """The number of objects present, and the union over groups, is what a scan over time gives."""
    metric = Gauge().build(
        definition(
            type="gauge",
            aggregation="unique",
            operation=Operation("op", "add", "remove"),
            windows=("hour", "day", "total"),
            group_by=("g",) if overall else (),
        ),
        terms(keep_us=KEEP),
    )
    given_events = numbered(events if overall else [(us, b"", value) for us, _, value in events])
    check(
        metric,
        calendar_for("UTC"),
        given_events,
        data,
        "unique",
        0,
        lambda _, state, start, end: naive("unique", state, 0, start, end),
        overall,
    )


PAIRS = [(unit, bucket) for unit in UNITS for bucket in UNITS if UNITS.index(unit) > UNITS.index(bucket)]


@pytest.mark.parametrize("unit, bucket", PAIRS)
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    events=st.lists(st.tuples(instants, groups, numbers), min_size=1, max_size=8),
    zone=st.sampled_from(ZONES),
    event_type=st.sampled_from(["delta", "total"]),
    data=st.data(),
)
def test_proration_equals_the_recount(
    unit: str, bucket: str, events: list[Any], zone: str, event_type: str, data: Any
) -> None:
    """At every pair of units a window is the sum of its buckets' maxima by their share of the unit."""
    calendar = calendar_for(zone, 5)
    if bucket in {"second", "minute"}:  # the recount looks at every bucket of every window
        kinds: tuple[str, ...] = ("minute", "hour")
        events = [(T0 + us % (1800 * SECOND_US), group, value) for us, group, value in events]
    else:
        kinds = ("hour", "day", "week", "month", "quarter", "year", "billing_period")
    if bucket == "hour":
        kinds = ("hour", "day", "week")
    metric = Gauge().build(
        definition(
            type="gauge",
            aggregation="max",
            event_type=event_type,
            initial_value=2,
            granularity=unit,
            proration=bucket,
            windows=kinds,
        ),
        terms(keep_us=KEEP),
    )
    check(
        metric,
        calendar,
        numbered([(us, b"", value) for us, _, value in events]),
        data,
        event_type,
        2,
        lambda _, state, start, end: prorated(calendar, unit, bucket, state, 2, start, end),
        overall=False,
    )
