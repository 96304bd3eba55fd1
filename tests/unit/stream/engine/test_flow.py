"""Faust's fetching goes on as soon as there is room again."""

import asyncio
from typing import Any

import pytest
from faust.types import TP

from stream.engine import transport
from stream.engine.transport import Consumer


class Quiet(Consumer):
    """A consumer without a thread: what is fetched is what was asked for."""

    def __init__(self, active: set[TP]) -> None:
        self.active, self._buffered_partitions = active, set()
        self.asked: list[tuple[set[TP], float]] = []
        self._drained = asyncio.Event()
        self.flow_active = True
        self.app = type("App", (), {"in_recovery": False})()

    async def sleep(self, _: Any) -> None:
        raise AssertionError("a wait that nothing can end")

    def _get_active_partitions(self) -> set[TP]:
        return self.active

    async def _getmany(self, active_partitions: Any, timeout: float) -> dict[TP, Any]:
        self.asked.append((set(active_partitions), timeout))
        return {}


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
