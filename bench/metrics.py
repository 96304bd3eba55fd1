"""What a metric costs: the main job's partition with each type of metric in place of the counters.

    python -m bench metrics [--events N] [--rounds N] [--only JOB]

Measured is what a worker does for its partitions, without Kafka and Redis: decode, name, dedupe and fold blocks of 6,000 (a fetch of a partition)
records, and after each the commit: changelog rows encoded, Redis fields rendered. It runs in a process of its own for
each job and round, and the first quarter of the events, with which customers begin, is not counted; a job's figure is
its best round, in events for each second of CPU.
"""

import gc
import multiprocessing
import time
from typing import Any

from bench.jobs import JOBS, Record, definitions, events, partitioned
from stream.core.murmur2 import Homes
from stream.core.partition import Partition
from stream.core.plan import Plan
from stream.engine.process import GC_THRESHOLDS

PARTITIONS = 4
BLOCK = 6000


def work(job: str, logs: list[list[Record]]) -> dict[str, float]:
    """Fold every partition's log in turns of a block; seconds of CPU by part, and what the changelog took."""
    plan = Plan(definitions(job))
    parts = [Partition(plan, number, len(logs)) for number in range(len(logs))]
    for part in parts:
        part.restored()
        part.begin_term()
        part.take()
    found = {"events": 0.0, "fold": 0.0, "take": 0.0, "rows": 0.0, "bytes": 0.0, "rendered": 0.0}
    for at in range(0, max(map(len, logs)), BLOCK):
        for part, log in zip(parts, logs, strict=True):
            block = log[at : at + BLOCK]
            if not block:
                continue
            began = time.process_time()
            part.fold(block, block[-1].offset + 1)
            folded = time.process_time()
            commit = part.take()
            ended = time.process_time()
            assert commit is not None
            if at < len(log) // 4:
                continue
            found["events"] += len(block)
            found["fold"] += folded - began
            found["take"] += ended - folded
            found["rows"] += len(commit.rows)
            found["bytes"] += sum(len(key) + len(value or b"") for key, value in commit.rows)
            found["rendered"] += sum(len(each.fields) for each in commit.publications)
    counts = [part.header.counts for part in parts]
    assert sum(each.counted + each.replaced for each in counts) == sum(map(len, logs))
    assert not any(each.partial or each.late for each in counts)
    return found


def _child(job: str, logs: list[list[Record]], out: Any) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as the worker has it
    out.send(work(job, logs))


def run(number: int = 400_000, rounds: int = 3, only: str | None = None, pace: int = 50_000) -> dict[str, Any]:
    """Measure every job and print its rate beside the counters'."""
    homes = Homes(PARTITIONS)
    logs = partitioned(events(number, pace), PARTITIONS, homes)
    replacing = partitioned(events(number, pace, replacing=10), PARTITIONS, homes)
    jobs = [job for job in JOBS if only in {None, job} or job == "counters"]
    best: dict[str, dict[str, float]] = {}
    context = multiprocessing.get_context("fork")  # the events are made once, before
    for _ in range(rounds):
        for job in jobs:
            mine, theirs = context.Pipe(False)
            child = context.Process(target=_child, args=(job, replacing if "replaces" in job else logs, theirs))
            child.start()
            theirs.close()
            found = mine.recv()
            child.join()
            if job not in best or found["fold"] + found["take"] < best[job]["fold"] + best[job]["take"]:
                best[job] = found
    print(
        f"{number:,} events of 1,000 customers, {PARTITIONS} partitions, a commit after each block of {BLOCK:,}, "
        f"{pace:,} events a second of event time; three metrics of three windows each. Without Kafka and Redis."
    )
    out: dict[str, Any] = {}
    for job, found in best.items():
        counted = found["events"]
        rate = counted / (found["fold"] + found["take"])
        out[job] = {"events_per_cpu_second": round(rate), **found}
        ratio = out[job]["ratio"] = round(rate / out["counters"]["events_per_cpu_second"], 3)
        print(
            f"  {job:25}{rate:>10,.0f} events/s of CPU  {ratio:5.2f} of the counters  "
            f"(us an event: fold {found['fold'] / counted * 1e6:.2f}, take {found['take'] / counted * 1e6:.2f}; "
            f"changelog {found['bytes'] / counted:,.0f} bytes in {found['rows'] / counted:.2f} rows)"
        )
    return out
