"""Faust's fetching goes on as soon as there is room again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.engine import transport
from stream.engine.blocks import Block
from stream.engine.transport import Consumer


class Quiet(Consumer):
    """A consumer without a thread: what is fetched is what was asked for."""

    def __init__(self, active: set[TP]) -> None:
        self.active, self._buffered_partitions = active, set()
        self.asked: list[tuple[set[TP], float]] = []
        self._drained = asyncio.Event()
        self._unfolded, self._folded = 0, asyncio.Event()
        self._acked_to: dict[TP, int] = {}
        self.flow_active = True
        self.app: Any = SimpleNamespace(in_recovery=False, consumer_generation_id=1)
        self._thread: Any = SimpleNamespace(lagging=False)
        self.brings: dict[TP, Any] = {}

    @property
    def should_stop(self) -> bool:
        return False

    async def sleep(self, _: Any) -> None:
        raise AssertionError("a wait that nothing can end")

    def _get_active_partitions(self) -> set[TP]:
        return self.active

    async def _getmany(self, active_partitions: Any, timeout: float) -> dict[TP, Any]:
        self.asked.append((set(active_partitions), timeout))
        return self.brings


A, B = TP("events", 0), TP("events", 1)


def test_a_buffer_that_drains_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every buffer full nothing is fetched; the first that drains is noticed at once, not a second later."""
    monkeypatch.setattr(transport, "UNASSIGNED_WAIT", 3600.0)

    async def play() -> None:
        consumer = Quiet({A})
        consumer.on_buffer_full(A)
        assert consumer.active == set()
        waiting = asyncio.ensure_future(consumer._wait_next_records(1.0))
        await asyncio.sleep(0)
        consumer.on_buffer_drop(A)
        assert await waiting == ({}, {A})
        assert consumer.asked == []

    asyncio.run(play())


def test_a_full_buffer_shortens_the_wait_for_the_others() -> None:
    """While one partition's buffer is full, the others are not waited for so long that it stands empty meanwhile."""

    async def play() -> None:
        consumer = Quiet({A, B})
        await consumer._wait_next_records(1.0)
        consumer.on_buffer_full(A)
        await consumer._wait_next_records(1.0)
        assert consumer.asked == [({A, B}, 1.0), ({B}, transport.BUFFERED_WAIT)]

    asyncio.run(play())


async def fed(*tps: TP) -> tuple[Quiet, "asyncio.Task[list[TP]]"]:
    """A consumer that has handed out a block of each partition, and is asked for more."""
    consumer = Quiet(set(tps))
    consumer.brings = {tp: Block(0, [], 5) for tp in tps}
    assert await handed(consumer) == list(tps)
    asking = asyncio.ensure_future(handed(consumer))
    for _ in range(5):
        await asyncio.sleep(0)
    return consumer, asking


async def handed(consumer: Quiet) -> list[TP]:
    """The partitions of which one call brings a block."""
    return [tp async for tp, _ in consumer.getmany(1.0)]


def test_nothing_is_fetched_while_blocks_wait_for_the_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next fetch leaves when the last block of the one before is folded: what came earlier would only grow old."""
    monkeypatch.setattr(transport, "FOLDED_WAIT", 3600.0)

    async def play() -> None:
        consumer, asking = await fed(A, B)
        consumer.folded()
        await asyncio.sleep(0)
        assert len(consumer.asked) == 1
        consumer.folded()
        assert await asking == [A, B]
        assert len(consumer.asked) == 2

    asyncio.run(play())


def test_a_lagging_consumer_is_fed_while_it_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log has more than one fetch brings, the next blocks come while these are folded."""
    monkeypatch.setattr(transport, "FOLDED_WAIT", 3600.0)

    async def play() -> None:
        consumer = Quiet({A})
        consumer.brings, consumer._thread.lagging = {A: Block(0, [], 5, 7)}, True
        for _ in range(3):
            assert await handed(consumer) == [A]
        consumer._thread.lagging = False
        asking = asyncio.ensure_future(handed(consumer))
        for left in (3, 2, 1):
            await asyncio.sleep(0)
            assert (consumer._unfolded, asking.done()) == (left, False)
            consumer.folded()
        assert await asking == [A]

    asyncio.run(play())


def test_blocks_that_a_rebalance_took_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed out before partitions were revoked may never be folded."""
    monkeypatch.setattr(transport, "FOLDED_WAIT", 3600.0)

    async def revoked(*_: Any) -> None:
        pass

    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", revoked)

    async def play() -> None:
        consumer, asking = await fed(A)
        await consumer.on_partitions_revoked({A})
        assert await asking == [A]

    asyncio.run(play())


def test_blocks_that_got_lost_are_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that never comes to the fold, whatever took it, holds the fetching up for a while only."""
    monkeypatch.setattr(transport, "FOLDED_WAIT", 0.01)

    async def play() -> None:
        consumer, asking = await fed(A)
        assert await asking == [A]
        monkeypatch.setattr(transport, "FOLDED_WAIT", 3600.0)
        for _ in range(2):  # they were only slow: the next block is waited for all the same
            consumer.folded()
        assert await handed(consumer) == [A]
        again = asyncio.ensure_future(handed(consumer))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not again.done()
        consumer.folded()
        assert await again == [A]

    asyncio.run(play())
