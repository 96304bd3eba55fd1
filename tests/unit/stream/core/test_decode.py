"""Records to events: every dialect, and every refusal."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from schemas.rejections import Refusal
from stream.core.decode import Decoder, Event, Properties
from stream.core.dialects import cloud_identity
from stream.core.numbers import Unreadable

NATIVE = {
    "id": "ev_1",
    "event_name": "api_request",
    "customer_id": "acme",
    "timestamp": "2026-03-05T12:00:00.250Z",
    "properties": {"region": "NA", "value": 3},
}
CLOUD = {
    "specversion": "1.0",
    "id": "ev_1",
    "source": "/gateway",
    "type": "api_request",
    "subject": "acme",
    "time": "2026-03-05T12:00:00.250Z",
    "data": {"region": "NA", "value": 3},
}
HEADERS = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"ev_1"),
    ("ce_source", b"/gateway"),
    ("ce_type", b"api_request"),
    ("ce_subject", b"acme"),
    ("ce_time", b"2026-03-05T12:00:00.250Z"),
]
DECODER = Decoder([("region",), ("value",), ("a", "b")])


class Sent(NamedTuple):
    """A record as the decoder sees it."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]] | tuple[()] = ()
    timestamp: int | None = 1_772_712_000_500


def decode(record: Sent) -> Event | Refusal:
    """The answer for one record, by the block and by the complete path, which must agree."""
    [answer] = DECODER.block([record])
    complete = DECODER.record(record)
    if isinstance(complete, Refusal):
        assert answer == complete
    else:
        assert isinstance(answer, Event)
        assert all(getattr(answer, name) == getattr(complete, name) for name in Event.__struct_fields__)
    return answer


def event(message: Any, headers: Any = (), timestamp: int | None = 1_772_712_000_500) -> Event:
    """The event of a message that must be one."""
    value = message if isinstance(message, bytes) or message is None else json.dumps(message).encode()
    answer = decode(Sent(value, headers, timestamp))
    assert isinstance(answer, Event), answer
    return answer


def refusal(message: Any, headers: Any = (), timestamp: int | None = 1_772_712_000_500) -> tuple[str, str]:
    """Reason and sentence for a message that must be refused."""
    value = message if isinstance(message, bytes) or message is None else json.dumps(message).encode()
    answer = decode(Sent(value, headers, timestamp))
    assert isinstance(answer, Refusal), answer
    assert 0 < len(answer.detail) < 300
    assert "\n" not in answer.detail
    return answer.reason, answer.detail


def said(found: Event) -> tuple[Any, ...]:
    """What an event says, its properties as region and value."""
    values = (found.properties.p0, found.properties.p1)
    return found.id, found.event_name, found.customer_id, found.timestamp, values, found.reservation


@pytest.mark.parametrize(
    "message",
    [
        NATIVE,
        {
            "uniqueId": "ev_1",
            "eventName": "api_request",
            "accountId": "acme",
            "timestamp": "2026-03-05T12:00:00.250Z",
            "properties": {"region": "NA", "value": 3},
        },
        {
            "idempotency_id": "ev_1",
            "event_name": "api_request",
            "customer_id": "acme",
            "time_created": "2026-03-05T12:00:00.250Z",
            "properties": {"region": "NA", "value": 3},
        },
        {
            "transaction_id": "ev_1",
            "code": "api_request",
            "external_customer_id": "acme",
            "timestamp": "2026-03-05T12:00:00.250Z",
            "properties": {"region": "NA", "value": 3},
        },
        {
            "transaction_id": "ev_1",
            "code": "api_request",
            "external_customer_id": None,
            "external_subscription_id": "acme",
            "timestamp": "2026-03-05T12:00:00.250Z",
            "properties": {"region": "NA", "value": 3},
        },
        NATIVE | {"unknown": [1, {"x": None}], "uniqueId": "other", "external_customer_id": "other"},
        NATIVE | {"id": None, "uniqueId": "ev_1", "timestamp": None, "time_created": "2026-03-05T12:00:00.250Z"},
    ],
)
def test_each_dialect_s_event_is_read(message: dict[str, Any]) -> None:
    """Our own, Alguna's, Lotus' and Lago's names give the same event; null is as if absent, our own name comes first."""
    stamp = "2026-03-05T12:00:00.250Z"
    assert said(event(message)) == ("ev_1", "api_request", "acme", stamp, ("NA", 3), None)


