"""The demo: its servers, and what it answers. What happens on them is in play.py."""

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from tally.demo.crowd import Crowd
from tally.demo.play import APP, PARTITIONS, SESSION_S, TOPIC, Play
from tally.demo.probing import finished, latency_ms, probing, standstill
from tally.demo.telling import Teller
from tally.demo.traffic import METRICS
from tally.processes import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis
from tally.topics import ensure_events


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
    gate: Crowd = msgspec.field(default_factory=Crowd)
    differences: list[str] = msgspec.field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The fields in their order; differences only where there are some."""
        shown = msgspec.to_builtins(self)
        if not self.differences:
            del shown["differences"]
        assert isinstance(shown, dict)
        return shown


def run(seconds: float, tell: Teller) -> Result:
    """Play the demo with so many seconds of traffic; `tell` gets the story.

    Everything it starts is on loopback and ends with it, however it ends.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tally-demo-")))
        tell.say("Starting a Kafka and a Redis of our own (embedded, on loopback, gone when this ends) ...")
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
        tell.say("Starting two workers, which share the partitions ...")
        for worker in workers:
            stack.callback(worker.stop)
        with ThreadPoolExecutor() as together:
            list(together.map(WorkerProcess.start, workers))
        play = Play(broker.bootstrap, redis.url, workers, seconds, tell)
        asyncio.run(play.shared())
        probe = stack.enter_context(probing(broker.bootstrap, redis.url, APP, TOPIC, PARTITIONS))
        asyncio.run(play.play())
        return _result(play, finished(probe))


def _result(play: Play, seen: list[tuple[float, float]]) -> Result:
    over = standstill(seen, play.killed_at, SESSION_S + 10)
    return Result(
        sent=len(play.lines),
        duplicates=play.counted.duplicates,
        kills=play.kills,
        series=len(play.found),
        mismatches=len(play.differences),
        events_per_second=play.events_per_second,
        pause_ms=round((over - play.killed_at) * 1000),
        latency_ms=latency_ms(seen, play.killed_at, over),
        gate=play.crowd,
        differences=play.differences,
    )
