"""How the demo speaks: lines that fit the terminal, however narrow it is, and plain lines where there is none."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping

WIDEST, NARROWEST = 100, 24


def width_of_terminal() -> int:
    """How many columns a line may have: the terminal's, at most 100; 100 where none watches."""
    if not sys.stdout.isatty():
        return WIDEST
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns))


class Teller:
    """Says the demo's lines to `out`; with `out` None it is silent."""

    def __init__(self, out: Callable[[str], None] | None, width: int = WIDEST) -> None:
        self._out, self._width = out, width

    def say(self, text: str, indent: str = "") -> None:
        """One paragraph, broken at spaces."""
        if self._out is not None:
            for line in textwrap.wrap(text, self._width, initial_indent=indent, subsequent_indent=indent):
                self._out(line)

    def gap(self) -> None:
        """An empty line between two acts."""
        if self._out is not None:
            self._out("")

    def moved(self, second: int, sent: int, totals: Mapping[str, int]) -> None:
        """How far it is: as many of the customers' totals as fit on one line."""
        line = f"{second:4} s {sent:>7,} sent "
        for customer, total in totals.items():
            cell = f"  {customer} {total:>6,}"
            if len(line) + len(cell) > self._width:
                break
            line += cell
        if self._out is not None:
            self._out(line.rstrip())
