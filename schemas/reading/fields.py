"""Every field of the definitions file, with its shape and its help text.

The check, the nearest-name hints and the published JSON Schema all read these tables.
"""

from schemas.definitions import AGGREGATIONS, KINDS, UNITS
from schemas.reading.filters import FilterShape
from schemas.reading.records import Field, MapOf, Object
from schemas.reading.scalars import (
    CustomerId,
    Date,
    Duration,
    GroupValue,
    Integer,
    MetricKey,
    Number,
    Property,
    TextKey,
    Zone,
)
from schemas.reading.shapes import Choice, Flag, ListOf, Text

MOST_MEMBERS = 1_000_000
"""No window counts more distinct values exactly (stream.core.metrics.unique)."""

GRANULARITIES = ("minute", "hour", "day", "month")
"""The sub-periods of a rate."""

_AGGREGATIONS = {
    "average": "avg",
    "mean": "avg",
    "total": "sum",
    "maximum": "max",
    "minimum": "min",
    "last": "latest",
    "distinct": "unique",
    "count_distinct": "unique",
    "unique_count": "unique",
}
_PERIODS = {
    "minutely": "minute",
    "hourly": "hour",
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "billing": "billing_period",
    "period": "billing_period",
    "all": "total",
    "all_time": "total",
    "history": "total",
}
_MODES = {"half_up": "round", "nearest": "round", "up": "ceil", "ceiling": "ceil", "down": "floor"}
"""Words that people write for ours; they are no spellings, the message says ours."""

COMMON = {
    "name": Field(Text("name"), "what people call the metric; its key unless said"),
    "description": Field(Text("description", most=4096, several_lines=True), "what it measures, for people"),
    "product": Field(Text("name of a product"), "the product that it belongs to"),
    "unit": Field(Text("unit"), "what one of its value is, such as requests or seconds"),
    "event_name": Field(Text("event name"), "the name of the events that it reads", required=True),
    "type": Field(Text("type"), "counter, gauge, rate, or the name of a plug-in", required=True),
    "filters": Field(
        ListOf(FilterShape(), example="[{property: region, op: eq, value: NA}]"),
        "conditions that an event must pass, all of them",
        default=[],
    ),
    "group_by": Field(
        ListOf(Property(), example="[model]", unique=True),
        "properties by whose values events are grouped: one total for each group beside the overall one",
        default=[],
    ),
    "windows": Field(
        ListOf(Choice("window", KINDS, meant=_PERIODS), example="[hour, month, total]", unique=True, least=1),
        "the calendar windows to keep a total for; hour, day, month and total unless said, of these those that the "
        "type takes",
    ),
    "rounding": Field(
        Object(
            "rounding",
            {
                "mode": Field(
                    Choice("rounding mode", ("round", "ceil", "floor"), meant=_MODES),
                    "round (half away from zero), ceil or floor",
                    required=True,
                ),
                "precision": Field(
                    Integer(-36, 30), "digits after the point; negative ones round to tens, hundreds, ...", default=0
                ),
            },
        ),
        "how a value is rounded, last of all",
    ),
    "lateness": Field(
        Duration(example="2d"),
        "for how long after its end each window takes events, in place of the settings' retention",
    ),
}
"""What a metric of any type has."""

PROPERTY = Field(Property(), "the property whose value is read; a dot reads a nested object")

