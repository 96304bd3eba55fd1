"""The state of a metric whose windows are made of smaller ones: buckets of one kind.

A tumbling rate's sub-periods are buckets, and so are the hours or days in which a counter of upserted
events keeps what it may have to take back. Every bucket that can still change is live; the newest is
at hand ("hot"), the others lie in packs. A window holds what its frozen buckets made (`frozen`) and
what all of its buckets but the hot one make (`rest`); the hot one joins when the window is shown. So
an event of the newest bucket costs the same however many windows there are, and a value that goes
down, as a sum of negative numbers does, is found again from the live buckets.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from schemas.definitions import Rounding
from stream.core.metrics.base import SECOND_US, CalendarLike, Many, Shown, Value, Windows, kept
from stream.core.metrics.cells import NEVER, Cell, Fold, Span, span_of
from stream.core.metrics.packs import Chunks, Packs, key_of
from stream.core.metrics.windowed import WindowedState
from stream.core.metrics.wire import decode, encode

STALE: Any = object()
"""A window's `rest` that must be made again from its buckets."""

OVER: Any = object()
"""In place of a window's `frozen`: it takes no events any more, though its buckets do; `rest` is what it was then."""


class Combine(Protocol):
    """How the buckets of a window make its total."""

    keep: bool
    """Whether a window's `rest` is small enough to be saved with it, or is made again when restored."""

    def empty(self) -> Any:
        """Of no bucket."""
        ...

    def copy(self, whole: Any) -> Any:
        """One that `take` may change."""
        ...

    def take(self, rest: Any, bucket: Cell) -> Any:
        """With one bucket more, which stays as it is; may change `rest` in place."""
        ...

    def grown(self, rest: Any, before: Any, bucket: Cell, value: Any, w: Windows, order: int) -> Any:
        """After one of its buckets took a value; `STALE` where that cannot be told.

        `before` is what `mark` said of the bucket before.
        """
        ...

    def mark(self, bucket: Cell) -> Any:
        """What `grown` needs to know of a bucket before it changes."""
        ...

    def value(self, whole: Any, events: int) -> Value:
        """The window's total."""
        ...

    def error(self, whole: Any) -> str | None:
        """The relative standard error of an estimate."""
        ...

    def plain(self, rest: Any) -> Any:
        """As msgpack holds it."""
        ...

    def restored(self, plain: Any) -> Any:
        """Again."""
        ...


class Pair:
    """What a window keeps: of its frozen buckets, and of all but the hot one."""

    __slots__ = ("frozen", "rest")

    def __init__(self, frozen: Any, rest: Any) -> None:
        self.frozen, self.rest = frozen, rest


