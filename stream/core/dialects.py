"""Which field of a message is what: our own names, and those that other systems' producers send unchanged.

Each field goes by any of its names; the first that is there counts, and null is as if absent. A message with
`specversion`, or with headers that begin with `ce_`, is a CloudEvent and goes by the names of that standard.
"""

import binascii
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.rejections import BAD_TIMESTAMP, MALFORMED, MISSING_FIELD
from stream.core.jsontext import NotJson, parse
from stream.core.numbers import Immense

LONGEST_ID = 256
"""Bytes of UTF-8 that an event's or a customer's id may have."""

NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "uniqueId", "idempotency_id", "transaction_id"),
    "event_name": ("event_name", "eventName", "code"),
    "customer_id": ("customer_id", "accountId", "external_customer_id", "external_subscription_id"),
    "timestamp": ("timestamp", "time_created"),
    "properties": ("properties",),
    "reservation": ("reservation",),
}
"""Our fields and, after our own name for each, those of Alguna, Lotus and Lago."""

CLOUD_EVENT: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "source": ("source",),
    "event_name": ("type",),
    "customer_id": ("subject",),
    "timestamp": ("time",),
    "properties": ("data",),
    "reservation": ("reservation",),
}
"""Our fields and the attributes of CloudEvents 1.0; `reservation` is an extension attribute."""

BINARY_PREFIX = "ce_"
APP, FIRST_TIMESTAMP = "tally-app", "tally-first-timestamp"
"""Headers of a re-routed event: the app that did it, and the Kafka timestamp, in milliseconds, of the record that it copies."""

Headers = Iterable[tuple[str, bytes | None]]


