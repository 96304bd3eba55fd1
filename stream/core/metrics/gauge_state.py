"""The state of a gauge for one customer and group, or for all groups together.

Steps that can no longer change are deleted, their outcome being in the timeline's base. A step costs about
110 bytes of memory while it is live, which is for `max_age` or the `lateness`.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import xxhash

from stream.core.metrics.around import around
from stream.core.metrics.base import (
    DAY,
    DAY_US,
    MONTH,
    QUARTER,
    SECOND_US,
    TOTAL,
    YEAR,
    CalendarLike,
    Many,
    Shown,
    Value,
    Windows,
    kept,
    shown_as,
)
from stream.core.metrics.cells import span_of
from stream.core.metrics.lanes import ENTITY
from stream.core.metrics.measures import FOREVER, Greatest, Last, Measure, Prorated, unit_bounds, unit_kind
from stream.core.metrics.packs import Chunks, Packs, Parts, orphans
from stream.core.metrics.rounding import rounded
from stream.core.metrics.steplog import StepLog
from stream.core.metrics.steps import Columns, Moves
from stream.core.metrics.table import Table
from stream.core.metrics.timeline import Record, Timeline, Track
from stream.core.metrics.wire import decode, encode, packed, unpacked
from stream.core.text import text

if TYPE_CHECKING:
    from stream.core.metrics.gauge import GaugeMetric

_NO_MARK = [-(1 << 62), 0]


def nests(bucket: int | None, kind: int) -> bool:
    """Whether each calendar unit of proration (None: the second) lies in one window of a kind.

    >>> week, quarter, billing_period = 3, 5, 7
    >>> nests(DAY, week), nests(MONTH, week), nests(MONTH, billing_period), nests(MONTH, quarter), nests(DAY, 1)
    (True, False, False, True, False)
    """
    if bucket is None or bucket <= DAY:
        return bucket is None or bucket <= kind
    return kind in {MONTH, QUARTER, YEAR} and bucket <= kind


class GaugeState:
    """See the module."""

    def __init__(
        self,
        metric: "GaugeMetric",
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        overall: bool = False,
    ) -> None:
        """`overall`: values come as (group, value)."""
        self._metric, self.calendar, self._overall = metric, calendar, overall
        self._lanes = metric.lanes(overall=overall)
        self._prorated = metric.proration is not None
        self._bucket = unit_kind(metric.proration) if metric.proration is not None else None
        self._unit = unit_kind(metric.granularity) if metric.granularity is not None else None
        self._tracks = {kind: Track(kind, self._measure(kind), self._records(kind)) for kind in metric.windows}
        tracks = list(self._tracks.values())
        if self._prorated and any(not nests(self._bucket, kind) for kind in metric.windows):
            # windows that buckets do not nest in are made of whole buckets' maxima, when they are shown
            assert self._bucket is not None
            self._buckets = Track(self._bucket, Greatest(), self._records(self._bucket, b"v"), "bucket")
            tracks.append(self._buckets)
        # one entity: its steps stand for themselves
        self._columns = Columns() if not overall and not metric.objects else None
        self._moves = Moves()
        self._timeline = Timeline(
            calendar,
            tracks,
            metric.initial,
            0 if overall else metric.initial,
            self._moves if self._columns is None else self._columns,
            sets=self._columns is not None and not metric.delta,
        )
        self._table = Table(b"l")
        self._parts = Parts()
        self._log = StepLog()
        self._base_dirty = False
        self._mark = _NO_MARK
        self._clock_us = -(1 << 62)
        self._orphans: Chunks = []
        if chunks:
            self._load(chunks)

    def _measure(self, kind: int) -> Measure:
        metric = self._metric
        if metric.proration is None or metric.granularity is None:
            return metric.measure()
        if nests(self._bucket, kind):
            return Prorated(metric.granularity, metric.proration, self.calendar)
        return Last()

    def _records(self, kind: int, prefix: bytes = b"w") -> Packs[Record]:
        return Packs(prefix + bytes((kind,)), span_of(kind), _plain_record, _record)

    # -- the fold

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """See `State.fold`."""
        us, metric, late = w[0], self._metric, 0
        self._clock_us = clock_us
        if metric.late_us is not None and us < clock_us - metric.late_us:
            late = len(metric.windows)
            if not metric.terms.simulate:
                return late
        lanes = self._lanes
        if self._columns is not None:
            self._add(self._columns, (us,), (order,), (value,))
            return late
        if lanes is None:
            step = [us, order, value[1], None, value[1], self._log.chunk]
        else:
            entity, operand = self._operand(value)
            step = [us, order, 0, entity, operand, self._log.chunk]
            lane = lanes.lanes.get(entity)
            if lane is None:
                lanes.open(entity, unpacked(self._table.get(entity)))
            lanes.add(step)
        self._timeline.added(self._moves.add(step), (0,))
        self._log.add(step)
        return late

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        late_us = self._metric.late_us
        columns, instants, orders, values = self._columns, events.instants, events.orders, events.values
        if columns is None or (late_us is not None and events.first[0] < clock_us - late_us):
            return False
        self._clock_us = clock_us
        if not events.by_time:
            instants, orders, values = zip(*sorted(zip(instants, orders, values, strict=True)), strict=True)
        self._add(columns, instants, orders, values)
        return True

    def _add(self, columns: Columns, instants: Sequence[int], orders: Sequence[int], values: Sequence[Any]) -> None:
        """New steps of the one entity, sorted."""
        log = self._log
        self._timeline.added(columns.add(instants, orders, values, log.chunk), values)
        log.add_all(instants, orders, values)

    def _operand(self, value: Any) -> tuple[bytes, Any]:
        """The entity that a value moves, and how."""
        if not self._overall:
            return value if self._metric.objects else (b"", value)
        group, inner = value
        if len(group) > 16:
            group = xxhash.xxh3_128_digest(group)
        if self._metric.objects:
            return inner[0], (group, inner[1])
        return group, inner

    def remove(self, w: Windows, order: int, value: Any, clock_us: int) -> None:  # noqa: ARG002
        """See `State.remove`: the step is known by its instant and place in the log."""
        step = self._timeline.remove(w[0], order)
        if step is None:
            return  # it came too late to be counted, or is long final
        if self._lanes is not None:
            self._lanes.remove(step)
        self._log.drop(step, gone=False)

    # -- reading

    def _row(self, kind: int, start: int, end: int | None) -> Shown | None:
        """The row of a window, after the timeline has settled."""
        found = self._timeline.total(self._tracks[kind], -FOREVER if kind == TOTAL else start * SECOND_US)
        if found is None:
            return None
        value, events = found
        if self._prorated and not nests(self._bucket, kind):
            assert end is not None
            value = self.shares(start * SECOND_US, end * SECOND_US)
        return Shown(kind, start, end, rounded(value, self._metric.rounding), events)

    def exact(self, kind: int, start: int) -> Value:
        """The value of any window before rounding; before the first event's the state was the initial one."""
        self._timeline.settle()
        end = self.calendar.end(kind, start)
        assert end is not None
        if self._prorated and not nests(self._bucket, kind):
            return self.shares(start * SECOND_US, end * SECOND_US)
        track = self._tracks[kind]
        found = self._timeline.total(track, start * SECOND_US)
        if found is not None:
            return found[0]
        return self._timeline.constant(track, self._timeline.initial, start * SECOND_US, end * SECOND_US)

    def shares(self, start: int, end: int) -> Value:
        """What whole buckets, by their length inside of it, make of [start, end) in microseconds."""
        total = Fraction(0)
        at = start
        while at < end:
            begun, ends = unit_bounds(self.calendar, self._bucket, at)
            found = self._timeline.total(self._buckets, begun)
            top = self._timeline.initial if found is None else found[0]
            unit_start, unit_end = unit_bounds(self.calendar, self._unit, at)
            total += Fraction(top) * (min(ends, end) - at) / (unit_end - unit_start)
            at = ends
        return total

    def total(self, kind: int, start: int) -> Shown | None:
        """See `State.total`."""
        self._timeline.settle()
        return self._row(kind, start, None if kind == TOTAL else self.calendar.end(kind, start))

    def rows(self, kind: int, until_us: int) -> list[Shown]:
        """See `State.rows`."""
        self._timeline.settle()
        keep = self._metric.terms.keep_us[kind]
        out = []
        for start in self._starts(kind, until_us):
            end = None if kind == TOTAL else self.calendar.end(kind, start)
            if self._metric.terms.simulate or kept(end, keep, self._clock_us):
                row = self._row(kind, start, end)
                if row is not None:
                    out.append(row)
        return out

    def _starts(self, kind: int, until_us: int) -> Iterator[int]:
        """The windows from the first event's to the one that holds an instant."""
        first = self._timeline.first
        if first is None:
            return
        if kind == TOTAL:
            yield 0
            return
        start: int | None = self.calendar.start(kind, first // SECOND_US)
        while start is not None and start * SECOND_US <= until_us:
            yield start
            start = self.calendar.end(kind, start)

    def shown(self, clock_us: int) -> list[Shown]:
        """See `State.shown`."""
        self._timeline.settle()
        instants = self._timeline.steps.instants
        newest = max(clock_us, instants[-1]) if instants else clock_us
        windows = around(self.calendar, clock_us)
        out: list[Shown] = []
        timeline, rounding, whole = self._timeline, self._metric.rounding, not self._prorated
        known: Value | None = None  # most windows show what the one before them does
        value = ""
        for kind in self._metric.windows:
            if whole and kind != TOTAL:
                previous, start, end = windows[kind]
                track = self._tracks[kind]
                begun, first = track.begun
                alone = begun == timeline.first and previous * SECOND_US < first  # nothing was before the open one
                if alone and track.start == start * SECOND_US and track.end > newest:
                    total = timeline.at_hand(track)[0] if track.measure.holds else timeline.sum
                    if total is not known:
                        known, value = total, rounded(total, rounding)
                    out.append(shown_as((kind, start, end, value, track.events, None)))
                    continue
            if kind == TOTAL:
                bounds: list[tuple[int, int | None]] = [(0, None)]
            else:
                previous, start, end = windows[kind]
                bounds = [(previous, start), (start, end)]
                while end * SECOND_US <= newest:
                    start, after = end, self.calendar.end(kind, end)
                    assert after is not None
                    end = after
                    bounds.append((start, end))
            for start, ends in bounds:
                row = self._row(kind, start, ends)
                if row is not None:
                    out.append(row)
        return out

    def present(self) -> str | None:
        """See `State.present`."""
        self._timeline.settle()
        return None if self._timeline.first is None else text(self._timeline.sum)

    # -- keeping

    def save(self) -> Chunks:
        """See `State.save`: the base (`g`), steps (`c`), what entities were before (`l`), and records."""
        self._timeline.settle()
        out: Chunks = []
        if self._base_dirty:
            self._parts.put(b"g", encode([self._mark, self._log.chunk, self._timeline.plain()]), out)
            self._base_dirty = False
        self._log.save(out)
        self._table.save(out)
        for track in self._timeline.tracks:
            if track.records.dirty:
                track.records.save(out)
        if self._orphans:
            out += self._orphans
            self._orphans = []
        return out

    def _load(self, chunks: Mapping[bytes, bytes]) -> None:
        self._table.load(chunks)
        self._orphans = orphans(chunks, b"w", self._tracks)
        base = self._parts.join(chunks, b"g").get(b"g")
        plain = None
        if base is not None:
            self._mark, self._log.chunk, plain = decode(base)
        log, lanes = self._log, self._lanes is not None
        live: list[Any] = sorted(log.load(chunks, self._mark, plain=self._columns is not None, lanes=lanes))
        if self._lanes is not None:
            for step in live:
                if step[ENTITY] not in self._lanes.lanes:
                    self._lanes.open(step[ENTITY], unpacked(self._table.get(step[ENTITY])))
                self._lanes.add(step)
        for track in self._timeline.tracks:
            track.records.load(chunks)
        self._timeline.load(plain, live)

    def expire(self, clock_us: int) -> None:
        """See `State.expire`."""
        metric = self._metric
        self._clock_us = max(self._clock_us, clock_us)
        if metric.terms.simulate:
            return
        gone = self._timeline.retire(clock_us - metric.live_us)
        if gone:
            self._mark = [*gone[-1][:2]]
            self._base_dirty = True
            if self._lanes is not None:
                for entity, base in self._lanes.settle(gone).items():
                    self._table.set(entity, base if isinstance(base, list) else packed(base))
            for step in gone:
                self._log.drop(step, gone=True)
        for track in self._timeline.tracks:
            assert track.kind is not None
            self._expire(track, clock_us)

    def _expire(self, track: Track, clock_us: int) -> None:
        """Forget records of windows that are no longer kept, but for the last: its state is carried on."""
        kind = track.kind
        assert kind is not None
        keep = self._metric.terms.keep_us[kind]
        if track is not self._tracks.get(kind):
            longest = max((each or 0 for each in self._metric.terms.keep_us), default=0)
            keep = longest + 400 * DAY_US  # a bucket is read for windows that may be longer than it
        if kind == TOTAL or keep is None:
            return
        limit = clock_us - max(keep, self._metric.live_us)  # a late step may make the younger ones again
        gone = track.records.pop_while(lambda start: not kept(self.calendar.end(kind, start), 0, limit))
        if gone:
            track.records.put(*gone[-1])


def carried(chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """What a gauge saved, without the windows of its calendar; all history is in every calendar."""
    out: Chunks = [(name, data) for name, data in chunks.items() if name[:1] not in {b"g", b"v", b"w"}]
    base = Parts().join(chunks, b"g").get(b"g")
    if base is not None:
        mark, number, (cursor, total, first, tracks) = decode(base)
        tracks = [track for track in tracks if track[0] == f"{TOTAL}"]
        Parts().put(b"g", encode([mark, number, [cursor, total, first, tracks]]), out)
    return {name: data for name, data in out if data is not None}


def _plain_record(record: Record) -> list[Any]:
    return [record[0], packed(record[1]), packed(record[2])]


def _record(plain: list[Any]) -> Record:
    return (plain[0], unpacked(plain[1]), unpacked(plain[2]))
