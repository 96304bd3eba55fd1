"""The source of a shape's functions, generated from its definitions.

Only numbers that we counted ourselves (slots, kinds, columns) and the names of window kinds are written into the
source; every name and value of a definition is bound by position (`K0`, `K1`, ...) in the namespace that the source
runs in. It is kept in `linecache`, so that a traceback shows the line.

The functions, for a row or cell `r`, properties `p`, an instant `us`, and a list `bad` that takes the keys of
metrics which cannot use the event's value:

- `apply(r, p, us, bad)` folds an event of the newest finest window into the row.
- `fold_n_c(t, p, us, bad)` folds one into the window of kind n of a row or cell, for the metrics of lateness class c.
- `merge(r)` adds the finest window to the coarser ones.
- `new(zone, key, w)` makes an empty row, `pack(r, shape)` lists it for msgpack, `thaw(v, zone, key)` makes it again.
- `starts(r)` gives the starts of the newest windows.
- `render(r, heads, labels, floors)` gives a field with its JSON for each metric, None where it has nothing to show;
  for a group's row `name`, the group's JSON, comes last and is part of the fields.
- `texts_n(c, label)` gives a cell's windows as JSON, one text for each metric that shows kind n.
- `watch(r)` tells whether a total may have reached a threshold of its limit, by the row's `guards`.
- `group(p)` gives the key of an event's group, None where it has none.
"""

import itertools
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from schemas.definitions import Filter
from stream.core.decode import Properties, reach
from stream.core.filters import expression, path_of
from stream.core.layout import SLOTS, Layout

LETTERS = "abcdefghi"
_serial = itertools.count()


@dataclass(frozen=True)
class Counting:
    """How one column of a layout is filled and shown.

    `number(value, bad, key)` reads a value that is neither a small int nor a checked Decimal. `filters` are ANDed.
    `show(value)` makes text of a value that is no int; None writes ints as they are and others by `text`.
    `scale(value)` is the value for the gate, None where no limit stands on the metric.
    """

    key: str
    property: str | None
    filters: tuple[Filter, ...]
    lateness: int
    show: Callable[[Any, int], str] | None
    scale: Callable[[Any, int], str] | None


class Source:
    """Lines of source, and the namespace that they run in."""

    def __init__(self, properties: Properties, **names: Any) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"Decimal": Decimal, "reach": reach, **names}
        self._properties = properties
        self._constants = itertools.count()

    def bind(self, value: Any) -> str:
        """The name under which the source finds a value."""
        name = f"K{next(self._constants)}"
        self.names[name] = value
        return name

    def value(self, prop: str) -> str:
        """The expression of a property's value, None where it is absent."""
        return self._properties.expression(path_of(prop), self.bind)

    def test(self, rules: Sequence[Filter]) -> str:
        """The expression that tells whether an event passes all filters; "" where there is none."""
        return expression(rules, self._properties, self.bind)

    def run(self, title: str) -> dict[str, Any]:
        """Compile and run the source; the namespace holds its functions."""
        text = "\n".join(self.lines) + "\n"
        filename = f"<{title} {next(_serial)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
        exec(compile(text, filename, "exec"), self.names)  # noqa: S102 - our own source, see above
        return self.names


def _slot(n: int, slot: int, of: str = "r") -> str:
    return f"{of}.{LETTERS[n]}{slot}"


