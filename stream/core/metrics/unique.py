"""`aggregation: unique` of a counter: how many distinct values each window has seen.

Exact up to `EXACT_MEMBERS` for each window; there, an event with one more value is a `bad_value` for
the metric. With `approximate_above: N` (at most `EXACT_MEMBERS`) a window with more than N values goes
on as a sketch of 16 KB, and its total states the sketch's relative standard error. Which of the two a
window is depends on its values alone, not on their order.

A member costs about 110 bytes of memory in each window kind that is open, and up to 17 saved.
"""

from collections.abc import Mapping
from typing import Any

from schemas.definitions import Metric as Definition, Rounding
from stream.core.metrics.base import TOTAL, BadValue, CalendarLike, Many, Shown, State, Terms, Windows
from stream.core.metrics.cells import Cell, Span, kinds_of
from stream.core.metrics.members import Members, Together
from stream.core.metrics.packs import Chunks, key_of
from stream.core.metrics.reading import member
from stream.core.metrics.replacing import state_of
from stream.core.metrics.shapes import shape_of
from stream.core.metrics.sketch import ERROR, Sketch
from stream.core.metrics.windowed import WindowedState, total_alone

EXACT_MEMBERS = 1_000_000
"""The greatest number of distinct values that a window counts exactly."""

_NEVER = 1 << 62

Acc = set[bytes] | Sketch


class Unique:
    """How many distinct values.

    >>> from stream.core.metrics.counter import fold
    >>> fold(Unique(1000), [b"a", b"b", b"a"])
    2
    """

    def __init__(self, most: int) -> None:
        """Above `most` values a set becomes a sketch."""
        self.most = most

    def empty(self) -> Acc:
        """No value yet."""
        return set()

    def add(self, acc: Acc, value: bytes, us: int, order: int) -> Acc:  # noqa: ARG002
        """One value more, unless it is known."""
        acc.add(value)
        return acc if isinstance(acc, Sketch) or len(acc) <= self.most else _sketch_of(acc)

    def merge(self, acc: Acc, other: Acc) -> Acc:
        """The union of both."""
        if isinstance(acc, set) and isinstance(other, set):
            acc |= other
            return acc if len(acc) <= self.most else _sketch_of(acc)
        acc = _sketch_of(acc)
        acc.merge(_sketch_of(other))
        return acc

    def value(self, acc: Acc, events: int) -> int:  # noqa: ARG002
        """The number of values, estimated by a sketch."""
        return acc.estimate() if isinstance(acc, Sketch) else len(acc)

    def error(self, acc: Acc) -> str | None:
        """The sketch's relative standard error."""
        return ERROR if isinstance(acc, Sketch) else None

    def plain(self, acc: Acc) -> Any:
        """The members, or the sketch's registers."""
        return bytes(acc.registers) if isinstance(acc, Sketch) else sorted(acc)

    def restored(self, plain: Any) -> Acc:
        """The set or the sketch again."""
        return Sketch(plain) if isinstance(plain, bytes) else set(plain)


def _sketch_of(acc: Acc) -> Sketch:
    if isinstance(acc, Sketch):
        return acc
    sketch = Sketch()
    for value in acc:
        sketch.add(value)
    return sketch


