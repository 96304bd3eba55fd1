"""Recovery of a million rows: how long a worker needs for it, and the memory of each row and each remembered id.

A row is what a partition keeps of one customer for the three metrics of the main job; each customer has one, a
quarter of them stand twice in the changelog as they do before Kafka compacts it, and each event has left its id. The
changelog is filled by the product's own fold and transactions (`bench.fill`), and then recovered

- by nobody: the worker's reader, doing nothing with what it reads (`bench.changelog_floor`);
- by a worker that finds Redis empty, and has to write a million customers' totals there too;
- by a worker that finds in Redis what the one before it left, as after a kill;
- by stock Faust, a smaller number of the same rows (`bench.stock_recovery`).

Recovery is counted from the assignment of the partitions until the last of them works. What lies before is the start
of Python and the group's session timeout, which is a setting.
"""

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from bench.load import load
from bench.ours import ROOT, Worker
from bench.throughput import child
from tally.topics import changelog_of
from tests.servers.records import Record, create_topics, produce, read

PARTITIONS = 4

MEGABYTE = 1e6


def run(bootstrap: str, redis_url: str, rows: int, stock_rows: int) -> dict[str, float]:
    """Fill a changelog with a row for each of so many customers, and recover it in every way."""
    mark = format(int(time.time()), "x")
    topic, app = f"recovery-{mark}", f"b-recovery-{mark}"
    changelog = changelog_of(app)
    create_topics(bootstrap, {topic: PARTITIONS}, {"message.timestamp.type": "LogAppendTime"})
    load(bootstrap, topic, rows * 5 // 4, rows, "sequence")
    found = filled(bootstrap, app, topic)
    say(found, "changelog", "rows", "records", "bytes", "encoded_bytes_per_row")

    floor = child("changelog_floor", bootstrap, changelog, str(PARTITIONS))
    found["floor_seconds"] = floor["seconds"]
    found["floor_rows_per_second"] = found["rows"] / floor["seconds"]
    say(found, "floor", "floor_seconds", "floor_rows_per_second")

    empty = memory_of_none(bootstrap, redis_url, f"b-empty-{mark}")
    for case in ("empty_redis", "full_redis"):
        with tempfile.TemporaryDirectory() as folder, Worker(bootstrap, redis_url, app, topic, Path(folder)) as worker:
            worker.until_ready()
            recovered = seconds(worker)
            found |= {
                f"{case}_seconds": recovered,
                f"{case}_rows_per_second": found["rows"] / recovered,
                f"{case}_seconds_until_ready": time.time() - assigned(worker),
                f"{case}_rss_mb": worker.memory() / MEGABYTE,
            }
            ids, held = worker.metric("tally_ids"), worker.metric("tally_rows")
            if held != found["rows"]:
                raise RuntimeError(f"{held:,.0f} rows were recovered, {found['rows']:,.0f} were written")
            found["bytes_per_id"] = worker.metric("tally_ids_bytes") / ids
            used = worker.memory() - empty - worker.metric("tally_ids_bytes")
            found[f"{case}_bytes_per_row"] = used / held
        say(found, case, *(name for name in found if name.startswith(case)))
    found["rss_of_no_rows_mb"] = empty / MEGABYTE
    say(found, "memory", "rss_of_no_rows_mb", "bytes_per_id")

    found |= stock(bootstrap, changelog, f"b-stock-{mark}", stock_rows)
    say(found, "stock", "stock_rows", "stock_seconds", "stock_rows_per_second")
    found["ours_to_floor"] = found["full_redis_seconds"] / found["floor_seconds"]
    found["ours_to_stock"] = found["full_redis_rows_per_second"] / found["stock_rows_per_second"]
    say(found, "ratios", "ours_to_floor", "ours_to_stock")
    return found


def filled(bootstrap: str, app: str, topic: str) -> dict[str, float]:
    """Fill the changelog, half of the partitions in each of two processes; return what it holds."""
    halves = [[str(n) for n in range(PARTITIONS) if n % 2 == half] for half in (0, 1)]
    command = [sys.executable, "-m", "bench.fill", bootstrap, app, topic, str(PARTITIONS)]
    running = [subprocess.Popen([*command, *half], cwd=ROOT, stdout=subprocess.PIPE, text=True) for half in halves]
    answers = [json.loads(each.communicate()[0].splitlines()[-1]) for each in running]
    found = {name: float(sum(answer[name] for answer in answers)) for name in answers[0]}
    return {**found, "encoded_bytes_per_row": found.pop("row_bytes") / found["rows"]}


def memory_of_none(bootstrap: str, redis_url: str, app: str) -> int:
    """What a worker takes that has recovered nothing, in bytes."""
    with tempfile.TemporaryDirectory() as folder, Worker(bootstrap, redis_url, app, app, Path(folder)) as worker:
        worker.until_ready()
        return worker.memory()


def moments(worker: Worker, words: str) -> list[float]:
    """When the worker logged a sentence with these words, seconds since 1970."""
    lines = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
    return [datetime.fromisoformat(line["time"]).timestamp() for line in lines if words in line["message"]]


def assigned(worker: Worker) -> float:
    """When the group gave the partitions to the worker."""
    return moments(worker, f"partitions {list(range(PARTITIONS))}")[0]


def seconds(worker: Worker) -> float:
    """From the assignment until the last partition worked."""
    return max(moments(worker, "running from offset")) - assigned(worker)


def stock(bootstrap: str, changelog: str, app: str, rows: int) -> dict[str, float]:
    """Let stock Faust recover the first so many rows of the changelog."""
    here = [each for each in read(bootstrap, changelog, partitions=[0]) if (each.key or b"").startswith(b"r")][:rows]
    create_topics(bootstrap, {f"{app}-source": PARTITIONS, f"{app}-rows-changelog": PARTITIONS})
    produce(
        bootstrap,
        f"{app}-rows-changelog",
        [Record(each.key, each.value, partition=n % PARTITIONS) for n, each in enumerate(here)],
        settings={"linger.ms": 50},
    )
    with tempfile.TemporaryDirectory() as folder:
        found = child("stock_recovery", bootstrap, app, str(PARTITIONS), folder)
    return {
        "stock_rows": found["rows"],
        "stock_seconds": found["seconds"],
        "stock_rows_per_second": found["rows"] / found["seconds"],
    }


def say(found: dict[str, float], title: str, *names: str) -> None:
    """Print some of the figures."""
    shown = ((name.removeprefix(f"{title}_"), found[name]) for name in names)
    print(f"recovery, {title}: " + "  ".join(f"{name}={value:,.2f}" for name, value in shown), flush=True)
