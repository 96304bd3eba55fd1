"""When a partition's next commit begins, and when the fold has to wait for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

#: Records that a commit waits for while the partition lags by at least as many: its totals are then older than the
#: wait makes them, and the larger a commit is, the more events of one customer share a row and a publication.
GROUPED = 50_000

#: Records that may be folded and not yet committed. Not blocks: at a steady thousand events a second a block is a few
#: records, and a partition that waits here makes the blocks of the others wait behind its own.
MOST_UNCOMMITTED = 2 * GROUPED

#: Seconds for which a commit waits for more records at most.
LONGEST = 2.0


class Pace:
    """The folding and the committing of one partition, kept in step.

    A partition that has caught up commits as soon as the last commit is through (group commit); one that lags waits
    until there are `GROUPED` records to commit. Where a commit has to fit into one record batch, `single`, each piece
    that is folded is committed before the next.
    """

    def __init__(self, *, single: bool) -> None:
        self._most, self._grouped = (1, 1) if single else (MOST_UNCOMMITTED, GROUPED)
        self._uncommitted = self._lag = 0
        self._due, self._room = asyncio.Event(), asyncio.Event()

    @property
    def pending(self) -> bool:
        """Whether something is folded and no commit has taken it yet."""
        return self._due.is_set() or self._uncommitted > 0

    def folded(self, records: int, lag: int) -> None:
        """Take note of records that were folded, and of how many offsets the log has beyond them."""
        self._uncommitted += max(1, records)
        self._lag = lag
        self.changed()

    def changed(self) -> None:
        """Something is to be committed, as soon as a commit is worth it."""
        if self._lag < self._grouped or self._uncommitted >= self._grouped:
            self._due.set()

    def hurry(self) -> None:
        """Something is to be committed at once."""
        self._due.set()

    async def due(self) -> None:
        """Wait until the next commit should begin. What is folded from its return on belongs to the one after it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await self._due.wait()
        self._due.clear()
        self._uncommitted = 0

    def through(self) -> None:
        """The commit is written: whoever waits in `room` may go on."""
        self._room.set()

    async def room(self, running: Callable[[], bool]) -> None:
        """Wait while too much is uncommitted, as long as the shard runs (`through` looks again)."""
        while running() and self._uncommitted >= self._most:
            self._room.clear()
            await self._room.wait()
