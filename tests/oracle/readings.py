"""What one metric takes from one event, and the events that it counts.

Part of the independent judge.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.oracle.reading import Event, reach
from tests.oracle.rules import group_of, passes_all
from tests.oracle.values import canonical, number_of, usable

OVERALL = b"{}"


class BadValueError(ValueError):
    """The metric cannot use the event's value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One event as one metric counts it: its instant, its place in the log, its value and its group."""

    us: int
    order: int
    value: Any
    """A Fraction; for `unique` the canonical JSON value; for objects ("add" or "remove", canonical value)."""
    group: bytes | None
    event: Event

    @property
    def when(self) -> tuple[int, int]:
        """Events of one instant apply in the order of the log."""
        return (self.us, self.order)


def read(metric: dict[str, Any], event: Event) -> Reading | None:
    """The event as the metric counts it, None where it does not count; raises BadValueError."""
    if event.name != metric["event_name"] or not passes_all(metric.get("filters"), event):
        return None
    value = value_of(metric, event)
    if value is None:
        return None
    return Reading(event.us, event.order, value, group_of(metric, event), event)


def value_of(metric: dict[str, Any], event: Event) -> Any:
    """The value that the metric reads, None where the property is missing."""
    if metric["aggregation"] == "count":
        return Fraction(1)
    value = reach(event.properties, metric["property"])
    if value is None:
        return None
    if metric["type"] == "gauge" and metric["aggregation"] == "unique":
        return moved(metric["operation"], event, value)
    if metric["aggregation"] == "unique":
        return canonical(value)
    text = number_of(value)
    number = None if text is None else usable(text)
    if number is None:
        raise BadValueError(f"{metric['property']} is no number that a metric can use")
    return number


def moved(operation: dict[str, Any], event: Event, value: Any) -> tuple[str, Any] | None:
    """Which object is added or removed."""
    said = reach(event.properties, operation["property"])
    if said is None:
        return None
    for verb in ("add", "remove"):
        if canonical(said) == canonical(operation[verb]):
            return (verb, canonical(value))
    raise BadValueError(f"{operation['property']} is neither of the metric's operations")


def by_group(readings: Iterable[Reading]) -> dict[bytes, list[Reading]]:
    """The overall total's readings, and each group's, in order of their instants."""
    ordered = sorted(readings, key=lambda reading: reading.when)
    groups: dict[bytes, list[Reading]] = {OVERALL: ordered} if ordered else {}
    for reading in ordered:
        if reading.group is not None:
            groups.setdefault(reading.group, []).append(reading)
    return groups
