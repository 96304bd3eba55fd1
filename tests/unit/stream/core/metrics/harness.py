"""What the tests of metric types share: definitions, and a state driven like the partition drives it."""

from collections.abc import Callable, Iterable
from typing import Any

from schemas.definitions import KINDS, Metric as Definition
from stream.core.calendar import Calendar, calendar_for
from stream.core.metrics.base import CHUNK_LIMIT, DAY_US, SECOND_US, Metric, State, Terms, use_exact

use_exact()

MINUTE_US = 60 * SECOND_US
KEEP_US: tuple[int | None, ...] = (2 * DAY_US, 8 * DAY_US, 100 * DAY_US, *[400 * DAY_US] * 5, None)
UTC = calendar_for("UTC")
T0 = 1_772_712_000 * SECOND_US
"""2026-03-05T12:00:00Z, in microseconds."""


def reader(path: str) -> Callable[[Any], Any]:
    """Properties are a dict here."""
    return lambda properties: properties.get(path)


def terms(**fields: Any) -> Terms:
    """The contract's retentions, unless said otherwise."""
    given: dict[str, Any] = {"keep_us": KEEP_US, "max_age_us": 7 * DAY_US, "max_ahead_us": 5 * MINUTE_US}
    return Terms(reader=reader, **(given | fields))


def definition(**fields: Any) -> Definition:
    """A counter over the default windows, unless said otherwise."""
    given: dict[str, Any] = {
        "key": "m",
        "name": "m",
        "event_name": "e",
        "type": "counter",
        "windows": ("hour", "day", "month", "total"),
        "property": "value",
    }
    return Definition(**(given | fields))


class Driven:
    """A state that is saved and restored as it goes, and whose chunks are checked."""

    def __init__(self, metric: Metric, calendar: Calendar = UTC, *, overall: bool = False) -> None:
        self.metric, self.calendar, self.overall = metric, calendar, overall
        self.chunks: dict[bytes, bytes] = {}
        self.state: State = metric.state(calendar, overall=overall)
        self.clock_us = -(1 << 60)

    def fold(self, us: int, order: int, value: Any, clock_us: int | None = None) -> int:
        """Fold at a clock that never goes back, and by default follows the events."""
        self.clock_us = max(self.clock_us, us if clock_us is None else clock_us)
        return self.state.fold(self.calendar.windows(us), order, value, self.clock_us)

    def remove(self, us: int, order: int, value: Any) -> None:
        self.state.remove(self.calendar.windows(us), order, value, self.clock_us)

    def save(self) -> dict[bytes, bytes | None]:
        """What changed, which is kept as a changelog would keep it."""
        changed = dict(self.state.save())
        for name, data in changed.items():
            if data is None:
                self.chunks.pop(name, None)
            else:
                assert len(data) < CHUNK_LIMIT, name
                self.chunks[name] = data
        return changed

    def restore(self) -> None:
        """Save, and go on with a new state made of the chunks alone."""
        self.save()
        self.state = self.metric.state(self.calendar, self.chunks, overall=self.overall)

    def rows(self, until_us: int = 1 << 60) -> dict[tuple[str, int], tuple[str, int]]:
        """Every row: (kind, start) to (value, events)."""
        return {
            (KINDS[kind], row.start): (row.value, row.events)
            for kind in self.metric.windows
            for row in self.state.rows(kind, until_us)
        }

    def values_until(self, kind: str, until_us: int) -> list[tuple[int, str, int]]:
        """The rows of one kind up to an instant: start, value, events."""
        return [(row.start, row.value, row.events) for row in self.state.rows(KINDS.index(kind), until_us)]

    def values(self, kind: str) -> list[tuple[int, str, int]]:
        """The rows of one kind: start, value, events."""
        return [(row.start, row.value, row.events) for row in self.state.rows(KINDS.index(kind), 1 << 60)]


def folded(metric: Metric, events: Iterable[tuple[int, Any]], calendar: Calendar = UTC) -> Driven:
    """A state after events (us, value), in this order, each arriving at its own time or at once."""
    driven = Driven(metric, calendar)
    for order, (us, value) in enumerate(events):
        driven.fold(us, order, value)
    return driven
