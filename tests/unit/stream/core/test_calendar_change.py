"""A customer's time zone becomes another one: what is in every calendar goes on."""

from typing import Any

import pytest

from schemas.definitions import Customer, Metric, Operation
from stream.core import wire
from tests.partitions import NOON, World, counter, definitions, event

DAY = 86_400
MIDNIGHT = NOON - 43_200
NEW_YORK = {"acme": Customer(timezone="America/New_York")}
TO_NEW_YORK = 5 * 3600


def gauge(aggregation: str = "max", **fields: Any) -> Metric:
    """A level that goes up and down, by day and over all history."""
    made = {"event_type": "delta", "property": "v", "windows": ("day", "total"), **fields}
    return Metric(key="level", name="level", event_name="call", type="gauge", aggregation=aggregation, **made)


def days(world: World, name: str = "level") -> list[tuple[int, str]]:
    """The days of a field in Redis: start and value."""
    return [(row[0], row[2]) for row in world.windows(name)["day"]]


def moved(world: World, *metrics: Metric) -> None:
    """A new owner takes over with the customer in New York."""
    world.restart(definitions(*metrics, customers=NEW_YORK))
    world.commit()


@pytest.mark.parametrize("settled", [False, True])
def test_a_gauge_keeps_its_state(settled: bool) -> None:
    """Its days are New York's at once, its state and its greatest of all history are what they were."""
    world = World(definitions(gauge()))
    world.run(event(0, NOON - 2 * DAY, p={"v": 7}), event(1, NOON - DAY, p={"v": -2}))
    if settled:  # nothing can come before these any more: they are no longer kept one by one
        world.run(event(2, NOON + 8 * DAY, customer_id="other", p={"v": 1}))
        world.sweep()
        world.commit()
    moved(world, gauge())
    assert world.redis["acme"]["level"].endswith('"s":"5","ss":""}')
    assert [row[2] for row in world.windows("level")["total"]] == ["7"]
    later = NOON + 9 * DAY
    world.run(event(3, later, p={"v": 1}))
    today = MIDNIGHT + 9 * DAY + TO_NEW_YORK - 3600  # whose clock has gone forward on the 8th
    assert days(world) == [(today - DAY, "5"), (today, "6")]
    world.restart()
    world.run(event(4, later + 60, p={"v": 4}))
    assert days(world) == [(today - DAY, "5"), (today, "10")]
    assert [row[2:4] for row in world.windows("level")["total"]] == [["10", 4]]


def test_the_windows_of_a_gauge_are_those_of_its_events() -> None:
    """As long as its events are there one by one, its days in the other calendar are as if it had always been that."""
    world = World(definitions(gauge()))
    late = MIDNIGHT + 3600  # 20:00 of the day before, in New York
    world.run(event(0, late, p={"v": 7}), event(1, NOON, p={"v": -2}), event(2, NOON + 60, p={"v": 1}))
    assert days(world) == [(MIDNIGHT - DAY, "0"), (MIDNIGHT, "7")][1:]
    moved(world, gauge())
    assert days(world) == [(MIDNIGHT + TO_NEW_YORK - DAY, "7"), (MIDNIGHT + TO_NEW_YORK, "7")]


def test_the_window_at_hand_is_one_of_the_new_calendar() -> None:
    """A month that began before the change is New York's, held since its start by the state that went on."""
    monthly = gauge(windows=("month",))
    world = World(definitions(monthly))
    world.run(event(0, NOON - 2 * DAY, p={"v": 5}))
    world.run(event(1, NOON + 8 * DAY, customer_id="other", p={"v": 1}))
    world.sweep()
    world.commit()
    moved(world, monthly)
    world.run(event(2, NOON + 9 * DAY, p={"v": -3}))
    (month,) = [row for row in world.windows("level")["month"] if row[0] == MIDNIGHT - 4 * DAY + TO_NEW_YORK]
    assert month[2] == "5"


def test_objects_and_groups_go_on() -> None:
    """A seat that was there is there, and may be taken away, in its group and over all."""
    operation = Operation(property="op", add="add", remove="remove")
    seats = gauge("unique", event_type=None, property="seat", operation=operation, group_by=("g",))
    world = World(definitions(seats))
    add = [event(i, p={"seat": f"s{i}", "op": "add", "g": "a"}) for i in range(3)]
    world.run(*add)
    moved(world, seats)
    world.run(event(5, NOON + 60, p={"seat": "s1", "op": "remove", "g": "a"}))
    assert world.redis["acme"]["level"].endswith('"s":"2","ss":""}')
    assert world.redis["acme"]['level{"g":"a"}'].endswith('"s":"2","ss":""}')


def test_distinct_values_of_all_history_go_on() -> None:
    """The total knows the values that it has seen; a day of the new calendar begins with none."""
    users = counter("users", "unique", property="v", windows=("day", "total"))
    world = World(definitions(users))
    world.run(event(0, p={"v": 1}), event(1, p={"v": 2}))
    moved(world, users)
    world.run(event(2, NOON + 60, p={"v": 2}), event(3, NOON + 61, p={"v": 3}))
    assert [row[2:4] for row in world.windows("users")["total"]] == [["3", 4]]
    assert [row[2:4] for row in world.windows("users")["day"]] == [["2", 2]]
    world.restart()
    world.run(event(4, NOON + 62, p={"v": 1}))
    assert [row[2:4] for row in world.windows("users")["total"]] == [["3", 5]]


def test_nothing_of_the_former_calendar_stays_in_the_changelog() -> None:
    """Its records are deleted with the commit that writes them anew, and going back carries on as well."""
    world = World(definitions(gauge()))
    world.run(event(0, p={"v": 7}))
    moved(world, gauge())
    states = [key for key in world.live() if key[:1] == wire.STATE]
    before = len(states)
    world.restart(definitions(gauge()))
    world.commit()
    assert len([key for key in world.live() if key[:1] == wire.STATE]) == before > 0
    assert not set(states) & set(world.live())
    assert days(world) == [(MIDNIGHT, "7")]


def test_a_kind_of_window_that_a_gauge_gains_goes_on_from_its_state() -> None:
    """Also the day before the next event has its row, after a restart too, and none is told from before the first."""
    world = World(definitions(gauge(windows=("total",))))
    world.run(event(0, NOON - 2 * DAY, p={"v": 5}))
    world.run(event(1, NOON + 8 * DAY, customer_id="other", p={"v": 1}))
    world.sweep()
    world.commit()
    world.restart(definitions(gauge()))
    world.run(event(2, NOON + 9 * DAY, p={"v": 1}))
    assert days(world) == [(MIDNIGHT + 8 * DAY, "5"), (MIDNIGHT + 9 * DAY, "6")]
    world.restart()
    world.run(event(3, NOON + 9 * DAY + 1, p={"v": 1}))
    assert days(world) == [(MIDNIGHT + 8 * DAY, "5"), (MIDNIGHT + 9 * DAY, "7")]
    assert world.usage(NOON - 3 * DAY).keys() == {("level", "{}", "total")}
