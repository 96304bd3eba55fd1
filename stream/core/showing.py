"""What Redis shows of rows: the windows that are open or ahead of the clock, and the last ended one of each kind."""

from typing import Any

from stream.core.names import Names
from stream.core.shape import Shape
from stream.core.zone import Zone

MOST_HEADS = 1 << 12
"""Combinations of newest windows whose heads are kept."""


class Showing:
    """Renders the rows of a shape."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.grouped = bool(shape.layout.place.group)
        self.names = Names(shape.layout.place.group)
        self._heads: dict[int, dict[tuple[int, ...], tuple[str, ...]]] = {}  # by zone and starts
        self._floors: tuple[Any, tuple[int, ...]] = (None, ())

    def floors(self, zone: Zone, clock_us: int) -> tuple[int, ...]:
        """By kind of the shape, the start of the earliest window that Redis shows."""
        every = zone.floors(clock_us)
        if self._floors[0] is not every:
            self._floors = every, tuple(every[kind] for kind in self.shape.numbers)
        return self._floors[1]

    def floors_at(self, zone: Zone, clock_us: int) -> tuple[int, ...]:
        """The same at an earlier clock."""
        if clock_us < 0:
            return (-(1 << 60),) * len(self.shape.numbers)
        every = zone.floors_at(clock_us)
        return tuple(every[kind] for kind in self.shape.numbers)

    def heads(self, row: Any, floors: tuple[int, ...], labels: list[Any]) -> tuple[str, ...]:
        """The JSON of a row's windows up to the newest one's value, a text for each metric and kind.

        Rows without older windows share theirs.
        """
        shape, starts = self.shape, self.shape.starts(row)
        older = [cell for cell in row.older or () if getattr(cell, f"s{cell.n}") >= floors[cell.n]]
        if not older:
            shared = self._heads.setdefault(row.zone.number, {})
            if starts not in shared:
                if len(shared) >= MOST_HEADS:
                    shared.clear()
                shared[starts] = tuple([shape.starts_of[n] + labels[n][starts[n]] for n, _ in shape.head_index])
            return shared[starts]
        older.sort(key=lambda cell: getattr(cell, f"s{cell.n}"))
        heads = [shape.starts_of[n] for n, _ in shape.head_index]
        for cell in older:
            n = cell.n
            if cell.texts is None:
                cell.texts = shape.texts[n](cell, labels[n][getattr(cell, f"s{n}")])
            for place, text in zip(shape.heads_of[n], cell.texts, strict=True):
                heads[place] += text
        return tuple(head + labels[n][starts[n]] for head, (n, _) in zip(heads, shape.head_index, strict=True))

    def rendered(self, rows: list[Any], clock_us: int) -> list[tuple[str, dict[str, str | None]]]:
        """(customer, fields) of each row."""
        render, numbers, grouped, names = self.shape.render, self.shape.numbers, self.grouped, self.names
        zone: Zone | None = None
        labels: list[Any] = []
        floors: tuple[int, ...] = ()
        shared: dict[tuple[int, ...], tuple[str, ...]] = {}
        starts = self.shape.starts
        out: list[tuple[str, dict[str, str | None]]] = []
        for row in rows:
            if row.zone is not zone:
                zone = row.zone
                labels, floors = [zone.labels[kind] for kind in numbers], self.floors(zone, clock_us)
                shared = self._heads.setdefault(zone.number, {})
            heads = row.heads
            if heads is None and row.older is None:
                heads = row.heads = shared.get(starts(row))
            if heads is None or (row.floors is not floors and row.older is not None):
                heads = row.heads = self.heads(row, floors, labels)
            row.floors = floors
            if grouped:
                customer, group = row.key
                out.append((customer, render(row, heads, labels, floors, names[group])))
            else:
                out.append((row.key, render(row, heads, labels, floors)))
        return out
