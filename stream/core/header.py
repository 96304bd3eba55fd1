"""The header row of a partition: the source position, the clock and what a takeover compares with the log."""

import zlib
from typing import Any

import msgspec

from stream.core.commit import TERM

KEY = b"h"
"""The header's key in the changelog."""

FORMAT = 1
"""Format of the changelog's records. A reader refuses any other."""


class Counts(msgspec.Struct):
    """How many records of the source had which fate, since the partition's first.

    `read` counts every record; `skipped` are copies that another app re-routed. `partial` are counted events that
    some metric could not use, `late` each (event, metric, window) left out for being too late for that window.
    """

    read: int = 0
    counted: int = 0
    duplicate: int = 0
    replaced: int = 0
    rejected: int = 0
    partial: int = 0
    rerouted: int = 0
    skipped: int = 0
    replayed: int = 0
    late: int = 0
    alerts: int = 0


class Fingerprint(msgspec.Struct, frozen=True, array_like=True):
    """The last record consumed: offset, Kafka timestamp (ms) and CRC-32 of its value; compared at a takeover."""

    offset: int
    timestamp_ms: int
    crc: int

    @classmethod
    def of(cls, record: Any) -> "Fingerprint":
        """The fingerprint of a record of the source."""
        return cls(record.offset, record.timestamp, zlib.crc32(record.value or b""))


class Header(msgspec.Struct, kw_only=True):
    """The first row of every commit.

    `term` rises by one at each takeover, `number` with each commit of the term. `next_offset` is None until a first
    block has been read. `clock_us` is the greatest record timestamp read, -1 before any; up to
    `swept_us` of it, Redis has been told of every window that it should no longer show. `revision` names the
    definitions that wrote the commit, `partitions` the number of partitions that it counted with.
    """

    format: int = FORMAT
    term: int = 0
    number: int = 0
    next_offset: int | None = None
    fingerprint: Fingerprint | None = None
    clock_us: int = -1
    swept_us: int = -1
    revision: str = ""
    partitions: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)

    @property
    def version(self) -> int:
        """The version of the commit, below 2^53."""
        return self.term * TERM + self.number

    def pack(self) -> bytes:
        """The header as the changelog holds it."""
        return _encode(self)


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Header)


def unpack(data: bytes) -> Header:
    """A header from the changelog.

    Raises:
        ValueError: it was written by a format that this worker does not know.

    """
    try:
        header = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ValueError(f"the changelog's header cannot be read: {error}") from error
    if header.format != FORMAT:
        raise ValueError(f"the changelog has format {header.format}, this worker writes format {FORMAT}")
    return header
