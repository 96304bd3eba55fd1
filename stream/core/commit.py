"""What one commit carries: the nouns between the fold, the changelog's writer and the publisher."""

from dataclasses import dataclass
from typing import NamedTuple

TERM = 1 << 32
"""A version is term * 2^32 + number of the commit: below 2^53 (exact in a double) for two million terms."""


class Out(NamedTuple):
    """A record for another topic, sent inside the commit.

    `to` is "rejected", "alerts" or "events". `partition` None leaves the place to the key, `timestamp_ms` None to
    the sender's clock.
    """

    to: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int | None
    timestamp_ms: int | None


class Publication(NamedTuple):
    """What Redis shows of one (canonical) customer after a commit.

    `fields` are hash fields and their JSON text; None deletes a field. `settles` are the reservations that the
    commit settles. `whole` says that these are all of the customer's fields: any other is deleted.
    """

    customer: str
    fields: dict[str, str | None]
    settles: list[str]
    whole: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that changed up to one instant between two blocks, encoded and rendered.

    `rows` are changelog records in the order in which they have to be written: the header first, then rows, dedupe
    records and tombstones (value None). `next_offset` is the source position that the commit includes up to.
    `complete` is False while customers marked for publication (`Partition.publish_since`) are still to come.
    """

    version: int
    next_offset: int
    rows: list[tuple[bytes, bytes | None]]
    outbox: list[Out]
    publications: list[Publication]
    complete: bool