class UniqueState(WindowedState):
    """Windows whose accumulator is `Members`, saved in parts of its own."""

    __slots__ = ("_gone", "_members", "_most", "_room", "_touched")

    def __init__(
        self,
        fold: Unique,
        span: Span,
        rounding: Rounding | None,
        calendar: CalendarLike,
        chunks: Mapping[bytes, bytes] | None = None,
        *,
        room: int | None = EXACT_MEMBERS,
    ) -> None:
        """`room` is the greatest number of members of a window, None where a sketch follows."""
        self._members: dict[bytes, Members] = {}
        self._touched: dict[bytes, Members] = {}
        self._gone: Chunks = []
        self._most = fold.most
        self._room = _NEVER if room is None else 0
        self.span = span
        if chunks:
            self._load_members(chunks)
        super().__init__(fold, span, rounding, calendar, chunks)
        self._add = self._add_to

    def fold(self, w: Windows, order: int, value: bytes, clock_us: int) -> int:
        """See `State.fold`."""
        if self._room <= 0:
            self._check(w, value)
        self._room -= 1
        return super().fold(w, order, value, clock_us)

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """See `Bulk.fold_all`."""
        number = len(events.values)
        if self._room < number or not self._all_hot(events, clock_us):
            return False
        self._room -= number
        values, touched = Together(set(events.values)), self._touched
        for cell in self._newest:
            cell.events += number
            members = cell.acc
            if members.update(values):
                touched[members.name] = members
        self.dirty = True
        return True

    def _add_to(self, acc: Members, value: bytes, us: int, order: int) -> Members:  # noqa: ARG002
        if acc.add(value):
            self._touched[acc.name] = acc
        return acc

    def _check(self, w: Windows, value: bytes) -> None:
        """Refuse a value for which a window has no room, before anything changes."""
        for position, at in enumerate(self._ats):
            known = self._members.get(self._name(position, w[at]))
            if known is not None and known.count >= self._most and not known.holds(value):
                raise BadValue(
                    f"a window already holds {self._most} distinct values, the most that unique counts exactly; "
                    "approximate_above lets it go on as an estimate"
                )
        greatest = max((members.count for members in self._members.values()), default=0)
        self._room = max(self._most - greatest, 0)

    def _name(self, position: int, start: int) -> bytes:
        return bytes((self.span.kinds[position],)) + key_of(start)

    def _new(self, position: int, start: int) -> Cell:
        name = self._name(position, start)
        members = self._members[name] = Members(name, self._most)
        return Cell(start, 0, members)

    def _plain(self, cell: Cell) -> list[Any]:
        return [cell.start, cell.events]

    def _cell(self, position: int, plain: list[Any]) -> Cell:
        name = self._name(position, plain[0])
        members = self._members.get(name)
        if members is None:
            members = self._members[name] = Members(name, self._most)
        return Cell(plain[0], plain[1], members)

    def _show(self, position: int, cell: Cell) -> Shown:
        return self._row(position, cell, cell.acc.value(), cell.acc.error())

    def _forgotten(self, position: int, cell: Cell) -> None:
        members = self._members.pop(self._name(position, cell.start), None)
        if members is not None:
            self._touched.pop(members.name, None)
            members.delete(self._gone)

    def save(self) -> Chunks:
        """See `State.save`: besides the windows, the members (`m`) and sketches (`k`) of each."""
        out = super().save()
        live = {id(cell.acc) for cell in (*self._newest, *self._before) if cell is not None}
        for members in self._touched.values():
            members.save(out)
            if id(members) not in live:
                members.cool()
        self._touched.clear()
        if self._gone:
            out += self._gone
            self._gone = []
        return out

    def _load_members(self, chunks: Mapping[bytes, bytes]) -> None:
        parts: dict[bytes, list[bytes]] = {}
        for name in sorted(name for name in chunks if name[:1] == b"m"):
            parts.setdefault(name[1:-2], []).append(chunks[name])
        sketches = {name[1:]: data for name, data in chunks.items() if name[:1] == b"k"}
        for name in parts.keys() | sketches.keys():
            if name[0] not in self.span.kinds:
                continue
            self._members[name] = Members(name, self._most)
            self._members[name].load(parts.get(name, []), sketches.get(name))


class UniqueMetric:
    """The definition of a counter of distinct values at work."""

    keyed = False

    def __init__(self, definition: Definition, terms: Terms) -> None:
        above = definition.approximate_above
        assert definition.property is not None
        self.key = definition.key
        self.windows = kinds_of(definition)
        self.shape = shape_of(definition, terms)
        self.read = member(terms.reader(definition.property))
        self.folding = Unique(EXACT_MEMBERS if above is None else above)
        self._room = EXACT_MEMBERS if above is None else None
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
        if not self._terms.upsert:
            return UniqueState(self.folding, self._span, self._rounding, calendar, chunks, room=self._room)
        return state_of(self.folding, self._span, self._rounding, self._terms, calendar, chunks, most=self._room)

    def carried(self, chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """See `Carrying`; where events may be taken back, windows hang together by buckets of the calendar."""
        if self._terms.upsert:
            return {}
        members = {name: data for name, data in chunks.items() if name[0] in b"mk" and name[1] == TOTAL}
        return total_alone(chunks) | members
