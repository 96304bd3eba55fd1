"""Limits and shares of them are told once for each window and threshold, as part of the commit."""

import json
from decimal import Decimal
from typing import Any

import pytest

from schemas.definitions import EventRule, Limit, Metric
from tests.partitions import NOON, World, counter, definitions, event

HOURLY = Limit(metric="calls", window="hour", limit=Decimal(3), warn_at=(Decimal("0.5"),))


def told(world: World) -> list[tuple[str, str, str]]:
    """(metric, threshold, used) of each message so far."""
    messages: list[dict[str, Any]] = [json.loads(out.value) for out in world.outbox if out.to == "alerts"]
    return [(message["metric"], message["threshold"], message["used"]) for message in messages]


def gauge(key: str, aggregation: str, window: str, **fields: Any) -> Metric:
    """A gauge of the changes `v` of events named `call`, shown by one kind of window."""
    made = {"name": key, "event_name": "call", "type": "gauge", "event_type": "delta", "property": "v", **fields}
    return Metric(key=key, aggregation=aggregation, windows=(window,), **made)


def test_a_share_and_the_limit_are_told_at_the_event_that_reaches_them() -> None:
    """Within one block of five events, with what was used at the crossing, and never again."""
    world = World(definitions(counter("calls"), limits=(HOURLY,)))
    world.run(*(event(number) for number in range(5)))
    assert told(world) == [("calls", "0.5", "2"), ("calls", "1", "3")]
    (first, _) = [json.loads(out.value) for out in world.outbox]
    assert first.pop("id")
    assert first == {
        "customer": "acme",
        "metric": "calls",
        "group": {},
        "window": "hour",
        "start": "2026-03-05T12:00:00Z",
        "end": "2026-03-05T13:00:00Z",
        "threshold": "0.5",
        "limit": "3",
        "used": "2",
        "at": "2026-03-05T12:00:00.000000Z",
    }
    assert world.outbox[0].key == b"acme"
    world.restart()
    world.run(event(9))
    assert len(told(world)) == 2


def test_each_window_has_its_own() -> None:
    """The next hour tells again, and so does an hour before that late events fill."""
    world = World(definitions(counter("calls"), limits=(HOURLY,)))
    world.run(event(0), event(1), event(2, NOON + 3600), event(3, NOON + 3600))
    assert told(world) == [("calls", "0.5", "2"), ("calls", "0.5", "2")]
    world.run(event(4, NOON, stamp=NOON + 3600))
    assert told(world)[2:] == [("calls", "1", "3")]
    world.run(*(event(5 + each, NOON - 86400, stamp=NOON + 3600) for each in range(2)))
    assert told(world)[3:] == [("calls", "0.5", "2")]


def test_a_total_that_falls_and_rises_again_is_told_once() -> None:
    """Also where it went up and down within one block."""
    limit = Limit(metric="sum", window="day", limit=Decimal("10.50"))
    world = World(definitions(counter("sum", "sum", property="v"), limits=(limit,)))
    world.run(event(0, p={"v": 11}), event(1, p={"v": -8}))
    assert told(world) == [("sum", "1", "11")]
    world.run(event(2, p={"v": 20}))
    assert len(told(world)) == 1


def test_a_crossing_that_was_not_committed_is_told_by_the_next_owner() -> None:
    """The message and what is remembered of it are one commit."""
    world = World(definitions(counter("calls"), limits=(HOURLY,)))
    world.run(event(0))
    world.fold(event(1))
    world.restart()
    world.run(event(1))
    assert told(world) == [("calls", "0.5", "2")]


def test_groups_and_customers_have_their_own_limits() -> None:
    """A customer's limit goes before the one for all; a group's total has the group's."""
    limits = (
        Limit(metric="calls", window="day", limit=Decimal(2)),
        Limit(metric="calls", window="day", limit=Decimal(4), customer="acme"),
        Limit(metric="calls", window="day", limit=Decimal(1), group={"model": "m1"}),
    )
    world = World(definitions(counter("calls", group_by=("model",)), limits=limits))
    world.run(event(0, p={"model": "m1"}), event(1, p={"model": "m2"}), event(2))
    assert told(world) == [("calls", "1", "1")]
    assert json.loads(world.outbox[0].value)["group"] == {"model": "m1"}
    world.run(event(3), event(4, customer_id="bolt"), event(5, customer_id="bolt"))
    assert told(world)[1:] == [("calls", "1", "4"), ("calls", "1", "2")]


