"""Recovery of a partition-wise state of a million rows, and the memory of each row and each remembered id."""

import tempfile
import time
from pathlib import Path

from bench.load import load
from bench.ours import Worker
from tests.servers.records import create_topics


def run(bootstrap: str, redis_url: str, rows: int) -> dict[str, float]:
    """Make a row for each of so many customers, kill the worker, and time the next one from its start until it is ready."""
    topic = f"recovery-{int(time.time()):x}"
    app = f"b-{topic}"
    create_topics(bootstrap, {topic: 4}, {"message.timestamp.type": "LogAppendTime"})
    with tempfile.TemporaryDirectory() as folder, Worker(bootstrap, redis_url, app, topic, Path(folder)) as worker:
        while not worker.ready():
            time.sleep(0.05)
        empty = worker.memory()
        load(bootstrap, topic, rows * 5 // 4, rows, "sequence")
        while worker.metric("tally_counted_total") < rows * 5 // 4 or not worker.ready():
            time.sleep(0.1)
        found = {"rows": worker.metric("tally_rows"), "ids": worker.metric("tally_ids")}
        found["bytes_per_id"] = worker.metric("tally_ids_bytes") / found["ids"]
        found["rss_folded_mb"] = worker.memory() / 1e6
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Worker(bootstrap, redis_url, app, topic, Path(folder)) as worker:
        running = 0.0
        while not worker.ready():
            time.sleep(0.02)
        found["seconds_until_ready"] = time.monotonic() - began
        running = worker.metric("tally_recovery_seconds_sum")
        found["takeover_seconds_summed"] = running
        found["rss_recovered_mb"] = worker.memory() / 1e6
        found["bytes_per_row_recovered"] = (worker.memory() - empty - worker.metric("tally_ids_bytes")) / found["rows"]
    print("recovery: " + "  ".join(f"{name}={value:,.2f}" for name, value in found.items()), flush=True)
    return found
