"""Records for other topics: entries on `usage-rejected`, and events sent on to the partition they belong to."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.rejections import (
    BAD_VALUE,
    HEADER_DETAIL,
    HEADER_KIND,
    HEADER_METRICS,
    HEADER_OFFSET,
    HEADER_PARTITION,
    HEADER_REASON,
    HEADER_TOPIC,
    KEPT_BYTES,
    KIND_PARTIAL,
    KIND_REJECTED,
    TOO_LARGE,
    Refusal,
)
from stream.core.commit import Out

APP, CANONICAL, ORIGIN, FIRST_TIMESTAMP = "tally-app", "tally-canonical", "tally-origin", "tally-first-timestamp"
"""Headers of an event that was re-routed: the app that did it, the customer, `topic/partition/offset`, and ms."""

REPLAY = "tally-replay"
"""Header of a mended event that is sent again: `topic/partition/offset` of its entry on `usage-rejected`.

With `tally-metrics` (keys, separated by commas) it folds only into those, once for each entry and metric.
"""

_OURS = {
    HEADER_KIND,
    HEADER_REASON,
    HEADER_DETAIL,
    HEADER_METRICS,
    HEADER_TOPIC,
    HEADER_PARTITION,
    HEADER_OFFSET,
    APP,
    CANONICAL,
    ORIGIN,
    FIRST_TIMESTAMP,
}


_MS = re.compile(rb"-?[0-9]{1,15}")  # minus one is Kafka's word for none
_ORIGIN = re.compile(rb".*/[0-9]{1,10}/[0-9]{1,19}", re.DOTALL)


class Source(NamedTuple):
    """Where the records lie: they do not say so themselves, which would cost more than to read them."""

    topic: str
    partition: int


def rejected(record: Any, source: Source, refusal: Refusal) -> Out:
    """The entry of a record that is not accepted: its bytes, and why."""
    value = record.value
    if refusal.reason == TOO_LARGE and value is not None:
        value = value[:KEPT_BYTES]
    return _entry(record, source, value, KIND_REJECTED, refusal.reason, refusal.sentence, ())


def partial(record: Any, source: Source, metrics: Sequence[str]) -> Out:
    """The entry of an event that counts, but whose value some metrics cannot use."""
    which = ", ".join(metrics)
    return _entry(record, source, record.value, KIND_PARTIAL, BAD_VALUE, f"No usable number for: {which}.", metrics)


def _entry(
    record: Any, source: Source, value: bytes | None, kind: str, reason: str, detail: str, metrics: Sequence[str]
) -> Out:
    # a replay that fails again stays one: its entry says which it mends, and for which metrics
    replayed = [
        (name, text) for name, text in record.headers if name == HEADER_METRICS and replay_of(record) is not None
    ]
    headers = [(name, text) for name, text in record.headers if name not in _OURS]
    topic, partition, offset = origin_of(record, source)
    headers += [(HEADER_KIND, kind.encode()), (HEADER_REASON, reason.encode()), (HEADER_DETAIL, detail.encode())]
    if metrics:
        headers.append((HEADER_METRICS, ",".join(metrics).encode()))
    else:
        headers += replayed
    headers += [(HEADER_TOPIC, topic), (HEADER_PARTITION, partition), (HEADER_OFFSET, offset)]
    return Out("rejected", record.key, value, headers, None, None)


def replay_of(record: Any) -> tuple[bytes, list[str]] | None:
    """Of a mended event that is sent again: its entry, and the metrics that it is for. None for any other."""
    headers = dict(record.headers)
    if headers.get(REPLAY) is None or headers.get(HEADER_METRICS) is None:
        return None
    metrics = headers[HEADER_METRICS].decode(errors="replace").split(",")
    return headers[REPLAY], [key for key in metrics if key]


class Copy(NamedTuple):
    """What the headers of a re-routed event say: whose it is, and the first record's Kafka timestamp in milliseconds."""

    customer: str
    first_ms: int


def copy_of(record: Any, app: str) -> Copy | None:
    """What a copy that this app sent home says; None for any other record, whatever else its headers hold.

    Raises ValueError, with a sentence for a person, where the headers name this app and are not as it writes them.
    """
    headers = dict(record.headers)
    if headers.get(APP) != app.encode():
        return None
    customer, first, origin = headers.get(CANONICAL), headers.get(FIRST_TIMESTAMP), headers.get(ORIGIN, b"/0/0")
    try:
        if customer and first is not None and _MS.fullmatch(first) and origin is not None and _ORIGIN.fullmatch(origin):
            return Copy(customer.decode(), int(first))
    except UnicodeDecodeError:
        pass
    raise ValueError(
        f"It has the header {APP}, but {CANONICAL}, {FIRST_TIMESTAMP} or {ORIGIN} is not as Tallystream writes it."
    )


def first_ms(record: Any) -> int:
    """The Kafka timestamp that an event may lie ahead of: of a copy that `copy_of` has read, the first record's."""
    if record.headers:
        headers = dict(record.headers)
        if headers.get(APP) is not None and FIRST_TIMESTAMP in headers:
            return int(headers[FIRST_TIMESTAMP])
    stamped: int = record.timestamp
    return stamped


def origin_of(record: Any, source: Source) -> tuple[bytes, bytes, bytes]:
    """Topic, partition and offset where a producer's record stood, before any re-routing."""
    headers = dict(record.headers)
    origin = headers.get(ORIGIN) if headers.get(APP) is not None else None
    if origin is not None and _ORIGIN.fullmatch(origin):
        topic, partition, offset = bytes(origin).rsplit(b"/", 2)
        return topic, partition, offset
    return source.topic.encode(), b"%d" % source.partition, b"%d" % record.offset


def rerouted(record: Any, source: Source, app: str, customer: str, home: int) -> Out:
    """The record, sent on to its customer's home partition."""
    headers = [(name, text) for name, text in record.headers if name not in {APP, CANONICAL, ORIGIN, FIRST_TIMESTAMP}]
    headers += [
        (APP, app.encode()),
        (CANONICAL, customer.encode()),
        (ORIGIN, b"/".join((source.topic.encode(), b"%d" % source.partition, b"%d" % record.offset))),
        (FIRST_TIMESTAMP, b"%d" % record.timestamp),
    ]
    return Out("events", customer.encode(), record.value, headers, home, record.timestamp)
