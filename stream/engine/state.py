"""What the engine needs of a partition's state: `stream.core.partition.Partition`, or something small in a test."""

from collections.abc import Sequence
from typing import Protocol

from stream.core.commit import Commit
from stream.core.header import Header
from stream.engine.blocks import Record


class State(Protocol):
    """The state of one partition. Pure: it knows neither Kafka nor Redis nor the time."""

    @property
    def header(self) -> Header:
        """Term, number, position and counts."""

    def restore(self, records: Sequence[Record]) -> None:
        """Apply a run of the changelog."""

    def restored(self) -> None:
        """Hear that the changelog is read."""

    def begin_term(self) -> None:
        """Begin a new term: the next commit is its first."""

    def fold(self, records: Sequence[Record], next_offset: int) -> None:
        """Fold a run of the source; afterwards the header says `next_offset`."""

    def refuse(self, record: Record, next_offset: int, detail: str) -> None:
        """Send a record to the rejected topic, reason `internal_error`, without looking into it."""

    def take(self, most: int = ...) -> Commit | None:
        """Take all that is dirty at this instant, and up to `most` of the customers marked for publication."""

    def publish_since(self, version: int | None) -> None:
        """Mark for publication what changed after `version`."""

    def sweep(self, steps: int) -> None:
        """Do a bounded part of what expires."""
