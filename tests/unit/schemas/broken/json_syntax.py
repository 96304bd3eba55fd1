"""JSON files with faults."""

from tests.unit.schemas.broken.case import Broken

CASES = [
    Broken(
        "a comma too many",
        """\
{
  "metrics": {},
}
""",
        [("", 3, "is not JSON: expected '\"', found '}'")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "a comment",
        """\
{
  // metrics
  "metrics": {}
}
""",
        [("", 2, "is not JSON: expected '\"', found '/'")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "single quotes",
        """\
{'metrics': {}}
""",
        [("", 1, "is not JSON: expected '\"', found '''")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "an open object",
        """\
{"metrics": {"a": {
""",
        [("", 2, "is not JSON: expected '\"', the file ends")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "a bare NaN",
        '{"metrics": {"a": {"event_name": NaN}}}',
        [("", 1, "is not JSON: expected a value, found NaN}}}")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "a line break in a text",
        """\
{"metrics": {"a
b": {}}}""",
        [("", 1, "is not JSON: invalid control character")],
        in_schema=None,
        filename="metrics.json",
    ),
    Broken(
        "a key twice",
        """\
{
  "metrics": {"a": {"event_name": "e", "type": "counter", "aggregation": "count"}},
  "events": {"e": {}},
  "events": {}
}
""",
        [("events", 4, "is written twice, first on line 3: keep one")],
        in_schema=False,
        filename="metrics.json",
    ),
    Broken(
        "half a surrogate pair",
        '{"metrics": {"a": {"event_name": "\\ud800", "type": "counter", "aggregation": "count"}}}',
        [("metrics.a.event_name", 1, "holds half of a surrogate pair: write the whole character")],
        in_schema=False,
        filename="metrics.json",
    ),
    Broken(
        "something after the end",
        '{"metrics": {}} {}',
        [("", 1, "is not JSON: something follows the end of the value")],
        in_schema=None,
        filename="metrics.json",
    ),
]
