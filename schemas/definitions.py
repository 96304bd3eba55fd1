"""Nouns of the definitions file: what to measure, for whom, and up to which limit.

`schemas.load.load` makes these from a YAML or JSON file. Everything here is checked and
resolved: defaults are filled in, windows stand in the order of `KINDS`, numbers are exact
(`int`, or `Decimal` with the digits that the author wrote), durations are microseconds.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

KINDS = (
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "quarter",
    "year",
    "billing_period",
    "total",
)
"""The window kinds, shortest first; this is also the order in which totals are shown."""

UNITS = ("second", "minute", "hour", "day", "month", "quarter", "year")
"""The calendar units of a gauge's granularity and proration, shortest first."""

DEFAULT_WINDOWS = ("hour", "day", "month", "total")
BUILT_IN = ("counter", "gauge", "rate")
AGGREGATIONS = {
    "counter": ("count", "sum", "avg", "min", "max", "unique", "latest"),
    "gauge": ("latest", "max", "min", "unique", "weighted_sum"),
    "rate": ("count", "sum", "max", "avg"),
}
OPERATORS = (
    "eq",
    "ne",
    "in",
    "not_in",
    "gt",
    "gte",
    "lt",
    "lte",
    "exists",
    "not_exists",
)
DEFAULT_STALENESS_US = 10_000_000

Scalar = str | int | Decimal | bool
"""A value of a group: text, an exact number or a truth value (never null)."""


class Comparison(msgspec.Struct, frozen=True):
    """One test of one property.

    `value` is a JSON value for `eq` and `ne` (numbers exact), a tuple of JSON values for `in`
    and `not_in`, a number for `gt`, `gte`, `lt` and `lte` (a numeric string in the file has
    been read as its number), and None for `exists` and `not_exists`.
    """

    property: str
    op: str
    value: Any = None


class All(msgspec.Struct, frozen=True):
    """Passes when every inner filter passes; with none inside it passes."""

    filters: tuple["Filter", ...]


class AnyOf(msgspec.Struct, frozen=True):
    """Passes when at least one inner filter passes; with none inside it does not."""

    filters: tuple["Filter", ...]


class Not(msgspec.Struct, frozen=True):
    """Passes when the inner filter does not."""

    filter: "Filter"


Filter = Comparison | All | AnyOf | Not


class Rounding(msgspec.Struct, frozen=True):
    """How a value is rounded as it leaves: `round` is half away from zero.

    `precision` counts the digits after the point; -2 rounds to hundreds.
    """

    mode: Literal["round", "ceil", "floor"]
    precision: int = 0


class Operation(msgspec.Struct, frozen=True):
    """Which property of an event says whether an object is added or removed, and how."""

    property: str
    add: Scalar
    remove: Scalar


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric, checked and with its defaults filled in.

    `filters` are ANDed. `property` is None where the metric reads none (`count`).
    `windows` is in the order of `KINDS` and never empty. `lateness_us` is None where the
    retention of each window kind decides. `approximate_above` is the number of distinct values up
    to which a counter's `unique` is exact, None where it never estimates. `extra` holds the fields of a plug-in type as
    they were written (text, int, Decimal, bool, None, list, dict), and is empty otherwise.
    """

    key: str
    name: str
    event_name: str
    type: str
    windows: tuple[str, ...]
    description: str | None = None
    product: str | None = None
    unit: str | None = None
    aggregation: str | None = None
    property: str | None = None
    filters: tuple[Filter, ...] = ()
    group_by: tuple[str, ...] = ()
    rounding: Rounding | None = None
    lateness_us: int | None = None
    granularity: str | None = None
    proration: str | None = None
    sliding: bool = False
    event_type: Literal["total", "delta"] | None = None
    initial_value: int | Decimal = 0
    operation: Operation | None = None
    approximate_above: int | None = None
    extra: dict[str, Any] = {}


class EventRule(msgspec.Struct, frozen=True):
    """What becomes of a second event with a known id."""

    on_duplicate: Literal["drop", "upsert"] = "drop"


class Customer(msgspec.Struct, frozen=True):
    """What is particular to one customer; None is the file's default.

    Only the day of `billing_anchor` matters for the windows (`anchor_day`, 1 to 31).
    """

    aliases: tuple[str, ...] = ()
    timezone: str | None = None
    billing_anchor: date | None = None

    @property
    def anchor_day(self) -> int | None:
        """The day of the month on which a billing period starts, None without an anchor."""
        return None if self.billing_anchor is None else self.billing_anchor.day


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A limit on one metric in one window, for one customer and one group or for all.

    `limit` keeps the decimals that the author wrote: 10.50 is compared to two places.
    `window` is None for a gauge only. `group` is None for a limit on the overall total.
    `warn_at` are shares in (0, 1), ascending; the limit itself is no share.
    """

    metric: str
    limit: Decimal
    window: str | None = None
    customer: str | None = None
    group: dict[str, Scalar] | None = None
    mode: Literal["hard", "soft"] = "hard"
    warn_at: tuple[Decimal, ...] = ()
    on_stale: Literal["allow", "deny"] = "deny"
    max_staleness_us: int = DEFAULT_STALENESS_US


class Definitions(msgspec.Struct, frozen=True, kw_only=True):
    """A whole definitions file.

    `aliases` maps each alias to its customer's canonical id.
    """

    metrics: dict[str, Metric]
    timezone: str = "UTC"
    events: dict[str, EventRule] = {}
    customers: dict[str, Customer] = {}
    limits: tuple[Limit, ...] = ()
    aliases: dict[str, str] = {}

    def canonical(self, customer: str) -> str:
        """The id under which a customer is counted: itself, unless it is an alias."""
        return self.aliases.get(customer, customer)

    def timezone_of(self, customer: str) -> str:
        """The IANA name of the zone of a (canonical) customer's windows."""
        known = self.customers.get(customer)
        return self.timezone if known is None or known.timezone is None else known.timezone

    def anchor_day_of(self, customer: str) -> int | None:
        """The day of the month on which a (canonical) customer's billing periods start."""
        known = self.customers.get(customer)
        return None if known is None else known.anchor_day

    def upserts(self, event_name: str) -> bool:
        """Whether a later event of this name replaces an earlier one with the same id."""
        rule = self.events.get(event_name)
        return rule is not None and rule.on_duplicate == "upsert"


def path_of(prop: str) -> tuple[str, ...]:
    """The segments of a property: a dot reads a nested object.

    >>> path_of("user.plan.name")
    ('user', 'plan', 'name')
    """
    return tuple(prop.split("."))
