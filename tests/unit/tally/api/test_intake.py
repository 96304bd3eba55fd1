"""A request's body becomes events, each with the bytes that were sent."""

from typing import Any

import pytest

from tally.api.intake import Intake, Ready, Refused, split
from tally.api.problems import Problem

ONE = b'{"id": "1", "event_name": "call", "customer_id": "acme", "timestamp": 12}'


def values(body: bytes, content_type: str = "application/json", **headers: str) -> list[bytes | None]:
    """The values of a body's events."""
    return [raw.value for raw in split(body, content_type, headers, 1000)]


@pytest.mark.parametrize(
    "body, content_type, wanted",
    [
        (b' {"a": 1.10}\n', "application/json", [b'{"a": 1.10}']),
        (b'{\n "a": 1\n}', "application/json", [b'{\n "a": 1\n}']),
        (b'[{"a": 1.10}, 7,{"b":"\\u00e4"} ]', "application/json", [b'{"a": 1.10}', b"7", b'{"b":"\\u00e4"}']),
        (b"[]", "application/json", []),
        (b'{"a":1}\r\n\n{"b":2}\n', "application/x-ndjson", [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n{"b":2}', "application/x-www-form-urlencoded", [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\nnonsense', "application/x-ndjson", [b'{"a":1}', b"nonsense"]),
        (b"nonsense", "application/json", [b"nonsense"]),
        (b'[{"a": 1}]', "application/cloudevents-batch+json", [b'{"a": 1}']),
    ],
)
def test_events_are_told_apart(body: bytes, content_type: str, wanted: list[bytes]) -> None:
    """One, an array, or a line each; what is no event is left to the decoder."""
    assert values(body, content_type) == wanted


@pytest.mark.parametrize(
    "body, content_type, status, says",
    [
        (b"", "application/json", 400, "the body is empty"),
        (b" \n", "application/x-ndjson", 400, "the body is empty"),
        (b'[{"a": 1}', "application/json", 400, "begins as a JSON array and is none"),
        (b"[" * 100_000, "application/json", 400, "begins as a JSON array and is none"),
        (b"{}", "application/cloudevents-batch+json", 400, "is no JSON array"),
        (b"{}\n" * 10_001, "application/x-ndjson", 413, "10001 events"),
    ],
)
def test_a_body_that_cannot_be_told_apart_is_wrong(body: bytes, content_type: str, status: int, says: str) -> None:
    """The whole request is refused, with what to send."""
    with pytest.raises(Problem) as found:
        values(body, content_type)
    assert (found.value.status, says in found.value.sentence) == (status, True)


def test_a_binary_cloud_event_keeps_its_attributes_as_headers() -> None:
    """`ce-` headers become Kafka's `ce_` ones in UTF-8; the body, whatever it is, is the data."""
    headers = {"CE-Id": "1", "ce-specversion": "1.0", "ce-subject": "Euro%20%E2%82%AC", "Host": "x"}
    (raw,) = split(b"[1]", "application/json", headers, 1000)
    assert raw.value == b"[1]"
    assert raw.headers == (
        ("ce_id", b"1"),
        ("ce_specversion", b"1.0"),
        ("ce_subject", "Euro \u20ac".encode()),
        ("content-type", b"application/json"),
    )


def test_a_foreign_attribute_is_wrong() -> None:
    """A `ce-` header that can be no attribute is named."""
    with pytest.raises(Problem) as found:
        values(b"{}", **{"ce-a_b": "1"})
    assert (found.value.status, found.value.path) == (400, "ce-a_b")


def judged(*bodies: bytes) -> list[tuple[Any, ...]]:
    """What the intake says of native and other events."""
    raws = [raw for body in bodies for raw in split(body, "application/json", {}, 1000)]
    return [
        (each.id, each.key) if isinstance(each, Ready) else (each.id, each.refusal.reason)
        for each in Intake().look(raws)
    ]


def test_each_event_has_the_key_of_its_customer_and_the_callers_own_id() -> None:
    """Also a CloudEvent, whose identity is its source and id together."""
    cloud = b'{"specversion": "1.0", "id": "7", "source": "/x", "type": "call", "subject": "acme"}'
    lago = b'{"transaction_id": 9, "code": "call", "external_customer_id": "acme", "timestamp": "12.5"}'
    assert judged(ONE, cloud, lago) == [("1", b"acme"), ("7", b"acme"), ("9", b"acme")]


@pytest.mark.parametrize(
    "body, wanted",
    [
        (b"7", (None, "malformed")),
        (b'{"id": 5}', ("5", "missing_field")),
        (b'{"uniqueId": "u"}', ("u", "missing_field")),
        (b'{"id": [1], "transaction_id": "t"}', (None, "malformed")),
        (b'{"id": true}', (None, "malformed")),
        (ONE.replace(b"12", b'"noon"'), ("1", "bad_timestamp")),
        (ONE.replace(b"12", b"1e30"), ("1", "bad_timestamp")),
        (ONE.replace(b"}", b" " * (1 << 20) + b"}"), ("1", "too_large")),
        (b'{"specversion": "2.0", "id": "7"}', ("7", "malformed")),
    ],
)
def test_what_is_refused_has_the_decoders_reason(body: bytes, wanted: tuple[Any, ...]) -> None:
    """And the id where one can be read."""
    assert judged(body) == [wanted]
    assert isinstance(Intake().look(split(body, "", {}, 0))[0], Refused)
