"""Replaced events, for every type and aggregation, against a recount of what remains."""

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schemas.definitions import Operation
from stream.core.calendar import calendar_for
from stream.core.metrics.base import DAY_US, SECOND_US, Metric, MetricType
from stream.core.metrics.counter import Counter
from stream.core.metrics.gauge import Gauge
from stream.core.metrics.rate import Rate
from tests.unit.stream.core.metrics.harness import T0, Driven, definition, terms

KINDS = ("hour", "day", "week", "month", "total")
TERMS = terms(upsert=True, sliding_late_us=7 * DAY_US, keep_us=(400 * DAY_US,) * 8 + (None,))
PLAIN = terms(sliding_late_us=7 * DAY_US, keep_us=(400 * DAY_US,) * 8 + (None,))


def metrics(name: str) -> tuple[Metric, Metric]:
    """The same definition with and without upsert."""
    kind, *rest = name.split("-")
    match kind:
        case "counter":
            fields: dict[str, Any] = {"aggregation": rest[0], "windows": KINDS}
        case "rate":
            fields = {"aggregation": rest[0], "granularity": "hour", "windows": KINDS}
        case "sliding":
            fields = {"aggregation": rest[0], "granularity": "hour", "windows": KINDS, "sliding": True}
        case _:
            fields = {
                "aggregation": rest[1],
                "event_type": rest[0],
                "windows": KINDS[:-1],
                "initial_value": 1,
                "group_by": ("g",) if len(rest) > 2 else (),
            }
            if rest[1] == "unique":
                fields |= {"operation": Operation("op", 1, 0), "event_type": None}
    types: dict[str, MetricType] = {"counter": Counter(), "rate": Rate(), "sliding": Rate(), "gauge": Gauge()}
    which = types[kind]
    made = definition(type="rate" if kind == "sliding" else kind, **fields)
    return which.build(made, TERMS), which.build(made, PLAIN)


NAMES = [
    *[f"counter-{how}" for how in ("count", "sum", "avg", "min", "max", "latest", "unique")],
    *[f"{kind}-{how}" for kind in ("rate", "sliding") for how in ("count", "sum", "max", "avg")],
    *[f"gauge-{how}-{what}" for how in ("delta", "total") for what in ("latest", "max", "min", "weighted_sum")],
    "gauge-delta-max-grouped",
    "gauge-total-max-grouped",
    "gauge-delta-unique",
    "gauge-delta-unique-grouped",
]
instants = st.one_of(
    st.integers(-4, 0).map(lambda n: T0 + n * SECOND_US // 2),
    st.integers(-8, 0).map(lambda n: T0 + n * 900 * SECOND_US),
    st.integers(-6 * 24, 0).map(lambda n: T0 + n * 3600 * SECOND_US),
)
events = st.lists(
    st.tuples(st.integers(0, 5), instants, st.integers(-3, 3), st.sampled_from([b"", b"a", b"b"]), st.integers(0, 1)),
    min_size=1,
    max_size=20,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(events=events, data=st.data())
def test_a_replaced_event_is_as_if_it_had_not_been(name: str, events: list[Any], data: Any) -> None:
    """After replacements every row is that of a state which saw only what remains, in the log's order."""
    upserting, plain = metrics(name)
    calendar = calendar_for("America/New_York")
    driven = Driven(upserting, calendar, overall=upserting.keyed)
    remaining: dict[int, tuple[int, int, Any]] = {}
    for order, (known, us, number, group, present) in enumerate(events):
        value: Any = number
        if name.endswith("unique") or "unique" in name:
            value = (b"%d" % number, present) if name.startswith("gauge") else b"%d" % number
        if upserting.keyed:
            value = (group, value)
        if known in remaining:
            driven.remove(*remaining.pop(known))
        driven.fold(us, order, value, T0)
        remaining[known] = (us, order, value)
        match data.draw(st.integers(0, 9)):
            case 0:
                driven.restore()
            case 1:
                driven.save()
            case 2:
                driven.state.expire(T0)
            case 3:
                driven.rows(T0)
    if data.draw(st.booleans()):
        driven.state.expire(T0)
        driven.restore()
    fresh = Driven(plain, calendar, overall=plain.keyed)
    for us, order, value in remaining.values():
        fresh.fold(us, order, value, T0)
    until = T0 + 3600 * SECOND_US
    assert driven.rows(until) == fresh.rows(until)


@pytest.mark.parametrize("name", NAMES)
def test_all_may_be_taken_back(name: str) -> None:
    """A state from which everything was removed shows no row, and later counts as if new."""
    upserting, _ = metrics(name)
    value: Any = (b"x", 1) if name.startswith("gauge") and "unique" in name else b"x" if "unique" in name else 2
    if upserting.keyed:
        value = (b"a", value)
    driven = Driven(upserting, overall=upserting.keyed)
    for order in range(3):
        driven.fold(T0 - order * 7200 * SECOND_US, order, value, T0)
    driven.restore()
    for order in range(3):
        driven.remove(T0 - order * 7200 * SECOND_US, order, value)
    assert driven.rows(T0) == {}
    driven.restore()
    assert driven.rows(T0) == {}
    driven.fold(T0, 9, value, T0)
    assert [events for (kind, _), (_, events) in driven.rows(T0).items() if kind == "hour" and events] == [1]
