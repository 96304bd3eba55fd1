"""The state of a metric whose windows stand each for themselves: counters and most plug-ins.

Each event folds into the window of each kind that holds it. The newest window of each kind and the
one before it are at hand; older ones lie in packs. An event of the newest finest window mostly belongs
to the newest of every kind, so many of them fold together.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from schemas.definitions import Rounding
from stream.core.metrics.around import around
from stream.core.metrics.base import SECOND_US, TOTAL, CalendarLike, Many, Shown, Value, Windows, kept, shown_as
from stream.core.metrics.cells import NEVER, Cell, Fold, Span, nested, span_of
from stream.core.metrics.packs import Chunks, Packs, Parts, orphans
from stream.core.metrics.rounding import rounded
from stream.core.metrics.wire import decode, encode


class WindowedState:
    """Windows of one customer and group of one metric; `Fold` says what happens inside each."""

    __slots__ = (
        "_add",
        "_ats",
        "_before",
        "_before_dirty",
        "_due",
        "_hot_at",
        "_hot_start",
        "_nested",
        "_newest",
        "_orphans",
        "_packs",
        "_parts",
        "_positions",
        "calendar",
        "dirty",
        "fold_",
        "rounding",
        "span",
    )

    def __init__(
        self,
        fold: Fold,
        span: Span,
        rounding: Rounding | None,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.fold_, self.span, self.rounding, self.calendar = fold, span, rounding, calendar
        self._add: Callable[[Any, Any, int, int], Any] = fold.add
        self._positions = range(len(span.kinds))
        self._ats = tuple(kind + 1 for kind in span.kinds)
        self._newest: list[Cell] = []  # by position in kinds; empty before the first event
        self._before: list[Cell | None] = [None] * len(span.kinds)
        self._packs = [
            Packs(b"w" + bytes((kind,)), span_of(kind), self._plain, self._reader(position))
            for position, kind in enumerate(span.kinds)
        ]
        self._parts = Parts()
        self._due = NEVER
        self._nested = nested(span.kinds)
        # the start of the finest newest window, if one of its instants lies in the newest of every kind; else none
        self._hot_at, self._hot_start = self._ats[0], NEVER
        self._orphans: Chunks = []
        self.dirty = self._before_dirty = False
        if chunks:
            self._load(chunks)

    # -- the fold

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """See `State.fold`."""
        late = 0
        if clock_us < self._due and self._newest:
            us, add = w[0], self._add
            for position, cell, at in zip(self._positions, self._newest, self._ats, strict=True):
                if cell.start == w[at]:
                    cell.events += 1
                    cell.acc = add(cell.acc, value, us, order)
                else:
                    late += self._elsewhere(position, w, order, value, clock_us)
            self.dirty = True
            return late
        if not self._newest:
            self._newest = [self._new(position, w[at]) for position, at in enumerate(self._ats)]
        for position in range(len(self._ats)):
            late += self._elsewhere(position, w, order, value, clock_us)
        self._set_due()
        return late

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        if not self._all_hot(events, clock_us):
            return False
        add, number = self._add, len(events.values)
        for cell in self._newest:
            acc = cell.acc
            for value, us, order in zip(events.values, events.instants, events.orders, strict=True):
                acc = add(acc, value, us, order)
            cell.acc = acc
            cell.events += number
        self.dirty = True
        return True

    def _all_hot(self, events: Many, clock_us: int) -> bool:
        """Whether all of these events lie in the newest window of every kind, and all of those are kept."""
        if clock_us >= self._due:
            return False
        if self._nested:
            at, start = self._hot_at, self._hot_start
            return events.first[at] == start and events.last[at] == start
        starts = zip(self._ats, self._newest, strict=False)  # there are none before the first event
        return bool(self._newest) and all(events.first[at] == events.last[at] == cell.start for at, cell in starts)

    def _elsewhere(self, position: int, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """Fold into a window that need not be the newest, if it is kept; 1 where it is not."""
        start = w[self._ats[position]]
        late = not kept(self._end(position, start), self.span.keep[position], clock_us)
        if late and not self.span.simulate:
            return 1
        cell = self._at(position, start)
        cell.events += 1
        cell.acc = self._add(cell.acc, value, w[0], order)
        self.dirty = True
        return int(late)

    def _at(self, position: int, start: int) -> Cell:
        """The cell of a window, made where there is none, and marked as changed."""
        newest = self._newest[position]
        if newest.start == start:
            return newest
        before = self._before[position]
        if start > newest.start:
            cell = self._new(position, start)
            if newest.events:  # a window whose first event came too late holds nothing
                if before is not None:
                    self._packs[position].put(before.start, before)
                self._before[position] = newest
                self._before_dirty = True
            self._newest[position] = cell
            self._set_due()
            return cell
        if before is not None and before.start == start:
            self._before_dirty = True
            return before
        packs = self._packs[position]
        older = packs.get(start)
        if older is None:
            older = self._new(position, start)
            if before is None or start > before.start:
                self._before[position], self._before_dirty = older, True
                if before is not None:
                    packs.put(before.start, before)
                return older
            packs.put(start, older)
        packs.touch(start)
        return older

    def _held(self, position: int, start: int) -> Cell | None:
        """A window that there is, marked as changed."""
        if not self._newest:
            return None
        newest, before = self._newest[position], self._before[position]
        if newest.start == start:
            self.dirty = True
            return newest
        if before is not None and before.start == start:
            self._before_dirty = True
            return before
        cell = self._packs[position].get(start)
        if cell is not None:
            self._packs[position].touch(start)
        return cell

    def _accs(self, w: Windows) -> list[Any]:
        """The accumulators of the windows that hold an instant, to be changed in place."""
        cells = (self._held(position, w[at]) for position, at in enumerate(self._ats))
        return [cell.acc for cell in cells if cell is not None]

    def remove(self, w: Windows, order: int, value: Any, clock_us: int) -> None:
        """See `State.remove`; the metric makes a `ReplacingState` where it may be called."""
        raise NotImplementedError

    # -- reading

    def _end(self, position: int, start: int) -> int | None:
        kind = self.span.kinds[position]
        return None if kind == TOTAL else self.calendar.end(kind, start)

    def _set_due(self) -> None:
        """From this clock on a newest window may be no longer kept, and every fold must look."""
        self._due, self._hot_start = NEVER, NEVER
        for position, cell in enumerate(self._newest):
            end, keep = self._end(position, cell.start), self.span.keep[position]
            if end is not None and keep is not None:
                self._due = min(self._due, end * SECOND_US + keep)
        if self._nested and self._newest:
            start = self._newest[0].start
            w = self.calendar.windows(start * SECOND_US)
            if all(cell.start == w[at] for cell, at in zip(self._newest, self._ats, strict=True)):
                self._hot_start = start

    def _find(self, position: int, start: int) -> Cell | None:
        if not self._newest:
            return None
        newest, cell = self._newest[position], self._before[position]
        if newest.start == start:
            return newest if newest.events else None
        if cell is None or cell.start < start:
            return None
        if cell.start > start:
            cell = self._packs[position].get(start)
        return cell if cell is not None and cell.events else None

    def _show(self, position: int, cell: Cell) -> Shown:
        fold = self.fold_
        return self._row(position, cell, fold.value(cell.acc, cell.events), fold.error(cell.acc))

    def _row(self, position: int, cell: Cell, value: Value, error: str | None = None) -> Shown:
        kind, start = self.span.kinds[position], cell.start
        end = None if kind == TOTAL else self.calendar.end(kind, start)
        return shown_as((kind, start, end, rounded(value, self.rounding), cell.events, error))

    def total(self, kind: int, start: int) -> Shown | None:
        """See `State.total`."""
        position = self.span.kinds.index(kind)
        cell = self._find(position, start)
        return None if cell is None else self._show(position, cell)

    def rows(self, kind: int, until_us: int) -> list[Shown]:
        """See `State.rows`."""
        position = self.span.kinds.index(kind)
        return [
            self._show(position, cell)
            for cell in self._cells(position)
            if kind == TOTAL or cell.start * SECOND_US <= until_us
        ]

    def _cells(self, position: int) -> Iterator[Cell]:
        """Every window with an event, oldest first."""
        if self._newest:
            for _, cell in self._packs[position].all():
                if cell.events:
                    yield cell
            for last in (self._before[position], self._newest[position]):
                if last is not None and last.events:
                    yield last

    def shown(self, clock_us: int) -> list[Shown]:
        """See `State.shown`."""
        out: list[Shown] = []
        if not self._newest:
            return out
        windows = around(self.calendar, clock_us)
        for position, kind in enumerate(self.span.kinds):
            newest = self._newest[position]
            if kind == TOTAL:
                if newest.events:
                    out.append(self._show(position, newest))
                continue
            previous, open_, _ = windows[kind]
            if newest.start < previous:
                continue
            if self._before[position] is not None or newest.start == previous:
                ended = self._find(position, previous)
                if ended is not None:
                    out.append(self._show(position, ended))
            if newest.start == open_:
                if newest.events:
                    out.append(self._show(position, newest))
                continue
            start: int | None = open_
            while start is not None and start <= newest.start:
                cell = self._find(position, start)
                if cell is not None:
                    out.append(self._show(position, cell))
                start = self._end(position, start)
        return out

    def present(self) -> str | None:
        """Only a gauge has a state."""
        return None

    # -- keeping

    def _plain(self, cell: Cell) -> list[Any]:
        return [cell.start, cell.events, self.fold_.plain(cell.acc)]

    def _new(self, position: int, start: int) -> Cell:  # noqa: ARG002 - a subclass keeps what belongs to the window
        return Cell(start, 0, self.fold_.empty())

    def _reader(self, position: int) -> Callable[[list[Any]], Cell]:
        return lambda plain: self._cell(position, plain)

    def _cell(self, position: int, plain: list[Any]) -> Cell:  # noqa: ARG002 - likewise
        return Cell(plain[0], plain[1], self.fold_.restored(plain[2]))

    def save(self) -> Chunks:
        """See `State.save`: `n` holds the newest windows, `b` those before, `w...` the packs."""
        out: Chunks = []
        if self.dirty:
            newest = [[kind, self._plain(cell)] for kind, cell in zip(self.span.kinds, self._newest, strict=False)]
            self._parts.put(b"n", encode(newest) if newest else b"", out)
        if self._before_dirty:
            before = [
                [kind, self._plain(cell)]
                for kind, cell in zip(self.span.kinds, self._before, strict=True)
                if cell is not None
            ]
            self._parts.put(b"b", encode(before) if before else b"", out)
        self.dirty = self._before_dirty = False
        for packs in self._packs:
            if packs.dirty:
                packs.save(out)
        if self._orphans:
            out += self._orphans
            self._orphans = []
        return out

    def _load(self, chunks: Mapping[bytes, bytes]) -> None:
        """Kinds of window that were not there when it was saved start with nothing, those that left leave nothing."""
        self._orphans = orphans(chunks, b"wmk", self.span.kinds)
        newest = self._parts.join(chunks, b"n").get(b"n")
        before = self._parts.join(chunks, b"b").get(b"b")
        if newest is not None:
            plains = dict(decode(newest))
            at = max(plain[0] for plain in plains.values())
            for position, kind in enumerate(self.span.kinds):
                plain = plains.get(kind)
                if plain is None:
                    start = 0 if kind == TOTAL else self.calendar.start(kind, at)
                    self._newest.append(self._new(position, start))
                else:
                    self._newest.append(self._cell(position, plain))
        if before is not None:
            plains = dict(decode(before))
            for position, kind in enumerate(self.span.kinds):
                if kind in plains:
                    self._before[position] = self._cell(position, plains[kind])
        for packs in self._packs:
            packs.load(chunks)
        self._set_due()

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        if self.span.simulate:
            return
        windows = around(self.calendar, clock_us)
        for position, keep in enumerate(self.span.keep):
            kind = self.span.kinds[position]
            if kind == TOTAL or keep is None or not self._newest:
                continue
            newest, before = self._newest[position], self._before[position]
            is_old = partial(self._is_old, position, keep, clock_us, windows[kind][0])
            if newest.events and is_old(newest.start):
                self._forgotten(position, newest)
                self._newest[position], self.dirty = self._new(position, newest.start), True
            if before is not None and is_old(before.start):
                self._before[position], self._before_dirty = None, True
                self._forgotten(position, before)
            for _, cell in self._packs[position].pop_while(is_old):
                self._forgotten(position, cell)
        if self.dirty and not any(cell.events for cell in self._newest) and not self._older():
            self._newest = []
            self._set_due()

    def _older(self) -> bool:
        """Whether a window before the newest has events: it may, where a replacement has emptied the newest."""
        if any(cell is not None and cell.events for cell in self._before):
            return True
        return any(cell.events for packs in self._packs for _, cell in packs.all())

    def _is_old(self, position: int, keep: int, clock_us: int, ended: int, start: int) -> bool:
        """Whether a window is kept no more; the one that ended last, at `ended`, stays, for Redis shows it."""
        return start < ended and not kept(self._end(position, start), keep, clock_us)

    def _forgotten(self, position: int, cell: Cell) -> None:
        """A window has expired."""


def total_alone(chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Of what a `WindowedState` saved, its total of all history: the one window that every calendar has."""
    newest = Parts().join(chunks, b"n").get(b"n")
    if newest is None:
        return {}
    totals = [[kind, plain] for kind, plain in decode(newest) if kind == TOTAL]
    out: Chunks = []
    if totals:
        Parts().put(b"n", encode(totals), out)
    return {name: data for name, data in out if data is not None}
