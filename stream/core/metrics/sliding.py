"""`type: rate` with `sliding: true`: at each event, what came in the unit up to it.

With `granularity: minute` an event at 12:00:59.9 is worth what came from 12:00:00.000000 to
12:00:59.999999: the seconds (11:59:59, 12:00:59]. A window's total is the greatest such worth of its
own events, though they look back across its start.

Events are taken up to an hour late (`Terms.sliding_late_us`, or the definition's `lateness`): a later
one counts in no window. So the seconds of the last hour and of one unit before it are kept, at some
200 bytes each while in memory; where events may be taken back (upsert), those of all the time that
they may.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from schemas.definitions import Metric as Definition
from stream.core.metrics.base import SECOND_US, CalendarLike, Many, Number, Shown, State, Terms, Value, Windows, kept
from stream.core.metrics.buckets import STALE, Pair
from stream.core.metrics.cells import NEVER, Cell, Span, kinds_of
from stream.core.metrics.packs import Chunks, key_of
from stream.core.metrics.reading import Reader, numeric, one
from stream.core.metrics.shapes import shape_of
from stream.core.metrics.trail import VALUES, Pair as Worth, Trail
from stream.core.metrics.windowed import WindowedState
from stream.core.metrics.wire import decode, encode, packed, unpacked

UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
"""Seconds that each granularity looks back."""

PACK = 16
"""So many seconds are saved together: each commit writes the newest of them again."""


class SlidingMetric:
    """A sliding rate's definition at work."""

    keyed = False

    def __init__(self, definition: Definition, terms: Terms) -> None:
        assert definition.granularity is not None
        self.aggregation = definition.aggregation or "count"
        self.key = definition.key
        self.windows = kinds_of(definition)
        self.unit = UNITS[definition.granularity]
        self.shape = shape_of(definition, terms)
        self.read: Reader = one
        self.number: str | None = None
        if self.aggregation != "count":
            assert definition.property is not None
            self.number = definition.property
            self.read = numeric(terms.reader(definition.property))
        self.rounding = definition.rounding
        self.late_us = terms.sliding_late_us if definition.lateness_us is None else definition.lateness_us
        self.live_us = max(self.late_us, terms.replace_us) if terms.upsert else self.late_us
        self.upsert = terms.upsert
        # late by the event, for all windows at once: none may be over before it
        keep_us = tuple(None if keep is None else max(keep, self.late_us) for keep in terms.keep_us)
        self.span = Span(self.windows, replace(terms, keep_us=keep_us), None)

    def state(
        self,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,  # noqa: ARG002 - the overall state is like a group's
    ) -> State:
        """See `Metric.state`."""
        return SlidingState(self, calendar, chunks)


class _NoFold:
    """The windows of a sliding rate only count their events."""

    def empty(self) -> Any:
        return None

    def add(self, acc: Any, value: Any, us: int, order: int) -> Any:  # noqa: ARG002
        return acc

    def merge(self, acc: Any, other: Any) -> Any:  # noqa: ARG002
        return acc

    def value(self, acc: Any, events: int) -> Value:  # noqa: ARG002
        return events

    def error(self, acc: Any) -> str | None:  # noqa: ARG002
        return None

    def plain(self, acc: Any) -> Any:
        return acc

    def restored(self, plain: Any) -> Any:
        return plain


