"""Files that are no YAML, no mapping, or have faults at the top."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken("empty file", "", [("", 1, "is empty: define at least one metric under `metrics`")], in_schema=True),
    Broken(
        "only a comment",
        """\
# metrics to come
""",
        [("", 1, "is empty: define at least one metric under `metrics`")],
        in_schema=True,
    ),
    Broken(
        "a list",
        """\
- a
- b
""",
        [("", 1, "is a list: write a mapping with `metrics` in it")],
        in_schema=True,
    ),
    Broken(
        "a text",
        """\
hello
""",
        [("", 1, 'is the text "hello": write a mapping with `metrics` in it')],
        in_schema=True,
    ),
    Broken(
        "a colon too many",
        """\
metrics:
  a: b: c
""",
        [
            (
                "",
                2,
                "is not YAML: mapping values are not allowed here: indent it like its neighbours, and quote a text that holds a colon",
            )
        ],
        in_schema=None,
    ),
    Broken(
        "a tab",
        "metrics:\n\ta: 1\n",
        [
            (
                "",
                2,
                "is not YAML: while scanning for the next token found character '\\t' that cannot start any token: indent with spaces, not tabs",
            )
        ],
        in_schema=None,
    ),
    Broken(
        "an open quote",
        """\
metrics:
  a: "x
""",
        [("", 3, "is not YAML: while scanning a quoted scalar found unexpected end of stream: close the quote")],
        in_schema=None,
    ),
    Broken(
        "an open bracket",
        """\
metrics:
  a: {windows: [hour
  b: 1
""",
        [
            (
                "",
                3,
                "is not YAML: while parsing a flow sequence expected ',' or ']', but got ':': close the bracket, and put commas between",
            )
        ],
        in_schema=None,
    ),
    Broken(
        "two documents",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
---
metrics:
  a: {event_name: e, type: counter, aggregation: count}
""",
        [("", 3, "holds a second document: keep one, without a line of ---")],
        in_schema=None,
    ),
    Broken(
        "an alias without an anchor",
        """\
metrics:
  a: *base
""",
        [("", 2, "*base has no &base before it")],
        in_schema=None,
    ),
    Broken(
        "an alias inside itself",
        """\
metrics: &m
  a: *m
""",
        [("", 2, "*m stands inside its own &m")],
        in_schema=None,
    ),
    Broken(
        "a merge of a text",
        """\
metrics:
  a:
    <<: base
    type: counter
""",
        [("", 3, "<< takes a mapping, or a list of mappings: write `<<: *name`")],
        in_schema=None,
    ),
    Broken(
        "a list as key",
        """\
metrics:
  ? [a, b]
  : 1
""",
        [("", 2, "a key is a list or a mapping: write a word")],
        in_schema=None,
    ),
    Broken(
        "a control character",
        "metrics:\n  a: \u0001\n",
        [("", 2, "is not YAML: unacceptable character #x0001: special characters are not allowed")],
        in_schema=None,
    ),
    Broken(
        "a foreign tag",
        """\
metrics:
  a: {event_name: !secret e, type: counter, aggregation: count}
""",
        [("metrics.a.event_name", 2, "the tag !secret means nothing here: leave it out")],
        in_schema=True,
    ),
    Broken(
        "infinity",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
limits:
  - {metric: a, window: hour, limit: .inf}
""",
        [("limits[0].limit", 4, ".inf is no number that JSON has: write it in quotes if it is a text")],
        in_schema=True,
    ),
    Broken(
        "a number that would fill the memory with zeros",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
limits:
  - {metric: a, window: hour, limit: 1e-401}
""",
        [("limits[0].limit", 4, "the number 1e-401 has more than 400 digits when written out")],
        in_schema=True,
    ),
    Broken(
        "a number too long to write out",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
limits:
  - {metric: a, window: hour, limit: 1"""
        + "0" * 400
        + "}\n",
        [("limits[0].limit", 4, "the number 1000000000000000000000000000000000000... has more than 400 digits")],
        in_schema=True,
    ),
    Broken(
        "a number that would fill the memory",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
limits:
  - {metric: a, window: hour, limit: 1e999999999}
""",
        [("limits[0].limit", 4, "the number 1e999999999 has more than 400 digits when written out")],
        in_schema=True,
    ),
    Broken(
        "no metrics",
        """\
timezone: UTC
""",
        [("metrics", 1, "is missing: the file needs what is measured, by key")],
        in_schema=True,
    ),
    Broken(
        "metrics without one",
        """\
metrics: {}
""",
        [("metrics", 1, "defines no metric: write at least one")],
        in_schema=True,
    ),
    Broken(
        "metrics as a list",
        """\
metrics:
  - {event_name: e, type: counter, aggregation: count}
""",
        [("metrics", 1, "is a list, not a mapping: write `api_requests: {event_name: ..., type: counter, ...}`")],
        in_schema=True,
    ),
    Broken(
        "metrics left empty",
        """\
metrics:
events: {}
""",
        [("metrics", 1, "is empty: the file needs what is measured, by key")],
        in_schema=True,
    ),
    Broken(
        "an unknown section",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customer:
  acme: {}
""",
        [("customer", 3, "is no field of the file: did you mean customers?")],
        in_schema=True,
    ),
    Broken(
        "an unknown section like no other",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
x-base: {}
""",
        [("x-base", 3, "is no field of the file, which has timezone, metrics, events, customers, limits")],
        in_schema=True,
    ),
    Broken(
        "a section twice",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
metrics:
  a: {event_name: e, type: counter, aggregation: count}
""",
        [("metrics", 3, "is written twice, first on line 1: keep one")],
        in_schema=False,
    ),
    Broken(
        "a metric twice",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
  b: {event_name: e, type: counter, aggregation: count}
  a: {event_name: f, type: counter, aggregation: sum}
""",
        [("metrics.a", 4, "is written twice, first on line 2: keep one")],
        in_schema=True,
    ),
    Broken(
        "a field twice",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    event_name: f
""",
        [("metrics.a.event_name", 6, "is written twice, first on line 3: keep one")],
        in_schema=False,
    ),
    Broken(
        "an unknown time zone",
        """\
timezone: Europe/Berln
metrics:
  a: {event_name: e, type: counter, aggregation: count}
""",
        [("timezone", 1, '"Europe/Berln" is no time zone: did you mean Europe/Berlin?')],
        in_schema=False,
    ),
    Broken(
        "a time zone in the wrong case",
        """\
timezone: america/new_york
metrics:
  a: {event_name: e, type: counter, aggregation: count}
""",
        [("timezone", 1, '"america/new_york" is no time zone: did you mean America/New_York?')],
        in_schema=False,
    ),
    Broken(
        "a time zone as an offset",
        """\
timezone: +02:00
metrics:
  a: {event_name: e, type: counter, aggregation: count}
""",
        [("timezone", 1, '"+02:00" is no time zone: write an IANA name, such as Europe/Berlin')],
        in_schema=False,
    ),
]
