"""A run of records on its way through the fold, and what is known of them before it."""

import itertools
from collections.abc import Sequence
from typing import Any

import xxhash

from stream.core import outbox

digest_of = xxhash.xxh3_128_digest
"""16 bytes that stand for a customer's id, and for what else is remembered among the ids."""


class Chunk:
    """Records of one clock-hour with all that is known of them before the fold."""

    __slots__ = (
        "clock_us",
        "clocks",
        "dropped",
        "events",
        "hashes",
        "headed",
        "hour",
        "known",
        "newest_us",
        "places",
        "records",
        "times",
    )

    def __init__(self, records: Sequence[Any], times: list[int], clock_us: int) -> None:
        self.records, self.times, self.clock_us = records, times, clock_us
        self.events: list[Any] = []
        self.hashes: list[bytes] = []
        self.known: list[bool] | None = None
        self.places: dict[bytes, list[int]] | None = None  # only where an id comes twice
        self.dropped: set[int] = set()
        self.clocks: list[int] | None = None
        self.hour = 0
        self.newest_us = clock_us  # the clock after the last record
        self.headed = False  # whether some record may be a copy that was re-routed

    def clocks_of(self) -> list[int]:
        """The partition's clock with each record read, in microseconds."""
        if self.clocks is None:
            if max(self.times) <= self.clock_us:
                self.clocks = [self.clock_us] * len(self.times)
            else:
                self.clocks = list(itertools.accumulate(self.times, max, initial=self.clock_us))[1:]
        return self.clocks

    def clock_at(self, i: int) -> int:
        """The partition's clock with record i read, in microseconds."""
        return self.clocks_of()[i]

    def came_before(self, i: int) -> bool:
        """Whether an earlier record of the chunk with the same id was accepted."""
        if self.places is None:
            return False
        return any(at < i and at not in self.dropped for at in self.places[self.hashes[i]])

    def stamped_us(self, i: int) -> int:
        """The Kafka timestamp that an event may lie ahead of: of a re-routed one, that of the producer's record."""
        return outbox.first_ms(self.records[i]) * 1000 if self.records[i].headers else self.times[i]
