"""The states that a gauge went through, one for each instant with an event, told in order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from stream.core.metrics.base import Value

if TYPE_CHECKING:
    from stream.core.metrics.gauge import GaugeMetric


class Change(NamedTuple):
    """From this instant on the state is valued so; `moved` says whether it is another one than before.

    Objects that take each other's place at one instant move the state, though their number stays.
    """

    us: int
    value: Value
    moved: bool


def changes(metric: "GaugeMetric", events: Sequence[tuple[int, int, Any]], *, overall: bool) -> list[Change]:
    """The states after each instant of (us, order, value), sorted; values as the gauge's `fold` takes them."""
    walk = _objects if metric.objects else _numbers
    return walk(metric, [(us, value if overall else (b"", value)) for us, _, value in events])


def _numbers(metric: "GaugeMetric", events: list[tuple[int, Any]]) -> list[Change]:
    out: list[Change] = []
    groups: dict[bytes, Any] = {}
    total: Any = 0
    before: Any = metric.initial
    for place, (us, (group, value)) in enumerate(events):
        old = groups.get(group)
        new = value if not metric.delta else value + (metric.initial if old is None else old)
        groups[group] = new
        total = total + new - (0 if old is None else old)
        if place + 1 == len(events) or events[place + 1][0] != us:
            out.append(Change(us, total, total != before))
            before = total
    return out


def _objects(_metric: "GaugeMetric", events: list[tuple[int, Any]]) -> list[Change]:
    out: list[Change] = []
    holders: dict[bytes, set[bytes]] = {}
    number = 0
    touched: dict[bytes, bool] = {}  # objects of this instant, and whether they were there before it
    for place, (us, (group, (thing, present))) in enumerate(events):
        of_it = holders.setdefault(thing, set())
        was = bool(of_it)
        touched.setdefault(thing, was)
        (of_it.add if present else of_it.discard)(group)
        number += bool(of_it) - was
        if place + 1 == len(events) or events[place + 1][0] != us:
            moved = any(bool(holders[each]) != before for each, before in touched.items())
            out.append(Change(us, number, moved))
            touched.clear()
    return out
