"""The main job with each type of metric in place of its counters: Kafka, worker and Redis, one job after the other."""

import time

from confluent_kafka import Producer

from bench.jobs import JOBS, events
from bench.throughput import ours
from tests.servers.records import create_topics


def fill(bootstrap: str, topic: str, number: int, pace: int, replacing: int) -> None:
    """Put the events on a topic, `pace` of them in each second of their time, the last of them now."""
    create_topics(bootstrap, {topic: 4}, {"message.timestamp.type": "LogAppendTime"})
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "batch.size": 500_000,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
        }
    )
    for n, sent in enumerate(events(number, pace, replacing=replacing, start=int(time.time()) - number // pace)):
        producer.produce(topic, sent.value, sent.customer)
        if n % 10_000 == 0:
            producer.flush(60)
    assert producer.flush(60) == 0


def run(bootstrap: str, redis: str, number: int, rounds: int, pace: int = 50_000) -> dict[str, dict[str, float]]:
    """Run every job in each round; print its rate and what it took, beside the counters' of the same round."""
    mark = format(int(time.time()), "x")
    topics = {False: f"types-{mark}", True: f"types-replacing-{mark}"}
    for replaces, topic in topics.items():
        fill(bootstrap, topic, number, pace, 10 if replaces else 0)
    found: dict[str, list[dict[str, float]]] = {job: [] for job in JOBS}
    for n in range(rounds):
        for job, definitions in JOBS.items():
            app = f"{topics[False]}-{n}-{job.translate(str.maketrans(' ,', '--'))}"
            found[job].append(ours(bootstrap, redis, topics["replaces" in job], number, app, definitions))
    out: dict[str, dict[str, float]] = {}
    for job, rows in found.items():
        rates = [row["events"] / row["seconds"] for row in rows]
        peers = [row["events"] / row["seconds"] for row in found["counters"]]
        by_time = sorted(rate / peer for rate, peer in zip(rates, peers, strict=True))[rounds // 2]
        costs = [row["cpu_us_per_event"] for row in rows]
        usual = [row["cpu_us_per_event"] for row in found["counters"]]
        by_cpu = sorted(peer / cost for cost, peer in zip(costs, usual, strict=True))[rounds // 2]
        out[job] = {
            "events_per_second": max(rates),
            "cpu_us_per_event": min(costs),
            "ratio": by_time,
            "cpu_ratio": by_cpu,
        }
        print(
            f"  {job:25}{max(rates):>10,.0f} events/s  {by_time:5.2f} of the counters  "
            f"(CPU {min(costs):.1f} us an event, {by_cpu:.2f} of the counters)",
            flush=True,
        )
    return out
