"""The windows of a gauge: what its state did in each, found by going through its steps in order.

Live steps, those before which another may still come, are kept sorted. The timeline goes through them
once, in order, with one track for each kind of window: when a window ends, what it made is recorded if
an event fell into it; any other window held one state throughout, that of the last record before it. A
step that comes late sends the timeline back to the nearest checkpoint before it, to go on from there
the next time that somebody looks.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from stream.core.metrics.base import SECOND_US, TOTAL, CalendarLike, Number, Value
from stream.core.metrics.measures import FOREVER, Measure, unit_bounds
from stream.core.metrics.packs import Packs
from stream.core.metrics.steps import Columns, Moves
from stream.core.metrics.wire import packed, unpacked

BETWEEN = 32
"""Steps between two checkpoints: a late step costs going through at most so many more."""

Record = tuple[int, Value, Number]
"""Of a window that ended: its events, its total, and the state at its end."""


class Track:
    """One kind of window: the window at hand, `[start, end)` in microseconds."""

    __slots__ = ("acc", "begun", "end", "events", "kind", "measure", "name", "records", "start")

    def __init__(self, kind: int | None, measure: Measure, records: Packs[Record], name: str = "") -> None:
        """`kind` is None for seconds; `name` tells tracks of one timeline apart where they are saved."""
        self.kind, self.measure, self.records = kind, measure, records
        self.name = name or f"{kind}"
        self.start = self.end = self.events = 0
        self.acc: Any = None
        self.begun: tuple[int | None, int] = (None, 0)  # a first event's instant, and its window's start

    def bounds(self, calendar: CalendarLike, us: int) -> tuple[int, int]:
        """The window of this kind that holds an instant."""
        return (-FOREVER, FOREVER) if self.kind == TOTAL else unit_bounds(calendar, self.kind, us)


Snapshot = tuple[Any, ...]
"""The instant reached, the sum of all moves, the first event's instant, and four fields of each track; flat, since
every commit makes one for nearly every state."""


class Timeline:
    """See the module. `initial` is the state before the first step, `base` the sum that moves add to."""

    def __init__(
        self,
        calendar: CalendarLike,
        tracks: list[Track],
        initial: Number,
        base: Number,
        steps: Columns | Moves,
        *,
        sets: bool = False,
    ) -> None:
        """`sets`: a step says what the state becomes, not how it moves. `steps` are the live ones."""
        self.calendar, self.tracks, self.initial, self._sets, self.steps = calendar, tracks, initial, sets, steps
        self._holds = any(track.measure.holds for track in tracks)
        self._adds = not self._holds and not sets and isinstance(steps, Columns)  # whatever their order
        self.first: int | None = None
        self.sum = base
        self._reached = 0  # so many live steps are gone through
        self._cursor = -FOREVER
        self._stale = False  # records may be there that would not be made again
        self._before = self._snapshot()  # of all live steps
        self._checkpoints: list[tuple[int, Snapshot]] = []

    def _snapshot(self) -> Snapshot:
        snapshot: list[Any] = [self._cursor, self.sum, self.first]
        for track in self.tracks:
            snapshot += track.start, track.end, track.events, track.acc
        return tuple(snapshot)

    def _restore(self, snapshot: Snapshot) -> None:
        """Go back; records of windows that began since may not be made again."""
        self._cursor, self.sum, self.first, *rest = snapshot
        fields = iter(rest)
        for track, start, end, events, acc in zip(self.tracks, fields, fields, fields, fields, strict=True):
            if track.start != start:
                self._stale = True
            track.start, track.end, track.events, track.acc = start, end, events, acc

    # -- steps come and go

    def added(self, at: int, numbers: Sequence[Number]) -> None:
        """There are new steps with these numbers from this place on; the timeline goes through them when somebody looks."""
        if at >= self._reached:
            return
        instants, number = self.steps.instants, len(numbers)
        if (
            self._adds
            and self._reached == len(instants) - number
            and instants[at] >= max([track.start for track in self.tracks])
            and instants[-1] < min([track.end for track in self.tracks])
        ):
            for track in self.tracks:
                track.events += number
            self._reached, self._cursor, self.sum = len(instants), instants[-1], sum(numbers, self.sum)
            assert self.first is not None
            self.first = min(self.first, instants[at])
            self._forget_after(at)
        else:
            self._back_to(at)

    def remove(self, us: int, order: int) -> Any | None:
        """Take out the live step of this instant and place in the log, as if it had not been; None where there is none."""
        at = self.steps.find(us, order)
        if at is None:
            return None
        if at < self._reached:
            self._back_to(at)
        return self.steps.pop(at)

    def _back_to(self, at: int) -> None:
        """What was gone through from this place on must be gone through again."""
        self._forget_after(at)
        self._reached, snapshot = self._checkpoints[-1] if self._checkpoints else (0, self._before)
        self._restore(snapshot)

    def _forget_after(self, at: int) -> None:
        """Checkpoints after this place no longer hold."""
        while self._checkpoints and self._checkpoints[-1][0] > at:
            self._checkpoints.pop()

    def retire(self, cut_us: int) -> list[Any]:
        """Live steps before this instant, to which no other can come any more: they need not be kept.

        Not all of them, as only a checkpoint can be gone on from; totals stay as they are.
        """
        instants = self.steps.instants
        old = bisect_left(instants, cut_us)
        if not old:
            return []
        self.settle()
        if old == len(instants):
            self._checkpoints.append((old, self._snapshot()))
        number = 0
        for place, snapshot in self._checkpoints:
            if place <= old:
                number, self._before = place, snapshot
        gone = self.steps.pop_first(number)
        self._reached -= number
        self._checkpoints = [(place - number, snapshot) for place, snapshot in self._checkpoints if place > number]
        return gone

    # -- going through them

    def settle(self) -> None:
        """Go through the steps that were not gone through yet."""
        instants = self.steps.instants
        if self._reached == len(instants) and not self._stale:
            return
        doubtful = self._doubtful() if self._stale else None
        self._stale = False
        if self.first is None and instants:
            self._begin(instants[0])
        tracks, place, number = self.tracks, self._reached, len(instants)
        turn = min([track.end for track in tracks])  # until then no window ends
        due = (self._checkpoints[-1][0] if self._checkpoints else 0) + BETWEEN
        while place < number:
            if place >= due:
                self._checkpoints.append((place, self._snapshot()))
                due = place + BETWEEN
            stop = min(due, number)
            if instants[stop - 1] >= turn:
                stop = bisect_left(instants, turn)
            if stop > place:
                self._go_through(place, stop)
                place = stop
                continue
            us = instants[place]
            for track in tracks:
                if us >= track.end:
                    self._turn(track, self.sum, self._cursor, us, doubtful)
                else:
                    track.acc = track.measure.held(track.acc, self.sum, self._cursor, us)
            self._cursor, turn = us, min([track.end for track in tracks])
        self._reached = number
        if doubtful is not None:
            for track, starts in zip(tracks, doubtful, strict=True):
                for start in starts:
                    track.records.drop(start)

    def _go_through(self, place: int, stop: int) -> None:
        """Steps by place, during which no window ends."""
        number, ends, moves = stop - place, self.steps.instants[place:stop], self.steps.moves(place, stop)
        for track in self.tracks:
            track.events += number
        if not self._holds:
            self._cursor, self.sum = ends[-1], moves[-1] if self._sets else sum(moves, self.sum)
            return
        begins = [self._cursor, *ends]  # one more than there are steps: the rest of the window
        states = [self.sum, *moves] if self._sets else [*accumulate(moves, initial=self.sum)]
        self._cursor, self.sum = begins.pop(), states.pop()
        known = run = None
        for track in self.tracks:
            measure = track.measure
            if not measure.holds:
                continue
            if measure.runs:
                if measure.__class__ is not known:
                    known, run = measure.__class__, measure.run(states, begins, ends)
                track.acc = measure.join(track.acc, run)
            else:
                for state, begin, end in zip(states, begins, ends, strict=True):
                    if begin < end:
                        track.acc = measure.held(track.acc, state, begin, end)

    def _begin(self, us: int) -> None:
        """Until its first step the state was the initial one, since the windows that hold that step began."""
        for track in self.tracks:
            track.start, track.end = track.bounds(self.calendar, us)
            track.events, track.acc = 0, None
            if us > track.start:
                track.acc = track.measure.held(None, self.initial, track.start, us)
        self._cursor = self.first = us

    def _turn(self, track: Track, state: Number, cursor: int, us: int, doubtful: list[set[int]] | None) -> None:
        """The track's window ends before `us`: record it, and go on in the one that holds `us`."""
        if track.events:
            acc = track.measure.held(track.acc, state, cursor, track.end)
            record = (track.events, track.measure.value(acc, state, track.start, track.end), state)
            start = track.start // SECOND_US
            if track.records.get(start) != record:  # else it was made before, and needs no saving
                track.records.put(start, record)
            if doubtful is not None:
                doubtful[self.tracks.index(track)].discard(start)
        track.start, track.end = track.bounds(self.calendar, us)
        track.events, track.acc = 0, None
        if us > track.start:
            track.acc = track.measure.held(None, state, track.start, us)

    def _doubtful(self) -> list[set[int]]:
        """The starts of records, by track, that may not be made again."""
        return [
            {start for start, _ in (records.all() if self.first is None else records.since(track.start // SECOND_US))}
            if (records := track.records)
            else set()
            for track in self.tracks
        ]

    # -- reading, after `settle`

    def total(self, track: Track, start: int) -> tuple[Value, int] | None:
        """The total and events of the window that begins at `start`; None before the first event's."""
        if self.first is None:
            return None
        if start == track.start:
            return self.at_hand(track)
        if start > track.start:
            return self.constant(track, self.sum, *track.bounds(self.calendar, start)), 0
        if track.begun[0] != self.first:
            track.begun = (self.first, track.bounds(self.calendar, self.first)[0])
        if start < track.begun[1]:
            return None
        record = track.records.get(start // SECOND_US)
        if record is not None:
            return record[1], record[0]
        before = track.records.last_before(start // SECOND_US)
        return None if before is None else (self.constant(track, before[2], *track.bounds(self.calendar, start)), 0)

    def at_hand(self, track: Track) -> tuple[Value, int]:
        """The total and events of the window at hand, as if the state stayed as it is."""
        acc = track.measure.held(track.acc, self.sum, self._cursor, track.end)
        return track.measure.value(acc, self.sum, track.start, track.end), track.events

    def constant(self, track: Track, state: Number, start: int, end: int) -> Value:
        """What a window makes that held one state throughout."""
        return track.measure.value(track.measure.held(None, state, start, end), state, start, end)

    def _begin_after(self, track: Track, state: Number, start: int) -> None:
        """Record what a new kind of window goes on from, where nothing does: as if it had held this state before."""
        if track.kind != TOTAL and track.records.last_before(start // SECOND_US) is None:
            before, end = track.bounds(self.calendar, start - 1)
            track.records.put(before // SECOND_US, (0, self.constant(track, state, before, end), state))

    # -- keeping

    def plain(self) -> list[Any]:
        """What stands before the live steps, as msgpack holds it."""
        cursor, total, first, *rest = self._before
        fields = iter(rest)
        accs = [
            [track.name, start, end, events, track.measure.plain(acc)]
            for track, start, end, events, acc in zip(self.tracks, fields, fields, fields, fields, strict=True)
        ]
        return [cursor, packed(total), first, accs]

    def load(self, plain: list[Any] | None, steps: list[Any]) -> None:
        """Go on from what `plain` gave (None: nothing), with the live steps, sorted."""
        self.steps.load(steps)
        self._stale = True  # steps may be removed before they are gone through again, and their records stand
        if plain is None:
            return
        cursor, total, first, tracks = plain
        known = {name: rest for name, *rest in tracks}
        accs: list[Any] = []
        for track in self.tracks:
            if track.name in known:
                start, end, events, acc = known[track.name]
                accs += start, end, events, track.measure.restored(acc)
            else:  # a kind of window that was not there: as if the state had been what it is since its window began
                start, end = track.bounds(self.calendar, cursor)
                acc = track.measure.held(None, unpacked(total), start, cursor) if cursor > start else None
                accs += start, end, 0, acc
                self._begin_after(track, unpacked(total), start)
        self._before = (cursor, unpacked(total), first, *accs)
        self._restore(self._before)
