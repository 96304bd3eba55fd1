"""A shape: a layout with the classes and functions that were generated for it."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stream.core import codegen
from stream.core.codegen import Counting, Source
from stream.core.decode import Properties
from stream.core.layout import Layout
from stream.core.wire import encode

Fold = Callable[[Any, Any, int, list[str]], None]


class Shape:
    """What works on the rows of one place. Rows and cells are instances of classes made here.

    A row has the attributes `zone, key, older, dirty, heads, floors, guards, idle`, then `s<n>` (start of the newest window
    of kind n) and its slots; a cell those of one kind, with `end` (0, or the explicit end in seconds of a window of
    a former calendar), `raw` (its encoding, if known) and `texts` (its JSON, if known).
    """

    def __init__(
        self,
        layout: Layout,
        counting: Sequence[Counting],
        keeps: Sequence[tuple[int | None, ...]],
        watched: Sequence[tuple[int, int]] = (),
        *,
        properties: Properties,
        **names: Any,
    ) -> None:
        """`keeps[c][kind]` is how long windows of lateness class c are kept after their end, in microseconds.

        `watched` are the (kind number, column) on which limits stand.
        """
        self.watched = tuple(watched)
        self.layout, self.counting, self.keeps = layout, tuple(counting), tuple(keeps)
        self.kinds, self.at = layout.kinds, layout.at
        self.numbers = tuple(a - 1 for a in self.at)  # kind numbers in the order of KINDS
        kinds = range(len(self.kinds))
        slots = [codegen.slot_names(layout, n) for n in kinds]
        self.slots = slots
        self.start_places = tuple(
            2 + sum(len(slots[before]) + 1 for before in range(n)) for n in kinds
        )  # in a packed row
        row = ["zone", "key", "older", "dirty", "heads", "floors", "guards", "idle"]
        self.Row: Any = type("Row", (), {"__slots__": (*row, *(f for n in kinds for f in (f"s{n}", *slots[n])))})
        cells: list[Any] = [
            type(f"Cell{n}", (), {"__slots__": (f"s{n}", "end", "raw", "texts", *slots[n]), "n": n}) for n in kinds
        ]
        self.head_index = codegen.head_index(layout)
        self.starts_of = tuple(codegen.tail_start(kind) for kind in self.kinds)
        self.heads_of = [[place for (kind, _), place in self.head_index.items() if kind == n] for n in kinds]
        refill: list[Any] = []
        values: list[Any] = []

        def raw(cell: Any) -> msgspec.Raw:
            cell.raw = made = msgspec.Raw(encode(values[cell.n](cell)))
            return made

        source = Source(
            properties,
            Row=self.Row,
            refill=refill,
            raw=raw,
            LEAST=-(10**36),
            MOST=10**36,
            **{f"Cell{n}": cell for n, cell in enumerate(cells)},
            **names,
        )
        self._write(source)
        made = source.run(f"counters of {len(layout.columns)} metrics")
        self.source = "\n".join(source.lines)
        refill += [made[f"refill_{n}"] for n in kinds]
        values += [made[f"values_{n}"] for n in kinds]
        self.apply: Fold = made["apply"]
        self.applies: list[Fold] = [made[f"apply_{c}"] for c in range(len(self.keeps))]
        self.folds: list[list[Fold]] = [[made[f"fold_{n}_{c}"] for c in range(len(self.keeps))] for n in kinds]
        self.new: Callable[[Any, Any, tuple[int, ...]], Any] = made["new"]
        self.merge, self.pack, self.thaw, self.render = made["merge"], made["pack"], made["thaw"], made["render"]
        self.starts: Callable[[Any], tuple[int, ...]] = made["starts"]
        self.watch: Callable[[Any], bool] | None = made.get("watch")
        self.group: Callable[[Any], Any] | None = made.get("group")
        self.reset, self.cell = [made[f"reset_{n}"] for n in kinds], [made[f"cell_{n}"] for n in kinds]
        self.texts, self.refill, self.values, self.raw = [made[f"texts_{n}"] for n in kinds], refill, values, raw

    def _write(self, source: Source) -> None:
        layout, counting = self.layout, self.counting
        every = range(len(counting))
        source.lines.append("def apply(r, p, us, bad):")
        codegen.write_fold(source, layout, counting, 0, every)
        source.lines.append("")
        for c in range(len(self.keeps)):
            source.lines += [f"def apply_{c}(r, p, us, bad):", "    pass"]
            codegen.write_fold(source, layout, counting, 0, [i for i in every if counting[i].lateness == c])
            source.lines.append("")
            for n, kind in enumerate(self.kinds):
                chosen = [i for i in every if counting[i].lateness == c and kind in layout.columns[i].windows]
                source.lines += [f"def fold_{n}_{c}(r, p, us, bad):", "    pass"]
                codegen.write_fold(source, layout, counting, n, chosen)
                source.lines.append("")
        codegen.write_merge(source, layout)
        codegen.write_row(source, layout)
        codegen.write_render(source, layout, counting)
        if self.watched:
            codegen.write_watch(source, layout, self.watched)
        if layout.place.group:
            codegen.write_group(source, layout.place.group)

    def empty_cell(self, n: int, start: int) -> Any:
        """A window of kind n without events."""
        return self.refill[n]([n, start, 0, *self.layout.zeros(n)])

    def events(self, target: Any, n: int) -> list[tuple[int, int]]:
        """(column, number of events) of each metric that shows kind n, from a row's outside slots or a cell."""
        return [
            (i, getattr(target, self.slots[n][first]))
            for (kind, i), first in self.layout.first.items()
            if kind == n and self.kinds[n] in self.layout.columns[i].windows
        ]
