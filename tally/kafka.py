"""Kafka as the commands need it: looking at topics, reading one from end to end, sending.

Workers do not use this file; they go through Faust (stream/engine).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import click
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, UnknownError

ANSWER_MS = 10_000  # a broker that is silent for longer is called unreachable; aiokafka's own default is 40 s
DELIVERED_MS = 30_000  # aiokafka gives a batch up that has waited for so long, also where the broker is only busy
STALLED_S = 30.0  # reading that gets no further for so long is given up, rather than waited for


class Unreachable(click.ClickException):
    """No broker answers; exit code 1."""

    def __init__(self, bootstrap: str, error: object) -> None:
        text = str(error) or type(error).__name__
        super().__init__(
            f"Kafka does not answer at {bootstrap} ({text}). Set TALLY_KAFKA, or start one: `tally doctor` tells more."
        )


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client; raises Unreachable."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=ANSWER_MS)
    try:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            raise Unreachable(bootstrap, error) from error
        yield client
    finally:
        await client.close()


async def topics(client: AIOKafkaAdminClient) -> dict[str, int]:
    """The number of partitions of each topic.

    All topics are asked for, never one by name: naming a missing topic makes some brokers create it, with a number
    of partitions that nobody chose.
    """
    return {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}


async def configs(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The settings of each topic as the broker tells them; empty where it does not tell (the embedded broker)."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await client.describe_configs(resources) if resources else ():
        for _error, _message, _type, name, entries, *_ in response.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def members(client: AIOKafkaAdminClient, group: str) -> list[str]:
    """The client ids and hosts of the live members of a consumer group."""
    responses = await _describe_group(client, group)
    return [
        f"{member[1]} at {member[2].lstrip('/')}"
        for response in responses
        for _error, _group, _state, _type, _protocol, group_members, *_ in response.groups
        for member in group_members
    ]


async def _describe_group(client: AIOKafkaAdminClient, group: str) -> list[Any]:
    until = asyncio.get_running_loop().time() + ANSWER_MS / 1000
    while True:
        try:
            return list(await client.describe_consumer_groups([group]))
        except KafkaError:
            # a cluster that never had a group makes its coordinator at the first question, and answers a later one
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(0.2)


@asynccontextmanager
async def consumer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A connected consumer without a group that sees committed records only; raises Unreachable."""
    client = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        request_timeout_ms=ANSWER_MS,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 << 20,
        **options,
    )
    try:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            raise Unreachable(bootstrap, error) from error
        await asyncio.sleep(0)  # aiokafka's stop() raises CancelledError where its tasks have not begun yet
        yield client
    finally:
        await client.stop()


async def ends(client: AIOKafkaConsumer, topic: str, count: int) -> dict[int, int]:
    """The offset after the last committed record of each partition at this moment.

    The embedded broker tells the last batch's first offset + 1; since a batch is read whole, reading until the
    position has reached this number is right there too.
    """
    partitions = [TopicPartition(topic, number) for number in range(count)]
    return {tp.partition: end for tp, end in (await client.end_offsets(partitions)).items()}


async def exact_ends(client: AIOKafkaConsumer, topic: str, reported: Mapping[int, int]) -> dict[int, int]:
    """The offset after the last record, also on a broker that reports too low a one (see `ends`): its last batch is read."""
    found = dict(reported)
    starts = {number: max(0, end - 1) for number, end in reported.items()}
    async for records in read(client, topic, reported, starts):
        last = records[-1]
        found[last.partition] = max(found[last.partition], last.offset + 1)
    return found


async def read(
    client: AIOKafkaConsumer, topic: str, ends_at: Mapping[int, int], starts: Mapping[int, int] | None = None
) -> AsyncGenerator[list[ConsumerRecord[bytes, bytes]], None]:
    """Yield the records of a topic in blocks, each partition from its start (or the beginning) to `ends_at`.

    Where retention has removed the start, reading begins at the first record that is left. Raises ClickException
    when nothing comes for `STALLED_S` although more is there.
    """
    loop = asyncio.get_running_loop()
    left = {number: end for number, end in ends_at.items() if end > (starts or {}).get(number, 0)}
    partitions = {number: TopicPartition(topic, number) for number in left}
    client.assign(list(partitions.values()))
    beginnings = await client.beginning_offsets(list(partitions.values())) if partitions else {}
    for number, tp in partitions.items():
        client.seek(tp, max((starts or {}).get(number, 0), beginnings.get(tp, 0)))
    moved, before = loop.time(), None
    while left:
        got = await client.getmany(*(partitions[number] for number in left), timeout_ms=200)
        for records in got.values():
            yield records
        positions = {number: await client.position(partitions[number]) for number in left}
        left = {number: end for number, end in left.items() if positions[number] < end}
        if got or positions != before:
            moved, before = loop.time(), positions
        elif loop.time() - moved > STALLED_S:
            raise click.ClickException(
                f"Reading {topic} got stuck before {left}: is a transaction open, or the broker down?"
            )


@asynccontextmanager
async def producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer with acks=all; without idempotence where the broker does not know it (the embedded one).

    Its partitioner is aiokafka's default, murmur2 of the key, as Java clients have it. Raises Unreachable.
    """
    client = await _started(bootstrap, idempotent=True) or await _started(bootstrap, idempotent=False)
    assert client is not None
    try:
        yield client
    finally:
        await client.stop()


async def _started(bootstrap: str, *, idempotent: bool) -> AIOKafkaProducer | None:
    """Start a producer; None where the broker does not know idempotent ones."""
    client = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        request_timeout_ms=DELIVERED_MS,
        enable_idempotence=idempotent,
        acks="all",
        linger_ms=5,
        max_batch_size=256 << 10,
        max_request_size=8 << 20,
        compression_type="zstd",
    )
    try:
        await client.start()
    except (KafkaError, OSError) as error:
        await client.stop()
        if idempotent and isinstance(error, UnknownError):
            return None
        raise Unreachable(bootstrap, error) from error
    return client
