"""Faults of gauges and rates."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken(
        "a gauge without an event type",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n}
""",
        [
            (
                "metrics.a.event_type",
                2,
                "is missing: `max` needs total (an event sets the state) or delta (it adds to it)",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a gauge without a property",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: latest, event_type: total}
""",
        [("metrics.a.property", 2, "is missing: a gauge needs the property that sets or changes the state")],
        in_schema=True,
    ),
    Broken(
        "a gauge that counts",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: sum, property: n, event_type: delta}
""",
        [
            (
                "metrics.a.aggregation",
                2,
                '"sum" is no aggregation of a gauge: write latest, max, min, unique or weighted_sum',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "an unknown event type",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: absolute}
""",
        [("metrics.a.event_type", 2, '"absolute" is no event type: write total or delta')],
        in_schema=True,
    ),
    Broken(
        "an initial value that is a text",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, initial_value: '5'}
""",
        [("metrics.a.initial_value", 2, 'is the text "5", not a number: write it without quotes, 5')],
        in_schema=True,
    ),
    Broken(
        "an initial value too large",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, initial_value: 1e36}
""",
        [
            (
                "metrics.a.initial_value",
                2,
                "is 1000000000000000000000000000000000000: write a number below 10^36 with at most 30 digits after the point",
            )
        ],
        in_schema=False,
    ),
    Broken(
        "unique without an operation",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: unique, property: seat}
""",
        [
            (
                "metrics.a.operation",
                2,
                "is missing: `unique` needs {property: ..., add: ..., remove: ...}, how objects come and go",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "unique with an event type",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: unique, property: seat, event_type: delta, initial_value: 2, operation: {property: op, add: add, remove: remove}}
""",
        [
            (
                "metrics.a.event_type",
                2,
                "does not go with `unique`: objects are added and removed by `operation`, leave it out",
            ),
            ("metrics.a.initial_value", 2, "does not go with `unique`: no object is present at first, leave it out"),
        ],
        in_schema=True,
    ),
    Broken(
        "an operation without unique",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, operation: {property: op, add: add, remove: remove}}
""",
        [("metrics.a.operation", 2, "goes with `aggregation: unique` only, not with `max`")],
        in_schema=True,
    ),
    Broken(
        "an operation with one way",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: unique, property: seat, operation: {property: op, add: add}}
""",
        [("metrics.a.operation.remove", 2, "is missing: operation needs its value when the object is removed")],
        in_schema=True,
    ),
    Broken(
        "an operation whose ways are one",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: unique, property: seat, operation: {property: op, add: 1, remove: 1.0}}
""",
        [("metrics.a.operation.remove", 2, "is the same as `add`: write the value that removes an object")],
        in_schema=False,
    ),
    Broken(
        "granularity alone",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, granularity: month}
""",
        [("metrics.a.granularity", 2, "goes with `proration` only: write both, or neither")],
        in_schema=True,
    ),
    Broken(
        "proration alone",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, proration: day}
""",
        [("metrics.a.proration", 2, "goes with `granularity` only: write both, or neither")],
        in_schema=True,
    ),
    Broken(
        "proration of a latest",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: latest, property: n, event_type: delta, granularity: month, proration: day, windows: [month]}
""",
        [("metrics.a.proration", 2, "goes with the aggregations max and unique only, not with `latest`")],
        in_schema=True,
    ),
    Broken(
        "proration longer than granularity",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, granularity: day, proration: month}
""",
        [
            (
                "metrics.a.granularity",
                2,
                "day is not longer than the proration, month: write a granularity of quarter or year",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "proration as long as granularity",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, granularity: month, proration: month}
""",
        [
            (
                "metrics.a.granularity",
                2,
                "month is not longer than the proration, month: write a granularity of quarter or year",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "proration by year",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, granularity: year, proration: year}
""",
        [("metrics.a.granularity", 2, "year is not longer than the proration, year: write a shorter proration")],
        in_schema=True,
    ),
    Broken(
        "granularity by week",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta, granularity: week, proration: day}
""",
        [
            (
                "metrics.a.granularity",
                2,
                '"week" is no granularity of a gauge: write second, minute, hour, day, month, quarter or year',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "weighted_sum over all time",
        """\
metrics:
  a: {event_name: e, type: gauge, aggregation: weighted_sum, property: n, event_type: total, windows: [month, total]}
""",
        [("metrics.a.windows[1]", 2, "weighted_sum takes no total: leave it out, `total` has no length to divide by")],
        in_schema=True,
    ),
    Broken(
        "proration over all time",
        """\
metrics:
  a:
    event_name: e
    type: gauge
    aggregation: max
    property: n
    event_type: delta
    granularity: month
    proration: day
    windows:
      - day
      - total
""",
        [
            (
                "metrics.a.windows[1]",
                12,
                "a prorated gauge takes no total: leave it out, `total` has no length to divide by",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a rate without a granularity",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count}
""",
        [("metrics.a.granularity", 2, "is missing: a rate needs the length of a sub-period: minute, hour, day, month")],
        in_schema=True,
    ),
    Broken(
        "a rate of distinct values",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: unique, property: n, granularity: hour}
""",
        [("metrics.a.aggregation", 2, '"unique" is no aggregation of a rate: write count, sum, max or avg')],
        in_schema=True,
    ),
    Broken(
        "a rate of a sum of nothing",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: sum, granularity: hour}
""",
        [("metrics.a.property", 2, "is missing: `sum` needs the property whose value it reads")],
        in_schema=True,
    ),
    Broken(
        "a rate by week",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: week}
""",
        [("metrics.a.granularity", 2, '"week" is no granularity of a rate: write minute, hour, day or month')],
        in_schema=True,
    ),
    Broken(
        "windows shorter than a rate's granularity",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: day, windows: [minute, hour, day, week]}
""",
        [
            (
                "metrics.a.windows[0]",
                2,
                "minute is shorter than the granularity, day: write day, week, month, quarter, year, billing_period or total",
            ),
            (
                "metrics.a.windows[1]",
                2,
                "hour is shorter than the granularity, day: write day, week, month, quarter, year, billing_period or total",
            ),
        ],
        in_schema=True,
    ),
    Broken(
        "a week for a rate by month",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: month, windows: [week, month]}
""",
        [
            (
                "metrics.a.windows[0]",
                2,
                "week is shorter than the granularity, month: write month, quarter, year, billing_period or total",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "sliding as a text",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: hour, sliding: yes}
""",
        [("metrics.a.sliding", 2, 'is the text "yes": write true or false')],
        in_schema=True,
    ),
    Broken(
        "sliding by month",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: month, sliding: true, windows: [month]}
""",
        [
            (
                "metrics.a.granularity",
                2,
                "a sliding rate looks back a fixed time, and months differ: write minute, hour or day",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a rate with proration",
        """\
metrics:
  a: {event_name: e, type: rate, aggregation: count, granularity: hour, proration: minute}
""",
        [("metrics.a.proration", 2, "is no field of a rate: it belongs to a gauge")],
        in_schema=True,
    ),
]
