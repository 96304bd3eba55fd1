"""Faults of a metric of any type, and of events."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken(
        "no event name and no type",
        """\
metrics:
  a:
    aggregation: count
""",
        [
            ("metrics.a.event_name", 2, "is missing: a metric needs the name of the events that it reads"),
            ("metrics.a.type", 2, "is missing: a metric needs counter, gauge, rate, or the name of a plug-in"),
        ],
        in_schema=True,
    ),
    Broken(
        "a metric that is a text",
        """\
metrics:
  a: count of calls
""",
        [("metrics.a", 2, 'is the text "count of calls": write the fields of a metric, such as `name: ...`')],
        in_schema=True,
    ),
    Broken(
        "a metric left empty",
        """\
metrics:
  a:
  b: {event_name: e, type: counter, aggregation: count}
""",
        [("metrics.a", 2, "is empty: write its fields, event_name and type at least")],
        in_schema=True,
    ),
    Broken(
        "a number as event name",
        """\
metrics:
  a: {event_name: 404, type: counter, aggregation: count}
""",
        [("metrics.a.event_name", 2, 'is the number 404, not an event name: write it in quotes, "404"')],
        in_schema=True,
    ),
    Broken(
        "true as event name",
        """\
metrics:
  a: {event_name: true, type: counter, aggregation: count}
""",
        [("metrics.a.event_name", 2, 'is true, not an event name: write it in quotes, "true"')],
        in_schema=True,
    ),
    Broken(
        "an empty event name",
        """\
metrics:
  a: {event_name: '', type: counter, aggregation: count}
""",
        [("metrics.a.event_name", 2, "is an empty text: write an event name")],
        in_schema=True,
    ),
    Broken(
        "a field left empty",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    unit:
""",
        [("metrics.a.unit", 6, "is empty: write a value, or leave it out")],
        in_schema=True,
    ),
    Broken(
        "a field with a slip",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, filter: [], windws: [hour]}
""",
        [
            ("metrics.a.filter", 2, "is no field of a counter: did you mean filters?"),
            ("metrics.a.windws", 2, "is no field of a counter: did you mean windows?"),
        ],
        in_schema=True,
    ),
    Broken(
        "a field of another type",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, granularity: hour, event_type: delta}
""",
        [
            ("metrics.a.event_type", 2, "is no field of a counter: it belongs to a gauge"),
            ("metrics.a.granularity", 2, "is no field of a counter: it belongs to a rate"),
        ],
        in_schema=True,
    ),
    Broken(
        "a field with a dash",
        """\
metrics:
  a: {event-name: e, event_name: e, type: counter, aggregation: count}
""",
        [("metrics.a.event-name", 2, "is no field of a counter: did you mean event_name?")],
        in_schema=True,
    ),
    Broken(
        "a key with a space",
        """\
metrics:
  api calls: {event_name: e, type: counter, aggregation: count}
""",
        [
            (
                "metrics",
                2,
                '"api calls" is no key of a metric: write letters, digits, _, - and . only, with a letter, digit or _ first',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a key with a brace",
        """\
metrics:
  'a{b}': {event_name: e, type: counter, aggregation: count}
""",
        [
            (
                "metrics",
                2,
                '"a{b}" is no key of a metric: write letters, digits, _, - and . only, with a letter, digit or _ first',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a key that begins with a dash",
        """\
metrics:
  -a: {event_name: e, type: counter, aggregation: count}
""",
        [
            (
                "metrics",
                2,
                '"-a" is no key of a metric: write letters, digits, _, - and . only, with a letter, digit or _ first',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "null as key",
        """\
metrics:
  ~: {event_name: e, type: counter, aggregation: count}
""",
        [("metrics", 2, "has an empty key: write a name, in quotes where it is no word")],
        in_schema=False,
    ),
    Broken(
        "a type with a slip",
        """\
metrics:
  a: {event_name: e, type: countr, aggregation: count}
""",
        [("metrics.a.type", 2, '"countr" is no type of metric: did you mean counter?')],
        in_schema=False,
    ),
    Broken(
        "a type that no plug-in brings",
        """\
metrics:
  a: {event_name: e, type: p99, quantile: 0.99}
""",
        [("metrics.a.type", 2, '"p99" is no type of metric: write counter, gauge or rate, or install its plug-in')],
        in_schema=False,
    ),
    Broken(
        "an aggregation of another type",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: weighted_sum, property: n}
""",
        [
            (
                "metrics.a.aggregation",
                2,
                '"weighted_sum" is no aggregation of a counter: write count, sum, avg, min, max, unique or latest',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "an aggregation by another name",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: average, property: n}
""",
        [("metrics.a.aggregation", 2, '"average" is no aggregation of a counter: did you mean avg?')],
        in_schema=True,
    ),
    Broken(
        "no aggregation",
        """\
metrics:
  a: {event_name: e, type: counter, property: n}
""",
        [("metrics.a.aggregation", 2, "is missing: a counter needs what is computed over the events of a window")],
        in_schema=True,
    ),
    Broken(
        "a sum of nothing",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: sum}
""",
        [("metrics.a.property", 2, "is missing: `sum` needs the property whose value it reads")],
        in_schema=True,
    ),
    Broken(
        "an estimate of a sum",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: sum, property: n, approximate_above: 1000}
""",
        [("metrics.a.approximate_above", 2, "goes with `aggregation: unique` only, not with `sum`")],
        in_schema=True,
    ),
    Broken(
        "an estimate above too many",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: unique, property: n, approximate_above: 1000001}
""",
        [("metrics.a.approximate_above", 2, "is the number 1000001: write a whole number from 1 to 1000000")],
        in_schema=True,
    ),
    Broken(
        "a property with an empty part",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: sum, property: usage..tokens}
""",
        [("metrics.a.property", 2, '"usage..tokens" has an empty part: write names with one dot between them')],
        in_schema=True,
    ),
    Broken(
        "a property that is a list",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: sum, property: [n]}
""",
        [("metrics.a.property", 2, "is a list: write a property name")],
        in_schema=True,
    ),
    Broken(
        "an unknown window",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, windows: [hour, hourly, fortnight]}
""",
        [
            ("metrics.a.windows[1]", 2, '"hourly" is no window: did you mean hour?'),
            (
                "metrics.a.windows[2]",
                2,
                '"fortnight" is no window: write minute, hour, day, week, month, quarter, year, billing_period or total',
            ),
        ],
        in_schema=True,
    ),
    Broken(
        "a window twice",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    windows:
      - hour
      - day
      - hour
""",
        [("metrics.a.windows[2]", 9, "is the same as metrics.a.windows[0]: leave one out")],
        in_schema=True,
    ),
    Broken(
        "no window",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, windows: []}
""",
        [("metrics.a.windows", 2, "is an empty list: write [hour, month, total]")],
        in_schema=True,
    ),
    Broken(
        "a window that is no list",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, windows: hour}
""",
        [("metrics.a.windows", 2, 'is the text "hour", not a list: write [hour, month, total]')],
        in_schema=True,
    ),
    Broken(
        "group_by twice",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, group_by: [model, region, model]}
""",
        [("metrics.a.group_by[2]", 2, "is the same as metrics.a.group_by[0]: leave one out")],
        in_schema=True,
    ),
    Broken(
        "group_by of a number",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, group_by: [1]}
""",
        [("metrics.a.group_by[0]", 2, 'is the number 1, not a property name: write it in quotes, "1"')],
        in_schema=True,
    ),
    Broken(
        "rounding as a number",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, rounding: 2}
""",
        [("metrics.a.rounding", 2, "is the number 2: write the fields of rounding, such as `mode: ...`")],
        in_schema=True,
    ),
    Broken(
        "rounding without a mode",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, rounding: {precision: 2}}
