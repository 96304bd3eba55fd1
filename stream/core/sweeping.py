"""Bounded background work: expiry of ids, packs and rows, and of what Redis shows beyond the last ended window."""

from collections.abc import Callable, Iterator
from typing import Any

from stream.core import wire
from stream.core.book import HOUR_US, Book
from stream.core.metrics.base import kept
from stream.core.plan import keep_of
from stream.core.publishing import Marks
from stream.core.rows import Series

_END = object()

STATE_STEPS = 8
"""How many steps it costs to look at a state: it may be a hundred times as large as a row."""


class Sweep:
    """Walks over a book again and again, some rows and some states at a step.

    The two walks go side by side: a gauge's next window should not wait for a million rows.
    """

    def __init__(self, book: Book, marks: Marks) -> None:
        self._book, self._marks = book, marks
        self._walks: list[Iterator[None]] = [iter(()), iter(())]
        self._swept_us = [book.header.swept_us] * 2

    def step(self, steps: int) -> None:
        """Look at up to `steps` rows or packs, and an eighth as many states."""
        if self._book.plan.rules.simulate:
            return
        self._expire_ids(steps)
        for which, (walk, most) in enumerate(((self._rows, steps), (self._states, max(1, steps // STATE_STEPS)))):
            for _ in range(most):
                if next(self._walks[which], _END) is _END:
                    self._walks[which] = self._round(which, walk)
                    break

    def _round(self, which: int, walk: Callable[[], Iterator[None]]) -> Iterator[None]:
        """One walk; after it Redis has been told of all that it should no longer show, as of the walk's beginning."""
        began_us = self._book.header.clock_us
        yield from walk()
        self._swept_us[which] = began_us
        self._book.header.swept_us = min(self._swept_us)

    def _expire_ids(self, steps: int) -> None:
        """Forget the dedupe records of hours past; the ids themselves go as the clock's hour turns."""
        book = self._book
        rules = book.plan.rules
        before = (book.header.clock_us - rules.max_age_us - rules.max_ahead_us) // HOUR_US
        book.ids.expire(before)
        book.contributions.expire(before, steps)
        book.gone += book.idlog.expired(before)

    def _rows(self) -> Iterator[None]:
        header = self._book.header
        for series in self._book.series:
            for bucket, rest in series.closed.over(header.clock_us, series.keeps):
                series.closed.drop(bucket, rest)
                self._book.gone.append(series.closed_key(bucket, rest))
                yield
            for customer in list(series.rows):
                for group in list(series.rows.get(customer, ())) if series.grouped else [None]:
                    self._row(series, customer, group)
                    yield

    def _states(self) -> Iterator[None]:
        header = self._book.header
        for states in self._book.states:
            for customer in list(states.overall):
                for entry in list(states.entries(customer)):
                    if states.sweep(entry, header.clock_us, header.swept_us):
                        self._marks.mark([customer], header.version)
                    states.drop_empty(entry)
                    yield
        alerts = self._book.alerts
        for customer in alerts.customers():
            zone = self._book.zone_for(customer)
            alerts.expire(customer, zone.calendar, self._keep_of, header.clock_us)
            yield

    def _keep_of(self, key: str) -> tuple[int | None, ...] | None:
        metric = self._book.plan.definitions.metrics.get(key)
        return None if metric is None else keep_of(metric, self._book.plan.rules)

    def _row(self, series: Series, customer: str, group: Any) -> None:
        rows: Any = series.rows if group is None else series.rows.get(customer, {})
        at, key = (customer, customer) if group is None else (group, (customer, group))
        row = rows.get(at)
        if row is None:
            return
        known = None
        if row.__class__ is bytes:
            if self._at_rest(series, customer, row):
                return
            row = rows[at] = series.thawed(key, row)
        elif row.dirty:
            row.idle = False
            return
        else:
            known = row.floors
        header = self._book.header
        floors = series.floors(row.zone, header.clock_us)
        if known is None:
            known = series.floors_at(row.zone, header.swept_us)
        if known is not floors and self._shows_less(series, row, known, floors):
            self._marks.mark([customer], header.version)
            row.heads = None
        row.floors = floors
        if self._over(series, row, header.clock_us):
            series.drop(key)
            self._book.gone.append(series.prefix + series.rest(key))
            self._marks.mark([customer], header.version)
        elif row.idle:
            rows[at] = wire.encode(series.shape.pack(row, series.number))
        else:
            row.idle = True

    def _at_rest(self, series: Series, customer: str, data: bytes) -> bool:
        """Whether there is nothing to do about a row that lies encoded: all it shows, Redis may show."""
        values = wire.decode(data)
        zone = self._book.zone_for(customer)
        if values[0] != series.number or values[1] != zone.number or values[-1]:
            return False
        floors = series.floors(zone, self._book.header.clock_us)
        return all(values[at] >= floor for at, floor in zip(series.shape.start_places, floors, strict=True))

    @staticmethod
    def _shows_less(series: Series, row: Any, known: tuple[int, ...], floors: tuple[int, ...]) -> bool:
        """Whether a window that may be in Redis has gone past the last ended one."""
        windows = [(n, getattr(row, f"s{n}")) for n in range(len(series.shape.kinds))]
        windows += [(cell.n, getattr(cell, f"s{cell.n}")) for cell in row.older or ()]
        return any(known[n] <= start < floors[n] for n, start in windows)

    @staticmethod
    def _over(series: Series, row: Any, clock_us: int) -> bool:
        """Whether none of a row's windows is kept any more, or shown as the one that ended last."""
        shape, end_of = series.shape, row.zone.calendar.end
        for n, (kind, floor) in enumerate(zip(shape.numbers, series.floors(row.zone, clock_us), strict=True)):
            start = getattr(row, f"s{n}")
            if start >= floor or any(kept(end_of(kind, start), keep[kind], clock_us) for keep in shape.keeps):
                return False
        return True
