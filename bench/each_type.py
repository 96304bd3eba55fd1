"""The main job with each type of metric in place of its counters: Kafka, worker and Redis, one job after the other."""

import time

from bench.jobs import JOBS, events
from bench.throughput import ours
from tests.servers.records import Record, create_topics, produce


def fill(bootstrap: str, topic: str, number: int, pace: int, replacing: int) -> None:
    """Put the events on a topic, `pace` of them in each second of their time, the last of them now."""
    create_topics(bootstrap, {topic: 4}, {"message.timestamp.type": "LogAppendTime"})
    sent = events(number, pace, replacing=replacing, start=int(time.time()) - number // pace)
    settings = {"linger.ms": 50, "batch.size": 500_000}
    produce(bootstrap, topic, (Record(each.customer.encode(), each.value) for each in sent), settings=settings)


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
        rates, peers = _rates(rows), _rates(found["counters"])
        costs, usual = _costs(rows), _costs(found["counters"])
        by_time, by_cpu = _ratio(rates, peers), _ratio(usual, costs)
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


def _rates(rows: list[dict[str, float]]) -> list[float]:
    return [row["events"] / row["seconds"] for row in rows]


def _costs(rows: list[dict[str, float]]) -> list[float]:
    return [row["cpu_us_per_event"] for row in rows]


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the rounds' ratios, of an even number the higher one of the middle."""
    return sorted(mine / other for mine, other in zip(ours, theirs, strict=True))[len(ours) // 2]
