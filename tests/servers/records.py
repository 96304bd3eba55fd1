"""Topics and records by confluent-kafka: a client that is not ours writes and reads what the tests check."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic


@dataclass(frozen=True, slots=True)
class Record:
    """One record, to be sent or as read.

    Args:
        key, value: bytes as they lie in the log; None is null.
        timestamp: milliseconds since the epoch; when sent, None leaves it to the client's clock.
        partition: when sent, None leaves it to the partitioner.
        offset: as read; -1 in a record to be sent.
    """

    key: bytes | None
    value: bytes | None
    timestamp: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    topic: str = ""
    partition: int | None = None
    offset: int = -1


def create_topics(bootstrap: str, topics: Mapping[str, int], settings: Mapping[str, str] | None = None) -> None:
    """Create topics, each with its number of partitions, and wait until the broker leads every one of them."""
    client = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic(name, num_partitions=count, config=dict(settings or {})) for name, count in topics.items()]
    for future in client.create_topics(wanted).values():
        future.result(30)
    until = time.monotonic() + 30
    while True:
        known = client.list_topics(timeout=30).topics
        if all(
            name in known and sum(part.leader >= 0 for part in known[name].partitions.values()) == count
            for name, count in topics.items()
        ):
            return
        if time.monotonic() > until:
            raise TimeoutError(f"no leaders for {sorted(topics)}")


def produce(
    bootstrap: str,
    topic: str,
    records: Iterable[Record],
    *,
    partitioner: str = "murmur2_random",
    settings: Mapping[str, str | int] | None = None,
) -> list[tuple[int, int]]:
    """Send records with acks=all, in order within a partition; (partition, offset) of each, in the order sent.

    `partitioner` is librdkafka's; `murmur2_random` is the Java client's, `consistent_random` librdkafka's own.
    Raises KafkaException when one is not acknowledged.
    """
    placed: dict[int, tuple[int, int]] = {}
    faults: list[KafkaError] = []
    client = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "partitioner": partitioner,
            "linger.ms": 5,
            "message.max.bytes": 8_000_000,
            "max.in.flight.requests.per.connection": 1,  # order, without idempotence, which Tansu does not know
            **(settings or {}),
        }
    )

    def acknowledged(number: int, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            faults.append(error)
        else:
            placed[number] = (message.partition() or 0, message.offset() or 0)

    count = 0
    for record in records:
        extra: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
        if record.timestamp is not None:
            extra["timestamp"] = record.timestamp

        def on_delivery(error: KafkaError | None, message: Message, number: int = count) -> None:
            acknowledged(number, error, message)

        while True:
            try:
                client.produce(
                    topic, record.value, record.key, on_delivery=on_delivery, headers=list(record.headers), **extra
                )
                break
            except BufferError:
                client.poll(0.1)
        client.poll(0)
        count += 1
    left = client.flush(60)
    if faults or left:
        raise KafkaException(faults[0] if faults else KafkaError(KafkaError._TIMED_OUT))
    return [placed[number] for number in range(count)]


def read(
    bootstrap: str, topic: str, *, committed: bool = True, partitions: Sequence[int] | None = None
) -> list[Record]:
    """Read a topic from its beginning to its present end, partition by partition, each in offset order.

    With `committed` open and aborted transactions are left out, and an open one ends the partition for us.
    """
    client = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "tests-read",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "log_level": 0,
        }
    )
    try:
        if partitions is None:
            partitions = sorted(client.list_topics(topic, timeout=30).topics[topic].partitions)
        client.assign([TopicPartition(topic, number, 0) for number in partitions])
        found: dict[int, list[Record]] = {number: [] for number in partitions}
        open_ends = set(partitions)
        until = time.monotonic() + 120
        while open_ends:
            for message in client.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    found[message.partition() or 0].append(_record(message))
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_ends.discard(message.partition() or 0)
                else:
                    raise KafkaException(error)
            if time.monotonic() > until:
                raise TimeoutError(f"no end of {topic} {sorted(open_ends)}")
        return [record for number in partitions for record in found[number]]
    finally:
        client.close()


def _record(message: Message) -> Record:
    kind, stamp = message.timestamp()
    headers = cast("list[tuple[str, bytes]]", message.headers() or [])
    return Record(
        key=message.key(),
        value=message.value(),
        timestamp=None if kind == TIMESTAMP_NOT_AVAILABLE else stamp,
        headers=tuple(headers),
        topic=message.topic() or "",
        partition=message.partition(),
        offset=message.offset() or 0,
    )
