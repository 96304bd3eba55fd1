"""What the fold costs: decode, hash, dedupe, fold, take (encode and render), in microseconds of CPU for each event.

    python bench/fold.py [EVENTS]

Three metrics of three windows each (count, a filtered sum, the greatest of a decimal) over events of about 250 bytes,
in blocks of 5,000 with a commit after each; 1,000 customers alike, and 100,000 by zipf (1.1).
"""

import bisect
import itertools
import json
import random
import sys
import time
from types import SimpleNamespace
from typing import Any

from schemas.definitions import Comparison, Definitions, Metric
from stream.core.partition import Partition
from stream.core.plan import Plan

T0 = 1_772_712_000
WINDOWS = ("hour", "day", "month")
METRICS = (
    Metric(key="requests", name="", event_name="api_request", type="counter", aggregation="count", windows=WINDOWS),
    Metric(
        key="na_value",
        name="",
        event_name="api_request",
        type="counter",
        aggregation="sum",
        property="value",
        filters=(Comparison("region", "eq", "NA"),),
        windows=WINDOWS,
    ),
    Metric(
        key="max_latency",
        name="",
        event_name="api_request",
        type="counter",
        aggregation="max",
        property="latency_ms",
        windows=WINDOWS,
    ),
)


def events(number: int, customers: int, zipf: bool) -> list[Any]:
    """Records of one hour, ahead of and behind each other by up to three seconds."""
    chance = random.Random(1)
    weights = list(itertools.accumulate(1 / (i + 1) ** 1.1 for i in range(customers))) if zipf else []
    out = []
    for i in range(number):
        ms = i * 1000 // 300_000 + chance.randrange(3000)
        who = bisect.bisect(weights, chance.random() * weights[-1]) if zipf else chance.randrange(customers)
        second = ms // 1000
        event = {
            "id": f"ev_{i:010}",
            "event_name": "api_request",
            "customer_id": f"cust{who:06}",
            "timestamp": f"2026-03-05T12:{second // 60 % 60:02}:{second % 60:02}.{ms % 1000:03}Z",
            "properties": {"region": chance.choice(("NA", "EU")), "value": chance.randrange(1, 10), "latency_ms": 0},
        }
        text = json.dumps(event, separators=(",", ":"))
        text = text.replace('"latency_ms":0', f'"latency_ms":{chance.randrange(500)}.{chance.randrange(1, 1000):03}')
        out.append(
            SimpleNamespace(
                topic="usage-events",
                partition=0,
                offset=i,
                timestamp=T0 * 1000 + ms + 20,
                key=f"cust{who:06}".encode(),
                value=text.encode(),
                headers=(),
            )
        )
    return out


class Stopwatch:
    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    def run(self, name: str, work: Any, *args: Any) -> Any:
        began = time.process_time()
        out = work(*args)
        self.parts[name] = self.parts.get(name, 0.0) + time.process_time() - began
        return out


def measure(records: list[Any], size: int) -> dict[str, float]:
    """Microseconds of CPU for each event, by part, in the second half of the events."""
    partition = Partition(Plan(Definitions(metrics={metric.key: metric for metric in METRICS})), 0, 1)
    partition.restored()
    partition.begin_term()
    half = len(records) // 2
    watch = Stopwatch()
    rows = published = 0
    for at in range(0, len(records), size):
        if at >= half and not watch.parts.get("counted"):
            watch = Stopwatch()
            watch.parts["counted"] = 1e-12
            rows = published = 0
        block = records[at : at + size]
        watch.run("fold", partition.fold, block, block[-1].offset + 1)
        commit = watch.run("take", partition.take)
        rows += len(commit.rows)
        published += len(commit.publications)
    assert partition.header.counts.counted == len(records)
    number = len(records) - half
    out = {name: spent / number * 1e6 for name, spent in watch.parts.items() if name != "counted"}
    return {"total": sum(out.values()), **out, "rows an event": rows / number, "customers an event": published / number}


def main() -> None:
    """Print a line for each load."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for label, customers, zipf in (("1,000 uniform", 1000, False), ("100,000 zipf", 100_000, True)):
        records = events(number, customers, zipf)
        best = min((measure(records, 5000) for _ in range(3)), key=lambda found: found["total"])
        print(f"{label}: " + ", ".join(f"{name} {value:.2f}" for name, value in best.items()))


if __name__ == "__main__":
    main()
