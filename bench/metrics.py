"""What a metric costs: the main job's partition with each type of metric in place of the counters.

    python -m bench metrics [--events N] [--rounds N] [--only JOB]

Measured is what a worker does for its partitions, without Kafka and Redis: decode, name, dedupe and fold blocks of
6,000 records (a fetch of a partition), and after each the commit: changelog rows encoded, Redis fields rendered. Each
job runs in a process of its own; all of them take turns, a block of each partition at a time, so that a machine that
is faster at one time than at another is so for all. The first quarter of the events, with which customers begin, is
not counted. A job's ratio to the counters is the median of the rounds, in events for each second of CPU.
"""

import gc
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

from bench.jobs import JOBS, Record, definitions, events, partitioned
from stream.core.murmur2 import Homes
from stream.core.partition import Partition
from stream.core.plan import Plan
from stream.engine.process import GC_THRESHOLDS

PARTITIONS = 4
BLOCK = 6000

Found = dict[str, float]
PARTS = ("events", "fold", "take", "rows", "bytes", "rendered")
"""Of what is found: `fold` and `take` are in seconds of CPU, the others are numbers."""


def turns(job: str, logs: list[list[Record]]) -> Iterator[Found]:
    """Fold every partition's log in turns of a block: seconds of CPU of each turn, and what the changelog took."""
    plan = Plan(definitions(job))
    parts = [Partition(plan, number, len(logs)) for number in range(len(logs))]
    for part in parts:
        part.restored()
        part.begin_term()
        part.take()
    for at in range(0, max(map(len, logs)), BLOCK):
        found = dict.fromkeys(PARTS, 0.0)
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
        yield found
    counts = [part.header.counts for part in parts]
    assert sum(each.counted + each.replaced for each in counts) == sum(map(len, logs))
    assert not any(each.partial or each.late for each in counts)


def _child(job: str, logs: list[list[Record]], pipe: Any) -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)  # as the worker has it
    pipe.recv()
    for found in turns(job, logs):
        pipe.send(found)
        pipe.recv()
    pipe.send(None)


def together(jobs: dict[str, list[list[Record]]]) -> dict[str, Found]:
    """What each job took, each in a process of its own, one turn of each after the other."""
    context = multiprocessing.get_context("fork")  # the events are made once, before
    pipes, children = {}, []
    for job, logs in jobs.items():
        pipes[job], theirs = context.Pipe()
        children.append(context.Process(target=_child, args=(job, logs, theirs)))
        children[-1].start()
        theirs.close()
    out = {job: dict.fromkeys(PARTS, 0.0) for job in jobs}
    while pipes:
        for job, pipe in list(pipes.items()):
            pipe.send(None)
            found = pipe.recv()
            if found is None:
                del pipes[job]
            else:
                out[job] = {part: out[job][part] + found[part] for part in PARTS}
    for child in children:
        child.join()
    return out


def run(number: int = 400_000, rounds: int = 3, only: str | None = None, pace: int = 50_000) -> dict[str, Any]:
    """Measure every job and print its rate beside the counters'."""
    homes = Homes(PARTITIONS)
    logs = partitioned(events(number, pace), PARTITIONS, homes)
    replacing = partitioned(events(number, pace, replacing=10), PARTITIONS, homes)
    jobs = {job: replacing if "replaces" in job else logs for job in JOBS if only in {None, job} or job == "counters"}
    measured = [together(jobs) for _ in range(rounds)]
    median: dict[str, Found] = {}
    ratios: dict[str, float] = {}
    for job in jobs:
        rated = sorted((_rate(each[job]) / _rate(each["counters"]), n) for n, each in enumerate(measured))
        ratios[job], n = rated[len(rated) // 2]
        median[job] = measured[n][job]
    print(
        f"{number:,} events of 1,000 customers, {PARTITIONS} partitions, a commit after each block of {BLOCK:,}, "
        f"{pace:,} events a second of event time; three metrics of three windows each. Without Kafka and Redis."
    )
    out: dict[str, Any] = {}
    for job, found in median.items():
        counted, rate = found["events"], _rate(found)
        ratio = round(ratios[job], 3)
        out[job] = {"events_per_cpu_second": round(rate), "ratio": ratio, **found}
        print(
            f"  {job:25}{rate:>10,.0f} events/s of CPU  {ratio:5.2f} of the counters  "
            f"(us an event: fold {found['fold'] / counted * 1e6:.2f}, take {found['take'] / counted * 1e6:.2f}; "
            f"changelog {found['bytes'] / counted:,.0f} bytes in {found['rows'] / counted:.2f} rows)"
        )
    return out


def _rate(found: Found) -> float:
    """Events for each second of CPU."""
    return found["events"] / (found["fold"] + found["take"])
