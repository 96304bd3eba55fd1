"""Rows written under other definitions, or in another calendar, read into the present ones.

A metric whose key and fingerprint are the same carries on, in every kind of window that it had and has; what is new
or changed starts at zero. (A kind of window that an unchanged metric gains starts with the events of the newest finest
window, which lies in it. A row that was not touched while a definition was another one carries on where the first one
returns: no event was counted in between.) A window that the present calendar does not have (the customer's time zone or billing anchor
changed) is closed as it is, with its own end, and can still be read; the present calendar's window starts at zero.
"""

from decimal import Decimal
from typing import Any, NamedTuple

from schemas.definitions import KINDS
from stream.core.layout import SLOTS, Layout, joined
from stream.core.shape import Shape
from stream.core.zone import SECOND, Zone

Slots = dict[int, list[Any]]
"""Column number -> its slots."""


class Foreign(NamedTuple):
    """A window that goes to the packs: kind number in the present shape, start, end in seconds, and its slots."""

    n: int
    start: int
    end: int
    slots: list[Any]


def _number(value: Any) -> Any:
    return Decimal(value) if value.__class__ is str else value


def _columns(layout: Layout, n: int, values: list[Any]) -> Slots:
    return {
        i: [_number(value) for value in values[first : first + SLOTS[layout.columns[i].aggregation]]]
        for (kind, i), first in layout.first.items()
        if kind == n
    }


def _same(old: Layout, new: Layout) -> dict[int, int]:
    """Present column -> former column of the same state."""
    known = {(column.key, column.fingerprint, column.aggregation): i for i, column in enumerate(old.columns)}
    return {
        j: known[identity]
        for j, column in enumerate(new.columns)
        if (identity := (column.key, column.fingerprint, column.aggregation)) in known
    }


def _arranged(old: Layout, new: Layout, kind: str, slots: Slots) -> list[Any]:
    """The slots of one window as the present layout has them; metrics that did not show it start at zero."""
    n, same = new.kinds.index(kind), _same(old, new)
    out = new.zeros(n)
    for j, i in same.items():
        if (n, j) in new.first and i in slots and kind in old.columns[i].windows:
            at = new.first[n, j]
            out[at : at + len(slots[i])] = slots[i]
    return out


def _outside(aggregation: str, whole: list[Any], fine: list[Any]) -> list[Any]:
    """What remains of a window's slots without its finest window's: `joined` of both is the whole again."""
    events = whole[0] - fine[0]
    if not events:
        return [0, *([0] if aggregation in {"sum", "avg"} else [None] * (SLOTS[aggregation] - 1))]
    if aggregation in {"sum", "avg"}:
        return [events, whole[1] - fine[1]]
    if aggregation == "latest" and whole[1:] == fine[1:]:
        # The finest window's own: it has to win against what remains, also when an event of the same instant renews it.
        return [events, whole[1] - 1, whole[2]]
    return [events, *whole[1:]]


def _aligned(zone: Zone, before: Zone, kind: str, start: int) -> bool:
    if zone is before:
        return True
    number = KINDS.index(kind)
    if zone.calendar.windows(start * SECOND)[1 + number] != start:
        return False
    ends: bool = zone.calendar.end(number, start) == before.calendar.end(number, start)
    return ends


def cell(shape: Shape, zone: Zone, old: Layout, before: Zone, item: list[Any]) -> tuple[Any | None, Foreign | None]:
    """One closed or older window: a cell of the present shape, or a foreign one; neither where nothing is left of it."""
    n, start, end, *values = item
    kind = old.kinds[n]
    if kind not in shape.kinds or not any(kind in column.windows for column in shape.layout.columns):
        return None, None
    now = shape.kinds.index(kind)
    slots = _arranged(old, shape.layout, kind, _columns(old, n, values))
    if end == 0 and _aligned(zone, before, kind, start):
        return shape.refill[now]([now, start, 0, *slots]), None
    ends = end or before.calendar.end(KINDS.index(kind), start)
    return None, Foreign(now, start, ends, slots)


def row(shape: Shape, zone: Zone, key: Any, old: Layout, before: Zone, values: list[Any]) -> tuple[Any, list[Foreign]]:
    """A whole row, and the windows that close because the present calendar does not have them."""
    new = shape.layout
    starts, slots, at = [], [], 2
    for n in range(len(old.kinds)):
        size = len(old.zeros(n))
        starts.append(values[at])
        slots.append(_columns(old, n, values[at + 1 : at + 1 + size]))
        at += 1 + size
    whole = [
        {i: joined(old.columns[i].aggregation, slots[0][i], mine) if n else mine for i, mine in slots[n].items()}
        for n in range(len(old.kinds))
    ]
    w = zone.calendar.windows(starts[0] * SECOND)
    made = shape.new(zone, key, w)
    foreign: list[Foreign] = []
    # a kind carries on where the window is one of the present calendar; else it closes as it is
    carried: dict[str, int] = {}
    for n, kind in enumerate(old.kinds):
        if kind not in shape.kinds:
            continue
        if _aligned(zone, before, kind, starts[n]) and w[1 + KINDS.index(kind)] == starts[n]:
            carried[kind] = n
        elif any(kind in column.windows for column in new.columns):
            ends = before.calendar.end(KINDS.index(kind), starts[n])
            foreign.append(Foreign(shape.kinds.index(kind), starts[n], ends, _arranged(old, new, kind, whole[n])))
    finest = carried.get(shape.kinds[0])
    for j, i in _same(old, new).items():
        aggregation = new.columns[j].aggregation
        fine = new.zeros(0)[new.first[0, j] :][: SLOTS[aggregation]]
        if finest is not None and i in whole[finest]:
            fine = whole[finest][i]
            _put(shape, made, 0, new.first[0, j], fine)
        for n, kind in enumerate(shape.kinds):
            if n and kind in carried and (n, j) in new.first and i in whole[carried[kind]]:
                outside = (
                    slots[carried[kind]][i] if finest == 0 else _outside(aggregation, whole[carried[kind]][i], fine)
                )
                _put(shape, made, n, new.first[n, j], outside)
    kept = []
    for item in values[at] or ():
        mine, gone = cell(shape, zone, old, before, item)
        if mine is not None:
            kept.append(mine)
        if gone is not None:
            foreign.append(gone)
    made.older, made.heads = kept or None, None
    return made, foreign


def _put(shape: Shape, target: Any, n: int, first: int, slots: list[Any]) -> None:
    for name, value in zip(shape.slots[n][first:], slots, strict=False):
        setattr(target, name, value)