def test_lago_sends_its_timestamp_as_numeric_text() -> None:
    """A timestamp is kept as it was written, for the calendar to read."""
    lago = {"transaction_id": "t", "code": "c", "external_customer_id": "x", "timestamp": "1772712000.250"}
    assert said(event(lago)) == ("t", "c", "x", "1772712000.250", (None, None), None)


def test_cloudevents_are_read_in_both_modes() -> None:
    """Structured and binary CloudEvents are the same event, named by source and id."""
    stamp = "2026-03-05T12:00:00.250Z"
    expected = (cloud_identity("/gateway", "ev_1"), "api_request", "acme", stamp, ("NA", 3), None)
    assert said(event(CLOUD)) == expected
    assert said(event(CLOUD["data"], HEADERS)) == expected
    assert said(event(CLOUD, [("content-type", b"application/cloudevents+json")])) == expected
    assert said(event(CLOUD | {"reservation": "r1"}))[-1] == "r1"
    assert said(event(CLOUD["data"], [*HEADERS, ("ce_reservation", b"r1")]))[-1] == "r1"


def test_headers_make_a_cloudevent_of_any_data() -> None:
    """Data that looks like an event of ours is still the data of the binary CloudEvent that its headers tell of."""
    found = event(NATIVE | {"region": "EU", "value": 9}, HEADERS)
    assert said(found)[0] == cloud_identity("/gateway", "ev_1")
    assert said(found)[4] == ("EU", 9)


def test_a_cloudevent_s_identity_is_its_source_and_its_id() -> None:
    """Two sources may use one id, and no text of ours can stand for such a pair."""
    assert event(CLOUD).id != event(CLOUD | {"source": "/other"}).id
    assert event(CLOUD | {"source": "/a", "id": "b"}).id != event(CLOUD | {"source": "/", "id": "ab"}).id
    assert event(CLOUD | {"source": "1:a", "id": "b"}).id != event(CLOUD | {"source": "1", "id": ":ab"}).id
    assert refusal(NATIVE | {"id": event(CLOUD).id})[0] == "malformed"


def test_a_cloudevent_without_time_takes_the_record_s() -> None:
    """The record's Kafka timestamp stands in, to the millisecond; a re-routed copy's is that of the first record."""
    timeless = {name: value for name, value in CLOUD.items() if name != "time"}
    assert event(timeless).timestamp == Decimal("1772712000.500")
    assert event(timeless, timestamp=5).timestamp == Decimal("0.005")
    assert event(CLOUD["data"], [pair for pair in HEADERS if pair[0] != "ce_time"]).timestamp == Decimal(
        "1772712000.500"
    )
    copied = [("tally-app", b"tally"), ("tally-first-timestamp", b"1772712000123")]
    assert event(timeless, copied).timestamp == Decimal("1772712000.123")
    assert event(timeless, copied[1:]).timestamp == Decimal("1772712000.500")
    for none in (None, -1):
        assert refusal(timeless, timestamp=none) == ("missing_field", "the CloudEvent lacks time")


def test_a_cloudevent_may_have_no_data() -> None:
    """Without data there are no properties: structured, binary with an empty message, or null."""
    bare = {name: value for name, value in CLOUD.items() if name != "data"}
    for found in (event(bare), event(bare | {"data": None}), event(b"", HEADERS), event(None, HEADERS)):
        assert said(found)[4] == (None, None)


