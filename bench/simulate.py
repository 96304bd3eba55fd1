"""How fast `tally simulate` folds a file: the definitions of the main job over a file of its events.

    python -m bench simulate [--events N] [--rounds N]

Measured is the command as a person runs it, in a process of its own: from its start until its rows stand in a file.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.jobs import CUSTOMERS, events
from bench.ours import DEFINITIONS, ROOT


def run(number: int = 500_000, rounds: int = 3, pace: int = 50_000) -> dict[str, float]:
    """Time the command so many times, and print the best."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "metrics.yaml").write_text(DEFINITIONS)
        with (directory / "events.jsonl").open("wb") as file:
            file.writelines(sent.value + b"\n" for sent in events(number, pace))
        times, rows = [], directory / "rows.json"
        command = ["simulate", "--metrics", "metrics.yaml", "--events", "events.jsonl", "--json"]
        for _ in range(rounds):
            before = os.times()
            began = time.monotonic()
            with rows.open("wb") as out:
                subprocess.run(
                    [sys.executable, "-m", "tally", *command], cwd=directory, env=_here(), stdout=out, check=True
                )
            ended, after = time.monotonic(), os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            times.append((ended - began, used))
        size = (directory / "events.jsonl").stat().st_size
        written = rows.stat().st_size
    seconds, cpu = min(times)
    print(
        f"tally simulate, {number:,} events ({size / 1e6:.0f} MB) of {CUSTOMERS:,} customers, the definitions of the "
        f"main job: {number / seconds:,.0f} events/s ({seconds:.2f} s from start to end, {cpu:.2f} s of CPU; "
        f"{written / 1e6:.1f} MB of rows)"
    )
    return {"events": number, "seconds": seconds, "cpu_seconds": cpu, "events_per_second": round(number / seconds)}


def _here() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
