"""The events of a request: one, a JSON array, or a line each; in any dialect; each as the bytes that were sent.

What is found here goes to the decoder that the worker uses, so that a request hears the same reasons that an entry on
the rejected topic would have.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from schemas.rejections import BAD_TIMESTAMP, Refusal
from stream.core.decode import Decoder, Event
from stream.core.dialects import BINARY_PREFIX, CLOUD_EVENT, NAMES
from stream.core.timestamps import BadTimestamp, microseconds
from tally.api.problems import Problem, Wrong
from tally.outgoing import Raw

MOST_EVENTS = 10_000
"""Events of one request."""
HTTP_PREFIX = "ce-"
LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
BATCH = "application/cloudevents-batch+json"
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
_OPEN = re.compile(rb"\s*")


@dataclass(frozen=True)
class Ready:
    """An event that may be sent: its key is the customer as it was written."""

    id: str
    key: bytes
    raw: Raw


@dataclass(frozen=True)
class Refused:
    """An event in which a fault can be seen; `id` where one can be read."""

    id: str | None
    refusal: Refusal


class Intake:
    """Reads requests' bodies. It keeps nothing: one serves every request."""

    def __init__(self) -> None:
        self._decoder = Decoder(())

    def look(self, raws: Sequence[Raw]) -> list[Ready | Refused]:
        """Judge each, in its order."""
        return [self._judge(raw, event) for raw, event in zip(raws, self._decoder.block(raws), strict=True)]

    @staticmethod
    def _judge(raw: Raw, event: Event | Refusal) -> Ready | Refused:
        if isinstance(event, Refusal):
            return Refused(_told(raw), event)
        # a CloudEvent's identity is its source and id in one; the caller knows it by the id
        name = event.id if event.id.isprintable() else _told(raw) or event.id
        try:
            microseconds(event.timestamp)
        except BadTimestamp as bad:
            return Refused(name, Refusal(BAD_TIMESTAMP, str(bad)))
        return Ready(name, event.customer_id.encode(), raw)


def split(body: bytes, content_type: str, headers: Mapping[str, str], now_ms: int) -> list[Raw]:
    """The events of a request, each with `now_ms` as its record's timestamp.

    Args:
        body: whole.
        content_type: without its parameters, in lower case.
        headers: of the request; those that begin with `ce-` make it one binary CloudEvent.

    Raises Problem (400) where they cannot be told apart, and (413) where they are too many.
    """
    if attributes := _binary(headers, content_type):
        return [Raw(body, attributes, now_ms)]
    if content_type in LINES:
        values = _lines(body)
    elif body.lstrip(b" \t\r\n")[:1] == b"[":
        values = _array(body)
    elif content_type == BATCH:
        raise Wrong("", f"the body is no JSON array, as {BATCH} says that it is")
    else:
        values = _one_or_lines(body)
    if not values and not body.strip():
        raise Wrong("", "the body is empty: send one event, a JSON array of events, or one event a line")
    if len(values) > MOST_EVENTS:
        raise Problem(413, f"the request has {len(values)} events: send at most {MOST_EVENTS}")
    return [Raw(value, (), now_ms) for value in values]


def _binary(headers: Mapping[str, str], content_type: str) -> list[tuple[str, bytes]]:
    """The Kafka headers of a binary CloudEvent; empty where the request is none."""
    found = {name.lower(): value for name, value in headers.items() if name.lower().startswith(HTTP_PREFIX)}
    if not found:
        return []
    out = []
    for name, value in sorted(found.items()):
        attribute = name.removeprefix(HTTP_PREFIX)
        if not _ATTRIBUTE.fullmatch(attribute):
            raise Wrong(name[:80], "is no attribute of a CloudEvent: its name has the letters a-z and digits alone")
        # in HTTP a header's value is ASCII, everything else is written in per cent; in Kafka it is UTF-8
        out.append((BINARY_PREFIX + attribute, unquote_to_bytes(value.encode("utf-8", "surrogateescape"))))
    return [*out, ("content-type", content_type.encode())] if content_type else out


def _array(body: bytes) -> list[bytes]:
    try:
        # each event's own bytes: what Kafka gets is what was written
        return [bytes(each) for each in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Wrong("", f"the body begins as a JSON array and is none ({fault})") from None


def _lines(body: bytes) -> list[bytes]:
    return [stripped for line in body.split(b"\n") if (stripped := line.strip())]


def _one_or_lines(body: bytes) -> list[bytes]:
    """One event, unless the body is no JSON value and each of its several lines looks like an object."""
    lines = _lines(body)
    if len(lines) > 1 and all(line.startswith(b"{") and line.endswith(b"}") for line in lines):
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return lines
    one = body.strip(b" \t\r\n")
    return [one] if one else []


def _told(raw: Raw) -> str | None:
    """The id by which the caller knows an event, as far as one can be read."""
    for name, text in raw.headers:
        if name == f"{BINARY_PREFIX}id":
            return text.decode("utf-8", "replace")[:256]
    if any(name.startswith(BINARY_PREFIX) for name, _ in raw.headers):
        return None
    try:
        message = msgspec.json.decode(raw.value or b"", type=_Told)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    names = CLOUD_EVENT if message.specversion is not None else NAMES
    for name in names["id"]:
        value: Any = getattr(message, name)
        if value is not None:
            return str(value)[:256] if isinstance(value, str | int) and not isinstance(value, bool) else None
    return None


class _Told(msgspec.Struct):
    """The names under which an id may stand."""

    id: Any = None
    uniqueId: Any = None  # noqa: N815 - Alguna's name
    idempotency_id: Any = None
    transaction_id: Any = None
    specversion: Any = None


__all__ = ["MOST_EVENTS", "Intake", "Ready", "Refused", "split"]
