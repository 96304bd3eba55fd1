"""A mended event folds into those of a row's metrics that could not use it before."""

from typing import Any

from stream.core.layout import SLOTS, joined
from stream.core.metrics.base import kept
from stream.core.rows import Series


def fold_only(
    series: Series,
    row: Any,
    p: Any,
    w: tuple[int, ...],
    keys: set[str],
    bad: list[str],
    clock_us: int,
    closing_us: int,
) -> int:
    """Fold an event into the metrics of these keys alone; the answer is for how many (metric, window) it was late."""
    shape, us, late = series.shape, w[0], 0
    ends = [row.zone.calendar.end(kind, w[1 + kind]) for kind in shape.numbers]
    fine = w[shape.at[0]]
    for i, column in enumerate(shape.layout.columns):
        if column.key not in keys:
            continue
        c = shape.counting[i].lateness
        open_ = [kept(end, shape.keeps[c][kind], clock_us) for end, kind in zip(ends, shape.numbers, strict=True)]
        if fine > row.s0 and any(open_):
            series.turn(row, w, closing_us)
        if not series.simulate:
            series.part(row, w, [open_], clock_us, closing_us)
        whole = fine == row.s0 and (open_[0] or series.simulate)
        for n in range(1 if whole else len(shape.kinds)):
            shown = column.windows
            if not whole and shape.kinds[n] not in shown:
                continue
            found: list[str] = []
            scratch = shape.empty_cell(n, 0)
            (shape.applies[c] if whole else shape.folds[n][c])(scratch, p, us, found)
            bad += [key for key in found if key == column.key]
            names = shape.slots[n][shape.layout.first[n, i] :][: SLOTS[column.aggregation]]
            made = [getattr(scratch, name) for name in names]
            if not made[0]:
                continue
            if not whole and not open_[n]:
                late += 1
                continue
            target = row if whole else series.window(row, n, w[shape.at[n]], closing_us)
            before = [getattr(target, name) for name in names]
            # the replay comes later in the log, so on a tie of instants it is the latest: see `joined`
            for name, value in zip(names, joined(column.aggregation, before, made), strict=True):
                setattr(target, name, value)
    return late
