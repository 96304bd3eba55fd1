"""The demo, step by step."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.totals import group_text
from stream.totals.reader import read, status_of
from tally import kafka
from tally.demo.recount import Series, compare, recount
from tally.demo.traffic import CUSTOMERS, METRICS, Traffic, duplicates
from tally.demo.workers import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis
from tally.store import connected
from tally.topics import ensure_events

APP = "demo"
TOPIC = "usage-events"
PARTITIONS = 4
SESSION_S = 2.0  # how soon the dead worker's partitions are given away; a worker's own default is 6
RATE = 1_500.0  # events a second: the machine may be a small one
KILL_AT = 0.5  # of the time
SETTLED_S = 60.0  # how long Redis may take to hold the last event before the demo gives up


class Result(msgspec.Struct):
    """What `--json` prints. `pause_ms` is the longest standstill at the kill, `latency_ms` event to Redis outside it."""

    sent: int = 0
    duplicates: int = 0
    kills: int = 0
    series: int = 0
    mismatches: int = 0
    events_per_second: int = 0
    pause_ms: int = 0
    latency_ms: dict[str, float] = msgspec.field(default_factory=dict)
    differences: list[str] = msgspec.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The fields in their order; differences only where there are some."""
        shown = msgspec.to_builtins(self)
        if not self.differences:
            del shown["differences"]
        assert isinstance(shown, dict)
        return shown


Say = Callable[[str], None]


def run(seconds: float, say: Say) -> Result:
    """Play the demo for so many seconds of traffic; `say` gets each line of the story.

    Everything it starts is on loopback and ends with it, however it ends.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tally-demo-")))
        say("Starting a Kafka and a Redis of our own (embedded, on loopback, gone when this ends) ...")
        broker = stack.enter_context(EmbeddedKafka())
        redis = stack.enter_context(EmbeddedRedis())
        metrics = folder / "metrics.yaml"
        metrics.write_text(METRICS)
        asyncio.run(ensure_events(broker.bootstrap, TOPIC, PARTITIONS))
        settings = {
            "TALLY_KAFKA": broker.bootstrap,
            "TALLY_REDIS": redis.url,
            "TALLY_METRICS": str(metrics),
            "TALLY_APP": APP,
            "TALLY_EVENTS_TOPIC": TOPIC,
            "TALLY_PARTITIONS": str(PARTITIONS),
        }
        workers = [WorkerProcess(settings, SESSION_S) for _ in range(2)]
        say("Starting two workers, which share the partitions ...")
        for worker in workers:
            stack.callback(worker.stop)
        with ThreadPoolExecutor() as together:
            list(together.map(WorkerProcess.start, workers))
        probe = stack.enter_context(_probe(broker.bootstrap, redis.url))
        say(
            "Sending events: 1,000 of them twice (they must count once), one in 50 late by up to three days (they count in\n"
            "their own hour and day, not in this one), one in 500 older than a week (they are rejected)."
        )
        play = _Play(broker.bootstrap, redis.url, workers, seconds, say)
        result = asyncio.run(play.play())
        _measure(result, _finish(probe), play.killed_at)
        return result


class _Play:
    """The part that sends, kills and counts again."""

    def __init__(self, bootstrap: str, url: str, workers: list[WorkerProcess], seconds: float, say: Say) -> None:
        self._bootstrap, self._url, self._workers = bootstrap, url, workers
        self._seconds, self._say = seconds, say
        self._lines: list[bytes] = []
        self.killed_at = 0.0

    async def play(self) -> Result:
        result = Result()
        began = time.time()
        async with kafka.producer(self._bootstrap) as producer, connected(self._url) as client:
            story = asyncio.create_task(self._story(client, began, result))
            try:
                await self._send(producer, began)
                took = time.time() - began
                await story
            finally:
                story.cancel()
            result.sent, result.events_per_second = len(self._lines), round(len(self._lines) / took)
            self._say(f"All {result.sent:,} events are sent. Waiting until Redis holds the last of them ...")
            await self._settled(client)
            self._say("Counting all of them again, with code that knows nothing of Tallystream's ...")
            now = time.time()
            wanted, result.duplicates = recount(self._lines, began)
            found = await self._found(client)
        result.differences = compare(wanted, found, now)
        result.series, result.mismatches = len(found), len(result.differences)
        return result

    async def _send(self, producer: AIOKafkaProducer, began: float) -> None:
        """Send at a steady rate; each event's acknowledgement is awaited before the end."""
        traffic, again, rnd = Traffic(), duplicates(self._seconds, RATE), random.Random(11)
        waiting: list[asyncio.Future[Any]] = []
        accepted: list[tuple[str, bytes]] = []
        number = 0
        while (elapsed := time.time() - began) < self._seconds:
            while number < elapsed * RATE:
                number += 1
                customer, line = traffic.event(time.time())
                if not traffic.too_old:
                    accepted.append((customer, line))
                waiting.append(await self._put(producer, customer, line))
                if next(again):
                    twice, earlier = rnd.choice(accepted)
                    waiting.append(await self._put(producer, twice, earlier))
            await asyncio.sleep(0.005)
        await asyncio.gather(*waiting)

    async def _put(self, producer: AIOKafkaProducer, customer: str, line: bytes) -> "asyncio.Future[Any]":
        self._lines.append(line)
        future: asyncio.Future[Any] = await producer.send(TOPIC, line, key=customer.encode())
        return future

    async def _story(self, client: Any, began: float, result: Result) -> None:
        """Tell the totals as they move, and kill a worker on the way."""
        for second in range(1, int(self._seconds) + 1):
            await asyncio.sleep(max(0.0, began + second - time.time()))
            if not self.killed_at and second >= self._seconds * KILL_AT:
                self.killed_at = time.time()
                await asyncio.to_thread(self._workers[0].kill)
                result.kills = 1
                self._say("  kill -9: one of the two workers is dead. Watch the other take over its partitions.")
            totals = [f"{name} {await self._total(client, name)}" for name in CUSTOMERS[:4]]
            self._say(f"  {second:3} s  {len(self._lines):>8,} sent   requests: {', '.join(totals)}")

    async def _total(self, client: Any, customer: str) -> str:
        seen = await read(client, APP, customer, PARTITIONS)
        rows = seen.totals.totals if seen.totals is not None else ()
        return next((f"{int(row.value):,}" for row in rows if row.metric == "requests" and row.window == "total"), "0")

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
        for customer in CUSTOMERS:
            seen = await read(client, APP, customer, PARTITIONS)
            for row in seen.totals.totals if seen.totals is not None else ():
                group = group_text(dict(row.group)) if row.group else ""  # type: ignore[arg-type]  # no floats in it
                found[customer, row.metric, group, row.window, row.start] = (row.value, row.events)
        return found


