"""Whether the source's log goes on where the header says that it was left."""

from aiokafka import TopicPartition

from stream.core.header import Fingerprint, Header
from stream.engine.kafka import Kafka, NoProgress


class Halted(Exception):  # noqa: N818 - what happened, not a fault of the caller
    """The partition cannot go on without a person: the log and the state do not fit together."""


async def hold_against_log(
    kafka: Kafka, tp: TopicPartition, header: Header, count: int, isolation: str, *, exact_end: bool
) -> None:
    """Compare what the header says of the source with the source.

    A header that has consumed nothing yet is placed at the log's first record. `count` is how many partitions the
    source has; `exact_end` says that the broker's high watermark is the log's end.

    Raises:
        Halted: the number of partitions has changed, records between the header's offset and the log's first are gone,
            the log ends before the header's offset, or another record stands where the last consumed one was.
        NoProgress: the broker did not show the last consumed record in time.

    """
    begin, end = await kafka.begin(tp), await kafka.high_watermark(tp)
    where, mend = f"{tp.topic} partition {tp.partition}", reset_hint(tp.partition)
    if header.partitions not in {0, count}:
        msg = f"{tp.topic} has {count} partitions and had {header.partitions}: customers' homes moved. {mend}"
        raise Halted(msg)
    last = header.fingerprint
    if last is None or header.next_offset is None:
        header.next_offset = begin  # nothing consumed: what was deleted before was never promised
        return
    if header.next_offset < begin:
        raise Halted(gone(tp, header.next_offset, begin))
    # The embedded broker says less than the end; there the record itself tells.
    if last.offset >= end and exact_end:
        msg = f"{where}: the log ends at {end}, yet offset {last.offset} was counted: it was truncated or made anew. {mend}"
        raise Halted(msg)
    if last.offset < begin:
        return  # deleted by retention after it was counted: nothing to compare with
    try:
        record = await kafka.record(tp, last.offset, isolation)
    except NoProgress:
        if exact_end:
            raise  # the log is longer than that: a broker that is slow to answer, to be asked again
        record = None
    if record is None or record.offset != last.offset or Fingerprint.of(record) != last:
        msg = f"{where}: the event at offset {last.offset} is not the one that was counted: the topic was made anew. {mend}"
        raise Halted(msg)


async def check_gap(kafka: Kafka, tp: TopicPartition, wanted: int, start: int) -> None:
    """Look why the log goes on at `start` and not at `wanted`.

    Raises:
        Halted: what lies between was deleted before it was counted.

    """
    begin = await kafka.begin(tp)
    if wanted < begin <= start:
        raise Halted(gone(tp, wanted, begin))


def gone(tp: TopicPartition, first: int, begin: int) -> str:
    """Say that offsets were deleted before they were counted."""
    return (
        f"{tp.topic} partition {tp.partition}: the events of offsets {first} to {begin - 1} were deleted before they "
        f"were counted. {reset_hint(tp.partition)}"
    )


def reset_hint(partition: int) -> str:
    """Say what a person can do."""
    return f"`tally reset --partition {partition}` starts it again from what the log has, with empty totals."