_COUNTER = {
    "aggregation": Field(
        Choice("aggregation of a counter", AGGREGATIONS["counter"], meant=_AGGREGATIONS),
        "what is computed over the events of a window",
        required=True,
    ),
    "property": PROPERTY,
    "approximate_above": Field(
        Integer(1, MOST_MEMBERS),
        "for unique: the number of distinct values of a window above which it is estimated; never unless said, and "
        "then values beyond a million are refused",
    ),
}
_GAUGE = {
    "aggregation": Field(
        Choice("aggregation of a gauge", AGGREGATIONS["gauge"], meant=_AGGREGATIONS),
        "what is computed of the state over a window",
        required=True,
    ),
    "property": Field(PROPERTY.shape, "the property that sets or changes the state", required=True),
    "event_type": Field(
        Choice("event type", ("total", "delta")), "total: an event sets the state; delta: it adds to the state"
    ),
    "initial_value": Field(
        Number(storable=True, example="0"), "the state before the first event, of each group", default=0
    ),
    "operation": Field(
        Object(
            "operation",
            {
                "property": Field(Property(), "the property that says what happens to the object", required=True),
                "add": Field(GroupValue(), "its value when the object is added", required=True),
                "remove": Field(GroupValue(), "its value when the object is removed", required=True),
            },
        ),
        "for unique: how an event adds an object to the state, or removes it",
    ),
    "granularity": Field(
        Choice("granularity of a gauge", UNITS, meant=_PERIODS),
        "with proration: the calendar unit that a state of 1, held throughout, is worth 1 in",
    ),
    "proration": Field(
        Choice("proration", UNITS, meant=_PERIODS),
        "with granularity, and shorter: the buckets over which the state's maximum is taken",
    ),
}
_RATE = {
    "aggregation": Field(
        Choice("aggregation of a rate", AGGREGATIONS["rate"], meant=_AGGREGATIONS),
        "what is computed over the events of a sub-period",
        required=True,
    ),
    "property": PROPERTY,
    "granularity": Field(
        Choice("granularity of a rate", GRANULARITIES, meant=_PERIODS),
        f"the length of a sub-period: {', '.join(GRANULARITIES)}",
        required=True,
    ),
    "sliding": Field(Flag(), "take the sub-period that ends at each event, in place of the calendar's", default=False),
}
OWN = {"counter": _COUNTER, "gauge": _GAUGE, "rate": _RATE}
"""What a metric of each built-in type has besides."""


def metric(kind: str) -> Object:
    """The fields of a metric of a built-in type; a field of another type gets its own message."""
    fields = {**COMMON, **OWN[kind]}
    elsewhere = {
        name: f"is no field of a {kind}: it belongs to a {other}"
        for other, own in OWN.items()
        for name in own
        if name not in fields
    }
    return Object(f"a {kind}", fields, elsewhere=elsewhere)


def plug_in(name: str, own: dict[str, Field]) -> Object:
    """The fields of a metric of a plug-in type, `own` being those that are its alone."""
    return Object(f"a {name}", {**COMMON, "property": PROPERTY, **own})


METRICS = {kind: metric(kind) for kind in OWN}
METRIC_KEY = MetricKey()

EVENTS = MapOf(
    TextKey("event name"),
    Object(
        "an event name",
        {
            "on_duplicate": Field(
                Choice("way with duplicates", ("drop", "upsert")),
                "what a later event with a known id does: drop (nothing), or upsert (it replaces the earlier one)",
                default="drop",
            )
        },
    ),
    example="`invoice_line: {on_duplicate: upsert}`",
    empty_values=True,
)
CUSTOMERS = MapOf(
    CustomerId(),
    Object(
        "a customer",
        {
            "aliases": Field(
                ListOf(CustomerId(), example="[acct_42]", unique=True),
                "other ids under which events of this customer come",
                default=[],
            ),
            "timezone": Field(Zone(), "the time zone of the customer's windows; the file's unless said"),
            "billing_anchor": Field(
                Date(), "a day on which a billing period starts; its day of the month counts, else its last day"
            ),
        },
    ),
    example="`acme: {timezone: America/New_York}`",
    empty_values=True,
)
LIMIT = Object(
    "a limit",
    {
        "metric": Field(Text("key of a metric"), "the key of the metric that is limited", required=True),
        "limit": Field(
            Number(least=0, places=15, example="1000"),
            "the greatest total that is allowed; its decimal places are those compared",
            required=True,
        ),
        "window": Field(
            Choice("window", KINDS, meant=_PERIODS),
            "one of the metric's windows; a limit on a gauge has none, it holds the state",
        ),
        "customer": Field(CustomerId(), "whose limit it is; every customer's unless said"),
        "group": Field(
            MapOf(TextKey("property name"), GroupValue(), example="`{model: m1}`"),
            "the group that is limited, by every group_by property; the overall total unless said",
        ),
        "mode": Field(
            Choice("mode", ("hard", "soft")), "hard refuses what would pass the limit; soft only warns", default="hard"
        ),
        "warn_at": Field(
            ListOf(Number("share", above=0, most=1, places=6, example="0.8"), example="[0.8]", unique=True),
            "shares of the limit whose crossing is published on usage-alerts",
            default=[],
        ),
        "on_stale": Field(
            Choice("answer", ("allow", "deny")),
            "what to answer while totals are older than max_staleness; deny for a hard limit, allow for a soft one, "
            "unless said",
        ),
        "max_staleness": Field(
            Duration(least_us=1000, example="5s"), "how old totals may be for an answer", default="10s"
        ),
    },
)
"""One entry of `limits`."""
