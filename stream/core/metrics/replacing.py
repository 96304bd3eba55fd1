"""The state of a counter, rate or plug-in whose events may be taken back, because they are upserted.

Its buckets (see `buckets`) are the sub-periods of a rate, else windows of the finest kind that nests in
all others. Where a value cannot simply be subtracted (all but count, sum and avg), it is remembered
while its event may still be replaced, so that a bucket can be made again without it. That costs, for
each event of an upsert name, metric and group, about 150 bytes of memory and 30 saved, during twice
`max_age` and a little more (`Terms.replace_us`).
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any

from schemas.definitions import Rounding
from stream.core.metrics.base import DAY, BadValue, CalendarLike, Many, State, Terms, Value, Windows, kept
from stream.core.metrics.buckets import STALE, BucketState, Combine
from stream.core.metrics.cells import Cell, Fold, Span
from stream.core.metrics.packs import Chunks, key_of
from stream.core.metrics.windowed import WindowedState
from stream.core.metrics.wire import NATIVE, decode, encode, plain_of, value_of

_FULL = 16
"""A commit writes the newest chunk of events again until it has so many."""
_MOST = 64
"""A chunk takes no more events when it has so many, though no commit came."""

Log = tuple[dict[int, int], dict[int, Any]]
"""The instants and the values of events, by their places in the log."""


class Merged:
    """A window is what its buckets make together."""

    keep = False

    def __init__(self, fold: Fold) -> None:
        self._fold = fold

    def empty(self) -> Any:
        """Of no bucket."""
        return self._fold.empty()

    def copy(self, whole: Any) -> Any:
        """One that may be changed."""
        return self._fold.merge(self._fold.empty(), whole)

    def mark(self, bucket: Cell) -> Any:  # noqa: ARG002
        """Nothing is needed."""
        return None

    def take(self, rest: Any, bucket: Cell) -> Any:
        """With one bucket more."""
        return self._fold.merge(rest, bucket.acc) if bucket.events else rest

    def grown(self, rest: Any, before: Any, bucket: Cell, value: Any, w: Windows, order: int) -> Any:  # noqa: ARG002
        """With one value more."""
        return self._fold.add(rest, value, w[0], order)

    def value(self, whole: Any, events: int) -> Value:
        """The total."""
        return self._fold.value(whole, events)

    def error(self, whole: Any) -> str | None:
        """Of an estimate."""
        return self._fold.error(whole)

    def plain(self, rest: Any) -> Any:
        """As msgpack holds it."""
        return self._fold.plain(rest)

    def restored(self, plain: Any) -> Any:
        """Again."""
        return self._fold.restored(plain)


def bucket_kind(kinds: tuple[int, ...]) -> int:
    """The kind of window that nests in all of these: the finest, if that is a day or less.

    >>> bucket_kind((1, 2, 4)), bucket_kind((3, 4)), bucket_kind((8,))
    (1, 2, 2)
    """
    return min(kinds[0], DAY)


class ReplacingState(BucketState):
    """A `BucketState` that can remove what it folded."""

    __slots__ = ("_dirty_chunks", "_items", "_logs", "_most", "_number", "_remembers", "_room")

    def __init__(
        self,
        fold: Fold,
        combine: Combine,
        start_of: Callable[[Windows], int],
        kind: int,
        terms: Terms,
        span: Span,
        rounding: Rounding | None,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        most: int | None = None,
    ) -> None:
        """`most` is the greatest number of distinct values of a window, None where there is no bound."""
        self._items: dict[int, dict[int, int]] = {}  # by bucket and place in the log, the chunk where an event is saved
        self._logs: dict[int, Log] = {}  # by chunk
        self._remembers = not getattr(fold, "reversible", False)
        self._dirty_chunks: set[int] = set()
        self._number = 0
        self._most = most
        self._room = 0
        super().__init__(fold, combine, start_of, kind, terms.replace_us, span, rounding, calendar, chunks)

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """See `State.fold`."""
        if self._most is not None:
            self._check(w, value)
        late = super().fold(w, order, value, clock_us)
        if self._remembers and (late < len(self._ats) or self.span.simulate):
            self._remember(self._start_of(w), (w[0],), (order,), (value,))
        return late

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        if self._most is not None and self._room < len(events.values):
            return False
        if not super().fold_all(events, clock_us):
            return False
        self._room -= len(events.values)
        if self._remembers:
            assert self._hot is not None
            self._remember(self._hot.start, events.instants, events.orders, events.values)
        return True

    def _remember(self, start: int, instants: Sequence[int], orders: Sequence[int], values: Sequence[Any]) -> None:
        """Events of a bucket may be taken back."""
        items, logs = self._items.get(start), self._logs
        if items is None:
            items = self._items[start] = {}
        chunk = self._number
        log = logs.get(chunk)
        if log is None:
            log = logs[chunk] = ({}, {})
        items.update(zip(orders, repeat(chunk)))
        log[0].update(zip(orders, instants, strict=True))
        log[1].update(zip(orders, values, strict=True))
        self._dirty_chunks.add(chunk)
        if len(log[0]) >= _MOST:
            self._number = chunk + 1

    def _check(self, w: Windows, value: Any) -> None:
        """Refuse a value for which a window has no room; a window has no more values than events."""
        assert self._most is not None
        if self._room > 0:
            self._room -= 1
            return
        greatest = 0
        for position in self._positions:
            for cell in self._cells(position):
                if cell.events >= self._most:
                    whole = self._whole(position, cell)
                    greatest = max(greatest, len(whole))
                    if len(whole) >= self._most and cell.start == w[self._ats[position]] and value not in whole:
                        raise BadValue(f"a window already holds {self._most} distinct values; see approximate_above")
                else:
                    greatest = max(greatest, cell.events)
        self._room = max(self._most - greatest - 1, 0)

    def remove(self, w: Windows, order: int, value: Any, clock_us: int) -> None:
        """See `State.remove`."""
        start, hot = self._start_of(w), self._hot
        is_hot = hot is not None and hot.start == start
        bucket = hot if is_hot else self._buckets.get(start)
        items = self._items.get(start) if self._remembers else None
        if bucket is None or not bucket.events or (self._remembers and (items is None or order not in items)):
            return  # it came too late to be counted, or is long final
        counted = False
        if clock_us < self._due and self._nested and w[self._hot_at] == self._hot_start:
            for cell in self._newest:  # all of them are kept
                if cell.events:
                    cell.events -= 1
                    counted = self.dirty = True
        else:
            self._part(w, clock_us)
            counted = self._uncount(w, clock_us)
        if not counted:
            return
        bucket.events -= 1
        if items is None:
            bucket.acc = self._bucket_fold.without(bucket.acc, value)  # type: ignore[attr-defined]
        else:
            self._take_back(bucket, start, items, order)
        if is_hot:
            self._hot_dirty = True
            return
        if bucket.events:
            self._buckets.touch(start)
        else:
            self._buckets.drop(start)
        for pair in self._accs(w):
            pair.rest = STALE

    def _uncount(self, w: Windows, clock_us: int) -> bool:
        """One event less in the windows of an instant that are kept; whether there was one."""
        counted = False
        for position, at in enumerate(self._ats):
            # a window that is kept was kept when the event came, so it counted it
            if kept(self._end(position, w[at]), self.span.keep[position], clock_us) or self.span.simulate:
                cell = self._held(position, w[at])
                if cell is not None and cell.events:
                    cell.events -= 1
                    counted = True
        return counted

    def _take_back(self, bucket: Cell, start: int, items: dict[int, int], order: int) -> None:
        """A bucket without one of its values: made again from the others, if it matters."""
        fold = self._bucket_fold
        chunk = items.pop(order)
        instants, values = self._logs[chunk]
        value = values.pop(order)
        del instants[order]
        self._dirty_chunks.add(chunk)
        if not items:
            del self._items[start]
        matters = getattr(fold, "matters", None)
        if matters is not None and items:
            if not matters(bucket.acc, value):
                return
            for place, chunk in items.items():
                if self._logs[chunk][1][place] == value:
                    return  # another one stands for it
        acc = fold.empty()
        for place, chunk in items.items():
            instants, values = self._logs[chunk]
            acc = fold.add(acc, values[place], instants[place], place)
        bucket.acc = acc

    def _freeze_bucket(self, start: int, bucket: Cell) -> None:
        super()._freeze_bucket(start, bucket)
        self._forget_items(start)

    def _forget_items(self, start: int) -> None:
        for order, chunk in self._items.pop(start, {}).items():
            instants, values = self._logs[chunk]
            del instants[order], values[order]
            if not instants:
                self._dirty_chunks.add(chunk)

    def save(self) -> Chunks:
        """See `State.save`: besides the buckets, what may be taken back (`i`)."""
        out = super().save()
        for chunk in self._dirty_chunks:
            log = self._logs.get(chunk)
            self._parts.put(b"i" + key_of(chunk), b"" if log is None or not log[0] else _encoded(*log), out)
            if log is not None and not log[0] and chunk != self._number:
                del self._logs[chunk]
        self._dirty_chunks.clear()
        if self._number in self._logs and len(self._logs[self._number][0]) >= _FULL:
            self._number += 1
        return out

    def _load(self, chunks: Mapping[bytes, bytes]) -> None:
        super()._load(chunks)
        live = {start for start, _ in self._buckets.all()} | ({self._hot.start} if self._hot is not None else set())
        for name, data in sorted(self._parts.join(chunks, b"i").items()):
            chunk = int.from_bytes(name[1:]) - (1 << 47)
            for us, order, plain in decode(data):
                start = self._start_of(self.calendar.windows(us))
                if start in live:  # else its bucket is frozen, and a chunk goes when the last of its items does
                    self._items.setdefault(start, {})[order] = chunk
                    instants, values = self._logs.setdefault(chunk, ({}, {}))
                    instants[order], values[order] = us, value_of(plain)
            if chunk not in self._logs:
                self._dirty_chunks.add(chunk)
            self._number = chunk + 1

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        super().expire(clock_us)
        if not self._newest:
            for start in list(self._items):
                self._forget_items(start)


def _encoded(instants: dict[int, int], values: dict[int, Any]) -> bytes:
    """A chunk of events."""
    try:
        return encode(
            [
                (us, order, value if value.__class__ in NATIVE else plain_of(value))
                for (order, us), value in zip(instants.items(), values.values(), strict=True)
            ]
        )
    except OverflowError:
        return encode([(us, order, plain_of(values[order])) for order, us in instants.items()])


def state_of(
    how: Fold,
    span: Span,
    rounding: Rounding | None,
    terms: Terms,
    calendar: CalendarLike,
    chunks: Mapping[bytes, bytes] | None,
    *,
    most: int | None = None,
) -> State:
    """A state whose windows stand each for themselves, from which events can be removed if `terms` say so."""
    if not terms.upsert:
        return WindowedState(how, span, rounding, calendar, chunks)
    kind = bucket_kind(span.kinds)
    return ReplacingState(
        how, Merged(how), itemgetter(kind + 1), kind, terms, span, rounding, calendar, chunks, most=most
    )