class SlidingState(WindowedState):
    """Windows of a sliding rate, and the seconds that may still change them.

    A window keeps what its frozen seconds made and what all but the newest second make; the newest
    one's worth joins when the window is shown.
    """

    __slots__ = ("_clock_us", "_dirty_packs", "_events", "_frozen", "_metric", "_trail", "_unjoined", "_worth")

    def __init__(
        self, metric: SlidingMetric, calendar: CalendarLike, chunks: Mapping[bytes, bytes] | None = None
    ) -> None:
        self._metric = metric
        self._worth = VALUES[metric.aggregation]
        self._trail = Trail(metric.unit, greatest=metric.aggregation == "max")
        self._events: dict[int, dict[int, Number]] | None = {} if metric.upsert else None
        self._frozen = -NEVER  # the first second that is not frozen
        self._unjoined = -NEVER  # the first second that has not joined its windows
        self._clock_us = -NEVER
        self._dirty_packs: set[int] = set()
        super().__init__(_NoFold(), metric.span, metric.rounding, calendar, chunks)

    # -- the fold

    def fold(self, w: Windows, order: int, value: Number, clock_us: int) -> int:
        """See `State.fold`."""
        us = w[0]
        self._clock_us = clock_us
        too_late = us < clock_us - self._metric.late_us
        if too_late and not self.span.simulate:
            return len(self._ats)
        second = us // SECOND_US
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
            self._trail.add(second, value)
            self._dirty_packs.add(second // PACK)
            if self._events is not None:
                self._events.setdefault(second, {})[order] = value
        return len(self._ats) if too_late else late

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        if self._events is not None or not self._all_hot(events, clock_us):
            return False
        if events.first[0] < clock_us - self._metric.late_us:
            return False
        self._clock_us = clock_us
        self.dirty = True
        number = len(events.values)
        for cell in self._newest:
            cell.events += number
        together = max if self._trail.greatest else sum
        first = events.first[0] // SECOND_US
        if first == events.last[0] // SECOND_US:
            self._trail.add(first, together(events.values), number)
            self._dirty_packs.add(first // PACK)
            return True
        seconds: dict[int, list[Number]] = {}
        for us, value in zip(events.instants, events.values, strict=True):
            second = us // SECOND_US
            if second in seconds:
                seconds[second].append(value)
            else:
                seconds[second] = [value]
        for second, values in seconds.items():
            self._trail.add(second, together(values), len(values))
            self._dirty_packs.add(second // PACK)
        return True

    def _settle(self) -> None:
        """Every second but the newest joins its windows, with what its look-back makes."""
        trail = self._trail
        changed, unjoined, newest = trail.settle(), self._unjoined, trail.last
        for second, before, after in changed:
            if second < unjoined:
                self._joined(second, before, after)
        if unjoined < newest:
            first, last = bisect_left(trail.seconds, unjoined), len(trail.seconds) - 1
            for w, best in self._by_minute(first, last):
                for pair in self._accs(w):
                    if pair.rest is not STALE and (pair.rest is None or best > pair.rest):
                        pair.rest = best
            self._unjoined = newest

    def _by_minute(self, first: int, last: int) -> Iterator[tuple[Windows, Value]]:
        """The greatest worth of the seconds with these numbers, for each run of seconds that share their windows."""
        trail, worth, windows = self._trail, self._worth, self.calendar.windows
        shared: Windows = ()
        best: Value = 0
        for index in range(first, last):
            whole = trail.whole[index]
            assert whole is not None
            value, w = worth(whole), windows(trail.seconds[index] * SECOND_US)
            if w[1:] != shared[1:]:
                if shared:
                    yield shared, best
                shared, best = w, value
            elif value > best:
                best = value
        if shared:
            yield shared, best

    def _joined(self, second: int, before: Worth | None, after: Worth | None) -> None:
        """The worth of a second that had joined has changed (None: it is gone); its windows follow."""
        worth = self._worth
        new = None if after is None else worth(after)
        for pair in self._accs(self.calendar.windows(second * SECOND_US)):
            if pair.rest is STALE:
                continue
            if new is not None and (pair.rest is None or new >= pair.rest):
                pair.rest = new
            elif before is not None and worth(before) == pair.rest:
                pair.rest = STALE

    def _freeze(self, first: int) -> None:
        """Seconds before `first` no longer change; those that no live one looks back on go."""
        trail = self._trail
        begin = bisect_left(trail.seconds, self._frozen)
        end = min(bisect_left(trail.seconds, first), len(trail.seconds) - 1)  # the newest stays
        if begin < end:
            for w, best in self._by_minute(begin, end):
                for pair in self._accs(w):
                    if pair.frozen is None or best > pair.frozen:
                        pair.frozen = best
            self._frozen = trail.seconds[end - 1] + 1
        # whole packs only, so that a pack is written no more until it is deleted
        gone = (min(first, self._frozen) - trail.unit) // PACK
        if trail.seconds and trail.seconds[0] // PACK < gone:
            for second in trail.seconds[: bisect_left(trail.seconds, gone * PACK)]:
                self._dirty_packs.add(second // PACK)
                if self._events is not None:
                    self._events.pop(second, None)
            trail.drop_before(gone * PACK)

    def remove(self, w: Windows, order: int, value: Number, clock_us: int) -> None:  # noqa: ARG002
        """See `State.remove`: the value is known by its place in the log."""
        assert self._events is not None
        second = w[0] // SECOND_US
        values = self._events.get(second)
        if values is None or order not in values:
            return  # it came too late to be counted, or is long final
        trail = self._trail
        self._settle()
        index = bisect_left(trail.seconds, second)
        before = trail.whole[index] if index < len(trail.seconds) - 1 else None
        del values[order]
        if values:
            total: Number = 0
            for number in values.values():
                total = total + number
            trail.put(second, (len(values), max(values.values()) if trail.greatest else total))
        else:
            del self._events[second]
            trail.put(second, None)
            if before is not None:
                self._joined(second, before, None)
        self._dirty_packs.add(second // PACK)
        for position, at in enumerate(self._ats):
            if kept(self._end(position, w[at]), self.span.keep[position], clock_us) or self.span.simulate:
                cell = self._held(position, w[at])
                if cell is not None and cell.events:
                    cell.events -= 1
        if not trail.seconds:
            self._unjoined = -NEVER
        elif trail.last < self._unjoined:  # what had joined is the newest now, and stands apart
            self._unjoined = trail.last
            for pair in self._accs(self.calendar.windows(trail.last * SECOND_US)):
                pair.rest = STALE
        self._settle()

    # -- reading

    def _show(self, position: int, cell: Cell) -> Shown:
        self._settle()
        trail, pair, worth = self._trail, cell.acc, self._worth
        end = self._end(position, cell.start)
        if pair.rest is STALE:
            pair.rest = self._again(cell.start, end, pair.frozen)
        best = pair.rest
        if trail.seconds and (end is None or cell.start <= trail.last < end):  # all history has no start, not even 1970
            whole = trail.whole[-1]
            assert whole is not None
            hot = worth(whole)
            best = hot if best is None or hot > best else best
        return self._row(position, cell, best)

    def _again(self, start: int, end: int | None, frozen: Value | None) -> Value | None:
        """The greatest worth of a window's seconds but the newest."""
        trail, best = self._trail, frozen
        first = bisect_left(trail.seconds, max(self._frozen, -NEVER if end is None else start))
        last = len(trail.seconds) if end is None else bisect_left(trail.seconds, end)
        for index in range(first, min(last, len(trail.seconds) - 1)):
            whole = trail.whole[index]
            assert whole is not None
            value = self._worth(whole)
            best = value if best is None or value > best else best
        return best

    # -- keeping

    def _new(self, position: int, start: int) -> Cell:  # noqa: ARG002 - the position does not matter here
        return Cell(start, 0, Pair(None, None))

    def _plain(self, cell: Cell) -> list[Any]:
        pair = cell.acc
        return [cell.start, cell.events, packed(pair.frozen), None if pair.rest is STALE else [packed(pair.rest)]]

    def _cell(self, position: int, plain: list[Any]) -> Cell:  # noqa: ARG002 - likewise
        start, events, frozen, rest = plain
        return Cell(start, events, Pair(unpacked(frozen), STALE if rest is None else unpacked(rest[0])))

    def save(self) -> Chunks:
        """See `State.save`: besides the windows, the seconds by packs (`t`) and the first live one (`f`)."""
        self._settle()
        if not self.span.simulate:
            self._freeze((self._clock_us - self._metric.live_us) // SECOND_US)
        out = super().save()
        trail = self._trail
        if self._dirty_packs:
            out.append((b"f", encode(self._frozen) if trail.seconds else None))
        for pack in self._dirty_packs:
            first, last = (bisect_left(trail.seconds, pack * PACK), bisect_left(trail.seconds, (pack + 1) * PACK))
            data = b""
            if first < last:
                data = encode([self._second(index) for index in range(first, last)])
            self._parts.put(b"t" + key_of(pack), data, out)
        self._dirty_packs.clear()
        return out

    def _second(self, index: int) -> list[Any]:
        second, (events, value) = self._trail.seconds[index], self._trail.own[index]
        if self._events is None:
            return [second, events, packed(value)]
        return [second, events, packed(value), [[o, packed(v)] for o, v in self._events[second].items()]]

    def _load(self, chunks: Mapping[bytes, bytes]) -> None:
        trail = self._trail
        self._frozen = decode(chunks[b"f"]) if b"f" in chunks else -NEVER
        for _, data in sorted(self._parts.join(chunks, b"t").items()):
            for second, events, value, *kept_ in decode(data):
                trail.put(second, (events, unpacked(value)))
                if self._events is not None:
                    self._events[second] = {order: unpacked(number) for order, number in kept_[0]}
        trail.settle()
        self._unjoined = trail.last if trail.seconds else -NEVER
        super()._load(chunks)

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        if not self.span.simulate:
            self._settle()
            self._freeze((clock_us - self._metric.live_us) // SECOND_US)
        super().expire(clock_us)
        trail = self._trail
        if not self._newest and trail.seconds:
            self._dirty_packs.update(second // PACK for second in trail.seconds)
            if self._events is not None:
                self._events.clear()
            trail.drop_before(trail.last + 1)
