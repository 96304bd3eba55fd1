"""The shards of this worker: who owns what, from rebalance to rebalance."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from faust.types import TP, ConsumerMessage

from stream.engine.continuity import Halted
from stream.engine.shard import Dropped, Loss, Parts, Poison, Shard
from stream.engine.transactions import Fenced

if TYPE_CHECKING:
    from stream.engine.blocks import Block

log = logging.getLogger(__name__)

#: Seconds between two tries at a takeover, doubled from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 0.1, 5.0

#: Seconds after which a shard that is lost was not lost for what its predecessor was lost for: the pauses begin anew.
LONG_LIFE = 30.0

#: Partitions that recover side by side: more would only share the same core and hold more of the changelog in memory.
TOGETHER = 4

#: Seconds between two sweeps of the shards, and the steps of one.
SWEEP_EVERY, SWEEP_STEPS = 0.25, 500

#: Seconds to wait for the new assignment that was asked for, before looking again whether the partition is ours.
REJOIN_PATIENCE = 30.0


class Shards:
    """Takes partitions over and lets them go, as Kafka's group says."""

    def __init__(
        self, parts: Parts, place: Callable[[Mapping[TP, int | None]], None], rejoin: Callable[[], None]
    ) -> None:
        self._parts, self._place, self._rejoin = parts, place, rejoin
        self._owners: dict[int, asyncio.Task[None]] = {}
        self._shards: dict[int, Shard] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._generation: int | None = None
        self._regenerated = asyncio.Event()
        self._together = asyncio.Semaphore(TOGETHER)
        #: number -> why the partition stands still until somebody acts
        self.halted: dict[int, str] = {}

    # -- what Kafka's group says

    def wanted(self, tp: TP) -> int | None:
        """Return the next offset to read of `tp`, None while it is not recovered."""
        shard = self._shards.get(tp.partition)
        return shard.wanted if shard is not None else None

    async def assigned(self, tps: set[TP], generation: int) -> None:
        """Keep what was ours all the while, drop what is not, take the rest over.

        That a partition is assigned again does not say that nobody else had it meanwhile: a worker that was thrown
        out of the group and comes back sees the same partitions. Then the generation is not the last one + 1, and
        everything is taken over afresh.
        """
        jumped = self._generation is not None and generation != self._generation + 1
        self._generation = generation
        mine = {tp.partition for tp in tps}
        for number in [n for n in self._owners if n not in mine or jumped]:
            self._owners.pop(number).cancel()
            self.halted.pop(number, None)
            self._drop(number, "assigned to another worker" if number not in mine else "out of the group meanwhile")
        for number in sorted(mine - self._owners.keys()):
            self._owners[number] = asyncio.create_task(self._own(number), name=f"partition {number}")
        self._regenerated.set()
        self._regenerated = asyncio.Event()
        log.info("generation %d: partitions %s%s", generation, sorted(mine), " (all afresh)" if jumped else "")

    # -- what the agent brings

    async def fold(self, message: ConsumerMessage) -> None:
        """Fold a block, or seek where it does not continue what was read."""
        shard = self._shards.get(message.partition)
        if shard is None or not shard.running:
            return
        block = cast("Block", message.value)
        if not await shard.fold(message, block) and shard.running:
            log.warning("%s: a block from %d on does not continue %s", message.tp, block.start, shard.wanted)
            try:
                await shard.check_gap(block.start)
            except Halted as exc:
                self._halt(shard.number, exc)
                return
            self._place({message.tp: shard.wanted})

    # -- ownership

    @property
    def running(self) -> dict[int, Shard]:
        """The shards that are recovered and work."""
        return {n: s for n, s in self._shards.items() if s.running}

    @property
    def joined(self) -> bool:
        """Whether the group has given this worker its share, which may be nothing, at least once."""
        return self._generation is not None

    @property
    def owned(self) -> set[int]:
        """The partitions that the group gave to this worker."""
        return set(self._owners)

    async def _own(self, number: int) -> None:
        """Keep one partition running until the group takes it away."""
        tp, pause, poison = TP(self._parts.source, number), FIRST_PAUSE, Poison()
        while True:
            shard = self._shards[number] = Shard(number, self._parts, poison)
            regenerated = self._regenerated
            try:
                async with self._together:
                    await shard.take_over()
                gc.freeze()  # what was recovered stays: no collection looks at it again
                self._place({tp: shard.wanted})
                log.info("%s: running from offset %s, %d rows recovered", tp, shard.wanted, shard.recovered_rows)
                running = asyncio.get_running_loop().time()
                loss = await shard.lost()
                if asyncio.get_running_loop().time() - running > LONG_LIFE:
                    pause = FIRST_PAUSE
            except Halted as exc:
                self._halt(number, exc)
                return
            except Fenced:
                loss = Loss("fenced", fenced=True)
            except Dropped:
                loss = Loss("dropped", fenced=False)
            except Exception as exc:
                log.exception("%s: takeover failed, next try in %.1f s", tp, pause)
                loss = Loss(f"takeover: {exc!r}", fenced=False)
            self._place({tp: None})
            await shard.close()
            self._parts.telemetry.partition(number).failed(loss.why.partition(":")[0])
            if loss.fenced:
                # Another worker has it, or had it. Who owns it now is the group's to say.
                log.warning("%s: %s; asking for a new assignment", tp, loss.why)
                self._parts.telemetry.partition(number).fenced()
                self._rejoin()
                await _within(regenerated.wait(), REJOIN_PATIENCE)
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)

    def _halt(self, number: int, why: Halted) -> None:
        log.error("partition %d stands still: %s", number, why)
        self.halted[number] = str(why)
        self._drop(number, "halted")
        self._place({TP(self._parts.source, number): None})

    def _drop(self, number: int, why: str) -> None:
        shard = self._shards.pop(number, None)
        if shard is not None:
            shard.lose(why)
            self._parts.telemetry.forget(number)
            task = asyncio.create_task(self._closed(shard))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _closed(self, shard: Shard) -> None:
        """Close a shard; its connections and tasks are the only old objects that hold cycles."""
        await shard.close()
        gc.collect()

    async def sweep_forever(self) -> None:
        """Spend a little, again and again, on what expires."""
        while True:
            await asyncio.sleep(SWEEP_EVERY)
            for shard in list(self.running.values()):
                shard.sweep(SWEEP_STEPS)
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Let everything go."""
        for owner in self._owners.values():
            owner.cancel()
        self._owners.clear()
        for number in list(self._shards):
            self._drop(number, "the worker stops")
        await asyncio.gather(*self._closing, return_exceptions=True)


async def _within(waiting: Awaitable[object], seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(waiting, seconds)