def write_fold(source: Source, layout: Layout, counting: Sequence[Counting], n: int, chosen: Sequence[int]) -> None:
    """Lines that fold an event into the slots of kind n, for the chosen columns."""
    out = source.lines
    for i in chosen:
        rule, aggregation, first = counting[i], layout.columns[i].aggregation, layout.first[n, i]
        test, indent = source.test(rule.filters), "    "
        if rule.property is not None:
            out.append(f"    v = {source.value(rule.property)}")
            test = f"v is not None and {test}" if test else "v is not None"
        if test:
            out.append(f"    if {test}:")
            indent += "    "
        if rule.property is not None:
            # Decimals in range were checked as they were decoded: all else is read, or refused, by `number`
            out += [
                f"{indent}if v.__class__ is not Decimal and (v.__class__ is not int or not LEAST < v < MOST):",
                f"{indent}    v = number(v, bad, {source.bind(rule.key)})",
                f"{indent}if v is not None:",
            ]
            indent += "    "
        events, value = _slot(n, first), _slot(n, first + 1)
        out.append(f"{indent}{events} += 1")
        if aggregation in {"sum", "avg"}:
            out.append(f"{indent}{value} += v")
        elif aggregation in {"min", "max"}:
            sign = "<" if aggregation == "min" else ">"
            out.append(f"{indent}if {value} is None or v {sign} {value}: {value} = v")
        elif aggregation == "latest":
            latest = _slot(n, first + 2)
            out.append(f"{indent}if {value} is None or us >= {value}: {value} = us; {latest} = v")


def write_merge(source: Source, layout: Layout) -> None:
    """`merge`: the finest window joins the coarser ones; `layout.joined` is its specification."""
    source.lines += ["def merge(r):", "    pass"]
    for n, i in layout.first:
        if n:
            made = joined(layout, n, i)
            first = layout.first[n, i]
            # the number of events last: the others ask whether there were any
            source.lines += [f"    {_slot(n, first + d)} = {made[d]}" for d in reversed(range(len(made)))]
    source.lines.append("")


def joined(layout: Layout, n: int, i: int) -> list[str]:
    """Expressions of the slots of column i in kind n, the newest finest window included."""
    aggregation, fine, first = layout.columns[i].aggregation, layout.first[0, i], layout.first[n, i]
    a = [_slot(0, fine + d) for d in range(SLOTS[aggregation])]
    b = [_slot(n, first + d) for d in range(SLOTS[aggregation])]
    if n == 0:
        return a
    out = [f"{a[0]} + {b[0]}"]
    if aggregation in {"sum", "avg"}:
        out.append(f"{a[1]} + {b[1]}")
    elif aggregation in {"min", "max"}:
        sign = "<" if aggregation == "min" else ">"
        out.append(f"{a[1]} if {a[0]} and (not {b[0]} or {a[1]} {sign} {b[1]}) else {b[1]}")
    elif aggregation == "latest":
        # on a tie the coarser window's: what came late for the finest window came later in the log
        out += [f"{a[d]} if {a[0]} and (not {b[0]} or {a[1]} > {b[1]}) else {b[d]}" for d in (1, 2)]
    return out


def write_row(source: Source, layout: Layout) -> None:
    """`new`, `pack` and `thaw`, and for each kind `reset_n`, `cell_n`, `values_n` and `refill_n`."""
    out = source.lines
    names = [slot_names(layout, n) for n in range(len(layout.kinds))]
    out += [
        "def new(zone, key, w):",
        "    r = Row()",
        "    r.zone = zone; r.key = key; r.older = None; r.dirty = False",
    ]
    out += ["    r.heads = r.floors = r.guards = None; r.idle = False"]
    for n in range(len(layout.kinds)):
        out += [f"    r.s{n} = w[{layout.at[n]}]", *_zeros(layout, n)]
    out += ["    return r", ""]
    for n in range(len(layout.kinds)):
        out += [f"def reset_{n}(r, start):", f"    r.s{n} = start", *_zeros(layout, n), "    return r", ""]
        copies = "; ".join(f"c.{name} = r.{name}" for name in names[n])
        out += [f"def cell_{n}(r):", f"    c = Cell{n}(); c.s{n} = r.s{n}; c.end = 0; c.raw = None; c.texts = None"]
        out += [f"    {copies}", "    return c", ""]
        out += [
            f"def values_{n}(c):",
            f"    return [{n}, c.s{n}, c.end, {', '.join('c.' + name for name in names[n])}]",
            "",
        ]
        out += [f"def refill_{n}(v):", f"    c = Cell{n}(); c.raw = None; c.texts = None"]
        out += [f"    _, c.s{n}, c.end, {', '.join('c.' + name for name in names[n])} = v"]
        out += [*_decimals(layout, n, "c"), "    return c", ""]
    starts = ", ".join(f"r.s{n}" for n in range(len(layout.kinds)))
    out += ["def starts(r):", f"    return ({starts},)", ""]
    every = [f"r.{name}" for n in range(len(layout.kinds)) for name in (f"s{n}", *names[n])]
    out += ["def pack(r, shape):"]
    out += [
        f"    return [shape, r.zone.number, {', '.join(every)}, r.older and [c.raw or raw(c) for c in r.older]]",
        "",
    ]
    out += ["def thaw(v, zone, key):", "    r = Row()"]
    out += ["    r.zone = zone; r.key = key; r.dirty = False; r.heads = r.floors = r.guards = None; r.idle = False"]
    out += [f"    _, _, {', '.join(every)}, older = v"]
    for n in range(len(layout.kinds)):
        out += _decimals(layout, n, "r")
    out += ["    r.older = older and [refill[v[0]](v) for v in older]", "    return r", ""]


