"""A commit that is expected: its transaction begins while the events are folded, and is the one that the commit uses."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stream.core.commit import Commit, Out
from stream.engine.committer import Topics, TransactionalCommitter

LOG, SIDE = TopicPartition("log", 0), TopicPartition("side", 0)
TOPICS = Topics("log", {"rejected": "side"}, {"side": 1})


class Script:
    """Transactions that note what they are asked for; `let` holds the answers back."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.let = asyncio.Event()
        self.let.set()
        self.fails: Exception | None = None

    async def add(self, places: Any) -> None:
        self.asked.append(("add", list(places)))
        await self.let.wait()
        if self.fails is not None:
            raise self.fails

    async def produce(self, messages: Any) -> None:
        self.asked.append(("produce", [place for place, _ in messages]))

    async def end(self) -> None:
        self.asked.append("end")
        await self.let.wait()

    async def stop(self) -> None:
        self.asked.append("stop")


def made() -> tuple[TransactionalCommitter, Script]:
    """A committer over a script."""
    committer, script = TransactionalCommitter("nowhere", TOPICS, 0, "id"), Script()
    committer._transactions = script  # type: ignore[assignment]
    return committer, script


def commit(*outs: Out) -> Commit:
    """A commit of one row, and side records."""
    return Commit(1, 1, [(b"H", b"1")], list(outs), [], complete=True)


ENTRY = Out("rejected", None, b"x", [], 0, None)


def test_it_begins_at_once_and_is_used() -> None:
    """The changelog's partition is added before the commit is there, however often it is expected, and not again."""

    async def play() -> None:
        committer, script = made()
        committer.expect()
        committer.expect()
        await asyncio.sleep(0)
        assert script.asked == [("add", [LOG])]
        await committer.write(commit())
        assert script.asked[1:] == [("produce", [LOG]), "end"]

    asyncio.run(play())


def test_other_partitions_are_added_by_the_commit() -> None:
    """Where side records go, only the commit knows; with none expected it adds all of them itself."""

    async def play() -> None:
        committer, script = made()
        committer.expect()
        await committer.write(commit(ENTRY))
        assert script.asked == [("add", [LOG]), ("add", [SIDE]), ("produce", [LOG, SIDE]), "end"]
        script.asked.clear()
        await committer.write(commit(ENTRY))
        assert script.asked == [("add", [LOG, SIDE]), ("produce", [LOG, SIDE]), "end"]

    asyncio.run(play())


def test_the_commit_waits_for_the_beginning() -> None:
    """No record is sent to a partition that the coordinator has not taken in."""

    async def play() -> None:
        committer, script = made()
        script.let.clear()
        committer.expect()
        writing = asyncio.ensure_future(committer.write(commit()))
        for _ in range(5):
            await asyncio.sleep(0)
        assert script.asked == [("add", [LOG])]
        script.let.set()
        await writing
        assert script.asked[1:] == [("produce", [LOG]), "end"]

    asyncio.run(play())


def test_one_expected_during_another_begins_after_it() -> None:
    """A writer has one transaction at a time: the next begins when this one has ended, and only if it is expected."""

    async def play() -> None:
        committer, script = made()
        script.let.clear()
        writing = asyncio.ensure_future(committer.write(commit()))
        await asyncio.sleep(0)
        committer.expect()
        await asyncio.sleep(0)
        assert script.asked == [("add", [LOG])]
        script.let.set()
        await writing
        await asyncio.sleep(0)
        assert script.asked == [("add", [LOG]), ("produce", [LOG]), "end", ("add", [LOG])]
        await committer.write(commit())
        await asyncio.sleep(0)
        assert script.asked[4:] == [("produce", [LOG]), "end"]

    asyncio.run(play())


def test_a_beginning_that_fails_fails_the_commit() -> None:
    """What the coordinator says of the beginning is what the commit raises; nothing is written."""

    async def play() -> None:
        committer, script = made()
        script.fails = KafkaError("refused")
        committer.expect()
        await asyncio.sleep(0)
        with pytest.raises(KafkaError, match="refused"):
            await committer.write(commit())
        assert script.asked == [("add", [LOG])]

    asyncio.run(play())


def test_a_beginning_that_nobody_uses_ends_with_the_committer() -> None:
    """A shard that is lost between fold and commit leaves no task behind, and no complaint that nobody heard."""

    async def play() -> None:
        committer, script = made()
        script.let.clear()
        committer.expect()
        await asyncio.sleep(0)
        begun = committer._begun
        assert begun is not None
        await committer.stop()
        await asyncio.wait({begun})
        assert begun.cancelled()

    asyncio.run(play())
