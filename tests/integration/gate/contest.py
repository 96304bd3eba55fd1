"""Clients that compete for one limit: they reserve, work, send, forget and repeat, and total + holds are watched."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Literal, TypeVar, cast

from tallygate import AsyncGate, Check, GateUnavailable, Reservation

Kind = Literal["counted", "rejected", "duplicate", "late"]
Send = Callable[[Kind, str, Reservation], Awaitable[None]]
"""Sends an event of a kind and id that settles a hold; returns when Kafka has acknowledged it."""

Answer = TypeVar("Answer")

CLIENTS = 64
STALE_S = 600.0


class Contest:
    """64 clients that want as much of `calls` as one customer may have.

    Attributes:
        admitted: the holds whose events count.
        overdue: how many of these events were acknowledged after their hold's deadline, for which nothing is promised.
        most: the greatest total + holds that any answer told.
        samples: how often they were looked at besides.
        granted: how many holds were taken.
    """

    def __init__(
        self, gate: AsyncGate, customer: str, limit: int, ttl_s: float, send: Send, *, loses: bool = False
    ) -> None:
        """`loses` says that Redis will lose what it acknowledged: a settled reservation may then be forgotten."""
        self.gate, self.customer, self.limit, self.ttl_s = gate, customer, limit, ttl_s
        self.loses = loses
        self.admitted: set[str] = set()
        self.overdue = 0
        self.most = Decimal()
        self.samples = 0
        self.granted = 0
        self.kinds: dict[str, int] = {}
        self._send = send

    async def run(self) -> None:
        """Compete until every client has been refused several times at a total that is the limit."""
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as clients:
                for number in range(CLIENTS):
                    clients.create_task(self._client(number))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until every event that counts is in the total, and nothing is held."""
        async with asyncio.timeout(120):
            while True:
                answer = await self._looked()
                if answer is not None and (answer.used, answer.reserved) == (Decimal(len(self.admitted)), Decimal()):
                    return
                await asyncio.sleep(0.05)

    def prove(self, lost: int = 0) -> None:
        """Exactly the limit was admitted, and at no moment was more taken than there is.

        A machine that stalls for longer than the holds live lets events be overdue; only they may pass the limit, and
        at most as many as there were holds that Redis has `lost`.
        """
        over = self.overdue + lost
        print(
            f"admitted {len(self.admitted)}, overdue {self.overdue}, most {self.most}, {self.samples} samples, {self.kinds}"
        )
        assert self.limit <= len(self.admitted) <= self.limit + over
        assert self.limit <= self.most <= self.limit + over
        assert self.samples > 100
        assert {"counted", "rejected", "duplicate", "late", "released", "forgotten"} <= set(self.kinds)

    async def _client(self, number: int) -> None:
        """One client: most events count; some holds are released, forgotten, or settled by an event that does not."""
        randomly = random.Random(number)
        first: str | None = None
        refused = 0
        for attempt in range(1_000_000):
            hold_id = f"{number}-{attempt}"
            hold = await self._reserve(hold_id)
            if not hold:
                refused += hold.used is not None and hold.used >= self.limit
                if refused >= 5:
                    return
                await asyncio.sleep(randomly.uniform(0.05, 0.3))
                continue
            self.granted += 1
            draw = randomly.random()
            kind: str = "counted"
            for share, other in ((0.05, "released"), (0.1, "forgotten"), (0.15, "rejected"), (0.2, "late")):
                if draw < share:
                    kind = other
                    break
            else:
                if draw < 0.25 and first is not None:
                    kind = "duplicate"
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if kind == "released":
                await _answered(lambda: self.gate.release(self.customer, hold_id))  # noqa: B023 - called at once
            elif kind in {"rejected", "late"}:
                await self._send(cast("Kind", kind), f"event-{hold_id}", hold)
            elif kind == "duplicate":
                assert first is not None
                await self._send("duplicate", first, hold)
            elif kind == "counted":
                await self._count(hold)
                first = f"event-{hold_id}"
                if draw > 0.85:  # sent once more, because its answer got lost: it settles nothing more
                    await self._send("duplicate", first, hold)
                elif draw > 0.7:  # reserved once more, for the same reason
                    again = await self._reserve(hold_id)
                    assert self.loses or again.reason in {"ok", "settled"}, again

    async def _count(self, hold: Reservation) -> None:
        self.admitted.add(hold.id)
        await self._send("counted", f"event-{hold.id}", hold)
        assert hold.at is not None
        self.overdue += time.time() > hold.at.timestamp() + self.ttl_s

    async def _reserve(self, hold_id: str) -> Reservation:
        hold = await _answered(
            lambda: self.gate.reserve(self.customer, "calls", id=hold_id, ttl=self.ttl_s, max_staleness=STALE_S)
        )
        if hold.used is not None and hold.reserved is not None:
            self.most = max(self.most, hold.used + hold.reserved)
        return hold

    async def _watch(self) -> None:
        """Look at total + holds, which one check reads in one step, as often as there is time."""
        while True:
            await self._looked()
            self.samples += 1
            await asyncio.sleep(0.01)

    async def _looked(self) -> Check | None:
        try:
            answer = await self.gate.check(self.customer, "calls", 0, max_staleness=STALE_S)
        except GateUnavailable:
            return None
        if answer.used is None or answer.reserved is None:
            return None
        self.most = max(self.most, answer.used + answer.reserved)
        return answer


async def _answered(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Call again until Redis answers."""
    while True:
        try:
            return await call()
        except GateUnavailable:
            await asyncio.sleep(0.05)