def test_a_gauge_is_told_again_once_it_has_fallen_below() -> None:
    """Its limit has no window: the present state counts."""
    seats = gauge("seats", "max", "day")
    world = World(definitions(seats, limits=(Limit(metric="seats", limit=Decimal(5)),)))
    world.run(*(event(number, p={"v": value}) for number, value in enumerate((3, 3, 1, -4, 3))))
    assert told(world) == [("seats", "1", "6"), ("seats", "1", "6")]
    ids = {json.loads(out.value)["id"] for out in world.outbox}
    assert len(ids) == 2


def test_what_was_crossed_is_forgotten_with_its_window() -> None:
    """The row of crossings goes when its windows take no events any more."""
    world = World(definitions(counter("calls"), limits=(HOURLY,)))
    world.run(event(0), event(1))
    assert any(key[:1] == b"a" for key in world.live())
    world.run(event(2, NOON + 9 * 86400, customer_id="other"))
    world.sweep()
    world.commit()
    assert not any(key[:1] == b"a" for key in world.live())


def test_an_event_too_late_to_count_tells_nothing() -> None:
    """A gauge that begins above its threshold is told at the first event that counts."""
    seats = gauge("seats", "max", "day", initial_value=5, lateness_us=60_000_000)
    world = World(definitions(seats, limits=(Limit(metric="seats", limit=Decimal(5)),)))
    world.run(event(0, NOON - 3600, stamp=NOON, p={"v": 1}))
    assert told(world) == []
    world.run(event(1, p={"v": 2}))
    assert told(world) == [("seats", "1", "7")]


def test_a_gauge_whose_events_all_came_too_late_is_none() -> None:
    """Nothing was counted, so it has no field in Redis and crosses nothing, though it begins above its limit."""
    level = gauge("level", "latest", "hour", initial_value=5, lateness_us=1_000_000)
    limit = Limit(metric="level", window=None, limit=Decimal(3))
    world = World(definitions(level, limits=(limit,)))
    world.run(event(0, stamp=NOON + 2, p={"v": 1}))
    assert world.redis["acme"] == {}
    assert told(world) == []
    world.run(event(1, NOON + 2, p={"v": 1}))
    assert world.redis["acme"]["level"].endswith('"s":"6","ss":"6"}')
    assert told(world) == [("level", "1", "6")]


UPSERT = {"call": EventRule(on_duplicate="upsert")}


def test_a_replacement_that_no_longer_counts_lets_a_gauge_be_told_anew() -> None:
    """The state falls below its limit when the event that carried it there goes, and is told when it is back."""
    level = gauge("level", "latest", "hour")
    limit = Limit(metric="level", window=None, limit=Decimal(3))
    world = World(definitions(level, limits=(limit,), events=UPSERT))
    world.run(event(0, p={"v": 1}), event(1, id="a", p={"v": 4}))
    assert told(world) == [("level", "1", "5")]
    world.run(event(2, id="a"))
    world.run(event(3, p={"v": 2}))
    assert told(world) == [("level", "1", "5"), ("level", "1", "3")]


def test_what_a_replacement_takes_away_may_raise_a_sum() -> None:
    """The limit is reached by the event that is gone, and told with it."""
    metric = counter("sum", "sum", property="v", windows=("day",))
    limit = Limit(metric="sum", window="day", limit=Decimal(5))
    world = World(definitions(metric, limits=(limit,), events=UPSERT))
    world.run(event(0, id="a", p={"v": -3}), event(1, p={"v": 6}))
    assert told(world) == []
    world.run(event(2, id="a"))
    assert told(world) == [("sum", "1", "6")]


@pytest.mark.parametrize("aggregation", ["count", "unique"])
def test_a_window_that_takes_events_no_more_is_not_told_again(aggregation: str) -> None:
    """An event that is late for it alone leaves it as it was, also when what it crossed has been forgotten."""
    metric = counter("calls", aggregation, property="v", lateness_us=1_000_000)
    world = World(definitions(metric, limits=(Limit(metric="calls", window="hour", limit=Decimal(1)),)))
    world.run(event(0, p={"v": 1}))
    world.run(event(1, NOON + 3602, customer_id="other"))
    world.sweep()
    world.commit()
    world.run(event(2, stamp=NOON + 3602, p={"v": 2}))
    keys = [out.key for out in world.outbox if out.to == "alerts"]
    assert keys.count(b"acme") == 1
