"""What a shard does around the fold of a block."""

import asyncio
from types import SimpleNamespace
from typing import Any

from stream.engine.blocks import Block
from tests.unit.stream.engine import alone

MESSAGE: Any = None
"""Only kept, to be acknowledged with the commit."""


def shard(said: list[str], *, read_to: int) -> Any:
    """A shard that says in which order things happen."""

    async def soon() -> None:
        said.append("sent")

    def expect() -> None:
        said.append("expect")
        soons.append(asyncio.ensure_future(soon()))

    soons: list[Any] = []
    committer = SimpleNamespace(one_batch=False, expect=expect)

    def fold(_: Any, end: int) -> None:
        said.append("fold")
        made._state.header.next_offset = end

    made = alone.shard(committer, SimpleNamespace(), read_to=read_to, fold=fold)
    made.running = True
    return made


def test_a_commit_is_expected_before_the_fold_and_its_request_leaves_before() -> None:
    """The fold keeps the loop for milliseconds: what the commit can send ahead must be on its way by then."""

    async def main() -> None:
        said: list[str] = []
        assert await shard(said, read_to=0).fold(MESSAGE, Block(0, [], 5))
        assert said == ["expect", "sent", "fold"]

    asyncio.run(main())


def test_no_commit_is_expected_where_none_will_come() -> None:
    """A block that was folded before, or does not continue what was read, makes no commit: nothing may be begun for it."""

    async def main() -> None:
        said: list[str] = []
        one = shard(said, read_to=10)
        assert await one.fold(MESSAGE, Block(5, [], 10))
        assert not await one.fold(MESSAGE, Block(11, [], 15))
        assert said == []

    asyncio.run(main())


def test_a_shard_that_is_lost_before_the_fold_folds_nothing() -> None:
    """Between the request and the fold others run: whoever takes the partition away then has it, and no event is blamed."""

    async def main() -> None:
        said: list[str] = []
        one = shard(said, read_to=0)
        asyncio.get_running_loop().call_soon(one.lose, "taken")
        assert await one.fold(MESSAGE, Block(0, [], 5))
        assert "fold" not in said
        assert one._poison.careful_below == 0

    asyncio.run(main())
