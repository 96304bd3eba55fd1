"""`type: rate`: what happened in each sub-period, and over a window the greatest of those.

A rate of `granularity: hour` over the hour [12:00, 13:00) is that hour's value so far; over its day it
is the greatest of the day's hours. With `sliding: true` see `sliding`.
"""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from schemas.definitions import KINDS, Metric as Definition
from stream.core.metrics.base import (
    BILLING_PERIOD,
    MONTH,
    CalendarLike,
    Metric,
    State,
    Terms,
    Value,
    Windows,
)
from stream.core.metrics.both import BothStates, chunks_of
from stream.core.metrics.buckets import STALE, BucketState
from stream.core.metrics.cells import Cell, Fold, Span, kinds_of
from stream.core.metrics.counter import FOLDS
from stream.core.metrics.reading import Reader, numeric, one
from stream.core.metrics.replacing import ReplacingState
from stream.core.metrics.shapes import shape_of
from stream.core.metrics.sliding import SlidingMetric
from stream.core.metrics.wire import packed, unpacked

Peak = Value | None


class Greatest:
    """The greatest value of a window's sub-periods.

    >>> from stream.core.metrics.counter import Sum
    >>> greatest = Greatest(Sum())
    >>> greatest.take(greatest.take(None, Cell(0, 2, 7)), Cell(3600, 1, 5))
    7
    """

    keep = True

    def __init__(self, fold: Fold) -> None:
        """`fold` values a sub-period."""
        self._fold = fold

    def empty(self) -> Peak:
        """Of no sub-period."""
        return None

    def copy(self, whole: Peak) -> Peak:
        """Values do not change."""
        return whole

    def mark(self, bucket: Cell) -> Peak:
        """What the sub-period was worth."""
        return self._fold.value(bucket.acc, bucket.events) if bucket.events else None

    def take(self, rest: Peak, bucket: Cell) -> Peak:
        """With one sub-period more."""
        if not bucket.events:
            return rest
        value = self._fold.value(bucket.acc, bucket.events)
        return value if rest is None or value > rest else rest

    def grown(self, rest: Peak, before: Peak, bucket: Cell, value: Any, w: Windows, order: int) -> Any:  # noqa: ARG002
        """After an event of a sub-period that is not the newest: if the greatest fell, look again."""
        after = self.mark(bucket)
        if after is not None and (rest is None or after >= rest):
            return after
        return STALE if before is not None and before == rest else rest

    def value(self, whole: Peak, events: int) -> Value:  # noqa: ARG002
        """The greatest value."""
        assert whole is not None
        return whole

    def error(self, whole: Peak) -> str | None:  # noqa: ARG002
        """Exact."""
        return None

    def plain(self, rest: Peak) -> Any:
        """As msgpack holds it."""
        return packed(rest)

    def restored(self, plain: Any) -> Peak:
        """Again."""
        peak: Peak = unpacked(plain)
        return peak


def month_of_period(w: Windows) -> int:
    """Where the part of a calendar month begins that lies in one billing period (seconds)."""
    return max(w[1 + MONTH], w[1 + BILLING_PERIOD])


class TumblingMetric:
    """A tumbling rate's definition at work."""

    keyed = False

    def __init__(self, definition: Definition, terms: Terms) -> None:
        assert definition.granularity is not None
        aggregation = definition.aggregation or "count"
        self.key = definition.key
        self.windows = kinds_of(definition)
        self.granularity = KINDS.index(definition.granularity)
        self.shape = shape_of(definition, terms)
        self.read: Reader = one
        self.number: str | None = None
        if aggregation != "count":
            assert definition.property is not None
            self.number = definition.property
            self.read = numeric(terms.reader(definition.property))
        self.folding: Fold = FOLDS[aggregation]
        self._definition, self._terms = definition, terms

    def state(
        self,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,  # noqa: ARG002 - the overall state is like a group's
    ) -> State:
        """See `Metric.state`."""
        if self.granularity != MONTH or BILLING_PERIOD not in self.windows:
            return self._state(self.windows, self._start_of(), calendar, chunks)
        # the calendar's months do not nest in billing periods: there, a month is cut at the period's start
        states: dict[bytes, State] = {
            b"p": self._state((BILLING_PERIOD,), month_of_period, calendar, chunks_of(chunks, b"p"))
        }
        others = tuple(kind for kind in self.windows if kind != BILLING_PERIOD)
        if others:
            states[b"o"] = self._state(others, self._start_of(), calendar, chunks_of(chunks, b"o"))
        return BothStates(states, dict.fromkeys(others, b"o") | {BILLING_PERIOD: b"p"})

    def _start_of(self) -> Callable[[Windows], int]:
        return itemgetter(self.granularity + 1)

    def _state(
        self,
        kinds: tuple[int, ...],
        start_of: Callable[[Windows], int],
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None,
    ) -> State:
        fold, terms, rounding = self.folding, self._terms, self._definition.rounding
        greatest, span = Greatest(fold), Span(kinds, terms, self._definition.lateness_us)
        kind = self.granularity
        if terms.upsert:
            return ReplacingState(fold, greatest, start_of, kind, terms, span, rounding, calendar, chunks)
        return BucketState(fold, greatest, start_of, kind, terms.max_age_us, span, rounding, calendar, chunks)


class Rate:
    """The metric type `rate`."""

    name = "rate"

    def faults(self, definition: Definition) -> list[tuple[str, str]]:  # noqa: ARG002 - the schema has checked them
        """A rate has no fields of its own beyond the schema's."""
        return []

    def build(self, definition: Definition, terms: Terms) -> Metric:
        """A tumbling or a sliding rate."""
        return SlidingMetric(definition, terms) if definition.sliding else TumblingMetric(definition, terms)
