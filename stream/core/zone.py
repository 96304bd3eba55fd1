"""A calendar as a partition's rows refer to it: by a small number, with what rendering needs of it."""

from collections.abc import Callable
from functools import partial
from typing import Any

from schemas.definitions import KINDS

SECOND = 1_000_000
_MOST_LABELS = 1 << 14


class Label(dict[int, str]):
    """Start of a window -> the beginning of its JSON, `[1772712000,1772715600,"`. Bounded."""

    def __init__(self, end: Callable[[int], int | None]) -> None:
        super().__init__()
        self._end = end

    def __missing__(self, start: int) -> str:
        end = self._end(start)
        text = '[null,null,"' if end is None else f'[{start},{end},"'
        if len(self) >= _MOST_LABELS:
            self.clear()
        self[start] = text
        return text


class Zone:
    """One calendar and its number in the partition's table of zones.

    `calendar[stamp]` gives an instant's windows (see `Calendar`).
    """

    __slots__ = ("_floors", "_minute", "anchor", "calendar", "labels", "name", "number")

    def __init__(self, number: int, name: str, anchor: int | None, calendar: Any) -> None:
        self.number, self.name, self.anchor, self.calendar = number, name, anchor, calendar
        self.labels = [Label(partial(calendar.end, kind)) for kind in range(len(KINDS))]
        self._minute: int | None = None
        self._floors: tuple[int, ...] = ()

    def floors(self, clock_us: int) -> tuple[int, ...]:
        """By kind, the start of the window that ended last on this clock: Redis shows it and all later ones.

        The answer is the same object as long as no window turns.
        """
        minute = clock_us // (60 * SECOND)
        if minute != self._minute:
            self._minute = minute
            floors = self.floors_at(clock_us)
            if floors != self._floors:
                self._floors = floors
        return self._floors

    def floors_at(self, clock_us: int) -> tuple[int, ...]:
        """The same, of any clock."""
        _, *starts = self.calendar.windows(clock_us)
        return (*(self.calendar.previous(kind, start) for kind, start in enumerate(starts[:-1])), 0)