def slot_names(layout: Layout, n: int) -> list[str]:
    """The attributes of kind n, its start excepted."""
    return [f"{LETTERS[n]}{slot}" for slot in range(len(layout.zeros(n)))]


def _zeros(layout: Layout, n: int) -> list[str]:
    zeros, names = layout.zeros(n), slot_names(layout, n)
    out = []
    for zero in (0, None):
        targets = [f"r.{name} = " for name, value in zip(names, zeros, strict=True) if value == zero]
        if targets:
            out.append(f"    {''.join(targets)}{zero}")
    return out


def _decimals(layout: Layout, n: int, of: str) -> list[str]:
    """Lines that turn text from the changelog into numbers: msgpack has none for what is beyond 64 bits."""
    out = []
    for (kind, i), first in layout.first.items():
        aggregation = layout.columns[i].aggregation
        if kind == n and aggregation != "count":
            name = _slot(n, first + SLOTS[aggregation] - 1, of)
            out.append(f"    if {name}.__class__ is str: {name} = Decimal({name})")
    return out


def _texts(
    source: Source, rule: Counting, aggregation: str, slots: Sequence[str], own: str, finer: str = ""
) -> list[str]:
    """Lines that set `n` (events), `q` (the value's text) and, for a limit, `s` (the scaled value), each with a suffix.

    `finer` is the suffix of a finer window of the same metric: its value is often the same object, and decimals are
    slow to write.
    """
    n, q, v = f"n{own}", f"q{own}", f"v{own}"
    out = [f"{n} = {slots[0]}"]
    if aggregation == "count":
        v = n
    else:
        out.append(f"{v} = {slots[-1]}")
    if rule.show is not None:
        out.append(f"{q} = {source.bind(rule.show)}({v}, {n})")
    elif aggregation == "count":
        out.append(f"{q} = {n} = f'{{{n}}}'" if rule.scale is None else f"{q} = f'{{{n}}}'")
    else:
        written = f"{v} if {v}.__class__ is int else text({v})"
        out.append(f"{q} = q{finer} if {v} is v{finer} else {written}" if finer else f"{q} = {written}")
    if rule.scale is not None:
        out.append(f"s{own} = {source.bind(rule.scale)}({v}, {n})")
    return out