def test_a_cloudevent_s_data_may_be_base64() -> None:
    """`data_base64` that is JSON is read, anything else there is refused."""
    bare = {name: value for name, value in CLOUD.items() if name != "data"}
    assert said(event(bare | {"data_base64": "eyJyZWdpb24iOiAiTkEifQ=="}))[4] == ("NA", None)
    for wrong in ("e30", "%%", "", 5, "WzFd", "\u00e9"):
        assert refusal(bare | {"data_base64": wrong})[0] == "malformed"


@pytest.mark.parametrize(
    "change, says",
    [
        ({"id": None}, "lacks id (or uniqueId, idempotency_id, transaction_id)"),
        ({"customer_id": None}, "lacks customer_id (or accountId, external_customer_id, external_subscription_id)"),
        ({"event_name": None}, "lacks event_name (or eventName, code)"),
        ({"timestamp": None}, "lacks timestamp (or time_created)"),
        ({"id": None, "timestamp": None}, "transaction_id) and timestamp (or"),
    ],
)
def test_a_missing_field_is_named(change: dict[str, Any], says: str) -> None:
    """What every event needs and this one lacks, or has as null, is named with its other names."""
    absent = {name: value for name, value in (NATIVE | change).items() if value is not None}
    for message in (NATIVE | change, absent):
        reason, detail = refusal(message)
        assert reason == "missing_field"
        assert says in detail


@pytest.mark.parametrize(
    "field, says",
    [("subject", "subject (the customer's id)"), ("source", "source"), ("id", "id"), ("type", "type (the")],
)
def test_a_cloudevent_needs_its_attributes(field: str, says: str) -> None:
    """A CloudEvent without subject, source, id or type lacks a field, in both modes."""
    for answer in (
        refusal({name: value for name, value in CLOUD.items() if name != field}),
        refusal(CLOUD["data"], [pair for pair in HEADERS if pair[0] != f"ce_{field}"]),
        refusal(CLOUD["data"], [(name, None if name == f"ce_{field}" else value) for name, value in HEADERS]),
    ):
        assert answer[0] == "missing_field"
        assert says in answer[1]


def test_ids_may_be_integers() -> None:
    """An integer id is read as its digits, of any length up to 256; -0 is 0."""
    for given, text in ((7, "7"), (-12, "-12"), (10**40, "1" + "0" * 40), (10**255, "1" + "0" * 255)):
        found = event(NATIVE | {"id": given, "customer_id": given})
        assert (found.id, found.customer_id) == (text, text)
    assert event(b'{"id":-0,"event_name":"e","customer_id":0,"timestamp":0}').id == "0"


@pytest.mark.parametrize(
    "text", ["x", "a b", "x" * 256, "\u00e9" * 128, "\U0001f600" * 64, "\u200b\u2028", "\u00a0", '"\\/', "1.0", "null"]
)
def test_ids_may_be_any_text_to_256_bytes(text: str) -> None:
    """Whatever has 1 to 256 bytes of UTF-8 and no control character is an id as it stands."""
    for message in (NATIVE | {"id": text, "customer_id": text}, CLOUD | {"id": text, "subject": text}):
        assert event(message).customer_id == text
    found = event(json.dumps(NATIVE | {"id": text, "customer_id": text}, ensure_ascii=False).encode())
    assert (found.id, found.customer_id) == (text, text)


