"""`type: counter`: over the matching events of each window, one number.

The definitions run here as they are written; the generated code of `stream.core.codegen` does the
same faster, and is checked against this.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from schemas.definitions import Metric as Definition
from stream.core.metrics.base import CalendarLike, Many, Metric, Number, State, Terms, Value
from stream.core.metrics.cells import Fold, Span, kinds_of
from stream.core.metrics.reading import Reader, numeric, one
from stream.core.metrics.replacing import state_of
from stream.core.metrics.shapes import shape_of
from stream.core.metrics.unique import UniqueMetric
from stream.core.metrics.wire import packed, unpacked

Latest = tuple[int, int, Number]


class Aggregation:
    """What most aggregations share: an accumulator that is exact, starts as None and is saved as it is.

    `reversible`: a value can be taken out of the accumulator by `without`, whatever else is in it.
    """

    reversible = False

    def empty(self) -> Any:
        """Of no event."""
        return None

    def add_all(self, acc: Any, events: Many) -> Any:
        """Count many values, in the order of the log."""
        for value, us, order in zip(events.values, events.instants, events.orders, strict=True):
            acc = self.add(acc, value, us, order)
        return acc

    def add(self, acc: Any, value: Any, us: int, order: int) -> Any:
        """Count one."""
        raise NotImplementedError

    def error(self, acc: Any) -> str | None:  # noqa: ARG002
        """Exact."""
        return None

    def plain(self, acc: Any) -> Any:
        """As msgpack holds it."""
        return acc

    def restored(self, plain: Any) -> Any:
        """Again."""
        return plain


class Count(Aggregation):
    """How many events; their window counts them.

    >>> fold(Count(), [5, 3, 4])
    3
    """

    reversible = True

    def add_all(self, acc: Any, events: Many) -> Any:  # noqa: ARG002
        """Nothing to keep."""
        return acc

    def add(self, acc: Any, value: Any, us: int, order: int) -> Any:  # noqa: ARG002
        """Nothing to keep."""
        return acc

    def merge(self, acc: Any, other: Any) -> Any:  # noqa: ARG002
        """Nothing to keep."""
        return acc

    def without(self, acc: Any, value: Any) -> Any:  # noqa: ARG002
        """Nothing was kept."""
        return acc

    def value(self, acc: Any, events: int) -> Value:  # noqa: ARG002
        """The number of events."""
        return events


class Sum(Aggregation):
    """What the values add up to, to the last digit.

    >>> from decimal import Decimal
    >>> fold(Sum(), [Decimal("0.1")] * 10)
    Decimal('1.0')
    """

    reversible = True

    def empty(self) -> Number:
        """Nothing yet."""
        return 0

    def add_all(self, acc: Number, events: Many) -> Number:
        """All values more."""
        return sum(events.values, acc)

    def add(self, acc: Number, value: Number, us: int, order: int) -> Number:  # noqa: ARG002
        """One value more."""
        return acc + value

    def merge(self, acc: Number, other: Number) -> Number:
        """Both sums."""
        return acc + other

    def value(self, acc: Number, events: int) -> Value:  # noqa: ARG002
        """The sum."""
        return acc

    def plain(self, acc: Number) -> int | str | None:
        """As msgpack holds it."""
        return packed(acc)

    def restored(self, plain: Any) -> Number:
        """The sum again."""
        number: Number = unpacked(plain)
        return number

    def without(self, acc: Number, value: Number) -> Number:
        """One value less."""
        return acc - value


class Avg(Sum):
    """The sum by the number of events, each weighing the same.

    >>> fold(Avg(), [1, 2, 2])
    Fraction(5, 3)
    """

    def value(self, acc: Number, events: int) -> Fraction:
        """The average, exactly."""
        return Fraction(acc) / events


class Max(Aggregation):
    """The greatest value.

    >>> fold(Max(), [5, 7, 4])
    7
    """

    def add(self, acc: Number | None, value: Number, us: int, order: int) -> Number:  # noqa: ARG002
        """The greater of both."""
        return value if acc is None or value > acc else acc

    def add_all(self, acc: Number | None, events: Many) -> Number:
        """The greatest of all."""
        return self.add(acc, max(events.values), 0, 0)

    def matters(self, acc: Number, value: Number) -> bool:
        """Whether what is without a value may be another one; not while an equal one is left."""
        return acc == value

    def merge(self, acc: Number | None, other: Number | None) -> Number | None:
        """The greater of both."""
        return acc if other is None else self.add(acc, other, 0, 0)

    def value(self, acc: Number, events: int) -> Value:  # noqa: ARG002
        """The greatest value."""
        return acc

    def plain(self, acc: Number | None) -> int | str | None:
        """As msgpack holds it."""
        return packed(acc)

    def restored(self, plain: Any) -> Number | None:
        """The value again."""
        number: Number | None = unpacked(plain)
        return number


class Min(Max):
    """The least value.

    >>> fold(Min(), [5, 7, 4])
    4
    """

    def add(self, acc: Number | None, value: Number, us: int, order: int) -> Number:  # noqa: ARG002
        """The lesser of both."""
        return value if acc is None or value < acc else acc

    def add_all(self, acc: Number | None, events: Many) -> Number:
        """The least of all."""
        return self.add(acc, min(events.values), 0, 0)


class LatestValue(Aggregation):
    """The value with the greatest timestamp; of one instant's, the one later in the log.

    >>> fold(LatestValue(), [5, 3, 4])
    4
    """

    def add(self, acc: Latest | None, value: Number, us: int, order: int) -> Latest:
        """The later of both."""
        if acc is None or us > acc[0] or (us == acc[0] and order > acc[1]):
            return (us, order, value)
        return acc

    def merge(self, acc: Latest | None, other: Latest | None) -> Latest | None:
        """The later of both."""
        return acc if other is None else self.add(acc, other[2], other[0], other[1])

    def value(self, acc: Latest, events: int) -> Value:  # noqa: ARG002
        """The latest value."""
        return acc[2]

    def plain(self, acc: Latest | None) -> Any:
        """As msgpack holds it."""
        return None if acc is None else (acc[0], acc[1], packed(acc[2]))

    def restored(self, plain: Any) -> Latest | None:
        """The latest again."""
        return None if plain is None else (plain[0], plain[1], unpacked(plain[2]))


FOLDS: dict[str, Fold] = {
    "count": Count(),
    "sum": Sum(),
    "avg": Avg(),
    "min": Min(),
    "max": Max(),
    "latest": LatestValue(),
}


def fold(how: Fold, values: list[Any]) -> Value:
    """The total of values that come one microsecond after the other.

    >>> from decimal import Decimal
    >>> fold(Sum(), [Decimal("0.1"), 2])
    Decimal('2.1')
    """
    acc = how.empty()
    for number, value in enumerate(values):
        acc = how.add(acc, value, number, number)
    return how.value(acc, len(values))


class CounterMetric:
    """A counter's definition at work, `unique` excepted."""

    keyed = False

    def __init__(self, definition: Definition, terms: Terms) -> None:
        self.key = definition.key
        self.windows = kinds_of(definition)
        aggregation = definition.aggregation or "count"
        self.shape = shape_of(definition, terms)
        self.folding = FOLDS[aggregation]
        self.read: Reader = one
        self.number: str | None = None
        if aggregation != "count":
            assert definition.property is not None
            self.number = definition.property
            self.read = numeric(terms.reader(definition.property))
        self._rounding, self._terms = definition.rounding, terms
        self._span = Span(self.windows, terms, definition.lateness_us)

    def state(
        self,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,  # noqa: ARG002 - the overall state is like a group's
    ) -> State:
        """See `Metric.state`."""
        return state_of(self.folding, self._span, self._rounding, self._terms, calendar, chunks)


class Counter:
    """The metric type `counter`."""

    name = "counter"

    def faults(self, definition: Definition) -> list[tuple[str, str]]:  # noqa: ARG002 - the schema has checked them
        """A counter has no fields of its own beyond the schema's."""
        return []

    def build(self, definition: Definition, terms: Terms) -> Metric:
        """The metric of a definition without faults."""
        if definition.aggregation == "unique":
            return UniqueMetric(definition, terms)
        return CounterMetric(definition, terms)
