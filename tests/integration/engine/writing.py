"""Writers of our own transactions, for the tests that let them write."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import TopicPartition

from stream.engine.transactions import Message, Transactions

Play = Callable[[Transactions], Awaitable[None]]
"""What a started writer does."""


def messages(*values: bytes) -> list[Message]:
    """Records with these values."""
    return [Message(b"k", value, (), 1_700_000_000_000) for value in values]


async def commit(writer: Transactions, *written: tuple[TopicPartition, list[Message]]) -> None:
    """One transaction."""
    await writer.add([place for place, _ in written])
    await writer.produce(written)
    await writer.end()


def run(writer: Transactions, play: Play) -> None:
    """Start a writer, let it play, and close its connections."""

    async def whole() -> None:
        await writer.start()
        try:
            await play(writer)
        finally:
            await writer.stop()

    asyncio.run(whole())
