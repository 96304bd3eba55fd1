"""How much of what Redis has to be told again a shard puts into a commit."""

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from stream.core.header import Counts
from stream.engine.shard import Parts, Poison, Shard
from stream.telemetry import Telemetry


def test_a_commit_takes_no_more_again_than_the_publisher_has_room_for() -> None:
    """What is published again comes at the pace of Redis: each commit is asked for as much as there is room then."""

    async def main() -> None:
        asked: list[int] = []
        taken = asyncio.Event()
        publisher = SimpleNamespace(room=7)

        def take(most: int) -> None:
            asked.append(most)
            taken.set()

        parts: Any = Parts(
            kafka=SimpleNamespace(),  # type: ignore[arg-type]
            source="events",
            changelog="changelog",
            isolation="read_committed",
            count=1,
            partition=lambda *_: None,  # type: ignore[arg-type]
            committer=lambda _: SimpleNamespace(one_batch=False),
            publisher=lambda _: publisher,
            ack=lambda _: None,
            telemetry=Telemetry(CollectorRegistry()),
        )
        shard: Any = Shard(0, parts, Poison())
        shard._state = SimpleNamespace(
            header=SimpleNamespace(next_offset=0, counts=Counts()), take=take, sweep=lambda _: None
        )
        shard.running = True
        committing = asyncio.ensure_future(shard._commit_forever())
        for room in (7, 0):
            publisher.room = room
            taken.clear()
            shard.sweep(1)
            async with asyncio.timeout(60):
                await taken.wait()
            assert asked[-1] == room
        committing.cancel()

    asyncio.run(main())