class BucketState(WindowedState):
    """See the module. `start_of` answers a bucket's start for the calendar's tuple of an instant."""

    __slots__ = (
        "_add_all",
        "_bucket_add",
        "_bucket_fold",
        "_bucket_kind",
        "_buckets",
        "_combine",
        "_frozen",
        "_frozen_dirty",
        "_hot",
        "_hot_dirty",
        "_hot_w",
        "_live_us",
        "_start_of",
    )

    def __init__(
        self,
        fold: Fold,
        combine: Combine,
        start_of: Callable[[Windows], int],
        bucket_kind: int,
        live_us: int,
        span: Span,
        rounding: Rounding | None,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
    ) -> None:
        """A bucket freezes when no event for it is accepted any more: `live_us` after its end."""
        self._bucket_fold, self._combine, self._start_of, self._live_us = fold, combine, start_of, live_us
        self._bucket_add = fold.add
        self._add_all: Callable[[Any, Many], Any] | None = getattr(fold, "add_all", None)
        self._bucket_kind = bucket_kind
        self._buckets: Packs[Cell] = Packs(b"s", span_of(bucket_kind), self._bucket_plain, self._bucket_cell)
        self._hot: Cell | None = None
        self._hot_w: Windows = ()
        self._hot_dirty = False
        self._frozen: dict[bytes, bytes] = {}  # saved apart from their windows, where they may be large
        self._frozen_dirty: dict[tuple[int, int], Pair] = {}
        super().__init__(fold, span, rounding, calendar, chunks)
        self._add = self._add_to

    # -- the fold

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """See `State.fold`."""
        late = 0
        if clock_us < self._due and self._newest:
            for position, cell, at in zip(self._positions, self._newest, self._ats, strict=True):
                if cell.start == w[at]:
                    cell.events += 1
                else:
                    late += self._elsewhere(position, w, order, value, clock_us)
            self.dirty = True
        else:
            late = super().fold(w, order, value, clock_us)
        if late < len(self._ats) or self.span.simulate:
            if late:
                self._part(w, clock_us)
            start = self._start_of(w)
            hot = self._hot
            if hot is not None and hot.start == start:
                hot.events += 1
                hot.acc = self._bucket_add(hot.acc, value, w[0], order)
                self._hot_dirty = True
            else:
                self._fold_bucket(start, w, order, value, clock_us)
        return late

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        hot = self._hot
        if hot is None or not self._all_hot(events, clock_us):
            return False
        if self._start_of(events.first) != hot.start or self._start_of(events.last) != hot.start:
            return False
        number = len(events.values)
        for cell in self._newest:
            cell.events += number
        hot.events += number
        if self._add_all is not None:
            hot.acc = self._add_all(hot.acc, events)
        else:
            for value, us, order in zip(events.values, events.instants, events.orders, strict=True):
                hot.acc = self._bucket_add(hot.acc, value, us, order)
        self.dirty = self._hot_dirty = True
        return True

    def _part(self, w: Windows, clock_us: int) -> None:
        """Let those windows of an instant stay as they are that are no longer kept, before one of its buckets changes."""
        if self.span.simulate:
            return
        for position, at in enumerate(self._ats):
            if not kept(self._end(position, w[at]), self.span.keep[position], clock_us):
                cell = self._held(position, w[at])
                if cell is not None and cell.events and cell.acc.frozen is not OVER:
                    cell.acc = Pair(OVER, self._combine.copy(self._whole(position, cell)))
                    if not self._combine.keep:
                        self._frozen_dirty[position, cell.start] = cell.acc

    def _accs(self, w: Windows) -> list[Any]:
        """See `WindowedState._accs`: of those that still follow their buckets."""
        return [pair for pair in super()._accs(w) if pair.frozen is not OVER]

    def _add_to(self, acc: Pair, value: Any, us: int, order: int) -> Pair:  # noqa: ARG002 - the bucket takes the value
        return acc

    def _fold_bucket(self, start: int, w: Windows, order: int, value: Any, clock_us: int) -> None:
        """Fold into a bucket that is not the hot one, or is not yet."""
        hot = self._hot
        if hot is None or start > hot.start:
            if hot is not None:
                self._cool(hot)
                self._freeze(clock_us)
            self._hot = hot = Cell(start, 1, self._bucket_fold.empty())
            self._hot_w, self._hot_dirty = w, True
            hot.acc = self._bucket_add(hot.acc, value, w[0], order)
            return
        bucket = self._buckets.get(start)
        if bucket is None:
            bucket = Cell(start, 0, self._bucket_fold.empty())
            self._buckets.put(start, bucket)
        before = self._combine.mark(bucket)
        bucket.events += 1
        bucket.acc = self._bucket_add(bucket.acc, value, w[0], order)
        self._buckets.touch(start)
        for pair in self._accs(w):
            if pair.rest is not STALE:
                pair.rest = self._combine.grown(pair.rest, before, bucket, value, w, order)

    def _cool(self, hot: Cell) -> None:
        """The hot bucket joins the others."""
        if not hot.events:
            return
        self._buckets.put(hot.start, hot)
        for pair in self._accs(self._hot_w):
            if pair.rest is not STALE:
                pair.rest = self._combine.take(pair.rest, hot)

    def _freeze(self, clock_us: int) -> None:
        """What can no longer change joins its windows for good; totals stay as they are."""
        if self.span.simulate:
            return
        for start, bucket in self._buckets.pop_packs(partial(self._is_final, (clock_us - self._live_us) // SECOND_US)):
            self._freeze_bucket(start, bucket)

    def _freeze_bucket(self, start: int, bucket: Cell) -> None:
        """One bucket joins the frozen part of its windows."""
        w = self.calendar.windows(start * SECOND_US)
        for position, at in enumerate(self._ats):
            cell = self._held(position, w[at])
            if cell is not None and cell.acc.frozen is not OVER:
                cell.acc.frozen = self._combine.take(cell.acc.frozen, bucket)
                if not self._combine.keep:
                    self._frozen_dirty[position, cell.start] = cell.acc

    def _is_final(self, limit: int, start: int) -> bool:
        end = self.calendar.end(self._bucket_kind, start)
        return end is not None and end <= limit

    # -- reading

    def _show(self, position: int, cell: Cell) -> Shown:
        whole, combine = self._whole(position, cell), self._combine
        return self._row(position, cell, combine.value(whole, cell.events), combine.error(whole))

    def _whole(self, position: int, cell: Cell) -> Any:
        """What all of a window's buckets make; not to be changed."""
        combine, pair, hot = self._combine, cell.acc, self._hot
        if pair.frozen is OVER:
            return pair.rest
        if pair.rest is STALE:
            pair.rest = self._again(cell.start, self._end(position, cell.start), pair.frozen)
        if hot is not None and hot.events and self._hot_w[self._ats[position]] == cell.start:
            return combine.take(combine.copy(pair.rest), hot)
        return pair.rest

    def _again(self, start: int, end: int | None, frozen: Any) -> Any:
        """A window's `rest`, from its frozen part and its live buckets but the hot one."""
        rest = self._combine.copy(frozen)
        for _, bucket in self._buckets.between(start if end is not None else -NEVER, NEVER if end is None else end - 1):
            rest = self._combine.take(rest, bucket)
        return rest

    # -- keeping

    def _new(self, position: int, start: int) -> Cell:  # noqa: ARG002 - the position does not matter here
        return Cell(start, 0, Pair(self._combine.empty(), self._combine.empty()))

    def _plain(self, cell: Cell) -> list[Any]:
        combine, pair = self._combine, cell.acc
        if pair.frozen is OVER:
            return [cell.start, cell.events, *([combine.plain(pair.rest)] if combine.keep else [None])]
        if not combine.keep:
            return [cell.start, cell.events]
        rest = None if pair.rest is STALE else [combine.plain(pair.rest)]
        return [cell.start, cell.events, combine.plain(pair.frozen), rest]

    def _cell(self, position: int, plain: list[Any]) -> Cell:
        combine = self._combine
        start, events, *more = plain
        if combine.keep:
            if len(more) == 1:
                return Cell(start, events, Pair(OVER, combine.restored(more[0])))
            frozen, rest = more
            return Cell(start, events, Pair(combine.restored(frozen), combine.restored(rest[0]) if rest else STALE))
        pair = self._frozen_dirty.get((position, start))
        if pair is not None:
            return Cell(start, events, pair)
        data = self._frozen.get(self._frozen_name(position, start))
        frozen = combine.empty() if data is None else combine.restored(decode(data))
        return Cell(start, events, Pair(OVER, frozen) if more else Pair(frozen, STALE))

    def _frozen_name(self, position: int, start: int) -> bytes:
        return b"z" + bytes((self.span.kinds[position],)) + key_of(start)

    def _forgotten(self, position: int, cell: Cell) -> None:
        if not self._combine.keep:
            self._frozen_dirty[position, cell.start] = Pair(self._combine.empty(), None)

    def _bucket_plain(self, bucket: Cell) -> list[Any]:
        return [bucket.start, bucket.events, self._bucket_fold.plain(bucket.acc)]

    def _bucket_cell(self, plain: list[Any]) -> Cell:
        return Cell(plain[0], plain[1], self._bucket_fold.restored(plain[2]))

    def save(self) -> Chunks:
        """See `State.save`: besides the windows, the hot bucket (`h`) and packs of the others (`s`)."""
        out = super().save()
        if self._hot_dirty:
            hot = b"" if self._hot is None else encode([self._hot_w[0], self._bucket_plain(self._hot)])
            self._parts.put(b"h", hot, out)
        self._hot_dirty = False
        if self._buckets.dirty:
            self._buckets.save(out)
        for (position, start), pair in self._frozen_dirty.items():
            name = self._frozen_name(position, start)
            held = pair.rest if pair.frozen is OVER else pair.frozen
            data = b"" if pair.rest is None else encode(self._combine.plain(held))
            self._parts.put(name, data, out)
            self._frozen.pop(name, None)
            if data:
                self._frozen[name] = data
        self._frozen_dirty.clear()
        return out

    def _load(self, chunks: Mapping[bytes, bytes]) -> None:
        hot = self._parts.join(chunks, b"h").get(b"h")
        if hot is not None:
            us, plain = decode(hot)
            self._hot, self._hot_w = self._bucket_cell(plain), self.calendar.windows(us)
        self._buckets.load(chunks)
        self._frozen = self._parts.join(chunks, b"z")
        super()._load(chunks)

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        self._freeze(clock_us)
        super().expire(clock_us)
        if not self._newest and self._hot is not None:
            self._hot, self._hot_dirty = None, True
            self._buckets.clear()
