"""A partition that has caught up commits at once; one that lags makes its commits worth their cost."""

import asyncio

import pytest

from stream.engine import pace
from stream.engine.pace import GROUPED, MOST_UNCOMMITTED, Pace


async def _due(made: Pace) -> bool:
    """Whether the next commit is due now."""
    waiting = asyncio.ensure_future(made.due())
    for _ in range(3):
        await asyncio.sleep(0)
    if not waiting.done():
        waiting.cancel()
        return False
    return True


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "LONGEST", 3600.0)


@pytest.mark.parametrize(
    "folded, lag, due",
    [
        (1, 0, True),  # caught up
        (1, GROUPED - 1, True),  # waiting would make the totals older than they are
        (GROUPED - 1, GROUPED, False),
        (GROUPED, GROUPED, True),
        (GROUPED, 10 * GROUPED, True),
    ],
)
def test_a_commit_waits_only_where_the_log_is_far_ahead(folded: int, lag: int, due: bool) -> None:
    """By 50,000 records and more; and then until as many are folded."""

    async def play() -> None:
        made = Pace(single=False)
        made.folded(folded, lag)
        assert await _due(made) == due
        assert made.pending != due

    asyncio.run(play())


def test_a_commit_that_waits_is_not_hurried_by_a_sweep_but_by_what_cannot_wait() -> None:
    """What expires comes with the next commit; what Redis lost is published at once."""

    async def play() -> None:
        made = Pace(single=False)
        made.folded(1, GROUPED)
        made.changed()
        assert not await _due(made)
        made.hurry()
        assert await _due(made)

    asyncio.run(play())


def test_a_sweep_alone_is_committed() -> None:
    """Without events, too, what expired goes."""

    async def play() -> None:
        made = Pace(single=False)
        made.changed()
        assert await _due(made)

    asyncio.run(play())


def test_a_log_that_falls_silent_holds_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rest of the log does not come, what is folded is committed after a while."""
    monkeypatch.setattr(pace, "LONGEST", 0.01)

    async def play() -> None:
        made = Pace(single=False)
        made.folded(1, GROUPED)
        await made.due()
        assert not made.pending

    asyncio.run(play())


@pytest.mark.parametrize("single, most", [(False, MOST_UNCOMMITTED), (True, 1)])
def test_the_fold_waits_for_a_commit(single: bool, most: int) -> None:
    """While 100,000 records, or one piece where a commit must fit into one batch, are uncommitted; unless the shard ends."""

    async def play() -> None:
        made, running = Pace(single=single), [True]
        if most > 1:
            made.folded(most - 1, 0)
        await asyncio.wait_for(made.room(lambda: running[0]), 60)
        made.folded(1, 0)
        waiting = asyncio.ensure_future(made.room(lambda: running[0]))
        await asyncio.sleep(0)
        made.through()  # of the commit before
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not waiting.done()
        await made.due()
        made.through()
        await asyncio.wait_for(waiting, 60)
        made.folded(most, 0)
        waiting = asyncio.ensure_future(made.room(lambda: running[0]))
        await asyncio.sleep(0)
        running[0] = False
        made.through()
        await asyncio.wait_for(waiting, 60)

    asyncio.run(play())
