"""The demo, act by act: traffic and a kill, the gate, the recount."""

import asyncio
import random
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from tallygate import AsyncGate

from schemas.totals import group_text
from stream.totals.reader import read, status_of
from tally import kafka
from tally.demo import crowd
from tally.demo.crowd import Crowd
from tally.demo.recount import Recount, Series, compare, recount, start_of
from tally.demo.telling import Teller
from tally.demo.traffic import CUSTOMERS, Traffic, duplicates
from tally.processes import WorkerProcess
from tally.store import connected

APP = "demo"
TOPIC = "usage-events"
PARTITIONS = 4
SESSION_S = 2.0  # how soon the dead worker's partitions are given away; a worker's own default is 6
RATE = 1_500.0  # events a second: the machine may be a small one
KILL_AT = 0.5  # of the time
SETTLED_S = 60.0  # how long Redis may take to hold the last event before the demo gives up
GATE_S = 10.0  # how long one call of the gate may take, on a machine that does all of this at once


class Play:
    """Sends, kills, competes and counts again, on servers that run; what came of it stands in the attributes."""

    def __init__(self, bootstrap: str, url: str, workers: list[WorkerProcess], seconds: float, tell: Teller) -> None:
        self._bootstrap, self._url, self._workers = bootstrap, url, workers
        self._seconds, self._tell = seconds, tell
        self.lines: list[bytes] = []
        self.kills = 0
        self.killed_at = 0.0
        self.events_per_second = 0
        self.crowd = Crowd()
        self.counted = Recount({})
        self.found: dict[Series, tuple[str, int]] = {}
        self.differences: list[str] = []

    async def shared(self) -> None:
        """Wait until each worker owns partitions, so that whichever is killed has something to leave behind."""
        wanted, until = {worker.address for worker in self._workers}, time.time() + SETTLED_S
        async with connected(self._url) as client:
            while True:
                found = [await status_of(client, APP, number) for number in range(PARTITIONS)]
                if {status.address for status in found if status is not None and status.complete} >= wanted:
                    return
                if time.time() > until:
                    raise TimeoutError(f"the workers did not share the partitions within {SETTLED_S:.0f} s")
                await asyncio.sleep(0.05)

    async def play(self) -> None:
        """All acts, in their order."""
        began = time.time()
        async with kafka.producer(self._bootstrap) as producer, connected(self._url) as client:
            await self._traffic(producer, client, began)
            self._tell.say(f"All {len(self.lines):,} events are sent. Waiting until Redis holds the last of them ...")
            await self._settled(client)
            await self._compete(producer, client)
            self._tell.gap()
            self._tell.say("Now the proof: all events counted again, by code that knows nothing of Tallystream's ...")
            now = time.time()
            self.counted = recount(self.lines, began)
            self.found = await self._found(client)
        self.differences += compare(self.counted.totals, self.found, now)
        self._explain(CUSTOMERS[0], now)

    async def _traffic(self, producer: AIOKafkaProducer, client: Any, began: float) -> None:
        self._tell.say(
            "Sending events. 1,000 of them are sent twice (they must count once), one in 50 is late by up to three days "
            "(it counts in its own hour and day, not in this one), one in 500 is older than a week (it is rejected). "
            "The numbers are customers' requests, as they stand in Redis:"
        )
        story = asyncio.create_task(self._watch(client, began))
        try:
            await self._send(producer, began)
            self.events_per_second = round(len(self.lines) / (time.time() - began))
            await story
        finally:
            story.cancel()

    async def _send(self, producer: AIOKafkaProducer, began: float) -> None:
        """Send at a steady rate, all of it however slow the machine is; each acknowledgement is awaited before the end."""
        traffic, again, rnd = Traffic(), duplicates(self._seconds, RATE), random.Random(11)
        waiting: list[asyncio.Future[Any]] = []
        accepted: list[tuple[str, bytes]] = []
        for number in range(round(self._seconds * RATE)):
            while number > (time.time() - began) * RATE:  # noqa: ASYNC110 - what is waited for is the time
                await asyncio.sleep(0.005)
            customer, line = traffic.event(time.time())
            if not traffic.too_old:
                accepted.append((customer, line))
            waiting.append(await self._put(producer, customer, line))
            if next(again):
                twice, earlier = rnd.choice(accepted)
                waiting.append(await self._put(producer, twice, earlier))
        await asyncio.gather(*waiting)

    async def _put(self, producer: AIOKafkaProducer, customer: str, line: bytes) -> "asyncio.Future[Any]":
        self.lines.append(line)
        future: asyncio.Future[Any] = await producer.send(TOPIC, line, key=customer.encode())
        return future

    async def _watch(self, client: Any, began: float) -> None:
        """Tell the totals as they move, and kill a worker on the way."""
        for second in range(1, int(self._seconds) + 1):
            await asyncio.sleep(max(0.0, began + second - time.time()))
            if not self.kills and second >= self._seconds * KILL_AT:
                self.killed_at = time.time()
                await asyncio.to_thread(self._workers[0].kill)
                self.kills = 1
                self._tell.say(
                    "kill -9: one of the two workers is dead. The customers that it counted stand still until the "
                    "other takes over.", "  >> ",
                )  # fmt: skip
            totals = {name: await self._requests(client, name) for name in CUSTOMERS[:6]}
            self._tell.moved(second, len(self.lines), totals)

    async def _compete(self, producer: AIOKafkaProducer, client: Any) -> None:
        """The gate: a crowd over one limit."""
        self._tell.gap()
        self._tell.say(
            f"Now the gate. The customer {crowd.CUSTOMER} may run {crowd.LIMIT:,} jobs. {crowd.CLIENTS} clients at once "
            f"want {crowd.CLIENTS * crowd.ASKS:,}; each reserves a job first, and sends its event only if it is let in ..."
        )
        async with AsyncGate.from_url(self._url, APP, timeout=GATE_S) as gate:
            self.crowd = await crowd.compete(gate, lambda customer, line: self._put(producer, customer, line))
            await self._settled(client)
            answer = await crowd.last_word(gate, self.crowd)
        self.differences += self.crowd.differences()
        refused = self.crowd.asked - self.crowd.admitted
        self._tell.say(
            f"{self.crowd.admitted:,} were let in and {refused:,} refused. One more would be told: {answer.reason}, "
            f"used {self.crowd.used:,} of {self.crowd.limit:,}, as of {answer.lag_ms} ms ago."
        )

    def _explain(self, customer: str, now: float) -> None:
        """What duplicates, old and late events did to one customer, in words."""
        sent = self.counted.sent[customer]
        always: Series = (customer, "requests", "", "total", None)
        hour: Series = (customer, "requests", "", "hour", start_of("hour", int(now)))
        count = sent.events - sent.duplicates - sent.too_old
        nothing = ("0", 0)
        this_hour = self.counted.totals.get(hour, nothing)[1]
        self._tell.say(
            f"{customer}, for one: {sent.events:,} events were sent, of which {sent.duplicates:,} were duplicates and "
            f"{sent.too_old:,} too old. So {count:,} count; Redis says {self.found.get(always, nothing)[1]:,}. "
            f"{count - this_hour:,} of them were late and belong to earlier hours, {this_hour:,} to this one; Redis says "
            f"{self.found.get(hour, nothing)[1]:,}."
        )

    async def _requests(self, client: Any, customer: str) -> int:
        seen = await read(client, APP, customer, PARTITIONS)
        rows = seen.totals.totals if seen.totals is not None else ()
        return next((row.events for row in rows if row.metric == "requests" and row.window == "total"), 0)

    async def _settled(self, client: Any) -> None:
        """Wait until Redis is fresh as of now: everything that Kafka had by now is then in it."""
        seconds, micros = await client.time()
        until, target = time.time() + SETTLED_S, int(seconds) * 1_000_000 + int(micros)
        for number in range(PARTITIONS):
            while True:
                status = await status_of(client, APP, number)
                if status is not None and status.complete and (status.fresh_us or 0) >= target:
                    break
                if time.time() > until:
                    raise TimeoutError(f"partition {number} was not complete in Redis after {SETTLED_S:.0f} s")
                await asyncio.sleep(0.05)

    async def _found(self, client: Any) -> dict[Series, tuple[str, int]]:
        """Every total of the demo's customers that stands in Redis."""
        found: dict[Series, tuple[str, int]] = {}
        for customer in (*CUSTOMERS, crowd.CUSTOMER):
            seen = await read(client, APP, customer, PARTITIONS)
            for row in seen.totals.totals if seen.totals is not None else ():
                group = group_text(dict(row.group)) if row.group else ""  # type: ignore[arg-type]  # no floats in it
                found[customer, row.metric, group, row.window, row.start] = (row.value, row.events)
        return found
