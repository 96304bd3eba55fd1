"""What a shard says the totals must have reached to be fresh: never less than what Kafka has acknowledged."""

import asyncio
from types import SimpleNamespace
from typing import Any

from stream.core.commit import Commit
from tests.unit.stream.engine import alone

END = 20
"""The source's high watermark."""


class Slow:
    """A committer of which the test says when Kafka has the commit."""

    one_batch = False

    def __init__(self) -> None:
        self.begun, self.done = asyncio.Event(), asyncio.Event()

    async def write(self, _: Commit) -> None:
        self.begun.set()
        await self.done.wait()


def shard(committer: Slow, offered: list[Commit], read_to: int) -> Any:
    """A shard that has committed up to 10, and has folded up to `read_to`."""

    async def high_watermark(_: object) -> int:
        return END

    kafka = SimpleNamespace(high_watermark=high_watermark)
    made = alone.shard(committer, SimpleNamespace(offer=offered.append), read_to=read_to, kafka=kafka)
    made._committed = 10
    return made


def test_a_commit_that_is_being_written_is_not_fresh() -> None:
    """While a commit is on its way to Kafka its events must still come; once it is offered, the commit says it all."""

    async def main() -> None:
        committer, offered = Slow(), list[Commit]()
        one = shard(committer, offered, END)
        commit = Commit(1, 18, [], [], [], complete=True)
        writing = asyncio.ensure_future(one._commit(commit))
        await committer.begun.wait()
        assert await one.below() == 20
        committer.done.set()
        await writing
        assert offered == [commit]
        assert await one.below() == 18  # the last two are markers, of which no commit will tell

    asyncio.run(main())


def test_what_is_not_folded_yet_is_not_fresh() -> None:
    """What Kafka has beyond what was read must still come."""

    async def main() -> None:
        assert await shard(Slow(), [], 19).below() == 20
        assert await shard(Slow(), [], 20).below() == 10

    asyncio.run(main())
