"""On which day of a period each part of the period's value arose; the days add up to the value.

An `Attribution` goes beside a state: it remembers what was folded, 150 bytes or so for each event, and
is for files (`tally simulate --billable`), not for workers. Days are those of the customer's calendar.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import msgspec

from schemas.definitions import KINDS, Metric as Definition
from schemas.totals import Billable
from stream.core.metrics.base import (
    BILLING_PERIOD,
    DAY,
    MONTH,
    SECOND_US,
    TOTAL,
    CalendarLike,
    Shown,
    Terms,
    Value,
)
from stream.core.metrics.counter import FOLDS
from stream.core.metrics.gauge import GaugeMetric
from stream.core.metrics.gauge_state import GaugeState
from stream.core.metrics.rate import month_of_period
from stream.core.metrics.sliding import UNITS
from stream.core.metrics.states import Change, changes
from stream.core.metrics.trail import VALUES, Trail
from stream.core.text import decimal_of, plain

Event = tuple[int, int, Any]
"""(us, order, value), the value as `Metric.read` answered it, or (group, value) for an overall gauge."""

Share = tuple[int, Value]
"""A second of the day, and what arose on it."""


class Attribution:
    """The events of one customer and group of one metric, and what of a window's value each day made."""

    def __init__(self, definition: Definition, terms: Terms, calendar: CalendarLike, *, overall: bool = False) -> None:
        """`overall`: the state is a keyed metric's, folded with (group, value)."""
        self._definition, self._terms, self._calendar, self._overall = definition, terms, calendar, overall
        self._added: dict[tuple[int, int], Any] = {}

    def add(self, us: int, order: int, value: Any) -> None:
        """Remember what the state folded. All events come before the first call of `days`."""
        self._added[us, order] = value

    def remove(self, us: int, order: int) -> None:
        """Forget an event that the state removed."""
        self._added.pop((us, order), None)

    @cached_property
    def _events(self) -> list[Event]:
        return [(us, order, value) for (us, order), value in sorted(self._added.items(), key=lambda item: item[0])]

    def days(self, row: Shown) -> tuple[Billable, ...]:
        """The parts of a row of this state, by day; days without a part are left out."""
        by_day: dict[str, Fraction] = {}
        for second, part in self._shares(row):
            day = self._calendar.date(second)
            by_day[day] = by_day.get(day, Fraction(0)) + Fraction(part)
        parts = [(day, part) for day, part in sorted(by_day.items()) if part]
        if not parts:
            return ()
        shown = [(day, decimal_of(part)) for day, part in parts]
        others = sum((Fraction(part) for _, part in shown[:-1]), Fraction(0))
        last = decimal_of(Fraction(row.value) - others)  # rounding, and what does not end, fall on the last day
        return tuple(Billable(day, plain(part)) for day, part in [*shown[:-1], (shown[-1][0], last)])

    def _inside(self, row: Shown) -> list[Event]:
        """The window's events, oldest first."""
        if row.end is None:
            return self._events
        first = bisect_left(self._events, (row.start * SECOND_US,))
        return self._events[first : bisect_left(self._events, (row.end * SECOND_US,))]

    def _shares(self, row: Shown) -> Iterable[Share]:
        definition = self._definition
        match definition.type:
            case "counter":
                return self._of_counter(row)
            case "rate":
                return self._of_sliding(row) if definition.sliding else self._of_rate(row)
            case "gauge":
                if definition.proration is not None or definition.aggregation == "weighted_sum":
                    return self._by_time(row)
                return self._of_gauge(row)
        last = self._inside(row)[-1]  # a plug-in's value cannot be taken apart
        return [(last[0] // SECOND_US, Fraction(row.value))]

    def _of_counter(self, row: Shown) -> list[Share]:
        events = self._inside(row)
        match self._definition.aggregation:
            case "count":
                return [(us // SECOND_US, 1) for us, _, _ in events]
            case "sum":
                return [(us // SECOND_US, value) for us, _, value in events]
            case "avg":
                return [(us // SECOND_US, Fraction(value) / len(events)) for us, _, value in events]
            case "unique":
                seen: dict[bytes, int] = {}
                for us, _, value in events:
                    seen.setdefault(value, us)
                if row.error is not None:  # an estimate cannot be told apart: it goes by the exact numbers' shares
                    return [(us // SECOND_US, Fraction(row.value) / len(seen)) for us in seen.values()]
                return [(us // SECOND_US, 1) for us in seen.values()]
            case "max":
                chosen = max(events, key=lambda event: event[2])  # the first, on a tie
            case "min":
                chosen = min(events, key=lambda event: event[2])
            case _:
                chosen = events[-1]
        return [(chosen[0] // SECOND_US, chosen[2])]

    def _of_rate(self, row: Shown) -> list[Share]:
        definition = self._definition
        assert definition.granularity is not None
        fold, granularity = FOLDS[definition.aggregation or "count"], KINDS.index(definition.granularity)
        cut = granularity == MONTH and row.kind == BILLING_PERIOD
        periods: dict[int, tuple[Any, int]] = {}
        for us, order, value in self._inside(row):
            w = self._calendar.windows(us)
            start = month_of_period(w) if cut else w[1 + granularity]
            acc, number = periods.get(start, (fold.empty(), 0))
            periods[start] = (fold.add(acc, value, us, order), number + 1)
        worths = [(start, fold.value(acc, number)) for start, (acc, number) in periods.items()]
        return [max(worths, key=lambda worth: worth[1])]

    @cached_property
    def _trail(self) -> Trail:
        definition = self._definition
        assert definition.granularity is not None
        trail = Trail(UNITS[definition.granularity], greatest=definition.aggregation == "max")
        for us, _, value in self._events:
            trail.add(us // SECOND_US, value)
        return trail

    def _of_sliding(self, row: Shown) -> list[Share]:
        trail, worth = self._trail, VALUES[self._definition.aggregation or "count"]
        first = 0 if row.end is None else bisect_left(trail.seconds, row.start)
        last = len(trail.seconds) if row.end is None else bisect_left(trail.seconds, row.end)
        worths = []
        for index in range(first, last):
            whole = trail.whole[index]
            assert whole is not None
            worths.append((trail.seconds[index], worth(whole)))
        return [max(worths, key=lambda each: each[1])]

    # -- gauges

    @cached_property
    def _metric(self) -> GaugeMetric:
        windows = {*self._definition.windows, KINDS[DAY]} - {KINDS[TOTAL]}
        chosen = tuple(kind for kind in KINDS if kind in windows)
        definition = msgspec.structs.replace(self._definition, windows=chosen)
        return GaugeMetric(definition, replace(self._terms, simulate=True, upsert=False))

    @cached_property
    def _state(self) -> GaugeState:
        """All events in a gauge that has days, to ask each day's value of."""
        state = GaugeState(self._metric, self._calendar, overall=self._overall)
        for us, order, value in self._events:
            state.fold(self._calendar.windows(us), order, value, us)
        return state

    def _by_time(self, row: Shown) -> list[Share]:
        """A share of each day, or of the part of one that the window is."""
        assert row.end is not None
        state, calendar = self._state, self._calendar
        if row.kind < DAY:
            return [(row.start, state.exact(row.kind, row.start))]
        out: list[Share] = []
        start, length = row.start, row.end - row.start
        while start < row.end:
            end = calendar.end(DAY, start)
            assert end is not None
            share = state.exact(DAY, start)
            if self._definition.proration is None:  # the day's average, by its share of the window
                share = Fraction(share) * (end - start) / length
            out.append((start, share))
            start = end
        return out

    @cached_property
    def _changes(self) -> list[Change]:
        return changes(self._metric, self._events, overall=self._overall)

    def _of_gauge(self, row: Shown) -> list[Share]:
        """The whole value on one day."""
        all_changes = self._changes
        begin = all_changes[0].us if row.end is None else row.start * SECOND_US
        end = None if row.end is None else row.end * SECOND_US
        first = 0 if row.end is None else bisect_left(all_changes, begin, key=lambda change: change.us)
        last = len(all_changes) if end is None else bisect_left(all_changes, end, key=lambda change: change.us)
        inside = all_changes[first:last]
        carried: Value = all_changes[first - 1].value if first else self._metric.initial
        aggregation = self._definition.aggregation
        if aggregation in {"max", "min"}:
            states = [(change.us, change.value) for change in inside]
            if row.end is None or not states or states[0][0] > begin:  # what was carried in held for a time
                states.insert(0, (begin, carried))
            chosen = (max if aggregation == "max" else min)(states, key=lambda state: state[1])
            return [(chosen[0] // SECOND_US, chosen[1])]
        value = inside[-1].value if inside else carried
        moved = [change.us for change in inside if change.moved]
        return [((moved[-1] if moved else begin) // SECOND_US, value)]
