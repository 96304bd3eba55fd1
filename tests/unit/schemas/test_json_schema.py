"""The published JSON Schema is made from the tables of the check, and says what they say."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas.reading import yaml_tree
from schemas.reading.json_schema import FILE, definitions_schema, text
from schemas.reading.nodes import bare
from tests.unit.schemas.test_load_definitions import CONTRACT

ROOT = Path(__file__).parents[3]
PUBLISHED: dict[str, Any] = json.loads(Path(FILE).read_text(encoding="utf-8"))
SCHEMA = jsonschema.Draft202012Validator(PUBLISHED)
GOOD = [
    "counter, aggregation: count, property: n, windows: [total, minute]",
    "counter, aggregation: sum, property: a.b, lateness: 250ms, rounding: {mode: floor}",
    "counter, aggregation: count, filters: [], group_by: []",
    "gauge, aggregation: unique, property: s, operation: {property: op, add: 1, remove: false}",
    "gauge, aggregation: latest, property: n, event_type: total, initial_value: -0.5, windows: [total]",
    "gauge, aggregation: max, property: n, event_type: delta, granularity: year, proration: quarter",
    "gauge, aggregation: weighted_sum, property: n, event_type: total, windows: [billing_period]",
    "rate, aggregation: count, granularity: month, windows: [month, billing_period, total]",
    "rate, aggregation: avg, property: n, granularity: day, sliding: true",
    "rate, aggregation: count, granularity: month, sliding: false",
    "percentile, property: n, quantile: 0.99, anything: {nested: [1, x]}",
]


def test_the_published_file_is_the_one_that_the_tables_make() -> None:
    """After a change of a field, `python -m schemas.reading.json_schema` writes the file anew."""
    assert Path(FILE).read_text(encoding="utf-8") == text()


def test_it_is_a_schema_of_draft_2020_12() -> None:
    """An editor that knows the draft can read it."""
    jsonschema.Draft202012Validator.check_schema(definitions_schema())
    assert definitions_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("fields", GOOD)
def test_right_metrics_pass(fields: str) -> None:
    """What the check takes, the schema takes; a plug-in's own fields are let pass."""
    tree = yaml_tree.parse(f"metrics:\n  m: {{event_name: e, type: {fields}}}\n")
    assert [error.message for error in SCHEMA.iter_errors(bare(tree))] == []


def test_the_contracts_file_and_the_example_pass() -> None:
    """The two files that people copy from show no warning in an editor."""
    for source in (CONTRACT, (ROOT / "examples" / "metrics.yaml").read_text(encoding="utf-8")):
        assert [error.message for error in SCHEMA.iter_errors(bare(yaml_tree.parse(source)))] == []


def test_sections_may_be_left_empty() -> None:
    """A section whose lines are all commented out is as if absent, for the schema too."""
    tree = yaml_tree.parse(
        "metrics:\n  m: {event_name: e, type: counter, aggregation: count}\nevents:\ncustomers:\n  a:\nlimits:\n"
    )
    assert SCHEMA.is_valid(bare(tree))


def _described(schema: Any, path: str, bare_fields: list[str]) -> None:
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            if isinstance(field, dict) and "type" in schema and "description" not in field and "$ref" not in field:
                bare_fields.append(f"{path}.{name}")
        for key, inner in schema.items():
            _described(inner, f"{path}.{key}", bare_fields)
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            _described(inner, f"{path}[{index}]", bare_fields)


def test_every_field_is_described() -> None:
    """An editor shows what a field means; the operators of a filter speak for themselves."""
    missing: list[str] = []
    _described(PUBLISHED, "", missing)
    assert [path for path in missing if not path.endswith(".op")] == []
