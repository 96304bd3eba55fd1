"""Every fault of a definitions file is told, with its path, its line and what to write instead."""

import json
from pathlib import Path

import jsonschema
import pytest

from schemas.faults import Faults
from schemas.load import load
from schemas.reading import json_tree, yaml_tree
from schemas.reading.json_schema import FILE
from schemas.reading.nodes import bare
from tests.unit.schemas.broken import customers, filters, json_syntax, limits, metrics, syntax, types
from tests.unit.schemas.broken.case import Broken

CASES: list[Broken] = [
    case for module in (syntax, json_syntax, metrics, filters, types, customers, limits) for case in module.CASES
]
SCHEMA = jsonschema.Draft202012Validator(json.loads(Path(FILE).read_text(encoding="utf-8")))


def faults_of(text: str, filename: str = "metrics.yaml") -> list[tuple[str, int, str]]:
    """What `load` finds wrong."""
    with pytest.raises(Faults) as found:
        load(text, filename)
    return [(fault.path, fault.line, fault.message) for fault in found.value.faults]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_broken_file_is_told_what_is_wrong_where_and_what_to_write(case: Broken) -> None:
    """All faults of the file are reported, each with its path and line, and nothing else is."""
    assert faults_of(case.text, case.filename) == case.faults


@pytest.mark.parametrize("case", [case for case in CASES if case.in_schema is not None], ids=lambda case: case.name)
def test_an_editor_sees_what_a_schema_can_say(case: Broken) -> None:
    """The published JSON Schema refuses the same files, as far as a schema can, so an editor warns before we do."""
    tree = (json_tree if case.filename.endswith(".json") else yaml_tree).parse(case.text)
    assert SCHEMA.is_valid(bare(tree)) is not case.in_schema


def test_there_are_enough_broken_files_and_none_twice() -> None:
    """The collection is what it says: over 150 different files, each under its own name."""
    assert len(CASES) > 150
    assert len({case.text for case in CASES}) == len({case.name for case in CASES}) == len(CASES)


MANY = """\
timezone: Europe/Berln
metrics:
  calls:
    event_name: call
    type: counter
    aggregation: count
    window: [hour]
  tokens:
    event_name: call
    type: counter
    aggregation: sum
    filters:
      - any:
          - {property: region, op: eq, value: NA}
          - {property: size, op: ">", value: 10}
  peak:
    event_name: call
    type: rate
    aggregation: count
    granularity: day
    windows:
      - hour
      - day
events:
  call: {on_duplicate: replace}
customers:
  acme: {aliases: [bolt], billing_anchor: 2026-13-01}
  bolt: {}
limits:
  - {metric: tokens, limit: 10}
  - {metric: token, window: month, limit: 10}
"""


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_lines() -> None:
    """Ten slips over every section of one file are ten faults, so one run is enough to mend it."""
    assert faults_of(MANY) == [
        ("timezone", 1, '"Europe/Berln" is no time zone: did you mean Europe/Berlin?'),
        ("metrics.calls.window", 7, "is no field of a counter: did you mean windows?"),
        ("metrics.tokens.property", 8, "is missing: `sum` needs the property whose value it reads"),
        ("metrics.tokens.filters[0].any[1].op", 15, '">" is no operator: did you mean gt?'),
        (
            "metrics.peak.windows[0]",
            22,
            "hour is shorter than the granularity, day: write day, week, month, quarter, year, billing_period or total",
        ),
        ("events.call.on_duplicate", 25, '"replace" is no way with duplicates: write drop or upsert'),
        ("customers.acme.aliases[0]", 27, "is the id of another customer, bolt: an alias must be nobody's id"),
        ("customers.acme.billing_anchor", 27, "2026-13-01 is no day of the calendar: write one that exists"),
        ("limits[0].window", 30, "is missing: a limit on a counter needs hour, day, month or total"),
        ("limits[1].metric", 31, '"token" is no metric of this file: did you mean tokens?'),
    ]


def test_faults_are_printed_one_on_each_line_with_the_files_name() -> None:
    """A terminal or an editor can jump to `file:line`, and the path and sentence follow."""
    with pytest.raises(Faults) as found:
        load("metrics:\n  a: {event_name: e, type: countr}\n", "conf/metrics.yaml")
    assert str(found.value) == (
        'conf/metrics.yaml:2: metrics.a.type: "countr" is no type of metric: did you mean counter?'
    )


def test_a_fault_behind_an_alias_is_told_where_the_value_stands() -> None:
    """With anchors the line is the one to mend, and every place that uses it is named."""
    text = """\
metrics:
  a: &base
    event_name: e
    type: counter
    aggregation: summ
  b:
    <<: *base
    name: B
"""
    message = '"summ" is no aggregation of a counter: did you mean sum?'
    assert faults_of(text) == [("metrics.a.aggregation", 5, message), ("metrics.b.aggregation", 5, message)]


def test_a_path_quotes_a_key_that_is_no_plain_word() -> None:
    """A dot inside a key cannot be mistaken for the next step of the path."""
    text = "metrics:\n  api.calls: {event_name: 1, type: counter, aggregation: count}\n"
    assert faults_of(text) == [
        ('metrics["api.calls"].event_name', 2, 'is the number 1, not an event name: write it in quotes, "1"')
    ]


def test_a_misspelt_field_is_not_told_as_missing_too() -> None:
    """One slip is one fault, also where the field is needed only because of another one."""
    text = """\
metrics:
  a: {event_name: e, type: counter, aggregation: sum, propery: n}
  b: {event_nam: e, type: gauge, aggregation: max, property: n, event_typ: delta}
limits:
  - {metric: a, windw: hour, limit: 1}
"""
    assert faults_of(text) == [
        ("metrics.a.propery", 2, "is no field of a counter: did you mean property?"),
        ("metrics.b.event_nam", 3, "is no field of a gauge: did you mean event_name?"),
        ("metrics.b.event_typ", 3, "is no field of a gauge: did you mean event_type?"),
        ("limits[0].windw", 5, "is no field of a limit: did you mean window?"),
    ]
