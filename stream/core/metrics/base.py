"""The protocol between a partition's fold and a metric type, built in or plugged in.

A `MetricType` builds one `Metric` for each definition; a `Metric` reads values off events and
makes a `State` for each customer and each of its groups; a `State` folds those values into its
windows. Everything here is pure: the clock is the partition's and is passed in, and nothing
depends on what happens to be in memory.

Units: instants are microseconds since the epoch in UTC (`us`), window bounds are whole seconds
since the epoch, half-open `[start, end)`: an event at 13:00:00.000000 belongs to the hour
[13:00, 14:00). A kind is an index into `KINDS` (0 is a minute, 8 the total).

Values are exact: `int`, `Decimal`, and `Fraction` where a quotient arises. Every method of a state is
called in a decimal context of at least `EXACT_DIGITS` digits: `use_exact()`, or a `localcontext`; reading
and saving add numbers too. They leave as text by
`stream.core.text.text` after `stream.core.metrics.rounding.rounded`.
"""

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

from schemas.definitions import KINDS, Metric as Definition
from stream.core.numbers import BadValue

__all__ = [
    "BILLING_PERIOD",
    "CHUNK_LIMIT",
    "DAY",
    "DAY_US",
    "EXACT_DIGITS",
    "HOUR",
    "HOUR_US",
    "KINDS",
    "MINUTE",
    "MINUTE_US",
    "MONTH",
    "QUARTER",
    "SECOND_US",
    "TOTAL",
    "WEEK",
    "YEAR",
    "BadValue",
    "Bulk",
    "CalendarLike",
    "Carrying",
    "Many",
    "Metric",
    "MetricType",
    "Number",
    "Shown",
    "State",
    "Terms",
    "Value",
    "Windows",
    "kept",
    "shown_as",
    "use_exact",
]

MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR, BILLING_PERIOD, TOTAL = range(len(KINDS))

Number = int | Decimal
Value = int | Decimal | Fraction
Windows = tuple[int, ...]
"""What `Calendar` answers for an instant: (us, start of its minute, of its hour, ..., 0)."""


class Many:
    """Events of one customer that follow one another in the log, column by column.

    `instants` are in microseconds, `orders` their places in the log; `first` and `last` are the windows of the
    earliest and latest instant, or of earlier and later ones. They are in the order of the log, or `by_time`.
    """

    __slots__ = ("by_time", "first", "instants", "last", "orders", "values")

    def __init__(
        self,
        instants: Sequence[int],
        orders: Sequence[int],
        values: Sequence[Any],
        first: Windows,
        last: Windows,
        *,
        by_time: bool,
    ) -> None:
        self.instants, self.orders, self.values, self.first, self.last = instants, orders, values, first, last
        self.by_time = by_time


EXACT_DIGITS = 120
"""66 digits hold any accepted number; the rest holds sums of 10^54 of them."""

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US

CHUNK_LIMIT = 64 * 1024
"""A saved chunk stays below this many bytes, so that a changelog row does."""


class Shown(NamedTuple):
    """One window's total as it leaves: `value` is rounded text, `end` is None for the total.

    `error` is None for an exact value; for an estimate it states, as a decimal string such as `"0.0081"`, the
    relative standard error (`unique`), or what the docs of a plug-in say that it states.
    """

    kind: int
    start: int
    end: int | None
    value: str
    events: int
    error: str | None = None


shown_as: Callable[[tuple[int, int, int | None, str, int, str | None]], Shown] = partial(tuple.__new__, Shown)
"""A `Shown` of its fields, in half the time."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What settings and the rest of the definitions say about one metric.

    `keep_us[kind]` is how long after its end a window can be read, and takes events unless the
    definition has a `lateness`; None keeps it for ever (the total). `upsert`: the event name is
    configured so, hence `State.remove` will be called. `simulate`: nothing is left out for being
    late and nothing expires, though `fold` counts what a worker would have left out.
    `reader(path)` gives a function that reads a property (dotted or not) off an event's
    properties, None where it is absent.
    """

    reader: Callable[[str], Callable[[Any], Any]]
    keep_us: tuple[int | None, ...]
    max_age_us: int
    max_ahead_us: int
    sliding_late_us: int = HOUR_US
    upsert: bool = False
    simulate: bool = False

    @property
    def replace_us(self) -> int:
        """How far before the clock the event may lie that a replacement takes back.

        It was at most `max_age` old when it came, and its id is remembered for `max_age` + `max_ahead`
        after that, by the clock hour.
        """
        return 2 * self.max_age_us + self.max_ahead_us + 2 * HOUR_US


class CalendarLike(Protocol):
    """What states need of `stream.core.calendar.Calendar`; starts and ends are whole seconds."""

    def windows(self, us: int) -> Windows:
        """The instant and the start of every kind's window that holds it."""
        ...

    def end(self, kind: int, start: int) -> int | None:
        """The exclusive end of the window that begins at `start`; None for the total."""
        ...

    def previous(self, kind: int, start: int) -> int | None:
        """The start of the window before the one that begins at `start`; None for the total."""
        ...

    def start(self, kind: int, second: int) -> int:
        """The start of the window of this kind that holds a second."""
        ...

    def date(self, second: int) -> str:
        """The local date that holds a second, like `2026-03-05`."""
        ...


