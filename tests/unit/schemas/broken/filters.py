"""Faults of filters."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken(
        "filters as a mapping",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count, filters: {property: region, op: eq, value: NA}}
""",
        [("metrics.a.filters", 2, "is a mapping, not a list: write [{property: region, op: eq, value: NA}]")],
        in_schema=True,
    ),
    Broken(
        "a filter that is a text",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - region == NA
""",
        [
            (
                "metrics.a.filters[0]",
                7,
                'is the text "region == NA", not a filter: write {property: region, op: eq, value: NA}',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a filter without an operator",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, value: NA}
""",
        [
            (
                "metrics.a.filters[0].op",
                7,
                "is missing: a filter needs the operator, one of eq, ne, in, not_in, gt, gte, lt, lte, exists, not_exists",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a filter without a property",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {op: eq, value: NA}
""",
        [
            (
                "metrics.a.filters[0].property",
                7,
                "is missing: a filter needs the property to compare; a dot reads a nested object",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a filter without a value",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: eq}
""",
        [("metrics.a.filters[0].value", 7, "is missing: `eq` needs the value to compare with")],
        in_schema=True,
    ),
    Broken(
        "an operator as a sign",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: '>=', value: 1}
""",
        [("metrics.a.filters[0].op", 7, '">=" is no operator: did you mean gte?')],
        in_schema=True,
    ),
    Broken(
        "an unknown operator",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: matches, value: 1}
""",
        [
            (
                "metrics.a.filters[0].op",
                7,
                '"matches" is no operator: write eq, ne, in, not_in, gt, gte, lt, lte, exists or not_exists',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a field of a filter with a slip",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {propery: region, op: eq, value: NA}
""",
        [("metrics.a.filters[0].propery", 7, "is no field of a filter: did you mean property?")],
        in_schema=True,
    ),
    Broken(
        "a filter's value with a slip",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: eq, valu: NA}
""",
        [("metrics.a.filters[0].valu", 7, "is no field of a filter: did you mean value?")],
        in_schema=True,
    ),
    Broken(
        "in without a list",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: in, value: NA}
""",
        [("metrics.a.filters[0].value", 7, 'is the text "NA", not a list: `in` takes a list, such as [NA, EU]')],
        in_schema=True,
    ),
    Broken(
        "in with an empty list",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: isin, value: []}
""",
        [("metrics.a.filters[0].value", 7, "is an empty list: `in` takes a list, such as [NA, EU]")],
        in_schema=True,
    ),
    Broken(
        "in with null",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: not_in, value: [NA, null]}
""",
        [("metrics.a.filters[0].value[1]", 7, "is null, and a null property is as if absent: use op: not_exists")],
        in_schema=True,
    ),
    Broken(
        "eq with null",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: region, op: eq, value: null}
""",
        [("metrics.a.filters[0].value", 7, "is null, and a null property is as if absent: write op: not_exists")],
        in_schema=True,
    ),
    Broken(
        "gt with a text",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: gt, value: high}
""",
        [("metrics.a.filters[0].value", 7, 'is the text "high": `gt` compares numbers, write one such as 10')],
        in_schema=True,
    ),
    Broken(
        "lte with true",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: lte, value: true}
""",
        [("metrics.a.filters[0].value", 7, "is true: `lte` compares numbers, write one such as 10")],
        in_schema=True,
    ),
    Broken(
        "exists with a value",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: exists, value: true}
""",
        [("metrics.a.filters[0].value", 7, "`exists` takes no value: leave it out (the opposite is not_exists)")],
        in_schema=True,
    ),
    Broken(
        "any of nothing",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - any: []
""",
        [("metrics.a.filters[0].any", 7, "is an empty list: write `any: [{property: region, op: eq, value: NA}]`")],
        in_schema=True,
    ),
    Broken(
        "all of a mapping",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - all: {property: n, op: exists}
""",
        [
            (
                "metrics.a.filters[0].all",
                7,
                "is a mapping, not a list of filters: write `all: [{property: region, op: eq, value: NA}]`",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "any beside a comparison",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {any: [{property: n, op: exists}], property: m, op: exists}
""",
        [("metrics.a.filters[0]", 7, "has more beside `any`: write each as a filter of its own")],
        in_schema=True,
    ),
    Broken(
        "a fault deep inside",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - not:
          any:
            - {property: a, op: exists}
            - all:
                - {property: b, op: gte, value: many}
""",
        [
            (
                "metrics.a.filters[0].not.any[1].all[0].value",
                11,
                'is the text "many": `gte` compares numbers, write one such as 10',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a filter's key twice",
        """\
metrics:
  a:
    event_name: e
    type: counter
    aggregation: count
    filters:
      - {property: n, op: eq, value: 1, value: 2}
""",
        [("metrics.a.filters[0].value", 7, "is written twice, first on line 7: keep one")],
        in_schema=False,
    ),
]
