"""Topics of a test: made, filled and read."""

import asyncio
from collections.abc import Sequence

from aiokafka import ConsumerRecord
from aiokafka.admin import NewPartitions, NewTopic

from tally import kafka


def make_topic(bootstrap: str, name: str, partitions: int, **config: str) -> None:
    """A topic as an operator makes one; returns when the broker tells of it and of its settings."""

    async def make() -> None:
        settings = {key.replace("_", "."): value for key, value in config.items()}
        async with kafka.admin(bootstrap) as admin:
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=settings)])
            while name not in await kafka.topics(admin):  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.02)
            told = (await kafka.configs(admin, [name]))[name]
            assert not told or settings.items() <= told.items()

    asyncio.run(make())


def widen(bootstrap: str, name: str, partitions: int) -> None:
    """Give a topic more partitions, and wait until the broker tells of them."""

    async def alter() -> None:
        async with kafka.admin(bootstrap) as admin:
            await admin.create_partitions({name: NewPartitions(partitions)})
            while (await kafka.topics(admin))[name] < partitions:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)

    asyncio.run(alter())


def records(bootstrap: str, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """All records of a topic, by partition and offset."""

    async def read() -> list[ConsumerRecord[bytes, bytes]]:
        async with kafka.admin(bootstrap) as admin:
            count = (await kafka.topics(admin))[topic]
        async with kafka.consumer(bootstrap) as consumer:
            ends = await kafka.ends(consumer, topic, count)
            return [record async for block in kafka.read(consumer, topic, ends) for record in block]

    return sorted(asyncio.run(read()), key=lambda record: (record.partition, record.offset))


def put(
    bootstrap: str,
    topic: str,
    partition: int,
    *items: tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]], int | None],
) -> None:
    """Write (key, value, headers, timestamp in ms) to one partition, in order."""

    async def write() -> None:
        async with kafka.producer(bootstrap) as producer:
            for key, value, headers, stamp in items:
                await producer.send_and_wait(
                    topic, value, key=key, partition=partition, headers=headers, timestamp_ms=stamp
                )

    asyncio.run(write())
