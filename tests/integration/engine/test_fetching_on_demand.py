"""What a consumer asks the broker for, and when: no earlier than it can be folded, unless the log has more than that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from stream.engine.fetching import Demand
from tests.servers.fixtures import Broker
from tests.servers.records import Record, create_topics, produce

SMALL = 4_000
"""Bytes of one fetch: some ten of the records here."""


class Bench:
    """A topic of one partition, and a consumer that counts what it asks for."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic, self.place = bootstrap, topic, TopicPartition(topic, 0)
        create_topics(bootstrap, {topic: 1}, {})
        self.fetches, self.asked = 0, asyncio.Event()

    def send(self, count: int) -> None:
        """Send records of 400 bytes, one request each: a fetch brings whole batches."""
        for _ in range(count):
            produce(self.bootstrap, self.topic, [Record(b"k", b"." * 400)])

    def run(self, play: Callable[[Demand], Awaitable[None]]) -> None:
        """Let a started consumer fetch on demand."""

        async def whole() -> None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.bootstrap,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                fetch_max_wait_ms=100,
                fetch_max_bytes=SMALL,
                max_partition_fetch_bytes=SMALL,
            )
            await consumer.start()
            consumer.assign([self.place])
            ask = consumer._client.send

            async def counted(node: Any, request: Any, **more: Any) -> Any:
                if isinstance(request, FetchRequest):
                    self.fetches += 1
                    self.asked.set()
                return await ask(node, request, **more)

            consumer._client.send = counted
            try:
                await play(Demand(consumer))
            finally:
                await consumer.stop()

        asyncio.run(whole())


@pytest.fixture
def bench(broker: Broker, unique: str) -> Bench:
    """A topic for one test."""
    return Bench(broker.bootstrap, unique)


async def taken(demand: Demand, bench: Bench, offset: int) -> None:
    """Fetch until all below an offset was taken."""
    position = 0
    async with asyncio.timeout(60):
        while position < offset:
            blocks = await demand.fetched({bench.place}, 1.0)
            if blocks:
                position = blocks[bench.place].end


def test_what_nobody_waits_for_is_not_asked_for(bench: Bench) -> None:
    """Between two calls the broker hears nothing; the next call brings what has come meanwhile, in one block."""

    async def play(demand: Demand) -> None:
        await asyncio.to_thread(bench.send, 1)
        await taken(demand, bench, 1)
        before = bench.fetches
        await asyncio.to_thread(bench.send, 3)
        await asyncio.sleep(1)
        assert bench.fetches == before
        async with asyncio.timeout(60):
            blocks = await demand.fetched({bench.place}, 5.0)
        block = blocks[bench.place]
        assert (block.start, len(block.records), block.end, block.lag) == (1, 3, 4, 0)
        assert bench.fetches == before + 1

    bench.run(play)


def test_a_call_that_waits_goes_on_asking(bench: Bench) -> None:
    """A broker that has nothing for longer than one request may wait is asked again, until something comes."""

    async def play(demand: Demand) -> None:
        waiting = asyncio.ensure_future(demand.fetched({bench.place}, 60.0))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert bench.fetches > 1
        await asyncio.to_thread(bench.send, 1)
        blocks = await waiting
        assert len(blocks[bench.place].records) == 1

    bench.run(play)


def test_a_log_with_more_than_one_fetch_is_read_ahead(bench: Bench) -> None:
    """While a block is folded the next one comes; as soon as the log's end is reached, nothing is read ahead."""

    async def play(demand: Demand) -> None:
        await asyncio.to_thread(bench.send, 25)
        async with asyncio.timeout(60):
            while not (blocks := await demand.fetched({bench.place}, 1.0)):
                pass
        assert blocks[bench.place].lag == 25 - blocks[bench.place].end > 0
        bench.asked.clear()
        async with asyncio.timeout(60):
            await bench.asked.wait()
        await taken(demand, bench, 25)
        before = bench.fetches
        await asyncio.sleep(1)
        assert bench.fetches == before

    bench.run(play)
