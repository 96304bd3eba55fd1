"""Where log and header do not fit, the partition stands still and says why."""

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from aiokafka import TopicPartition

from stream.core.header import Fingerprint, Header
from stream.engine.blocks import Block
from stream.engine.continuity import Halted, check_gap, hold_against_log
from stream.engine.kafka import NoProgress

if TYPE_CHECKING:
    from stream.engine.kafka import Kafka

EVENTS = TopicPartition("events", 3)


class Event(NamedTuple):
    """A record of the log."""

    offset: int
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


class Log:
    """The log from `first` to `end`."""

    def __init__(self, first: int, end: int, value: bytes = b"{}") -> None:
        self.first, self.end, self.value = first, end, value

    async def begin(self, _: TopicPartition) -> int:
        return self.first

    async def high_watermark(self, _: TopicPartition) -> int:
        return self.end

    async def record(self, tp: TopicPartition, offset: int, isolation: str) -> Event | None:  # noqa: ARG002
        return Event(offset, value=self.value) if self.first <= offset < self.end else None


def header(next_offset: int, partitions: int = 4) -> Header:
    """A header that has consumed everything below an offset."""
    made = Header(partitions=partitions)
    made.next_offset, made.fingerprint = next_offset, Fingerprint.of(cast("Any", Event(next_offset - 1)))
    return made


def held(log: Log, against: Header) -> None:
    """Hold a header against a log of four partitions."""
    asyncio.run(hold_against_log(cast("Kafka", log), EVENTS, against, 4, "read_committed", exact_end=True))


def test_a_log_that_goes_on_is_in_order() -> None:
    """The last record counted stands where it stood, or is gone by retention after it was counted."""
    held(Log(0, 100), header(50))
    held(Log(50, 100), header(50))


def test_nothing_consumed_begins_where_the_log_does() -> None:
    """What was deleted before a first worker came was never promised."""
    fresh = Header(partitions=0)
    held(Log(7, 100), fresh)
    assert fresh.next_offset == 7


@pytest.mark.parametrize(
    "log, against, why",
    [
        (Log(60, 100), header(50), "the events of offsets 50 to 59 were deleted before they were counted"),
        (Log(0, 40), header(50), "the log ends at 40, yet offset 49 was counted"),
        (Log(0, 100, b"other"), header(50), "the event at offset 49 is not the one that was counted"),
        (Log(0, 100), header(50, partitions=3), "events has 4 partitions and had 3"),
    ],
)
def test_what_does_not_fit_halts_with_a_sentence(log: Log, against: Header, why: str) -> None:
    """Deleted, truncated, made anew, or spread otherwise: each is said, with the command that mends it."""
    with pytest.raises(Halted, match=why) as caught:
        held(log, against)
    assert "`tally reset --partition 3`" in str(caught.value)


class Slow(Log):
    """A log that does not show its records in time."""

    async def record(self, tp: TopicPartition, offset: int, isolation: str) -> Event | None:  # noqa: ARG002
        raise NoProgress


def test_a_slow_broker_is_asked_again() -> None:
    """That a record did not come in time says nothing about it: the takeover fails and is tried again."""
    with pytest.raises(NoProgress):
        held(Slow(0, 100), header(50))


def test_where_the_end_is_not_known_a_record_that_does_not_come_is_missing() -> None:
    """The embedded broker says less than the end: there nothing else tells a log that was truncated."""
    log = cast("Kafka", Slow(0, 100))
    with pytest.raises(Halted, match="the event at offset 49 is not the one that was counted"):
        asyncio.run(hold_against_log(log, EVENTS, header(50), 4, "read_committed", exact_end=False))


def test_a_gap_is_told_from_a_seek() -> None:
    """Only where the log itself begins later were events deleted; another gap is read again."""
    asyncio.run(check_gap(cast("Kafka", Log(0, 100)), EVENTS, 50, 60))
    with pytest.raises(Halted, match="the events of offsets 50 to 59 were deleted"):
        asyncio.run(check_gap(cast("Kafka", Log(60, 100)), EVENTS, 50, 60))


def test_a_block_says_what_it_covers() -> None:
    """Read from an offset, a block gives what is left of it; a block that begins later is a gap."""
    events = [Event(offset) for offset in (10, 11, 14)]
    block = Block(10, cast("Any", events), 16)
    assert block.since(9) is None
    assert block.since(10) == block
    rest = block.since(12)
    assert rest is not None
    assert ([event.offset for event in rest.records], rest.end) == ([14], 16)
    done = block.since(16)
    assert done is not None
    assert (list(done.records), done.end) == ([], 16)
