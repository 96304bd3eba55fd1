"""A block: what one fetch brought of one partition, handed through Faust as one message."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """What the engine and the fold read of a record; aiokafka's, as it lies in the batch."""

    @property
    def offset(self) -> int:
        """The offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Kafka's timestamp, milliseconds since the epoch."""

    @property
    def key(self) -> bytes | None:
        """The key's bytes."""

    @property
    def value(self) -> bytes | None:
        """The value's bytes."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The headers, in order."""


class Block(NamedTuple):
    """Records of one partition: all that the log delivers of the offsets `[start, end)`.

    `end` is the consumer's position after the fetch, not the last record's offset + 1: transaction markers, aborted
    records and compaction holes take offsets that are never delivered. So a block may even have no record.
    """

    start: int
    records: Sequence[Record]
    end: int
    #: Offsets beyond `end` that could be read when the fetch was answered.
    lag: int = 0

    def since(self, offset: int) -> "Block | None":
        """Return what of the block lies at or after `offset`, None where a gap lies between.

        >>> Block(10, [], 20).since(10)
        Block(start=10, records=[], end=20, lag=0)
        >>> Block(10, [], 20).since(15)
        Block(start=15, records=[], end=20, lag=0)
        >>> Block(10, [], 20).since(9) is None
        True
        >>> Block(10, [], 20).since(25)
        Block(start=25, records=[], end=25, lag=0)
        """
        if offset < self.start:
            return None
        if offset == self.start:
            return self
        return Block(offset, [r for r in self.records if r.offset >= offset], max(offset, self.end), self.lag)
