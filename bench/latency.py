"""From event to Redis, read from outside the worker: a probe sends, looks until the total has risen, and notes the time.

The producer of the load and the probe run on the same machine as worker, Kafka and Redis. Where that is a virtual one
whose host takes its processors away for a tenth of a second at a time, no latency is the worker's own: each line says
what share was taken.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.load import load
from bench.ours import ROOT, Worker
from tests.servers.records import create_topics

PROBES_A_SECOND = 25
SECONDS = 24
TRIED = 8
"""Seconds for which a rate must be held."""

MOST_TAKEN = 0.02
"""Share of the processors that the host may take: beyond, a rate that was not held is tried again, `TRIES` times."""

TRIES = 3

WARM_UP = 12
"""Seconds that are not counted: a broker just started answers three times slower until its code is compiled."""


def probe(bootstrap: str, redis_url: str, app: str, topic: str, seconds: float) -> list[float]:
    """Send probes one after the other and measure each; returns seconds."""
    import redis
    from confluent_kafka import Producer
    from tallygate.layout import Keys, partition_of

    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 0, "partitioner": "murmur2_random", "acks": "all"}
    )
    client = redis.Redis.from_url(redis_url)
    found, number, until = [], 0, time.monotonic() + seconds
    while time.monotonic() < until:
        customer = f"probe-{number % 40}"
        key = Keys(app, partition_of(customer, 4)).totals(customer)
        event = {
            "id": f"p{number}-{time.time_ns()}",
            "event_name": "api_request",
            "customer_id": customer,
            "timestamp": time.time(),
            "properties": {"region": "NA", "value": 1},
        }
        before = client.hget(key, "requests")
        began = time.monotonic()
        producer.produce(topic, json.dumps(event), customer)
        producer.poll(0)
        while client.hget(key, "requests") == before:
            time.sleep(0.001)
            if time.monotonic() - began > 30:
                raise TimeoutError(f"the total of {customer} does not rise")
        found.append(time.monotonic() - began)
        number += 1
        time.sleep(max(0.0, 1 / PROBES_A_SECOND - found[-1]))
    producer.flush(10)
    return found


def quantile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def at(bootstrap: str, redis_url: str, worker: Worker, rate: float, seconds: float = SECONDS) -> dict[str, float]:
    """Measure under a steady load, the first two seconds apart; says too whether the worker kept up."""
    with steady(bootstrap, worker, rate, seconds):
        counted, cpu, began = worker.metric("tally_counted_total"), worker.cpu(), time.monotonic()
        before = processors()
        values = probe(bootstrap, redis_url, worker.app, worker.topic, seconds)
        took, taken = time.monotonic() - began, share_taken(before)
        held = (worker.metric("tally_counted_total") - counted) / took
        lag = worker.metric("tally_lag_records")
        used = (worker.cpu() - cpu) / took
    return {
        "rate": rate,
        "counted_per_second": held,
        "lag_records": lag,
        "worker_cpu": used,
        "taken": taken,
        "probes": len(values),
        "p50_ms": quantile(values, 0.5) * 1000,
        "p99_ms": quantile(values, 0.99) * 1000,
        "max_ms": max(values) * 1000,
    }


@contextmanager
def steady(bootstrap: str, worker: Worker, rate: float, seconds: float) -> Iterator[None]:
    """Send at a rate for so long; on entry the first two seconds are over."""
    count = str(int(rate * (seconds + 4)))
    command = [sys.executable, "-m", "bench.load", bootstrap, worker.topic, count, "1000", "uniform", str(rate)]
    with subprocess.Popen([*command, str(int(time.time()))], cwd=ROOT) as flow:
        time.sleep(2)
        try:
            yield
        finally:
            flow.kill()


def highest_held(bootstrap: str, worker: Worker, burst: float) -> float:
    """The highest rate, of `burst` and less by tenths of it, that is sent in full and leaves no lag that grows."""
    for tenths in range(10, 0, -1):
        rate = burst * tenths / 10
        for _ in range(TRIES):
            before = processors()
            held, taken = is_held(bootstrap, worker, rate), share_taken(before)
            if held:
                return rate
            if taken <= MOST_TAKEN:
                break
            print(f"          the host took {taken:.0%} of the processors meanwhile: tried again")
    raise RuntimeError("no rate is held")


def is_held(bootstrap: str, worker: Worker, rate: float) -> bool:
    """Whether a rate is sent in full and leaves no lag that grows; on return all of it is in Redis."""
    with steady(bootstrap, worker, rate, TRIED):
        before, began = worker.metric("tally_counted_total"), time.monotonic()
        time.sleep(TRIED)
        counted = (worker.metric("tally_counted_total") - before) / (time.monotonic() - began)
        lag = worker.metric("tally_lag_records")
    drained(worker)
    held = counted >= 0.97 * rate and lag <= rate / 4
    print(
        f"{rate:>9,.0f} events/s sent steadily: {'held' if held else 'not held'}, counted {counted:,.0f}/s, lag {lag:,.0f}"
    )
    return held


def processors() -> tuple[float, float]:
    """What the host took of our processors' time so far, and that time in all, in ticks; only Linux says it."""
    try:
        ticks = [float(text) for text in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0, 0.0
    return ticks[7], sum(ticks)


def share_taken(before: tuple[float, float]) -> float:
    """The share of the processors' time since `before` that the host took."""
    taken, passed = (now - then for now, then in zip(processors(), before, strict=True))
    return taken / passed if passed else 0.0


def drained(worker: Worker) -> None:
    """Wait until all that was sent is in Redis."""
    while worker.metric("tally_lag_records") > 0 or not worker.ready():
        time.sleep(0.02)


def run(bootstrap: str, redis_url: str, rounds: int) -> list[dict[str, float]]:
    """Measure at 1,000 events a second, then at half of the highest rate that is held with the producer beside it.

    Each as often as `rounds` says.
    """
    topic = f"latency-{int(time.time()):x}"
    create_topics(bootstrap, {topic: 4}, {"message.timestamp.type": "LogAppendTime"})
    with (
        tempfile.TemporaryDirectory() as folder,
        Worker(bootstrap, redis_url, f"b-{topic}", topic, Path(folder)) as worker,
    ):
        worker.until_ready()
        at(bootstrap, redis_url, worker, 1000.0, WARM_UP)
        out = [shown(at(bootstrap, redis_url, worker, 1000.0)) for _ in range(rounds)]
        began, start = time.monotonic(), worker.metric("tally_counted_total")
        load(bootstrap, topic, 600_000, 1000, "uniform", seed=int(began))
        drained(worker)
        burst = (worker.metric("tally_counted_total") - start) / (time.monotonic() - began)
        highest = highest_held(bootstrap, worker, burst)
        print(
            f"with the producer on the same machine: {highest:,.0f} events/s held, {burst:,.0f} in a burst of 600,000"
        )
        out += [shown(at(bootstrap, redis_url, worker, highest / 2)) for _ in range(rounds)]
    return out


def shown(row: dict[str, float]) -> dict[str, float]:
    """Print what was measured, and return it."""
    print(
        f"latency at {row['rate']:>9,.0f} events/s: p50 {row['p50_ms']:.1f} ms  p99 {row['p99_ms']:.1f} ms  max "
        f"{row['max_ms']:.0f} ms  ({row['probes']:.0f} probes, counted {row['counted_per_second']:,.0f}/s, lag at the end "
        f"{row['lag_records']:,.0f}, worker {row['worker_cpu']:.0%} of a core, the host took {row['taken']:.1%})",
        flush=True,
    )
    return row