def write_render(source: Source, layout: Layout, counting: Sequence[Counting]) -> None:
    """`render` and `texts_n`.

    A metric with events in the newest finest window, that window being shown, has all its newest windows to show;
    every other case takes the longer way, window by window. A head is all of a kind's list up to the newest window's
    value: the older windows, and the newest one's bounds.
    """
    out = source.lines
    index = head_index(layout)
    grouped = bool(layout.place.group)
    out += [f"def render(r, heads, labels, floors{', name' if grouped else ''}):", "    live = r.s0 >= floors[0]"]
    for i, rule in enumerate(counting):
        column = layout.columns[i]
        kinds = [n for n, kind in enumerate(layout.kinds) if kind in column.windows]
        one_object = rule.show is None and column.aggregation in {"min", "max", "latest"}
        scaled = "" if rule.scale is None else "{s%s}"
        out += [f"    if live and r.a{layout.first[0, i]}:"]
        windows, finer = [], ""
        for n in kinds:
            out += [
                f"        {line}"
                for line in _texts(source, rule, column.aggregation, joined(layout, n, i), str(n), finer)
            ]
            finer = str(n) if one_object else ""
            windows.append(f'{{heads[{index[n, i]}]}}{{q{n}}}",{{n{n}}},"{scaled % n if scaled else ""}"]]')
        out.append(f"        f{i} = f'{{{{\"w\":{{{{{','.join(windows)}}}}}}}}}'")
        out += ["    else:", "        m = []"]
        for n in kinds:
            head, kind = f"heads[{index[n, i]}]", layout.kinds[n]
            slots = joined(layout, n, i)
            lines = _texts(source, rule, column.aggregation, slots, "")
            out += [f"        if r.s{n} >= floors[{n}] and {slots[0]}:", *(f"            {line}" for line in lines)]
            window = f'{{{head}}}{{q}}",{{n}},"{scaled % "" if scaled else ""}"]]'
            out += [
                f"            m.append(f'{window}')",
                "        else:",
                f"            t = {head}[:-len(labels[{n}][r.s{n}])]",
                f"            if len(t) > {len(tail_start(kind))}: m.append(t[:-1] + ']')",
            ]
        out.append(f"        f{i} = '{{\"w\":{{' + ','.join(m) + '}}}}' if m else None")
    names = [source.bind(rule.key) for rule in counting]
    pairs = ", ".join(f"{name}{' + name' if grouped else ''}: f{i}" for i, name in enumerate(names))
    out += [f"    return {{{pairs}}}", ""]
    for n, kind in enumerate(layout.kinds):
        out += [f"def texts_{n}(r, x):", "    out = []"]
        for i, rule in enumerate(counting):
            column = layout.columns[i]
            if kind in column.windows:
                slots = [_slot(n, layout.first[n, i] + d) for d in range(SLOTS[column.aggregation])]
                scale = "{s}" if rule.scale else ""
                out += [f"    if {slots[0]}:"]
                out += [f"        {line}" for line in _texts(source, rule, column.aggregation, slots, "")]
                out += [f'        out.append(f\'{{x}}{{q}}",{{n}},"{scale}"],\')', "    else: out.append('')"]
        out += ["    return out", ""]


def tail_start(kind: str) -> str:
    """How a kind's list of windows begins in JSON."""
    return f'"{kind}":['


def head_index(layout: Layout) -> dict[tuple[int, int], int]:
    """(kind number, column number) -> place of that window list in a row's heads."""
    shows = [
        (n, i)
        for n, kind in enumerate(layout.kinds)
        for i, column in enumerate(layout.columns)
        if kind in column.windows
    ]
    return {key: place for place, key in enumerate(shows)}


def write_watch(source: Source, layout: Layout, watched: Sequence[tuple[int, int]]) -> None:
    """`watch(r)`: whether one of the watched totals (kind number, column) may have reached its next threshold."""
    tests = ["g is None"]
    for place, (n, i) in enumerate(watched):
        tests.append(f"{joined(layout, n, i)[-1]} >= g[{place}]")
    source.lines += ["def watch(r):", "    g = r.guards", f"    return {' or '.join(tests)}", ""]


def write_group(source: Source, group: Sequence[str]) -> None:
    """`group(p)`: short texts are their own key (a tuple of them for several), all else goes through `group_key`."""
    names = [f"g{i}" for i in range(len(group))]
    values = [source.value(prop) for prop in group]
    source.lines += ["def group(p):", *(f"    {name} = {value}" for name, value in zip(names, values, strict=True))]
    short = " and ".join(f"{name}.__class__ is str and len({name}) < 65" for name in names)
    every = ", ".join(names)
    key = names[0] if len(names) == 1 else f"({every})"
    source.lines += [f"    if {short}: return {key}", f"    return group_key(({every},))", ""]
