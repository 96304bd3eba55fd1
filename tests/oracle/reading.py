"""One message to one event or one refusal, in every dialect.

Part of the independent judge. Where several faults are in one message, the order is:
too_large, malformed, missing_field, bad_timestamp.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.times import BadTimestampError, instant
from tests.oracle.values import MalformedJsonError, Number, exact, plain, read_json

MAX_BYTES = 1_048_576
FIELDS: dict[str, tuple[str, ...]] = {
    "id": ("id", "uniqueId", "idempotency_id", "transaction_id"),
    "event_name": ("event_name", "eventName", "code"),
    "customer_id": ("customer_id", "accountId", "external_customer_id", "external_subscription_id"),
    "timestamp": ("timestamp", "time_created"),
    "properties": ("properties",),
}
CLOUD_EVENT: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "source": ("source",),
    "event_name": ("type",),
    "customer_id": ("subject",),
    "timestamp": ("time",),
    "properties": ("data",),
}

Headers = Iterable[tuple[str, bytes]]


class RefusedError(ValueError):
    """The message is no event: a reason for machines and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


@dataclass(slots=True)
class Event:
    """One event, read: its identity, its instant in microseconds, and its place in the log."""

    customer: str
    identity: tuple[str, ...]
    name: str
    us: int
    properties: dict[str, Any]
    reservation: str | None = None
    order: int = 0
    left_out: set[tuple[str, str]] = field(default_factory=set)
    """(metric, window kind) that this event came too late for, in a log."""


def read_line(line: bytes) -> Event:
    """The event of one line of a file."""
    return read_message(line, (), None)


def read_message(value: bytes | None, headers: Headers, record_us: int | None) -> Event:
    """The event of a message; `record_us` is the record's own Kafka timestamp, None in a file."""
    if value is not None and len(value) > MAX_BYTES:
        raise RefusedError("too_large", f"{len(value)} bytes")
    attributes = {name[3:]: text for name, text in headers if name.startswith("ce_")}
    try:
        body = {} if attributes and not value else read_json(value or b"")
    except MalformedJsonError as error:
        raise RefusedError("malformed", str(error)) from error
    if not isinstance(body, dict):
        raise RefusedError("malformed", "no JSON object")
    if attributes:
        message = {name: decoded(text) for name, text in attributes.items()} | {"data": body}
        names = CLOUD_EVENT
    else:
        message = body
        names = CLOUD_EVENT if "specversion" in body else FIELDS
    if message.get("specversion", "1.0") != "1.0":
        raise RefusedError("malformed", "only CloudEvents 1.0 are known")
    found = {wanted: first(message, candidates) for wanted, candidates in names.items()}
    return event_of(found, first(message, ("reservation",)), record_us if names is CLOUD_EVENT else None)


def decoded(text: bytes) -> str:
    """A header's text."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise RefusedError("malformed", "a header is no UTF-8") from error


def first(message: dict[str, Any], candidates: Iterable[str]) -> Any:
    """The first of the fields that is there; null is as if absent."""
    return next((message[name] for name in candidates if message.get(name) is not None), None)


def event_of(found: dict[str, Any], reservation: Any, record_us: int | None) -> Event:
    """Check what was found: first its shape, then that all is there, then the timestamp."""
    texts = {name: identifier(found[name]) for name in ("id", "customer_id", "source") if found.get(name) is not None}
    name = found["event_name"]
    if name is not None and (not isinstance(name, str) or isinstance(name, Number)):
        raise RefusedError("malformed", "the event's name is no text")
    properties = found["properties"]
    if properties is not None and not isinstance(properties, dict):
        raise RefusedError("malformed", "properties are no object")
    stamp = found["timestamp"]
    wanted = ["customer_id", "id", *(["source"] if "source" in found else [])]
    missing = [field_name for field_name in wanted if field_name not in texts]
    missing += [] if name is not None else ["event_name"]
    missing += [] if stamp is not None or record_us is not None else ["timestamp"]
    if missing:
        raise RefusedError("missing_field", ", ".join(missing))
    try:
        us = record_us if stamp is None else instant(stamp)
    except BadTimestampError as error:
        raise RefusedError("bad_timestamp", str(error)) from error
    assert us is not None
    assert name is not None
    identity = ("cloudevent", texts["source"], texts["id"]) if "source" in found else ("id", texts["id"])
    hold = str(reservation) if isinstance(reservation, str) else None
    return Event(texts["customer_id"], identity, name, us, properties or {}, hold)


def identifier(value: Any) -> str:
    """A customer id or an event's id: 1 to 256 bytes without control characters, or an integer's digits."""
    if isinstance(value, Number):
        if any(mark in value for mark in ".eE"):
            raise RefusedError("malformed", f"{value} is no integer")
        known = exact(value)
        assert known is not None
        text = plain(known)
    elif isinstance(value, str):
        text = value
    else:
        raise RefusedError("malformed", "an id is neither text nor an integer")
    if not 1 <= len(text.encode()) <= 256 or any(unicodedata.category(character) == "Cc" for character in text):
        raise RefusedError("malformed", "an id is empty, longer than 256 bytes or has control characters")
    return text


def reach(properties: dict[str, Any], path: str) -> Any:
    """The property that a dotted path names, None where it is absent, null or below what is no object."""
    value: Any = properties
    for segment in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(segment)
    return value
