"""The demo's gate: many clients compete for a limit, and no more are admitted than it allows.

Each client reserves before it does anything, and sends an event only where it was admitted; the event carries the
hold's id, and settles it. So the holds turn into a total, and at no moment do the two together pass the limit.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from tallygate import AsyncGate, Check

CUSTOMER, METRIC = "mint", "jobs"
LIMIT = 1_000
CLIENTS = 64
ASKS = 40  # of each client: 2,560 in all, more than twice the limit
STALE_S = 60.0  # how long a client that is told `stale` asks again, before the demo gives up

Send = Callable[[str, bytes], Awaitable[Any]]


class Crowd(msgspec.Struct):
    """What became of the requests; `used` and `lag_ms` are those of the gate's last answer, when all events were in."""

    clients: int = CLIENTS
    limit: int = LIMIT
    asked: int = 0
    admitted: int = 0
    used: int = 0
    reserved: int = 0
    lag_ms: int = 0

    def differences(self) -> list[str]:
        """Why this was not exact; empty where it was."""
        faults = []
        if self.admitted != self.limit:
            faults.append(f"the gate admitted {self.admitted} of {self.asked}, the limit is {self.limit}")
        if (self.used, self.reserved) != (self.limit, 0):
            faults.append(f"the gate says used {self.used} and reserved {self.reserved}, not {self.limit} and 0")
        return faults


async def compete(gate: AsyncGate, send: Send) -> Crowd:
    """All clients at once; `send` takes a customer and an event, and answers something that waits for Kafka's word.

    Raises TimeoutError where the gate stays stale, and GateUnavailable where Redis does not answer.
    """
    reasons: Counter[str] = Counter()
    waiting: list[Awaitable[Any]] = []

    async def client(number: int) -> None:
        for ask in range(ASKS):
            name = f"job-{number}-{ask}"
            answer = await _reserve(gate, name)
            reasons[answer.reason] += 1
            if answer.allowed and answer.at is not None:
                event = {
                    "id": name,
                    "event_name": "job",
                    "customer_id": CUSTOMER,
                    "timestamp": round(answer.at.timestamp(), 6),
                    "reservation": answer.id,
                    "properties": {},
                }
                waiting.append(await send(CUSTOMER, json.dumps(event).encode()))

    try:
        async with asyncio.TaskGroup() as clients:
            for number in range(CLIENTS):
                clients.create_task(client(number))
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from faults  # one client's fault is the others' too
    await asyncio.gather(*waiting)
    return Crowd(asked=sum(reasons.values()), admitted=reasons["ok"])


async def _reserve(gate: AsyncGate, name: str) -> Any:
    """Reserve one job; asks again while the totals are coming back from a takeover."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STALE_S
    while (answer := await gate.reserve(CUSTOMER, METRIC, 1, id=name, ttl=600)).reason == "stale":
        if loop.time() > until:
            raise TimeoutError(f"the gate was stale for {STALE_S:.0f} s")
        await asyncio.sleep(0.1)
    return answer


async def last_word(gate: AsyncGate, crowd: Crowd) -> Check:
    """Ask once more, now that all events are in: the answer that would stop the next one."""
    answer = await gate.check(CUSTOMER, METRIC)
    crowd.used, crowd.reserved, crowd.lag_ms = int(answer.used or 0), int(answer.reserved or 0), answer.lag_ms or 0
    return answer
