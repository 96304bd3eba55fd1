"""How much of what Redis has to be told again a shard puts into a commit."""

import asyncio
from types import SimpleNamespace

from tests.unit.stream.engine import alone


def test_a_commit_takes_no_more_again_than_the_publisher_has_room_for() -> None:
    """What is published again comes at the pace of Redis: each commit is asked for as much as there is room then."""

    async def main() -> None:
        asked: list[int] = []
        taken = asyncio.Event()
        publisher = SimpleNamespace(room=7)

        def take(most: int) -> None:
            asked.append(most)
            taken.set()

        committer = SimpleNamespace(one_batch=False)
        shard = alone.shard(committer, publisher, read_to=0, take=take, sweep=lambda _: None)
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
