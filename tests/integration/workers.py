"""Real `tally worker` processes for tests, and a plain reader of what they answer."""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tally.servers import HOST, free_port, wait_until

ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """A worker process and where it answers."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def ready(self) -> bool:
        """Whether /healthz/ready says so; an AssertionError with its log where it has ended."""
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"http://{self.address}/healthz/ready", timeout=5):
                return True
        except OSError:
            return False

    def usage(self, **asked: str) -> list[dict[str, Any]]:
        """The rows of GET /v1/usage."""
        query = urllib.parse.urlencode(asked)
        with urllib.request.urlopen(f"http://{self.address}/v1/usage?{query}", timeout=10) as answer:
            rows: list[dict[str, Any]] = json.load(answer)["rows"]
            return rows


@contextmanager
def workers(
    count: int, directory: Path, definitions: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[list[Worker]]:
    """So many workers, ready; ended at the end."""
    metrics = directory / "metrics.json"
    metrics.write_text(json.dumps(definitions))
    started: list[Worker] = []
    try:
        for number in range(count):
            address = f"{HOST}:{free_port()}"
            own = {
                "TALLY_METRICS": str(metrics),
                "TALLY_LISTEN": address,
                "TALLY_DATA": str(directory / f"data{number}"),
            }
            log = directory / f"worker{number}.log"
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tally", "worker"],
                    env={**os.environ, **environment, **own},
                    cwd=ROOT,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            started.append(Worker(process, address, log))
        wait_until(lambda: all(worker.ready() for worker in started), "workers are ready", 60)
        yield started
    finally:
        for worker in started:
            worker.process.terminate()
        for worker in started:
            try:
                worker.process.wait(15)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