@contextlib.contextmanager
def _probe(bootstrap: str, url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that measures; killed at the end if it has not ended."""
    command = [sys.executable, "-m", "tally.demo.probe", bootstrap, url, APP, TOPIC, str(PARTITIONS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the measuring process did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def _finish(probe: "subprocess.Popen[bytes]") -> list[tuple[float, float]]:
    out, _ = probe.communicate(timeout=30)
    return [(sent, seen) for sent, seen in json.loads(out)]


def _measure(result: Result, seen: list[tuple[float, float]], killed_at: float) -> None:
    """Tell the standstill at the kill from the latency outside it.

    A partition stood still while an event sent before its new owner was there waited: the longest such wait that
    reaches past the kill is the pause. Events sent within it are no measure of the ordinary latency.
    """
    waits = [(sent, done) for sent, done in seen if done >= killed_at and sent <= killed_at + SESSION_S + 10]
    over = max((done for sent, done in waits if done - sent > 0.25), default=killed_at)
    result.pause_ms = round(max(0.0, over - killed_at) * 1000) if killed_at else 0
    usual = sorted(done - sent for sent, done in seen if not (killed_at and killed_at - 0.5 <= done and sent <= over))
    if usual:
        result.latency_ms = {
            "p50": round(usual[len(usual) // 2] * 1000, 1),
            "p99": round(usual[min(len(usual) - 1, int(len(usual) * 0.99))] * 1000, 1),
        }