""",
        [("metrics.a.rounding.mode", 2, "is missing: rounding needs round (half away from zero), ceil or floor")],
        in_schema=True,
    ),
    Broken(
        "rounding by another name",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, rounding: {mode: half_up, precision: 2}}
""",
        [("metrics.a.rounding.mode", 2, '"half_up" is no rounding mode: did you mean round?')],
        in_schema=True,
    ),
    Broken(
        "a precision with a fraction",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, rounding: {mode: ceil, precision: 1.5}}
""",
        [("metrics.a.rounding.precision", 2, "is the number 1.5: write a whole number from -36 to 30")],
        in_schema=True,
    ),
    Broken(
        "a precision out of range",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, rounding: {mode: floor, precision: 31}}
""",
        [("metrics.a.rounding.precision", 2, "is the number 31: write a whole number from -36 to 30")],
        in_schema=True,
    ),
    Broken(
        "a lateness without a unit",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, lateness: 3600}
""",
        [("metrics.a.lateness", 2, "is the number 3600, not a duration: write a whole number and a unit, such as 2d")],
        in_schema=True,
    ),
    Broken(
        "a lateness with another unit",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, lateness: 2 days}
""",
        [
            (
                "metrics.a.lateness",
                2,
                '"2 days" is no duration that fits: write a whole number and a unit: 250ms, 5s, 10m, 8h or 35d',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a lateness of centuries",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, lateness: 99999d}
""",
        [("metrics.a.lateness", 2, '"99999d" is no duration that fits: write at most 36600d')],
        in_schema=False,
    ),
    Broken(
        "events with a slip",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
events:
  e: {on_duplicates: upsert}
""",
        [("events.e.on_duplicates", 4, "is no field of an event name: did you mean on_duplicate?")],
        in_schema=True,
    ),
    Broken(
        "an unknown way with duplicates",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
events:
  e: {on_duplicate: replace}
""",
        [("events.e.on_duplicate", 4, '"replace" is no way with duplicates: write drop or upsert')],
        in_schema=True,
    ),
    Broken(
        "an event name that is a number",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
events:
  404: {on_duplicate: upsert}
""",
        [("events", 4, 'is the number 404, not an event name: write it in quotes, "404"')],
        in_schema=False,
    ),
    Broken(
        "events as a list",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
events: [e]
""",
        [("events", 3, "is a list, not a mapping: write `invoice_line: {on_duplicate: upsert}`")],
        in_schema=True,
    ),
]
