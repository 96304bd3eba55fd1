"""Faults of customers."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken(
        "customers as a list",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers: [acme]
""",
        [("customers", 3, "is a list, not a mapping: write `acme: {timezone: America/New_York}`")],
        in_schema=True,
    ),
    Broken(
        "a customer's field with a slip",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {time_zone: UTC}
""",
        [("customers.acme.time_zone", 4, "is no field of a customer: did you mean timezone?")],
        in_schema=True,
    ),
    Broken(
        "a customer with leading zeros",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  007: {}
""",
        [("customers", 4, 'is the number 007, not a customer id: write it in quotes, "007"')],
        in_schema=False,
    ),
    Broken(
        "a customer with a fraction",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  1.0: {}
""",
        [("customers", 4, 'is the number 1.0, not a customer id: write it in quotes, "1.0"')],
        in_schema=False,
    ),
    Broken(
        "a customer that is true",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  true: {}
""",
        [("customers", 4, 'is true, not a customer id: write it in quotes, "true"')],
        in_schema=False,
    ),
    Broken(
        "a customer that is empty",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  '': {}
""",
        [("customers", 4, "is an empty text: write a customer id")],
        in_schema=True,
    ),
    Broken(
        "a customer with a control character",
        'metrics:\n  a: {event_name: e, type: counter, aggregation: count}\ncustomers:\n  "a\\x7Fb": {}\n  "a\\x9Fb": {}\n  "a\\tb": {}\n',
        [
            ("customers", 4, "holds a control character: leave it out"),
            ("customers", 5, "holds a control character: leave it out"),
            ("customers", 6, "holds a control character: leave it out"),
        ],
        in_schema=True,
    ),
    Broken(
        "a customer that is too long",
        "metrics:\n  a: {event_name: e, type: counter, aggregation: count}\ncustomers:\n  " + "é" * 129 + ": {}\n",
        [("customers", 4, "is 258 bytes of UTF-8: write at most 256")],
        in_schema=False,
    ),
    Broken(
        "one customer as number and as text",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  42: {}
  '42': {}
""",
        [("customers.42", 5, "is written twice, first on line 4: keep one")],
        in_schema=False,
    ),
    Broken(
        "aliases as a text",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {aliases: acct_42}
""",
        [("customers.acme.aliases", 4, 'is the text "acct_42", not a list: write [acct_42]')],
        in_schema=True,
    ),
    Broken(
        "an alias twice",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {aliases: [a1, a1]}
""",
        [("customers.acme.aliases[1]", 4, "is the same as customers.acme.aliases[0]: leave one out")],
        in_schema=True,
    ),
    Broken(
        "an alias of two",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {aliases: [a1]}
  bolt:
    aliases:
      - b1
      - a1
""",
        [("customers.bolt.aliases[1]", 8, "is an alias of acme already: keep it at one customer")],
        in_schema=False,
    ),
    Broken(
        "an alias that is a customer",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {aliases: [bolt]}
  bolt: {}
""",
        [("customers.acme.aliases[0]", 4, "is the id of another customer, bolt: an alias must be nobody's id")],
        in_schema=False,
    ),
    Broken(
        "an alias of itself",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {aliases: [acme]}
""",
        [("customers.acme.aliases[0]", 4, "is the customer's own id: leave it out")],
        in_schema=False,
    ),
    Broken(
        "an anchor that is no day",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {billing_anchor: 2026-02-30}
""",
        [("customers.acme.billing_anchor", 4, "2026-02-30 is no day of the calendar: write one that exists")],
        in_schema=False,
    ),
    Broken(
        "an anchor that is a day of the month",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {billing_anchor: 15}
""",
        [
            (
                "customers.acme.billing_anchor",
                4,
                "is the number 15, not a date: write year-month-day, such as 2026-01-15",
            )
        ],
        in_schema=True,
    ),
    Broken(
        "an anchor with a time",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {billing_anchor: 2026-01-15T00:00:00Z}
""",
        [
            (
                "customers.acme.billing_anchor",
                4,
                'is the text "2026-01-15T00:00:00Z", not a date: write year-month-day, such as 2026-01-15',
            )
        ],
        in_schema=True,
    ),
    Broken(
        "a customer's zone",
        """\
metrics:
  a: {event_name: e, type: counter, aggregation: count}
customers:
  acme: {timezone: Mars/Olympus}
""",
        [("customers.acme.timezone", 4, '"Mars/Olympus" is no time zone: write an IANA name, such as Europe/Berlin')],
        in_schema=False,
    ),
]
