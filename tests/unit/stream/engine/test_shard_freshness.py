"""What a shard says the totals must have reached to be fresh: never less than what Kafka has acknowledged."""

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from stream.core.commit import Commit
from stream.core.header import Counts
from stream.engine.shard import Parts, Poison, Shard
from stream.telemetry import Telemetry

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

    parts: Any = Parts(
        kafka=SimpleNamespace(high_watermark=high_watermark),  # type: ignore[arg-type]
        source="events",
        changelog="changelog",
        isolation="read_committed",
        count=1,
        partition=lambda *_: None,  # type: ignore[arg-type]
        committer=lambda _: committer,  # type: ignore[arg-type, return-value]
        publisher=lambda _: SimpleNamespace(offer=offered.append),
        ack=lambda _: None,
        telemetry=Telemetry(CollectorRegistry()),
    )
    made: Any = Shard(0, parts, Poison())
    made._state = SimpleNamespace(header=SimpleNamespace(next_offset=read_to, counts=Counts()))
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
