"""`tally simulate`: a file of events through the worker's own fold, with nothing forgotten and nothing too late.

Each event's Kafka timestamp is its own, so the clock is the greatest timestamp of the events accepted so far.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import localcontext
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.definitions import Definitions
from schemas.rejections import (
    HEADER_DETAIL,
    HEADER_KIND,
    HEADER_METRICS,
    HEADER_OFFSET,
    HEADER_REASON,
    KIND_PARTIAL,
)
from schemas.totals import Total
from stream.core import reading
from stream.core.book import Book
from stream.core.commit import Out
from stream.core.folding import EXACT, Folding
from stream.core.plan import Plan, Rules
from stream.core.timestamps import FIRST, microseconds

BLOCK = 5000


class _Line(NamedTuple):
    """A line of the file as the fold reads records; `offset` is its number."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class _EveryId:
    """Ids remembered for ever."""

    def __init__(self) -> None:
        self._hashes: set[bytes] = set()

    def known(self, hashes: bytes) -> npt.NDArray[np.bool_]:
        """Which of the hashes were added."""
        mine = self._hashes
        return np.array([hashes[at : at + 16] in mine for at in range(0, len(hashes), 16)], np.bool_)

    def add(self, hashes: bytes, _hour: int) -> None:
        """Remember hashes."""
        self._hashes.update(hashes[at : at + 16] for at in range(0, len(hashes), 16))


def simulate(
    definitions: Definitions,
    lines: Iterable[bytes],
    at: str | int | None = None,
    *,
    billable: str | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """What `tally simulate --json` prints: rows, rejected lines, and how many duplicates and late.

    `lines` are those of a JSON Lines file, with or without their ends; blank ones are skipped but numbered. `at` is a
    timestamp as events carry it, or microseconds; windows that begin after it are left out (None: after the latest
    event accepted). Rows of the window kind `billable` say on which day each part of their value arose. To be written
    with `schemas.totals.encode`, which keeps the digits of a group's numbers.

    Raises `BadTimestamp` for an `at` that is none.
    """
    folded = Folded(definitions, rules, billable=billable)
    folded.take(lines)
    return folded.report(at)


class Folded:
    """A file on its way through the fold."""

    def __init__(self, definitions: Definitions, rules: Rules | None = None, *, billable: str | None = None) -> None:
        """`rules` say by which retention `late` is counted; `billable` is a window kind, see `simulate`."""
        plan = Plan(definitions, replace(rules or Rules(), simulate=True, billable=billable))
        self._book = Book(plan, 0, 1)
        self._book.open()
        self._book.ids = _EveryId()  # type: ignore[assignment]
        self._book.header.clock_us = FIRST  # a file may begin before 1970
        self._folding = Folding(self._book)
        self._number = 0

    def take(self, lines: Iterable[bytes]) -> None:
        """Fold some lines more."""
        folding = self._folding
        block: list[_Line] = []
        for line in lines:
            self._number += 1
            value = line.rstrip(b"\r\n")
            if value.strip():
                block.append(_Line("", 0, self._number, -1, None, value, ()))
            if len(block) >= BLOCK:
                folding.fold_file(block)
                block = []
        if block:
            folding.fold_file(block)

    def totals(self, at: str | int | None = None) -> list[Total]:
        """The rows, in the order of the output."""
        last_us = self._latest() if at is None else at if isinstance(at, int) else microseconds(at)
        with localcontext(EXACT):
            rows = [row for row in reading.every(self._book, last_us) if _begun(row, last_us)]
        return sorted(rows, key=Total.order)

    def _latest(self) -> int:
        return self._folding.latest_us

    def report(self, at: str | int | None = None) -> dict[str, Any]:
        """The whole answer."""
        counts = self._book.header.counts
        return {
            "rows": [total.to_json() for total in self.totals(at)],
            "rejected": [_rejected(out) for out in self._folding.outbox],
            "duplicates": counts.duplicate,
            "late": counts.late,
        }


def _begun(row: Total, last_us: int) -> bool:
    return row.start is None or row.start * 1_000_000 <= last_us


def _rejected(out: Out) -> dict[str, Any]:
    headers = {name: text.decode() for name, text in out.headers}
    entry: dict[str, Any] = {"line": int(headers[HEADER_OFFSET]), "reason": headers[HEADER_REASON]}
    if headers[HEADER_KIND] == KIND_PARTIAL:
        entry |= {"kind": KIND_PARTIAL, "metrics": headers[HEADER_METRICS].split(",")}
    return {**entry, "detail": headers[HEADER_DETAIL]}