@pytest.mark.parametrize(
    "raw, says",
    [
        (b'""', "is empty"),
        (b"1.0", "a number, and no integer"),
        (b"1e2", "a number, and no integer"),
        (b"-0.0", "a number, and no integer"),
        (b"true", "a truth value"),
        (b"[]", "a list"),
        (b"{}", "an object"),
        (b'"' + b"x" * 257 + b'"', "has 257 bytes"),
        ('"{}"'.format("\u00e9" * 129).encode(), "has 258 bytes"),
        (b'"a\\u0000"', "control character"),
        (b'"a\\nb"', "control character"),
        (b'"\\u007f"', "control character"),
        (b'"a\x7f"', "control character"),
        (b'"\\u0085"', "control character"),
        (b"1" * 257, "has 257 bytes"),
        (b"1" * 5000, "a number"),
    ],
)
@pytest.mark.parametrize("field", ["id", "customer_id"])
def test_what_is_no_id_is_malformed(field: str, raw: bytes, says: str) -> None:
    """Empty, too long, with control characters, or neither text nor integer: refused by the field's name."""
    other = "customer_id" if field == "id" else "id"
    message = b'{"%s":%s,"%s":"x","event_name":"e","timestamp":0}' % (field.encode(), raw, other.encode())
    reason, detail = refusal(message)
    assert reason == "malformed"
    assert detail.startswith(field)
    assert says in detail


