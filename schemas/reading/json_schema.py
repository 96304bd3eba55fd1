"""The published JSON Schema of the definitions file, made from the same tables as the check.

`python -m schemas.reading.json_schema` writes `schemas/definitions.schema.json`; a test holds
the file to what this makes. What a schema cannot say (unknown time zones, aliases used twice,
limits on metrics that are not there) `tally validate` says.
"""

import json
from pathlib import Path

from schemas.definitions import BUILT_IN, UNITS
from schemas.reading.document import document
from schemas.reading.fields import COMMON, GRANULARITIES, METRICS, PROPERTY
from schemas.reading.filters import FilterShape
from schemas.reading.metrics import windows_of_rate
from schemas.reading.records import described
from schemas.reading.shapes import Schema

FILE = Path(__file__).parent.parent / "definitions.schema.json"


def definitions_schema() -> Schema:
    """The schema, draft 2020-12."""
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tallystream definitions",
        "description": "What to measure, for whom, and up to which limit.",
        **document({}).schema(),
    }
    schema["properties"]["metrics"]["minProperties"] = 1
    schema["$defs"] = {
        "metric": _metric(),
        "counter": {
            **METRICS["counter"].schema(),
            "allOf": [
                _reads_property(),
                {"if": _is("aggregation", "unique"), "else": _without("approximate_above")},
            ],
        },
        "gauge": {**METRICS["gauge"].schema(), **_gauge()},
        "rate": {**METRICS["rate"].schema(), "allOf": [_reads_property(), *_rate()]},
        "plug_in": {
            "type": "object",
            "description": "A metric whose type a plug-in brings; the plug-in checks its own fields.",
            "properties": {name: described(field) for name, field in {**COMMON, "property": PROPERTY}.items()},
            "required": ["event_name", "type"],
        },
        "filter": FilterShape().definition(),
    }
    return schema


def _metric() -> Schema:
    """Which fields a metric has depends on its type."""
    return {
        "type": "object",
        "required": ["event_name", "type"],
        "properties": {"type": {**described(COMMON["type"]), "examples": list(BUILT_IN)}},
        "allOf": [
            *({"if": _is("type", kind), "then": {"$ref": f"#/$defs/{kind}"}} for kind in BUILT_IN),
            {"if": _is("type", *BUILT_IN), "else": {"$ref": "#/$defs/plug_in"}},
        ],
    }


def _is(field: str, *values: str) -> Schema:
    """That a field is there and has one of these values."""
    return {"properties": {field: {"enum": list(values)}}, "required": [field]}


def _reads_property() -> Schema:
    return {"if": _is("aggregation", "count"), "else": {"required": ["property"]}}


def _without(*fields: str) -> Schema:
    return {"properties": dict.fromkeys(fields, False)}


def _no_total() -> Schema:
    return {"properties": {"windows": {"not": {"contains": {"const": "total"}}}}}


def _gauge() -> Schema:
    longer = [
        {
            "if": _is("proration", unit),
            "then": {"properties": {"granularity": {"enum": list(UNITS[index + 1 :])}}},
        }
        for index, unit in enumerate(UNITS[:-1])
    ]
    return {
        "dependentRequired": {"granularity": ["proration"], "proration": ["granularity"]},
        "allOf": [
            {
                "if": _is("aggregation", "unique"),
                "then": {"required": ["operation"], **_without("event_type", "initial_value")},
                "else": {"required": ["event_type"], **_without("operation")},
            },
            {"if": _is("aggregation", "weighted_sum"), "then": _no_total()},
            {
                "if": {"required": ["proration"]},
                "then": {"allOf": [_no_total(), _is("aggregation", "max", "unique")]},
            },
            *longer,
            {"properties": {"proration": {"not": {"const": UNITS[-1]}}, "granularity": {"not": {"const": UNITS[0]}}}},
        ],
    }


def _rate() -> list[Schema]:
    windows = [
        {
            "if": _is("granularity", granularity),
            "then": {"properties": {"windows": {"items": {"enum": list(windows_of_rate(granularity))}}}},
        }
        for granularity in GRANULARITIES
    ]
    sliding = {
        "if": {"properties": {"sliding": {"const": True}}, "required": ["sliding"]},
        "then": {"properties": {"granularity": {"not": {"const": "month"}}}},
    }
    return [*windows, sliding]


def text() -> str:
    """The published file."""
    return json.dumps(definitions_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
