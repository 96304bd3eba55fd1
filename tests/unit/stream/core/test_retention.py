"""How long windows take events and stay where they are read, by the setting of their kind or a definition's `lateness`."""

from dataclasses import replace
from typing import Any

import pytest

from schemas.definitions import KINDS, EventRule, Metric
from stream.core.plan import Rules
from tests.partitions import NOON, World, counter, definitions, event

HOUR = 3600
DAY = 86_400


def keeping(**seconds: int) -> Rules:
    """The usual retentions, some of them others."""
    rules = Rules()
    kept = (seconds.get(kind, 0) * 1_000_000 or usual for kind, usual in zip(KINDS, rules.keep_us, strict=True))
    return replace(rules, keep_us=tuple(kept))


def rate(**fields: Any) -> Metric:
    """Calls by the hour, and the most of any hour of the day."""
    made = {"name": "calls", "event_name": "call", "type": "rate", "windows": ("hour", "day", "total"), **fields}
    return Metric(key="calls", aggregation="count", granularity="hour", **made)


def test_an_hour_is_kept_as_the_setting_of_hours_says() -> None:
    """Also where minutes are kept for longer: an hour after its end the hour takes no event, and the total does."""
    world = World(definitions(counter("calls", windows=("hour", "total"))), keeping(hour=HOUR))
    world.run(event(0), event(1, NOON + 2 * HOUR), event(2, NOON + 1, stamp=NOON + 2 * HOUR))
    assert world.partition.header.counts.late == 1
    assert world.windows("calls")["total"] == [[None, None, "3", 3, ""]]


@pytest.mark.parametrize("metric", [counter("calls"), rate(), counter("calls", "unique", property="v")])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("upsert", [False, True])
def test_a_day_may_be_kept_for_less_time_than_its_hours(metric: Metric, restarted: bool, upsert: bool) -> None:
    """What comes too late for its day alone counts in its hour and in total, and leaves the day as it was."""
    rules = {"call": EventRule(on_duplicate="upsert" if upsert else "drop")}
    world = World(definitions(metric, events=rules), keeping(hour=2 * DAY, day=HOUR))
    world.run(event(0, NOON + 11 * HOUR, p={"v": 1}))
    later = NOON + 13 * HOUR + 1  # the day ended at midnight, an hour and a second ago
    if restarted:
        world.restart()
    world.run(event(1, NOON + 11 * HOUR + 5, stamp=later, p={"v": 2}))
    world.run(event(2, NOON + 11 * HOUR + 6, stamp=later, p={"v": 3}))
    assert world.partition.header.counts.late == 2
    assert world.usage(NOON + 11 * HOUR) == {("calls", "{}", "hour"): ("3", 3), ("calls", "{}", "total"): ("3", 3)}
    assert [row[2:4] for row in world.windows("calls")["day"]] == [["1", 1]]


SHORT: dict[str, Any] = {"windows": ("hour",), "lateness_us": 1_000_000}


@pytest.mark.parametrize(
    "metric", [counter("calls", **SHORT), counter("calls", "unique", property="v", **SHORT), rate(**SHORT)]
)
@pytest.mark.parametrize("upsert", [False, True])
def test_the_window_that_ended_last_stays_in_redis(metric: Metric, upsert: bool) -> None:
    """However short the lateness: it goes when the next one ends, though it takes no event any more."""
    rules = {"call": EventRule(on_duplicate="upsert" if upsert else "drop")}
    world = World(definitions(metric, events=rules))
    world.run(event(0, p={"v": 1}))
    world.run(event(1, customer_id="other", stamp=NOON + 2 * HOUR - 1, p={"v": 1}))
    world.sweep()
    world.commit()
    assert [row[:4] for row in world.windows("calls")["hour"]] == [[NOON, NOON + HOUR, "1", 1]]
    world.restart()
    world.run(event(2, stamp=NOON + 2 * HOUR - 0.5, p={"v": 2}))
    assert world.partition.header.counts.late == 2
    assert [row[:4] for row in world.windows("calls")["hour"]] == [[NOON, NOON + HOUR, "1", 1]]
    world.run(event(3, customer_id="other", stamp=NOON + 2 * HOUR))
    world.sweep()
    world.commit()
    assert world.windows("calls") == {}


@pytest.mark.parametrize("metric", [rate(lateness_us=1_000_000), counter("calls", lateness_us=1_000_000)])
@pytest.mark.parametrize("upsert", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("newer", [False, True])
def test_an_hour_that_is_over_stays_as_it_is(metric: Metric, upsert: bool, restarted: bool, newer: bool) -> None:
    """An event that comes too late for it counts in the day, and Redis shows both as they should be."""
    rules = {"call": EventRule(on_duplicate="upsert" if upsert else "drop")}
    world = World(definitions(metric, events=rules))
    world.run(event(0), event(1, id="a"))
    if newer:
        world.run(event(9, NOON + HOUR + 1))
    for number in (2, 3):
        if restarted:
            world.restart()
        world.run(event(number, NOON + 5, stamp=NOON + HOUR + 2))
    hours = [["2", 2], *([["1", 1]] if newer else [])]
    day = ["4", 5] if newer and metric.type == "rate" else ["5", 5] if newer else ["4", 4]
    assert [row[2:4] for row in world.windows("calls")["hour"]] == hours
    assert [row[2:4] for row in world.windows("calls")["day"]] == [day]
    world.run(event(4, NOON + 7, stamp=NOON + HOUR + 2, id="a"))
    assert [row[2:4] for row in world.windows("calls")["hour"]] == hours
    assert [row[2:4] for row in world.windows("calls")["day"]] == [day]
    assert (world.partition.header.counts.replaced, world.partition.header.counts.late) == (
        (1, 3) if upsert else (0, 2)
    )


@pytest.mark.parametrize("metric", [rate(lateness_us=1_000_000), counter("calls", lateness_us=1_000_000)])
def test_a_replacement_leaves_an_hour_that_is_over_as_it_is(metric: Metric) -> None:
    """The event that it takes back has been counted there for good; in the day the new one stands in its place."""
    world = World(definitions(metric, events={"call": EventRule(on_duplicate="upsert")}))
    world.run(event(0), event(1, id="a"))
    world.run(event(2, NOON + 2 * HOUR, stamp=NOON + 2 * HOUR - 1, id="a"))
    assert [row[2:4] for row in world.windows("calls")["hour"]] == [["2", 2], ["1", 1]]
    most = "1" if metric.type == "rate" else "2"
    assert [row[2:4] for row in world.windows("calls")["day"]] == [[most, 2]]
