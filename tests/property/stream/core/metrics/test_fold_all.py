"""A state that folds many events at once is the state that folded them one by one."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from schemas.definitions import Metric as Definition, Operation
from stream.core.metrics.base import DAY_US, HOUR_US, SECOND_US, Bulk, Many, Metric, MetricType, use_exact
from stream.core.metrics.counter import Counter
from stream.core.metrics.gauge import Gauge
from stream.core.metrics.rate import Rate
from tests.unit.stream.core.metrics.harness import T0, UTC, Driven, definition, terms

use_exact()

METRICS: dict[str, dict[str, Any]] = {
    "unique": {"aggregation": "unique"},
    "unique of a few": {"aggregation": "unique", "approximate_above": 5},
    "unique of a week and a month": {"aggregation": "unique", "windows": ("week", "month")},
    "rate of hours": {"type": "rate", "aggregation": "sum", "granularity": "hour"},
    "rate of minutes": {"type": "rate", "aggregation": "avg", "granularity": "minute", "lateness_us": HOUR_US},
    "rate of months": {
        "type": "rate",
        "aggregation": "max",
        "granularity": "month",
        "windows": ("month", "year", "billing_period"),
    },
    "sliding count": {"type": "rate", "aggregation": "count", "granularity": "minute", "sliding": True},
    "sliding sum": {"type": "rate", "aggregation": "sum", "granularity": "hour", "sliding": True},
    "sliding max": {"type": "rate", "aggregation": "max", "granularity": "minute", "sliding": True},
    "gauge latest": {"type": "gauge", "aggregation": "latest", "event_type": "delta", "initial_value": 3},
    "gauge max": {"type": "gauge", "aggregation": "max", "event_type": "total", "lateness_us": HOUR_US},
    "gauge min": {"type": "gauge", "aggregation": "min", "event_type": "delta"},
    "gauge weighted_sum": {"type": "gauge", "aggregation": "weighted_sum", "event_type": "total"},
    "gauge of shares": {
        "type": "gauge",
        "aggregation": "max",
        "event_type": "total",
        "granularity": "day",
        "proration": "hour",
        "windows": ("hour", "day"),
    },
    "gauge of objects": {"type": "gauge", "aggregation": "unique", "operation": Operation("op", "add", "remove")},
    "upserted sum": {"aggregation": "sum"},
    "upserted max": {"aggregation": "max"},
    "upserted latest": {"aggregation": "latest"},
    "upserted unique": {"aggregation": "unique"},
}
SLIDING_OR_GAUGE = {"windows": ("hour", "day", "month")}


def metric_of(name: str) -> Metric:
    """The metric of that name at work."""
    fields = METRICS[name]
    windows = SLIDING_OR_GAUGE if fields.get("type") in {"gauge", "rate"} else {}
    made: Definition = definition(**({"aggregation": None} | windows | fields))
    kinds: dict[str, MetricType] = {"gauge": Gauge(), "rate": Rate(), "counter": Counter()}
    return kinds[made.type].build(made, terms(upsert=name.startswith("upserted")))


def value_of(name: str, chance: Random) -> Any:
    """Something that the metric folds."""
    if name == "gauge of objects":
        return chance.choice((b"a", b"b", b"c")), chance.randrange(2)
    if "unique" in name:
        return b"s%d" % chance.randrange(12)
    return 1 if "count" in name else chance.randrange(-3, 9)


Event = tuple[int, int, Any, int]


def events_of(name: str, chance: Random) -> list[Event]:
    """(instant, order, value, clock): mostly of one minute or hour, some late, some far ahead of those before."""
    clock, out = T0, []
    for order in range(chance.randrange(1, 60)):
        clock += chance.choice(
            (0, 0, 1, 400_000, SECOND_US, SECOND_US, 70 * SECOND_US, HOUR_US, 9 * DAY_US)[: chance.choice((6, 6, 9))]
        )
        us = clock - chance.choice(
            (0, 0, 0, 250_000, 3 * SECOND_US, 2 * HOUR_US, 3 * DAY_US)[: chance.choice((5, 5, 7))]
        )
        out.append((us, order, value_of(name, chance), clock))
    return out


def many_of(batch: list[Event], *, by_time: bool) -> Many:
    """The events of a batch in columns."""
    rows = sorted(batch) if by_time else batch
    windows = [UTC.windows(us) for us, _, _, _ in rows]
    instants, orders, values = ([row[column] for row in rows] for column in range(3))
    return Many(instants, orders, values, min(windows), max(windows), by_time=by_time)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_many_at_once_are_as_one_by_one(name: str, seed: int) -> None:
    """However the log is cut, saved and restored, rows, lateness and what Redis shows are the same; some do go at once."""
    chance = Random(seed)
    events, metric = events_of(name, chance), metric_of(name)
    one, many = Driven(metric), Driven(metric)
    late = [0, 0]
    at, clock_us = 0, T0
    while at < len(events):
        batch = events[at : at + chance.choice((1, 2, 5, 20))]
        at += len(batch)
        clock_us = batch[-1][3]
        late[0] += sum(one.fold(*event) for event in batch)
        state = many.state
        if isinstance(state, Bulk) and state.fold_all(many_of(batch, by_time=chance.random() < 0.3), clock_us):
            many.clock_us = clock_us
        else:
            late[1] += sum(many.fold(*event) for event in batch)
        if chance.random() < 0.3:
            many.restore()
        if chance.random() < 0.2:
            one.state.expire(clock_us)
            many.state.expire(clock_us)
        assert many.state.shown(clock_us) == one.state.shown(clock_us)
    assert late[0] == late[1]
    for driven in (one, many):
        driven.state.expire(clock_us)  # a restored gauge has not been told the clock
    assert many.rows(clock_us) == one.rows(clock_us)
    if name.startswith("upserted"):
        for us, order, value, _ in chance.sample(events, len(events) // 2):
            one.remove(us, order, value)
            many.remove(us, order, value)
        assert many.rows(clock_us) == one.rows(clock_us)


ONE_BY_ONE = {"gauge of objects", "rate of months"}
"""Whose states offer nothing else, or not for these events."""


@pytest.mark.parametrize("name", [name for name in METRICS if name not in ONE_BY_ONE])
def test_events_of_one_second_go_at_once(name: str) -> None:
    """What lies in the newest windows needs no look at each event."""
    chance = Random(1)
    driven = Driven(metric_of(name))
    driven.fold(T0, 0, value_of(name, chance))
    batch = [(T0 + number * 1000, number, value_of(name, chance), T0 + 9000) for number in range(1, 10)]
    assert isinstance(driven.state, Bulk)
    assert driven.state.fold_all(many_of(batch, by_time=False), T0 + 9000) is True
