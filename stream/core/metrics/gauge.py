"""`type: gauge`: a state that events move, and that lives on through every window.

With `event_type: delta` an event adds to it, with `total` it sets it; with `aggregation: unique` and
`operation` the state is the set of objects that were added and not removed, valued at their number.
With `group_by` there is a state for each group, and the overall one is their sum (of objects: the
union); events without a group's properties are one more group, which is not shown.
"""

from collections.abc import Callable, Mapping
from typing import Any

from schemas.definitions import Metric as Definition
from stream.core.metrics.base import (
    BadValue,
    CalendarLike,
    Metric,
    State,
    Terms,
)
from stream.core.metrics.cells import kinds_of
from stream.core.metrics.gauge_state import GaugeState, carried
from stream.core.metrics.lanes import Joining, Lanes, Setting, Union
from stream.core.metrics.measures import Greatest, Last, Least, Measure, Weighted
from stream.core.metrics.reading import Reader, member, member_of, numeric
from stream.core.metrics.shapes import shape_of

MEASURES: dict[str, Callable[[], Measure]] = {
    "latest": Last,
    "unique": Last,
    "max": Greatest,
    "min": Least,
    "weighted_sum": Weighted,
}


class GaugeMetric:
    """A gauge's definition at work."""

    sorts = True

    def __init__(self, definition: Definition, terms: Terms) -> None:
        self.key = definition.key
        self.windows = kinds_of(definition)
        self.aggregation = definition.aggregation or "latest"
        self.objects = self.aggregation == "unique"
        self.keyed = bool(definition.group_by)
        self.delta = definition.event_type == "delta"
        self.initial = 0 if self.objects else definition.initial_value
        self.granularity, self.proration = definition.granularity, definition.proration
        self.rounding = definition.rounding
        self.terms = terms
        self.late_us = definition.lateness_us
        live = terms.max_age_us if self.late_us is None else min(self.late_us, terms.max_age_us)
        self.live_us = max(live, terms.replace_us) if terms.upsert else live
        self.shape = shape_of(definition, terms)
        assert definition.property is not None
        read = terms.reader(definition.property)
        self.read: Reader = numeric(read)
        self.number = None if self.objects else definition.property
        if self.objects:
            assert definition.operation is not None
            operation = definition.operation
            self.read = presence(
                member(read), terms.reader(operation.property), operation.property, operation.add, operation.remove
            )

    def measure(self) -> Measure:
        """What counts in a window, or in a bucket of proration."""
        return MEASURES[self.aggregation]()

    def lanes(self, *, overall: bool) -> Lanes | None:
        """How a step of one of many entities moves their sum; None where it simply adds, or there is but one."""
        if self.objects:
            return Lanes(Union() if overall else Setting(0, forget=True))
        if not overall or (self.delta and not self.initial):
            return None
        return Lanes(Joining(self.initial) if self.delta else Setting(0))

    def state(
        self,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,
    ) -> State:
        """See `Metric.state`."""
        return GaugeState(self, calendar, chunks, overall=overall and self.keyed)

    def carried(self, chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Carrying`: the state and the steps to it, which are gone through again in the other calendar."""
        return carried(chunks)


def presence(read: Reader, operation: Reader, name: str, add: Any, remove: Any) -> Reader:
    """Reads (object, 1) where an event adds it and (object, 0) where it removes it."""
    operations = {member_of(add): 1, member_of(remove): 0}

    def change(properties: Any) -> tuple[bytes, int] | None:
        which, what = operation(properties), read(properties)
        if which is None or what is None:
            return None
        present = operations.get(member_of(which))
        if present is None:
            raise BadValue(f"{name} is neither the value that adds an object nor the one that removes it")
        return what, present

    return change


class Gauge:
    """The metric type `gauge`."""

    name = "gauge"

    def faults(self, definition: Definition) -> list[tuple[str, str]]:  # noqa: ARG002 - the schema has checked them
        """A gauge has no fields of its own beyond the schema's."""
        return []

    def build(self, definition: Definition, terms: Terms) -> Metric:
        """The metric of a definition without faults."""
        return GaugeMetric(definition, terms)
