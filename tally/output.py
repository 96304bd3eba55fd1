"""What commands print: JSON for programs, tables for people, progress for whoever watches."""

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Self

import click

from schemas.totals import encode


class Progress:
    """A bar on standard error for long work of a known length, drawn only where a terminal watches; a context manager."""

    def __init__(self, label: str, length: int) -> None:
        self._bar: Any = click.progressbar(
            length=max(length, 1), label=label, file=sys.stderr, hidden=length <= 0 or not sys.stderr.isatty()
        )

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def step(self, count: int = 1) -> None:
        """Move the bar by so much of its length."""
        self._bar.update(count)


def print_json(value: Any) -> None:
    """One JSON object on one line, exact in its numbers, UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(encode(value) + b"\n")
    sys.stdout.buffer.flush()


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[str] = ()) -> None:
    """Columns as wide as their widest cell, those named in `right` flush right. Control characters are escaped."""
    flush_right = set(right)
    table = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = [
            cell.rjust(width) if name in flush_right else cell.ljust(width)
            for cell, width, name in zip(row, widths, head, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _cell(value: object) -> str:
    # what a producer wrote must not move the cursor of who reads it
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def size_of(file: BinaryIO) -> int:
    """The bytes of a file on disk; 0 of a pipe or a terminal, whose end nobody knows."""
    try:
        state = os.fstat(file.fileno())
    except OSError:
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def plural(count: int, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