class State(Protocol):
    """The windows of one metric, for one customer and one group (or for all: the overall state)."""

    def fold(self, w: Windows, order: int, value: Any, clock_us: int) -> int:
        """Count one event; the answer is for how many of its windows it came too late.

        `w` is the calendar's tuple of the event's instant. `order` is the event's place in the
        partition's log; it decides between events of one instant, and no two events share it.
        Raises `BadValue`, having changed nothing, where the state has no room for another member
        (`unique` without `approximate_above`); the partition rejects the event for this metric.
        `clock_us` is the partition's clock, the record at hand included. For a `keyed` metric's
        overall state `value` is `(group, value)`.
        """
        ...

    def remove(self, w: Windows, order: int, value: Any, clock_us: int) -> None:
        """Undo an earlier `fold` of the same `w`, `order` and `value`, as if it had not been.

        Windows that are no longer kept stay as they are. Only where `Terms.upsert` is set.
        """
        ...

    def save(self) -> list[tuple[bytes, bytes | None]]:
        """The chunks that changed since the last call: suffix and bytes, None to delete it.

        Every chunk is shorter than `CHUNK_LIMIT`.
        """
        ...

    def shown(self, clock_us: int) -> list[Shown]:
        """The rows for Redis, by kind and start.

        Windows open at the clock or ahead of it, and of each kind the one that ended last: the
        window just before the one that holds the clock.
        """
        ...

    def present(self) -> str | None:
        """A gauge's state after its newest event, unrounded, for limits; None before any, and for other types."""
        ...

    def total(self, kind: int, start: int) -> Shown | None:
        """Any kept window; None without a row.

        A gauge has a row for every window from its first event's on, also for those yet to come.
        """
        ...

    def rows(self, kind: int, until_us: int) -> list[Shown]:
        """Every kept window that begins at `until_us` or before, oldest first; the total has no beginning.

        A gauge tells what is kept by the last clock that it was given.
        """
        ...

    def expire(self, clock_us: int) -> None:
        """Forget windows that are no longer kept; `save` then deletes their chunks."""
        ...


@runtime_checkable
class Bulk(Protocol):
    """What a state may offer besides: folding many events faster than one by one."""

    def fold_all(self, events: Many, clock_us: int) -> bool:
        """Count these events, in the order of the log, if none of them is late or refused.

        Else the answer is False, and nothing has changed: `fold` decides about each. `clock_us` is the
        partition's clock with the last of them read.
        """
        ...


class Metric(Protocol):
    """One definition at work.

    `windows` are its kinds in ascending order. `keyed`: with `group_by`, the overall state needs
    to know each event's group, so its `fold` takes `(group, value)`, `group` being any bytes that
    identify it and `b""` for an event without one (gauges). `shape` names every parameter that
    shaped the saved states: states saved under another shape must not be restored.

    An attribute `number`, if there, names a property whose value `read` takes as it is where it is an
    integer of magnitude below 10^36, so that it need not be called. Where `sorts` is there and true, its
    states go through events in the order of time, whatever that of the log: it spares them sorting.
    """

    key: str
    windows: tuple[int, ...]
    keyed: bool
    shape: str

    def read(self, properties: Any) -> Any | None:
        """The value to fold, None where the event does not count; raises `BadValue`.

        What it answers can be encoded with msgpack after `stream.core.metrics.wire.plain_of`.
        """
        ...

    def state(
        self, calendar: CalendarLike, chunks: Mapping[bytes, bytes] | None = None, *, overall: bool = False
    ) -> State:
        """A new state, or the one whose saved chunks these are (suffix to bytes).

        `overall` says that it will be folded with `(group, value)`; only where `keyed`.
        """
        ...


@runtime_checkable
class Carrying(Protocol):
    """A metric of which something goes on when a customer's calendar becomes another one."""

    def carried(self, chunks: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Of a state's saved chunks those that mean the same in any calendar, changed where need be."""
        ...


@runtime_checkable
class MetricType(Protocol):
    """A type of metric, found by the entry point group `tallystream.metrics`."""

    name: str

    def faults(self, definition: Definition) -> list[tuple[str, str]]:
        """What is wrong with the fields that are this type's own: (field, sentence), or nothing."""
        ...

    def build(self, definition: Definition, terms: Terms) -> Metric:
        """The metric of a definition without faults."""
        ...


def kept(end: int | None, keep_us: int | None, clock_us: int) -> bool:
    """Whether a window that ends at `end` (seconds) is still kept `keep_us` after its end.

    Kept during [end, end + keep): with 2 days, a minute that ended on the 1st at 12:00:00 is kept at
    the clock 11:59:59.999999 of the 3rd, and no longer at 12:00:00.

    >>> kept(60, 1_000_000, 60_999_999), kept(60, 1_000_000, 61_000_000), kept(None, 0, 10**18)
    (True, False, True)
    """
    return end is None or keep_us is None or clock_us < end * SECOND_US + keep_us


def use_exact() -> None:
    """Make this thread's decimal context exact: Python's own keeps 28 digits and says nothing.

    Call it once where the folding thread starts; tasks and threads started later inherit it.
    """
    decimal.DefaultContext.prec = EXACT_DIGITS
    decimal.setcontext(decimal.Context(prec=EXACT_DIGITS))
