"""How the state of an event name's counters lies in one row.

A row belongs to a customer (or a customer and one group) and holds all counters of an event name. For each window
kind it has the start of its newest window and the slots of each metric in it. An event of the newest finest window
is folded into the finest window only: a coarser one's slots hold what lies outside it. `merge` adds the finest to the
coarser ones when it ends, and rendering adds the two parts.

A layout is written into the changelog as a shape record, so that a row can be read after the definitions changed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from schemas.definitions import KINDS

SLOTS = {"count": 1, "sum": 2, "avg": 2, "min": 2, "max": 2, "latest": 3}
"""Slots of a counter: the number of events; then sum, extreme, or instant (us) and value."""

NONE_AT_START = ("min", "max", "latest")
"""Aggregations whose slots after the first start as None rather than 0."""

_NESTS = {
    "minute": set(KINDS),
    "hour": set(KINDS),
    "day": set(KINDS),
    "week": {"week", "total"},
    "month": {"month", "quarter", "year", "total"},
    "quarter": {"quarter", "year", "total"},
    "year": {"year", "total"},
    "billing_period": {"billing_period", "total"},
    "total": {"total"},
}


class Column(msgspec.Struct, frozen=True, array_like=True):
    """One counter in a layout. `fingerprint` names the parameters that shaped its state."""

    key: str
    fingerprint: str
    aggregation: str
    windows: tuple[str, ...]


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Which rows: an event name, and the properties that split it into groups (none for the overall row)."""

    event_name: str
    group: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """The slots of a place's rows; equal columns give an equal layout."""

    place: Place
    columns: tuple[Column, ...]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The window kinds of a row, finest first; the finest nests in each other one.

        Where no wanted kind does (week beside month), `day` is kept beside them and shown nowhere.
        """
        wanted = {kind for column in self.columns for kind in column.windows}
        finest = min(wanted, key=KINDS.index)
        if not wanted <= _NESTS[finest]:
            wanted.add("day")
        return tuple(kind for kind in KINDS if kind in wanted)

    @cached_property
    def shown(self) -> tuple[bool, ...]:
        """Of each kind, whether any metric has it."""
        return tuple(any(kind in column.windows for column in self.columns) for kind in self.kinds)

    @cached_property
    def at(self) -> tuple[int, ...]:
        """Where a calendar's tuple holds the start of each kind."""
        return tuple(KINDS.index(kind) + 1 for kind in self.kinds)

    @cached_property
    def first(self) -> dict[tuple[int, int], int]:
        """(kind number, column number) -> number of the metric's first slot in that kind.

        Every metric has slots in the finest kind, whether or not it shows that window.
        """
        out: dict[tuple[int, int], int] = {}
        for n, kind in enumerate(self.kinds):
            slot = 0
            for i, column in enumerate(self.columns):
                if n == 0 or kind in column.windows:
                    out[n, i] = slot
                    slot += SLOTS[column.aggregation]
        return out

    def zeros(self, n: int) -> list[Any]:
        """The slots of an empty window of kind n."""
        return [
            None if slot and column.aggregation in NONE_AT_START else 0
            for i, column in enumerate(self.columns)
            if (n, i) in self.first
            for slot in range(SLOTS[column.aggregation])
        ]

    def pack(self) -> bytes:
        """The shape record's value."""
        return msgspec.msgpack.encode((self.place, self.columns))


def unpack(data: bytes) -> Layout:
    """A layout from its shape record."""
    place, columns = msgspec.msgpack.decode(data, type=tuple[Place, tuple[Column, ...]])
    return Layout(place, columns)


def joined(aggregation: str, fine: list[Any], coarse: list[Any]) -> list[Any]:
    """A coarser window's slots with those of the newest finest window added; the specification of generated `merge`.

    >>> joined("sum", [2, 5], [1, 3])
    [3, 8]
    >>> joined("max", [1, 4], [0, None])
    [1, 4]
    >>> joined("latest", [1, 20, "b"], [3, 10, "a"])
    [4, 20, 'b']
    """
    if not fine[0]:
        return list(coarse)
    if not coarse[0]:
        return list(fine)
    events = fine[0] + coarse[0]
    match aggregation:
        case "count":
            return [events]
        case "sum" | "avg":
            return [events, fine[1] + coarse[1]]
        case "min":
            return [events, min(coarse[1], fine[1])]
        case "max":
            return [events, max(coarse[1], fine[1])]
        case _:
            # on a tie the coarser one's: what came late for the finest window came later in the log
            return [events, *(fine if fine[1] > coarse[1] else coarse)[1:]]