class Refused(ValueError):  # noqa: N818 (it becomes a Refusal)
    """The message is no event: a reason of `schemas.rejections`, and a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Fields(NamedTuple):
    """What an event says, checked; `timestamp` is as it was written, `id` names the event within its customer."""

    id: str
    event_name: str
    customer_id: str
    timestamp: str | int | Decimal
    properties: dict[str, Any]
    reservation: str | None


def read(value: bytes | None, headers: Headers, record_ms: int | None) -> Fields:
    """The fields of one message; raises `Refused`.

    `record_ms` is the record's Kafka timestamp, which a CloudEvent without `time` takes; None or negative
    where there is none, as in a file.
    """
    known = dict(headers)
    attributes = {name[len(BINARY_PREFIX) :]: text for name, text in known.items() if name.startswith(BINARY_PREFIX)}
    if attributes:
        message: dict[str, Any] = {name: _header(name, text) for name, text in attributes.items()}
        message["data"] = _object(value, "a binary CloudEvent's data") if value else {}
        names = CLOUD_EVENT
    else:
        message = _object(value, "the message")
        names = CLOUD_EVENT if "specversion" in message else NAMES
    if names is NAMES:
        return _checked(message, names, None)
    version = message.get("specversion")
    if version is not None and version != "1.0":
        raise Refused(MALFORMED, f"specversion is {_quoted(version)}; only CloudEvents 1.0 are read")
    if message.get("data") is None and message.get("data_base64") is not None:
        message["data"] = _object(_base64(message["data_base64"]), "data_base64")
    first = known.get(FIRST_TIMESTAMP) if known.get(APP) is not None else None
    if first is not None and first.isdigit() and len(first) < 16:
        record_ms = int(first)
    return _checked(message, names, record_ms)


def _object(value: bytes | None, what: str) -> dict[str, Any]:
    """The JSON object that the bytes are."""
    if not value:
        raise Refused(MALFORMED, f"{what} is empty: send one JSON object")
    try:
        found = parse(value)
    except NotJson as error:
        raise Refused(MALFORMED, f"{what} cannot be read, {error}") from None
    if not isinstance(found, dict):
        raise Refused(MALFORMED, f"{what} is {_kind(found)}: send one JSON object")
    return found


def _header(name: str, text: bytes | None) -> str | None:
    try:
        return None if text is None else text.decode()
    except UnicodeDecodeError:
        raise Refused(MALFORMED, f"the header {BINARY_PREFIX}{_quoted(name)} is not UTF-8") from None


def _base64(text: Any) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, TypeError):
        raise Refused(MALFORMED, "data_base64 is no base64 text") from None


def _checked(message: Mapping[str, Any], names: Mapping[str, tuple[str, ...]], record_ms: int | None) -> Fields:
    """The fields, in the order of verdicts: first the shape of each, then that all are there, then the timestamp."""
    found: dict[str, Any] = {}
    written: dict[str, str] = {}
    for field, candidates in names.items():
        written[field] = next((name for name in candidates if message.get(name) is not None), candidates[0])
        found[field] = message.get(written[field])
    for field in ("id", "customer_id", "source"):
        if found.get(field) is not None:
            found[field] = identifier(found[field], written[field])
    if not isinstance(found["event_name"], str | None):
        raise Refused(
            MALFORMED, f"{written['event_name']} is {_kind(found['event_name'])}: send the event's name as text"
        )
    if not isinstance(found["properties"], dict | None):
        raise Refused(
            MALFORMED, f"{written['properties']} is {_kind(found['properties'])}: send an object, or leave it out"
        )
    stamp = found["timestamp"]
    if stamp is None and record_ms is not None and record_ms >= 0:
        # in seconds, since a number below 10^11 is not read as milliseconds
        stamp = found["timestamp"] = Decimal(record_ms).scaleb(-3)
    missing = [
        field for field in ("customer_id", "id", "source", "event_name", "timestamp") if found.get(field, 0) is None
    ]
    if missing:
        raise Refused(MISSING_FIELD, _missing(missing, names))
    if isinstance(stamp, Immense):
        stamp = stamp.nearest()
    if isinstance(stamp, bool) or not isinstance(stamp, str | int | Decimal):
        raise Refused(
            BAD_TIMESTAMP, f"{written['timestamp']} is {_kind(stamp)}; write it like 2026-03-05T12:00:00.250Z"
        )
    identity: str = found["id"] if names is NAMES else cloud_identity(found["source"], found["id"])
    hold = reservation(found["reservation"])
    name = found["event_name"]
    assert name is not None
    return Fields(identity, name, found["customer_id"], stamp, found["properties"] or {}, hold)


def cloud_identity(source: str, id: str) -> str:  # noqa: A002 (the standard's name)
    """One text for a CloudEvent's source and id, which no other pair and no plain id gives.

    >>> cloud_identity("/a", "b/1") == cloud_identity("/ab", "/1")
    False
    """
    return f"\x1f{len(source)}:{source}{id}"  # a plain id holds no control character


def identifier(value: Any, field: str) -> str:
    """The text of an id: 1 to 256 bytes without control characters, or an integer's digits. Raises `Refused`."""
    if value.__class__ is int:
        value = str(value)
    elif not isinstance(value, str):
        integer = ", and no integer" if isinstance(value, Decimal) else ""
        raise Refused(MALFORMED, f"{field} is {_kind(value)}{integer}: send text, or an integer")
    if not value:
        raise Refused(MALFORMED, f"{field} is empty: send 1 to {LONGEST_ID} bytes of text")
    if len(value) * 4 > LONGEST_ID and len(value.encode()) > LONGEST_ID:
        raise Refused(MALFORMED, f"{field} has {len(value.encode())} bytes of UTF-8: send at most {LONGEST_ID}")
    if not value.isprintable() and any(unicodedata.category(each) == "Cc" for each in value):
        raise Refused(MALFORMED, f"{field} holds a control character: {_quoted(value)}")
    return value  # type: ignore[no-any-return]


def reservation(value: Any) -> str | None:
    """The hold that an event settles; what cannot be the id of a hold settles none, and the event counts."""
    try:
        return None if value is None else identifier(value, "reservation")
    except Refused:
        return None


def _missing(fields: list[str], names: Mapping[str, tuple[str, ...]]) -> str:
    if names is CLOUD_EVENT:
        ours = {
            "customer_id": "subject (the customer's id)",
            "event_name": "type (the event's name)",
            "timestamp": "time",
        }
        return f"the CloudEvent lacks {' and '.join(ours.get(field, field) for field in fields)}"
    said = [f"{field} (or {', '.join(others)})" if (others := names[field][1:]) else field for field in fields]
    return f"the event lacks {' and '.join(said)}"


def _kind(value: Any) -> str:
    """What a JSON value is, for a sentence."""
    kinds: dict[type, str] = {bool: "a truth value", str: "text", list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(value.__class__, "a number")


def _quoted(value: Any) -> str:
    text = (
        ascii(value[:60] if isinstance(value, str) else value)
        if not isinstance(value, int | list | dict)
        else _kind(value)
    )
    return text if len(text) <= 50 else f"{text[:48]}..."
