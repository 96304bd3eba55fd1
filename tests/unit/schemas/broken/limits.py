"""Faults of limits."""

from tests.unit.schemas.broken.case import Broken

METRICS = """\
metrics:
  c: {event_name: e, type: counter, aggregation: sum, property: n, group_by: [model, region], windows: [hour, month]}
  m: {event_name: e, type: counter, aggregation: max, property: n}
  g: {event_name: e, type: gauge, aggregation: max, property: n, event_type: delta}
  r: {event_name: e, type: rate, aggregation: count, granularity: hour, windows: [hour, day]}
  s: {event_name: e, type: rate, aggregation: count, granularity: hour, sliding: true}
  x: {event_name: e, type: rate, aggregation: max, property: n, granularity: minute}
  u: {event_name: e, type: rate, aggregation: sum, property: n, granularity: minute}
customers:
  acme: {aliases: [acct_42]}
limits:
"""
"""Line 12 is the first limit's."""

CASES = [
    Broken(
        "limits as a mapping",
        METRICS
        + """\
  c: 1000
""",
        [("limits", 11, "is a mapping, not a list: write `- {metric: api_requests, window: month, limit: 1000}`")],
        in_schema=True,
    ),
    Broken(
        "a limit without metric and limit",
        METRICS
        + """\
  - {window: month}
""",
        [
            (
                "limits[0].limit",
                12,
                "is missing: a limit needs the greatest total that is allowed; its decimal places are those compared",
            ),
            ("limits[0].metric", 12, "is missing: a limit needs the key of the metric that is limited"),
        ],
        in_schema=True,
    ),
    Broken(
        "a limit on no metric",
        METRICS
        + """\
  - {metric: cc, window: month, limit: 1}
""",
        [("limits[0].metric", 12, '"cc" is no metric of this file: did you mean c?')],
        in_schema=False,
    ),
    Broken(
        "a limit that is a text",
        METRICS
        + """\
  - {metric: c, window: month, limit: '1000'}
""",
        [("limits[0].limit", 12, 'is the text "1000", not a number: write it without quotes, 1000')],
        in_schema=True,
    ),
    Broken(
        "a limit below zero",
        METRICS
        + """\
  - {metric: c, window: month, limit: -1}
""",
        [("limits[0].limit", 12, "is -1: write a number of 0 or more")],
        in_schema=True,
    ),
    Broken(
        "a limit too large",
        METRICS
        + """\
  - {metric: c, window: month, limit: 9007199254740992}
""",
        [("limits[0].limit", 12, "is too large for the gate: write at most 9007199254740991")],
        in_schema=False,
    ),
    Broken(
        "a limit too large for another's decimals",
        METRICS
        + """\
  - {metric: c, window: month, limit: 9007199254740991}
  - {metric: c, window: hour, limit: 0.5}
""",
        [
            (
                "limits[0].limit",
                12,
                "is too large for the gate: write at most 900719925474099.1, since this metric's limits are compared to 0.1",
            )
        ],
        in_schema=False,
    ),
    Broken(
        "a limit without a window",
        METRICS
        + """\
  - {metric: c, limit: 1}
""",
        [("limits[0].window", 12, "is missing: a limit on a counter needs hour or month")],
        in_schema=False,
    ),
    Broken(
        "a limit in a window that the metric has not",
        METRICS
        + """\
  - {metric: c, window: day, limit: 1}
""",
        [("limits[0].window", 12, "c has no window day: write hour or month, or add it to the metric")],
        in_schema=False,
    ),
    Broken(
        "a limit in an unknown window",
        METRICS
        + """\
  - {metric: c, window: mon, limit: 1}
""",
        [("limits[0].window", 12, '"mon" is no window: did you mean month?')],
        in_schema=True,
    ),
    Broken(
        "a limit on a counter's max",
        METRICS
        + """\
  - {metric: m, window: month, limit: 1}
""",
        [("limits[0].metric", 12, "takes no limit, being the max of a counter: limits go on count, sum and unique")],
        in_schema=False,
    ),
    Broken(
        "a window for a gauge's limit",
        METRICS
        + """\
  - {metric: g, window: month, limit: 1}
""",
        [("limits[0].window", 12, "a limit on a gauge holds its present state, whatever the window: leave it out")],
        in_schema=False,
    ),
    Broken(
        "a limit on a sliding rate",
        METRICS
        + """\
  - {metric: s, window: hour, limit: 1}
""",
        [("limits[0].metric", 12, "takes no limit, being a sliding rate: limits go on tumbling ones")],
        in_schema=False,
    ),
    Broken(
        "a limit on a rate of max",
        METRICS
        + """\
  - {metric: x, window: minute, limit: 1}
""",
        [("limits[0].metric", 12, "takes no limit, being a rate of max: limits go on rates of count and sum")],
        in_schema=False,
    ),
    Broken(
        "a limit on a rate's longer window",
        METRICS
        + """\
  - {metric: r, window: day, limit: 1}
""",
        [("limits[0].window", 12, "day is not the rate's granularity: write hour")],
        in_schema=False,
    ),
    Broken(
        "a limit on a rate without a window",
        METRICS
        + """\
  - {metric: r, limit: 1}
""",
        [("limits[0].window", 12, "is missing: a limit on a rate needs its granularity, hour")],
        in_schema=False,
    ),
    Broken(
        "a limit on a rate that shows no such window",
        METRICS
        + """\
  - {metric: u, window: minute, limit: 1}
""",
        [("limits[0].window", 12, "u has no window minute: write hour, day, month or total, or add it to the metric")],
        in_schema=False,
    ),
    Broken(
        "a limit beside what is none",
        METRICS
        + """\
  - c
  - {metric: c, window: day, limit: 1}
""",
        [
            ("limits[0]", 12, 'is the text "c": write the fields of a limit, such as `metric: ...`'),
            ("limits[1].window", 13, "c has no window day: write hour or month, or add it to the metric"),
        ],
        in_schema=True,
    ),
    Broken(
        "a limit with too many decimals",
        METRICS
        + """\
  - {metric: c, window: month, limit: 0.0000000000000001}
""",
        [("limits[0].limit", 12, "is 0.0000000000000001: write at most 15 digits after the point")],
        in_schema=False,
    ),
    Broken(
        "the same limit twice",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1}
  - {metric: c, window: month, limit: 2, customer: acme}
  - {metric: c, window: month, limit: 3}
""",
        [("limits[2]", 14, "limits the same as limits[0]: keep one")],
        in_schema=False,
    ),
    Broken(
        "the same group's limit twice",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, group: {model: m1, region: 1}}
  - {metric: c, window: month, limit: 2, group: {region: 1.0, model: m1}}
""",
        [("limits[1]", 13, "limits the same as limits[0]: keep one")],
        in_schema=False,
    ),
    Broken(
        "a group of half the properties",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, group: {model: m1}}
