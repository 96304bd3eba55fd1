"""The entries of the rejected topic: what `tally rejected` lists and sends again."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
from aiokafka import ConsumerRecord

from schemas import rejections
from schemas.totals import instant_us

HEADER_REPLAY = "tally-replay"  # on a replayed partial entry: which entry it mends, so that it counts once a metric
OWN_PREFIX = "tally-"  # our headers, on entries and on re-routed events: never part of the producer's own


class Place(msgspec.Struct, frozen=True, order=True):
    """One record of Kafka, written `topic/partition/offset` (a topic's name has no slash)."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `usage-rejected/0/12`; ValueError for anything else."""
        parts = text.split("/")
        if len(parts) != 3 or not parts[0] or not all(part.isascii() and part.isdigit() for part in parts[1:]):
            raise ValueError(f"{text!r} is no topic/partition/offset")
        return cls(parts[0], int(parts[1]), int(parts[2]))

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Entry(msgspec.Struct, frozen=True):
    """One rejected event, or (kind `partial`) one event whose value some metrics could not use.

    `key`, `value` and `headers` are the original's; `source` is where the original stood, None where the entry does
    not say. `metrics` names the metrics of a partial entry. `rejected_ms` is the entry's own Kafka timestamp.
    """

    place: Place
    kind: str
    reason: str
    detail: str
    metrics: tuple[str, ...]
    source: Place | None
    rejected_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, record: ConsumerRecord[bytes, bytes]) -> Self:
        """Read an entry off its record. A foreign record in the topic becomes an entry of reason `unknown`."""
        own = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if name in _OWN}
        metrics = own.get(rejections.HEADER_METRICS, "")
        return cls(
            Place(record.topic, record.partition, record.offset),
            own.get(rejections.HEADER_KIND, rejections.KIND_REJECTED),
            own.get(rejections.HEADER_REASON, "unknown"),
            own.get(rejections.HEADER_DETAIL, ""),
            tuple(name for name in metrics.split(",") if name),
            _source(own),
            record.timestamp,
            record.key,
            record.value,
            tuple((name, value) for name, value in record.headers if name not in _OWN),
        )

    def age(self) -> tuple[int, int, int]:
        """The sort key of entries: the time of the rejection; no two entries share one."""
        return self.rejected_ms, self.place.partition, self.place.offset

    @property
    def customer(self) -> str:
        """The message key as text: the customer as the producer named it, where it named one."""
        return "" if self.key is None else self.key.decode("utf-8", "replace")

    @property
    def cut(self) -> bool:
        """Whether the value is only the first part of the original's."""
        return self.reason == rejections.TOO_LARGE and len(self.value or b"") >= rejections.KEPT_BYTES

    def to_json(self) -> dict[str, Any]:
        """The entry as `--json` and `--lines` print it; `value` is text, or `value_base64` where it is no UTF-8."""
        row: dict[str, Any] = {
            "entry": str(self.place),
            "kind": self.kind,
            "reason": self.reason,
            "detail": self.detail,
        }
        if self.metrics:
            row["metrics"] = list(self.metrics)
        row["source"] = None if self.source is None else str(self.source)
        row["rejected_at"] = instant_us(self.rejected_ms * 1000)
        row["key"] = None if self.key is None else self.customer
        if (headers := self.original_headers()) and self.headers:
            row["headers"] = {name: value.decode("utf-8", "replace") for name, value in headers}
        try:
            row["value"] = None if self.value is None else self.value.decode()
        except UnicodeDecodeError:
            row["value_base64"] = base64.b64encode(self.value or b"").decode()
        return row

    def original_headers(self) -> list[tuple[str, bytes]]:
        """The producer's own headers, without those that Tallystream set on the way."""
        return [(name, value) for name, value in self.headers if not name.startswith(OWN_PREFIX)]

    def replay_headers(self) -> list[tuple[str, bytes]]:
        """The headers with which the entry is sent again.

        A whole entry goes as a new event. A partial one says which entry it mends and for which metrics, so that it
        folds only into those, once each. Where the entry came of a replay itself (whatever was wrong with that), the
        first entry is named: an event that is mended in two steps still counts once.
        """
        headers = self.original_headers()
        first = next((value for name, value in self.headers if name == HEADER_REPLAY), None)
        if self.kind == rejections.KIND_PARTIAL or first is not None:
            headers.append((HEADER_REPLAY, first or str(self.place).encode()))
            headers.append((rejections.HEADER_METRICS, ",".join(self.metrics).encode()))
        return headers


_OWN = frozenset(
    {
        rejections.HEADER_KIND,
        rejections.HEADER_REASON,
        rejections.HEADER_DETAIL,
        rejections.HEADER_METRICS,
        rejections.HEADER_TOPIC,
        rejections.HEADER_PARTITION,
        rejections.HEADER_OFFSET,
    }
)


def _source(own: dict[str, str]) -> Place | None:
    names = (rejections.HEADER_TOPIC, rejections.HEADER_PARTITION, rejections.HEADER_OFFSET)
    try:
        return Place.parse("/".join(own[name] for name in names))
    except (KeyError, ValueError):
        return None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for: those that meet every condition given; an empty one is none."""

    places: frozenset[Place] = frozenset()
    kinds: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    since_ms: int | None = None  # inclusive
    until_ms: int | None = None  # exclusive

    def takes(self, entry: Entry) -> bool:
        """Whether the entry meets every condition."""
        return (
            (not self.places or entry.place in self.places)
            and (not self.kinds or entry.kind in self.kinds)
            and (not self.reasons or entry.reason in self.reasons)
            and (not self.customers or entry.customer in self.customers)
            and (not self.metrics or not self.metrics.isdisjoint(entry.metrics))
            and (self.since_ms is None or entry.rejected_ms >= self.since_ms)
            and (self.until_ms is None or entry.rejected_ms < self.until_ms)
        )

    @property
    def everything(self) -> bool:
        """Whether no condition is given."""
        return self == Wanted()


class Mended(msgspec.Struct, frozen=True):
    """One line of a file of mended entries: which entry, and its new value."""

    entry: str
    value: msgspec.Raw

    @property
    def body(self) -> bytes:
        """The bytes to send: the text of a JSON string, else the JSON value exactly as it was written."""
        raw = bytes(self.value)
        return msgspec.json.decode(raw, type=str).encode() if raw.startswith(b'"') else raw


def read_mended(lines: Iterable[bytes]) -> tuple[dict[Place, bytes], Sequence[str]]:
    """Read lines of `{"entry": "usage-rejected/0/12", "value": {...}}`; other fields are ignored.

    So what `tally rejected --lines` prints can be edited and handed back. Returns the values and the faults.
    """
    values: dict[Place, bytes] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            mended = msgspec.json.decode(line, type=Mended)
            place = Place.parse(mended.entry)
        except (msgspec.MsgspecError, ValueError) as error:
            faults.append(f"line {number}: {error}")
            continue
        if place in values:
            faults.append(f"line {number}: {place} is there twice")
        values[place] = mended.body
    return values, faults
