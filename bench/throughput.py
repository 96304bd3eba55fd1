"""The main job's rate: ours beside stock Faust and beside fetch and decode alone, on one Kafka, one after the other."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.load import load
from bench.ours import DEFINITIONS, ROOT, Worker
from tests.servers.records import create_topics

CASES = (("uniform", 1_000), ("zipf", 100_000))


def child(module: str, *args: str) -> dict[str, float]:
    """Run a program of this folder and read the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [line[line.index('{"') :] for line in done.stdout.splitlines() if '{"' in line]
    if not lines:
        raise RuntimeError(f"{module} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def ours(
    bootstrap: str, redis: str, topic: str, events: int, app: str = "", definitions: str = DEFINITIONS
) -> dict[str, float]:
    """Start a worker on a topic that is full and watch its counter, as Prometheus sees it, until all is in Redis."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Worker(bootstrap, redis, app or f"bench-{topic}", topic, Path(directory), definitions=definitions) as worker,
    ):
        began = last = counted = first = cpu = 0.0
        while counted < events:
            time.sleep(0.05)
            counted = worker.metric("tally_counted_total") + worker.metric("tally_replaced_total")
            last = time.monotonic()
            if counted and not began:
                began, first, cpu = last, counted, worker.cpu()
            if worker.process.poll() is not None:
                raise RuntimeError(worker.log.read_text()[-2000:])
        used = worker.cpu() - cpu
        while worker.metric("tally_redis_behind_commits") or not worker.ready():
            time.sleep(0.02)
        return {
            "events": counted - first,
            "seconds": last - began,
            "until_redis_seconds": time.monotonic() - began,
            "cpu_us_per_event": used * 1e6 / (counted - first),
            "rss_mb": worker.memory() / 1e6,
        }


def run(bootstrap: str, redis: str, events: int, stock_events: int) -> list[dict[str, object]]:
    """Every case: the floor, ours, stock Faust, one after the other on the same events."""
    out: list[dict[str, object]] = []
    mark = format(int(time.time()), "x")
    for kind, customers in CASES:
        topic = f"bench-{kind}-{mark}"
        create_topics(bootstrap, {topic: 4}, {"message.timestamp.type": "LogAppendTime"})
        load(bootstrap, topic, events, customers, kind)
        for who in ("floor", "ours", "stock"):
            if who == "floor":
                found = child("floor", bootstrap, topic, str(events))
            elif who == "ours":
                found = ours(bootstrap, redis, topic, events)
            else:
                found = child("stock", bootstrap, topic, str(min(events, stock_events)), redis)
            rate = found["events"] / found["seconds"]
            out.append({"case": f"{customers:,} {kind}", "who": who, "events_per_second": round(rate), **found})
            print(f"{customers:>8,} {kind:8} {who:6} {rate:>10,.0f} events/s  "
                  + "  ".join(f"{k}={v:,.2f}" for k, v in found.items() if k not in {"events", "seconds"}), flush=True)  # fmt: skip
        rates = {str(row["who"]): float(str(row["events_per_second"])) for row in out[-3:]}
        print(
            f"{'':18}ours / stock {rates['ours'] / rates['stock']:.1f}, ours / floor {rates['ours'] / rates['floor']:.2f}"
        )
    return out
