"""schemas/asyncapi.yaml tells other teams what stands on the topics, and it is true."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from schemas import rejections
from schemas.definitions import KINDS
from schemas.reading import yaml_tree
from schemas.reading.nodes import bare
from stream.core.dialects import read
from stream.settings import from_environment

DOCUMENT: dict[str, Any] = bare(
    yaml_tree.parse((Path(__file__).parents[2] / "schemas" / "asyncapi.yaml").read_text(encoding="utf-8"))
)
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]
EXAMPLES = [(name, example) for name, message in MESSAGES.items() for example in message["examples"]]


def target(reference: str) -> Any:
    """What a `$ref` inside the document leads to."""
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def references(node: Any) -> list[str]:
    """Every `$ref` of the document."""
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [each for inner in node.values() for each in references(inner)]
    return [each for inner in node for each in references(inner)] if isinstance(node, list) else []


def validator(schema: Any) -> jsonschema.Draft7Validator:
    """A check of a schema of the document, whose references may lead anywhere in it."""
    return jsonschema.Draft7Validator({**schema, "components": DOCUMENT["components"]})


def test_it_is_an_asyncapi_document_whose_references_lead_somewhere() -> None:
    """Version 3, and no `$ref` is dead."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert len(references(DOCUMENT)) > 40
    assert all(target(reference) for reference in references(DOCUMENT))


def test_the_topics_are_those_of_the_settings() -> None:
    """Each channel stands under the default name of its topic; Tallystream reads one and writes two."""
    settings = from_environment({})
    topics = [settings.events_topic, settings.rejected_topic, settings.alerts_topic]
    assert [channel["address"] for channel in DOCUMENT["channels"].values()] == topics
    assert [(each["action"], each["channel"]["$ref"]) for each in DOCUMENT["operations"].values()] == [
        ("receive", "#/channels/usage-events"),
        ("send", "#/channels/usage-rejected"),
        ("send", "#/channels/usage-alerts"),
    ]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_has_schemas_that_are_schemas(name: str) -> None:
    """Payload and headers can be handed to any validator of JSON Schema."""
    for part in ("payload", "headers"):
        jsonschema.Draft7Validator.check_schema(MESSAGES[name].get(part, {}))


@pytest.mark.parametrize("name, example", EXAMPLES, ids=[example["name"] for _, example in EXAMPLES])
def test_every_example_fits_its_message(name: str, example: dict[str, Any]) -> None:
    """What the document shows is what it describes."""
    for part in ("payload", "headers"):
        schema = MESSAGES[name].get(part)
        if schema is not None:
            assert [error.message for error in validator(schema).iter_errors(example[part])] == []


@pytest.mark.parametrize("field", ["id", "event_name", "customer_id", "timestamp"])
def test_an_event_without_a_needed_field_does_not_fit(field: str) -> None:
    """The schema says which fields an event needs."""
    example = MESSAGES["event"]["examples"][0]["payload"]
    without = {name: value for name, value in example.items() if name != field}
    assert not validator(MESSAGES["event"]["payload"]).is_valid(without)


def test_tallystream_reads_every_event_that_the_document_shows() -> None:
    """Each dialect's example is decoded to the same event, with its own id, time and properties."""
    shown = [
        reference["$ref"].split("/")[-1] for reference in DOCUMENT["channels"]["usage-events"]["messages"].values()
    ]
    found = []
    for name in shown:
        example = MESSAGES[name]["examples"][0]
        headers = [(key, text.encode()) for key, text in example.get("headers", {}).items()]
        value = json.dumps(example["payload"], default=float).encode()
        fields = read(value, headers, 1_772_712_000_000)
        found.append((fields.id, fields.event_name, fields.customer_id, str(fields.timestamp)))
    cloud = "\x1f5:/shopev_1"
    assert found == [
        ("ev_1", "api_request", "acme", "2026-03-05T12:00:00.250Z"),
        ("ev_1", "api_request", "acme", "2026-03-05T12:00:00Z"),
        ("ev_1", "api_request", "acme", "2026-03-05T12:00:00+00:00"),
        ("ev_1", "api_request", "acme", "1772712000.25"),
        (cloud, "api_request", "acme", "2026-03-05T12:00:00Z"),
        (cloud, "api_request", "acme", "1772712000.000"),
    ]


def test_rejections_have_the_headers_and_reasons_that_are_written() -> None:
    """The names are those of `schemas.rejections`, which the worker writes."""
    headers = MESSAGES["rejection"]["headers"]["properties"]
    assert tuple(headers["tally-reason"]["enum"]) == rejections.REASONS
    assert headers["tally-kind"]["enum"] == [rejections.KIND_REJECTED, rejections.KIND_PARTIAL]
    assert set(headers) == {
        rejections.HEADER_KIND,
        rejections.HEADER_REASON,
        rejections.HEADER_DETAIL,
        rejections.HEADER_METRICS,
        rejections.HEADER_TOPIC,
        rejections.HEADER_PARTITION,
        rejections.HEADER_OFFSET,
    }


def test_alerts_have_the_contracts_fields() -> None:
    """Eleven fields, each of them always there, in windows of the known kinds or none."""
    payload = MESSAGES["alert"]["payload"]
    fields = ["id", "customer", "metric", "group", "window", "start", "end", "threshold", "limit", "used", "at"]
    assert list(payload["properties"]) == payload["required"] == fields
    assert payload["properties"]["window"]["enum"] == [*KINDS, None]
