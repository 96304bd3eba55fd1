"""What the windows of counters, rates and plug-ins are made of: cells, their span, and how values become one."""

from typing import Any, Protocol

from schemas.definitions import KINDS, Metric as Definition
from stream.core.metrics.base import DAY, HOUR, MINUTE, MONTH, QUARTER, TOTAL, YEAR, Terms, Value

NEVER = 1 << 62
SPANS = {MINUTE: 3600, HOUR: 86_400}
"""Closed minutes are packed by hour, hours by day, longer windows by 31 days (seconds of starts)."""
LONG_SPAN = 31 * 86_400


def span_of(kind: int) -> int:
    """How many seconds of starts share a pack."""
    return SPANS.get(kind, LONG_SPAN)


class Fold(Protocol):
    """How values become one: an aggregation of the counter, or what a plug-in is made of.

    An accumulator is any object; `add` and `merge` answer it, and may change their first argument
    in place. Whatever the order of `add` and `merge`, the outcome must be the same.
    """

    def empty(self) -> Any:
        """The accumulator of no event."""
        ...

    def add(self, acc: Any, value: Any, us: int, order: int) -> Any:
        """Count a value that `read` answered, of the instant `us` and the place `order` in the log."""
        ...

    def merge(self, acc: Any, other: Any) -> Any:
        """Both together; `other` stays as it is."""
        ...

    def value(self, acc: Any, events: int) -> Value:
        """The total of at least one event."""
        ...

    def error(self, acc: Any) -> str | None:
        """The relative standard error of an estimate, as a decimal string; None for an exact value."""
        ...

    def plain(self, acc: Any) -> Any:
        """The accumulator as msgpack holds it (see `wire.packed` for numbers)."""
        ...

    def restored(self, plain: Any) -> Any:
        """The accumulator again."""
        ...


class Cell:
    """One window: its start in seconds, the number of its events, and what they make together."""

    __slots__ = ("acc", "events", "start")

    def __init__(self, start: int, events: int, acc: Any) -> None:
        self.start, self.events, self.acc = start, events, acc


class Span:
    """How long the windows of a metric's kinds are kept after their end, by the definition or by kind."""

    __slots__ = ("keep", "kinds", "simulate")

    def __init__(self, kinds: tuple[int, ...], terms: Terms, lateness_us: int | None) -> None:
        self.kinds = kinds
        self.simulate = terms.simulate
        self.keep = tuple(terms.keep_us[kind] if lateness_us is None else lateness_us for kind in kinds)


def kinds_of(definition: Definition) -> tuple[int, ...]:
    """A definition's windows as indexes into `KINDS`, in ascending order."""
    return tuple(sorted(KINDS.index(kind) for kind in definition.windows))


def nested(kinds: tuple[int, ...]) -> bool:
    """Whether each window of the finest of these ascending kinds lies in one window of every other.

    >>> week, month, quarter, billing_period = 3, 4, 5, 7
    >>> nested((1, 2, week, month)), nested((week, month)), nested((month, quarter)), nested((month, billing_period))
    (True, False, True, False)
    """
    finest, *others = kinds
    if finest <= DAY:
        return True
    whole = {MONTH: {QUARTER, YEAR, TOTAL}, QUARTER: {YEAR, TOTAL}}.get(finest, {TOTAL})
    return whole.issuperset(others)
