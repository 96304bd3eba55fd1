"""Small partitions for tests: records, definitions, and what a takeover reads."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.definitions import Definitions, Metric
from stream.core.commit import Commit
from stream.core.partition import Partition
from stream.core.plan import Plan, Rules

NOON = 1_772_712_000
"""2026-03-05T12:00:00Z, a Thursday."""


@dataclass
class Record:
    """A record of the source, with the attributes that the fold reads."""

    offset: int
    value: bytes | None
    timestamp: int
    headers: Sequence[tuple[str, bytes]] = ()
    key: bytes | None = b"acme"
    topic: str = "usage-events"
    partition: int = 0


@dataclass
class Row:
    """A record of the changelog."""

    key: bytes
    value: bytes | None


def event(offset: int, at: float = NOON, *, stamp: float | None = None, **fields: Any) -> Record:
    """An event of the customer acme named `call`; `at` is its timestamp, `stamp` Kafka's, in seconds."""
    headers = fields.pop("headers", ())
    partition = fields.pop("partition", 0)
    properties = fields.pop("p", {})
    body = {
        "id": f"e{offset}",
        "event_name": "call",
        "customer_id": "acme",
        "timestamp": at,
        "properties": properties,
        **fields,
    }
    stamped = int((at if stamp is None else stamp) * 1000)
    return Record(
        offset, json.dumps(body).encode(), stamped, headers, str(body["customer_id"]).encode(), partition=partition
    )


def counter(key: str, aggregation: str = "count", **fields: Any) -> Metric:
    """A counter over events named `call`, by hour, day and in total unless said."""
    made = {"name": key, "event_name": "call", "type": "counter", "windows": ("hour", "day", "total"), **fields}
    return Metric(key=key, aggregation=aggregation, **made)


def definitions(*metrics: Metric, **fields: Any) -> Definitions:
    """Definitions with these metrics."""
    return Definitions(metrics={metric.key: metric for metric in metrics}, **fields)


@dataclass
class World:
    """One partition, its changelog, and what it sent to other topics and to Redis."""

    made: Definitions
    rules: Rules = field(default_factory=Rules)
    number: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        self.changelog: list[Row] = []
        self.outbox: list[Any] = []
        self.redis: dict[str, dict[str, str]] = {}
        self.settled: list[tuple[str, str]] = []
        self.position = 0
        self.published: int | None = None
        self.start()

    def start(self, made: Definitions | None = None, published: int | None = None) -> None:
        """A new owner takes the partition over, perhaps with other definitions."""
        self.made = made or self.made
        self.partition = Partition(Plan(self.made, self.rules), self.number, self.count, published)
        self.partition.restore(self.changelog)
        self.partition.restored()
        self.partition.begin_term()

    def restart(self, made: Definitions | None = None) -> None:
        """The owner dies after its last commit, which Redis shows."""
        self.start(made, self.published)

    def fold(self, *records: Record) -> None:
        """Fold a block."""
        self.position = max([self.position, *(record.offset + 1 for record in records)])
        self.partition.fold(records, self.position)

    def commit(self) -> Commit | None:
        """Take what is dirty, write it, and publish it."""
        commit = self.partition.take()
        if commit is None:
            return None
        self.changelog += [Row(key, value) for key, value in commit.rows]
        self.outbox += commit.outbox
        for publication in commit.publications:
            known = {} if publication.whole else self.redis.setdefault(publication.customer, {})
            for name, text in publication.fields.items():
                if text is None:
                    known.pop(name, None)
                else:
                    known[name] = text
            self.redis[publication.customer] = known
            self.settled += [(publication.customer, each) for each in publication.settles]
        if commit.complete:
            self.published = commit.version
        return commit

    def run(self, *records: Record) -> None:
        """Fold a block and commit it."""
        self.fold(*records)
        self.commit()

    def windows(self, name: str, customer: str = "acme") -> dict[str, list[list[Any]]]:
        """The windows of a field in Redis, by kind."""
        text = self.redis.get(customer, {}).get(name)
        found: dict[str, list[list[Any]]] = json.loads(text)["w"] if text is not None else {}
        return found

    def live(self) -> dict[bytes, bytes]:
        """The changelog as compaction leaves it."""
        latest: dict[bytes, bytes | None] = {row.key: row.value for row in self.changelog}
        return {key: value for key, value in latest.items() if value is not None}

    def usage(self, at: float | None = None, customer: str = "acme") -> dict[tuple[str, str, str], tuple[str, int]]:
        """(metric, group's JSON, window) -> (value, events) of the windows that hold an instant."""
        at_us = None if at is None else int(at * 1_000_000)
        return {
            (row.metric, json.dumps(dict(row.group), default=str), row.window): (row.value, row.events)
            for row in self.partition.usage(customer, at_us=at_us)
        }

    def sweep(self, rounds: int = 3) -> None:
        """Walk over everything some times."""
        for _ in range(rounds):
            self.partition.sweep(100_000)


def headers_of(out: Any) -> dict[str, str]:
    """The headers of a record for another topic."""
    pairs: Iterable[tuple[str, bytes]] = out.headers
    return {name: text.decode() for name, text in pairs}
