"""schemas/openapi.yaml tells callers what the API takes and answers, and it is true."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, unsupported_method

from tally.api.openapi import document
from tally.servers import wait_until
from tests.integration.api.serving import ApiProcess

TOKEN = "a-token-of-ours"


@pytest.fixture(scope="module")
def api_schema(house: Mapping[str, str]) -> Iterator[Any]:
    """The description as the API serves it, of a process that is connected to everything and asks for a token."""
    with ApiProcess({**house, "TALLY_API_TOKEN": TOKEN}) as api:
        wait_until(lambda: "Connected to Kafka" in api.said(), "Kafka")
        with urllib.request.urlopen(f"http://{api.address}/openapi.json", timeout=10) as answer:
            served = json.load(answer)
        assert served == document(), "what is served is what is checked in"
        found = schemathesis.openapi.from_dict(served)
        found.config.update(base_url=f"http://{api.address}")
        yield found
        assert "which is a bug" not in api.said()
        assert "Traceback" not in api.said()


def decimals(number: float) -> int:
    """How many digits a number has after its point, as it is sent."""
    exponent = Decimal(repr(number)).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def sendable(body: Any) -> bool:
    """What JSON Schema cannot say.

    Ids and groups have 256 bytes rather than characters, 1.0 is no integer, and a cost has at most 30 decimals.
    """
    if not isinstance(body, dict):
        return True
    ids = [body.get(name) for name in ("customer", "id")]
    lines = [body, *(body.get("lines") or [])]
    groups = [line.get("group") or {} for line in lines]
    if any(isinstance(line.get("cost"), float) and decimals(line["cost"]) > 30 for line in lines):
        return False
    texts = [*ids, *(value for group in groups for value in group.values())]
    return not any(isinstance(each, float) for each in ids) and all(len(str(each).encode()) <= 256 for each in texts)


OPERATIONS = [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_as_described(api_schema: Any, label: str, mode: GenerationMode) -> None:
    """Requests that fit the description and requests that do not: each answer has a status and a form that it names."""
    operations = [found.ok() for found in api_schema.get_all_operations()]
    (operation,) = [each for each in operations if each.label == label]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return  # nothing of it can be wrong
    # what is no event is refused in an answer of 200, since the others of its batch are accepted
    more = [negative_data_rejection] if label == "POST /v1/events" else []

    @hypothesis.settings(
        max_examples=30, derandomize=True, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: Case[Any]) -> None:
        hypothesis.assume(mode is GenerationMode.NEGATIVE or sendable(case.body))
        # whether a metric is defined is no matter of form
        hypothesis.assume(mode is GenerationMode.NEGATIVE or "metric" not in (case.query or {}))
        # 503 is an answer: the worker may be busy. 500 is in no description, so it is found anyway.
        case.call_and_validate(
            headers={"Authorization": f"Bearer {TOKEN}"},
            excluded_checks=[not_a_server_error, ignored_auth, unsupported_method, *more],
            timeout=30,
        )

    holds()


@pytest.mark.parametrize("path", ["/v1/check", "/v1/reserve", "/v1/release", "/v1/events"])
def test_the_examples_fit_their_schemas(path: str) -> None:
    """Each example of a body is one that its schema takes."""
    found = document()
    body = found["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    schema = {**body["schema"], "components": found["components"]}
    for example in body["examples"].values():
        jsonschema.Draft202012Validator(schema).validate(example["value"])