@pytest.mark.parametrize(
    "change, reason, says",
    [
        ({"event_name": 5}, "malformed", "event_name is a number"),
        ({"event_name": ["e"]}, "malformed", "event_name is a list"),
        ({"properties": []}, "malformed", "properties is a list"),
        ({"properties": "x"}, "malformed", "properties is text"),
        ({"properties": 0}, "malformed", "properties is a number"),
        ({"properties": False}, "malformed", "properties is a truth value"),
        ({"timestamp": True}, "bad_timestamp", "timestamp is a truth value"),
        ({"timestamp": []}, "bad_timestamp", "timestamp is a list"),
        ({"timestamp": {}}, "bad_timestamp", "timestamp is an object"),
        ({"properties": [], "id": None, "timestamp": []}, "malformed", "properties is a list"),
        ({"id": None, "timestamp": []}, "missing_field", "lacks id"),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(change: dict[str, Any], reason: str, says: str) -> None:
    """First what is malformed is said, then what is missing, then what is wrong with the timestamp."""
    answer = refusal(NATIVE | change)
    assert answer[0] == reason
    assert says in answer[1]


@pytest.mark.parametrize(
    "value, says",
    [
        (None, "is empty"),
        (b"", "is empty"),
        (b" ", "it is no JSON"),
        (b"null", "is null"),
        (b"[]", "is a list"),
        (b"5", "is a number"),
        (b'"x"', "is text"),
        (b"{", "it is no JSON"),
        (b'{"id":"a"} {}', "it is no JSON"),
        (b'{"id":"a",}', "it is no JSON"),
        (b"{'id':'a'}", "it is no JSON"),
        (b'\xef\xbb\xbf{"id":"a"}', "it is no JSON"),
        (b'{"id":NaN}', "holds NaN"),
        (b'{"x":{"y":[-Infinity]}}', "holds -Infinity"),
        (b'{"x":01}', "it is no JSON"),
        (b'{"x":"\n"}', "it is no JSON"),
        (b'{"x":"\\q"}', "it is no JSON"),
        (b'{"x":"\xff"}', "not UTF-8"),
        (b'{"\xed\xa0\x80":1}', "not UTF-8"),
        (b'{"x":"\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00":1}', "half of a surrogate pair"),
        (b'{"x":[{"y":"a\\ud83d!"}]}', "half of a surrogate pair"),
        (b"[" * 100_000, "levels deep"),
        (b'{"x":' * 100_000, "levels deep"),
        (b"\x00\x01\x02", "it is no JSON"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_what_is_no_json_object_is_malformed(value: bytes | None, says: str) -> None:
    """Bytes that are no JSON object in UTF-8 are refused with what is wrong and where."""
    reason, detail = refusal(value)
    assert reason == "malformed"
    assert says in detail


@pytest.mark.parametrize(
    "extra, says",
    [
        (b'"x":"\xff"', "not UTF-8"),
        (b'"x":"\\ud800"', "half of a surrogate"),
        (b'"x":"\\ud800\\u0041"', "half of a surrogate"),
        (b'"x":"\\udc00"', "half of a surrogate"),
        (b'"x":NaN', "NaN"),
        (b'"x":' + b"[" * 128 + b"]" * 128, "levels deep"),
        (b'"properties":{"region":' + b"[" * 127 + b"]" * 127 + b"}", "levels deep"),
        (b'"properties":{"unused":' + b"[" * 900 + b"]" * 900 + b"}", "levels deep"),
        (b'"x":' + b"[" * 50_000 + b"]" * 50_000, "levels deep"),
    ],
)
def test_the_verdict_does_not_depend_on_what_is_used(extra: bytes, says: str) -> None:
    """What no definition reads is held to the same rules as what one does."""
    reason, detail = refusal(b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,%s}' % extra)
    assert reason == "malformed"
    assert says in detail


def test_nesting_is_taken_to_128_levels_and_brackets_in_text_are_text() -> None:
    """127 lists inside the message's own object are fine, used or not, and so is any number of brackets in text."""
    head = b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,'
    assert event(head + b'"x":' + b"[" * 127 + b"]" * 127 + b"}").id == "a"
    assert event(head + b'"properties":{"region":' + b"[" * 126 + b"]" * 126 + b"}}").id == "a"
    assert event(head + b'"properties":{"region":"' + b"[" * 9000 + b'"}}').properties.p0 == "[" * 9000


def test_a_message_of_more_than_a_mebibyte_is_too_large() -> None:
    """1,048,576 bytes are read, one more is not, whatever they are."""
    head = b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,"x":"'
    assert event(head + b"x" * (1_048_576 - len(head) - 2) + b'"}').id == "a"
    reason, detail = refusal(head + b"x" * (1_048_577 - len(head) - 2) + b'"}')
    assert reason == "too_large"
    assert "1048577 bytes" in detail
    assert refusal(b"\xff" * 2_000_000, HEADERS)[0] == "too_large"


def test_of_equal_names_the_last_counts() -> None:
    """A name that stands twice in an object is read as its last value, in every path."""
    found = event(
        b'{"id":"a","id":"b","event_name":"e","customer_id":"c","timestamp":0,"properties":{"value":1,"value":2}}'
    )
    assert (found.id, found.properties.p1) == ("b", 2)
    found = event(
        b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,"properties":{"value":1},"properties":{}}'
    )
    assert found.properties.p1 is None
    assert refusal(b'{"id":"a","id":null,"event_name":"e","customer_id":"c","timestamp":0}')[0] == "missing_field"
    escaped = event(b'{"\\u0069d":"a","event_name":"e","customer_id":"c","timestamp":0,"properties":{"valu\\u0065":2}}')
    assert (escaped.id, escaped.properties.p1) == ("a", 2)


@pytest.mark.parametrize(
    "raw, value, kind",
    [
        (b"3", 3, int),
        (b"-0", 0, int),
        (b"1.50", Decimal("1.50"), Decimal),
        (b"0.1", Decimal("0.1"), Decimal),
        (b"1e2", Decimal("1e2"), Decimal),
        (b"123456789012345678901234567890", 123456789012345678901234567890, int),
        (b"1e400", Decimal("1e400"), Unreadable),
        (b"1E-400", Decimal("1e-400"), Unreadable),
        (b"9" * 36 + b"." + b"9" * 30, Decimal("9" * 36 + "." + "9" * 30), Decimal),
        (b"1." + b"0" * 31, 1, Unreadable),
        (b"1" * 5000, Decimal("1" * 5000), Unreadable),
        (b'"1"', "1", str),
        (b"true", True, bool),
        (b"null", None, type(None)),
        (b"[1.5,{}]", [Decimal("1.5"), {}], list),
    ],
)
def test_properties_keep_what_was_written(raw: bytes, value: Any, kind: type) -> None:
    """Numbers are exact, also those that no metric can read; null is as if absent."""
    head = b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,"properties":'
    for found in (
        event(head + b'{"value":%s}}' % raw).properties.p1,
        event(head + b'{"a":{"b":%s}}}' % raw).properties.p2,
    ):
        inner = found["b"] if isinstance(found, dict) and "b" in found else found
        assert inner == value
        assert inner.__class__ is kind


def test_what_no_definition_reads_may_be_any_number() -> None:
    """An unused property or field of absurd size costs the event nothing."""
    for absurd in (b"1" * 100_000, b"1e" + b"9" * 100_000, b"0." + b"1" * 100_000):
        found = event(
            b'{"id":"a","event_name":"e","customer_id":"c","timestamp":0,"x":%s,"properties":{"y":%s}}'
            % (absurd, absurd)
        )
        assert found.id == "a"


@pytest.mark.parametrize(
    "given, held",
    [("r1", "r1"), (5, "5"), (None, None), ("", None), (1.5, None), (True, None), ([], None), ("a\nb", None)],
)
def test_an_event_may_settle_a_reservation(given: Any, held: str | None) -> None:
    """A reservation is text like an id; what cannot be one settles nothing, and the event counts all the same."""
    assert event(NATIVE | {"reservation": given}).reservation == held


def test_only_cloudevents_1_0_are_read() -> None:
    """Another specversion is refused; null or none in headers is not."""
    assert refusal(CLOUD | {"specversion": "0.3"}) == (
        "malformed",
        "specversion is '0.3'; only CloudEvents 1.0 are read",
    )
    assert refusal(CLOUD["data"], [("ce_specversion", b"2"), *HEADERS[1:]])[0] == "malformed"
    assert event(CLOUD["data"], HEADERS[1:]).event_name == "api_request"
    assert refusal(NATIVE | {"specversion": None})[0] == "missing_field"


def test_headers_that_are_no_text_are_malformed() -> None:
    """An attribute of a binary CloudEvent is UTF-8; other headers are not looked at."""
    assert refusal(CLOUD["data"], [*HEADERS, ("ce_x", b"\xff")]) == ("malformed", "the header ce_'x' is not UTF-8")
    assert event(NATIVE, [("trace", b"\xff"), ("other", None)]).id == "ev_1"


def test_binary_data_must_be_an_object() -> None:
    """The message of a binary CloudEvent is its data, one JSON object."""
    for value in (b"[]", b"null", b"x"):
        reason, detail = refusal(value, HEADERS)
        assert reason == "malformed"
        assert "CloudEvent's data" in detail


def test_a_block_answers_in_the_order_of_its_records() -> None:
    """Good and bad records stand in one block, each with its own answer."""
    records = [Sent(json.dumps(NATIVE | {"id": str(n)}).encode() if n % 3 else b"x") for n in range(10)]
    answers = DECODER.block(records)
    assert [answer.id if isinstance(answer, Event) else answer.reason for answer in answers] == [
        "malformed", "1", "2", "malformed", "4", "5", "malformed", "7", "8", "malformed",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "import os", "class", "\u00e9", "", "p0", "id"])
def test_any_property_name_can_be_read(name: str) -> None:
    """Names that are no Python names, or that JSON must escape, are read like others."""
    decoder = Decoder([(name,), ("outer", name)])
    message = json.dumps(NATIVE | {"properties": {name: 7, "outer": {name: 8}}}).encode()
    [found] = decoder.block([Sent(message)])
    assert isinstance(found, Event)
    assert decoder.layout.get(found.properties, (name,)) == 7
    assert decoder.layout.get(found.properties, ("outer", name)) == 8


def test_without_properties_in_use_events_are_read_all_the_same() -> None:
    """Definitions that only count need no property."""
    [found] = Decoder(()).block([Sent(json.dumps(NATIVE).encode())])
    assert isinstance(found, Event)
    assert Properties(()).attributes == {}
