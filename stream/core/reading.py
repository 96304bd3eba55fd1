"""Totals read from a partition's rows, open windows and closed ones."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from schemas.definitions import KINDS
from schemas.totals import Position, Total
from stream.core import closed, groups
from stream.core.layout import SLOTS, joined
from stream.core.metrics.base import kept
from stream.core.metrics.rounding import rounded
from stream.core.rows import Series

if TYPE_CHECKING:
    from stream.core.book import Book

SECOND = 1_000_000


def totals(book: "Book", customer: str, at_us: int | None) -> Iterator[Total]:
    """The customer's totals whose windows hold an instant; None is the partition's clock."""
    instant = book.header.clock_us if at_us is None else at_us
    header = book.header
    position = Position(book.number, header.next_offset or 0)
    for series in book.series:
        for row in series.of(customer):
            for n, start, end, slots in _windows(series, row, instant):
                if start * SECOND <= instant and (end is None or instant < end * SECOND):
                    yield from _rows(book, series, row, n, start, end, slots, position)
    for states in book.states:
        yield from states.totals(customer, instant, header.clock_us, position)


def every(book: "Book", last_us: int) -> Iterator[Total]:
    """Every total of every window that was ever filled, up to those that hold an instant (for `simulate`)."""
    for series in book.series:
        for customer in series.rows:
            for row in series.of(customer):
                for n, start, end, slots in _windows(series, row, None):
                    yield from _rows(book, series, row, n, start, end, slots, None)
    for states in book.states:
        yield from states.every(last_us, book.plan.rules.billable)


Window = tuple[int, int, int | None, list[Any]]


def _windows(series: Series, row: Any, instant: int | None) -> Iterator[Window]:
    """(kind number, start, end, slots) of a row's windows; of the packed ones those about an instant (None: all)."""
    shape, end_of = series.shape, row.zone.calendar.end
    for n, kind in enumerate(shape.numbers):
        start = getattr(row, f"s{n}")
        yield n, start, end_of(kind, start), whole_slots(series, row, n)
    for cell in row.older or ():
        yield _of_cell(series, row, cell)
    rest = series.rest(row.key)
    for bucket, packs in list(series.closed.buckets.items()):
        pack = packs.get(rest)
        if pack is None or (instant is not None and not _about(bucket, instant)):
            continue
        if isinstance(pack, bytes):
            pack = series.apart(pack, row.zone)
        for cell in pack.cells.values():
            yield _of_cell(series, row, cell)


def _about(bucket: closed.Bucket, instant: int) -> bool:
    """Whether a bucket can hold a window that holds an instant."""
    last = closed.bucket_ends(bucket)
    first = closed.bucket_ends((bucket[0], bucket[1] - 1))
    return first * SECOND <= instant < (last + closed.LONGEST[bucket[0]]) * SECOND


def _of_cell(series: Series, row: Any, cell: Any) -> Window:
    n, start, end, *slots = series.shape.values[cell.n](cell)
    return n, start, end or row.zone.calendar.end(series.shape.numbers[n], start), slots


def whole_slots(series: Series, row: Any, n: int) -> list[Any]:
    """The slots of a row's newest window of kind n, the finest window included, in the order of kind n."""
    layout = series.shape.layout
    out: list[Any] = []
    for (kind, i), first in layout.first.items():
        if kind == n:
            aggregation = layout.columns[i].aggregation
            mine = [getattr(row, name) for name in series.shape.slots[n][first : first + SLOTS[aggregation]]]
            if n:
                at = layout.first[0, i]
                fine = [getattr(row, name) for name in series.shape.slots[0][at : at + SLOTS[aggregation]]]
                mine = joined(aggregation, fine, mine)
            out += mine
    return out


def _rows(
    book: "Book",
    series: Series,
    row: Any,
    n: int,
    start: int,
    end: int | None,
    slots: list[Any],
    position: Position | None,
) -> Iterator[Total]:
    layout, header = series.shape.layout, book.header
    kind = layout.kinds[n]
    customer, key = row.key if series.grouped else (row.key, None)
    for i, column in enumerate(layout.columns):
        if kind not in column.windows:
            continue
        rule = series.shape.counting[i]
        first = layout.first[n, i]
        events, *values = slots[first : first + SLOTS[column.aggregation]]
        keep = series.shape.keeps[rule.lateness][KINDS.index(kind)]
        if not events or not (book.plan.rules.simulate or kept(end, keep, header.clock_us)):
            continue
        metric = book.plan.definitions.metrics[column.key]
        value = events if not values else values[-1]
        shown = Fraction(value) / events if column.aggregation == "avg" else value
        yield Total(
            customer=customer,
            metric=column.key,
            window=kind,
            start=None if end is None else start,
            end=end,
            group={} if key is None else groups.values_of(series.names[key]),
            value=rounded(shown, metric.rounding),
            events=events,
            as_of_us=None if position is None else header.clock_us,
            position=position,
        )