""",
        [("limits[0].group", 12, "names no region: write every group_by property of c")],
        in_schema=False,
    ),
    Broken(
        "a group with a slip",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, group: {model: m1, regoin: NA}}
""",
        [
            ("limits[0].group", 12, "names no region: write every group_by property of c"),
            ("limits[0].group.regoin", 12, "is no group_by property of c: did you mean region?"),
        ],
        in_schema=False,
    ),
    Broken(
        "a group where there is none",
        METRICS
        + """\
  - {metric: g, limit: 1, group: {model: m1}}
""",
        [("limits[0].group", 12, "g has no group_by: leave the group out, or add group_by to the metric")],
        in_schema=False,
    ),
    Broken(
        "a group of a list",
        METRICS
        + """\
  - metric: c
    window: month
    limit: 1
    group:
      model: [m1]
      region:
""",
        [
            ("limits[0].group.model", 16, "is a list: write a text, a number, true or false"),
            ("limits[0].group.region", 17, "is empty: write a value"),
        ],
        in_schema=True,
    ),
    Broken(
        "a limit for an alias",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, customer: acct_42}
""",
        [("limits[0].customer", 12, "acct_42 is an alias: write the customer's own id, acme")],
        in_schema=False,
    ),
    Broken(
        "an unknown mode",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, mode: strict}
""",
        [("limits[0].mode", 12, '"strict" is no mode: write hard or soft')],
        in_schema=True,
    ),
    Broken(
        "a share in percent",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, warn_at: [80, 0]}
""",
        [
            ("limits[0].warn_at[0]", 12, "is 80: write a share of 1 or less"),
            ("limits[0].warn_at[1]", 12, "is 0: write a share above 0"),
        ],
        in_schema=True,
    ),
    Broken(
        "a share too fine",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, warn_at: [0.0000001]}
""",
        [("limits[0].warn_at[0]", 12, "is 0.0000001: write at most 6 digits after the point")],
        in_schema=False,
    ),
    Broken(
        "a share without a list",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, warn_at: 0.8}
""",
        [("limits[0].warn_at", 12, "is the number 0.8, not a list: write [0.8]")],
        in_schema=True,
    ),
    Broken(
        "a share twice",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, warn_at: [0.8, 0.80]}
""",
        [("limits[0].warn_at[1]", 12, "is the same as limits[0].warn_at[0]: leave one out")],
        in_schema=True,
    ),
    Broken(
        "an unknown answer",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, on_stale: refuse}
""",
        [("limits[0].on_stale", 12, '"refuse" is no answer: write allow or deny')],
        in_schema=True,
    ),
    Broken(
        "a staleness of no time",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, max_staleness: 0s}
""",
        [("limits[0].max_staleness", 12, '"0s" is no duration that fits: write at least 1ms')],
        in_schema=False,
    ),
    Broken(
        "a field of a limit with a slip",
        METRICS
        + """\
  - {metric: c, window: month, limit: 1, warnat: [0.8]}
""",
        [("limits[0].warnat", 12, "is no field of a limit: did you mean warn_at?")],
        in_schema=True,
    ),
]
