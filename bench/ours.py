"""A worker under test: started as a process, watched from outside."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]

DEFINITIONS = """
metrics:
  requests: {event_name: api_request, type: counter, aggregation: count, windows: [hour, day, month]}
  na_value:
    event_name: api_request
    type: counter
    aggregation: sum
    property: value
    filters: [{property: region, op: eq, value: NA}]
    windows: [hour, day, month]
  most: {event_name: api_request, type: counter, aggregation: max, property: value, windows: [hour, day, month]}
"""


@dataclass
class Worker:
    """`tally worker` on an app of its own; a context manager."""

    bootstrap: str
    redis: str
    app: str
    topic: str
    directory: Path
    partitions: int = 4
    definitions: str = DEFINITIONS
    process: subprocess.Popen[bytes] = field(init=False)
    address: str = ""

    def __enter__(self) -> Self:
        metrics = self.directory / "metrics.yaml"
        metrics.write_text(self.definitions)
        environment = {
            "TALLY_KAFKA": self.bootstrap,
            "TALLY_REDIS": self.redis,
            "TALLY_METRICS": str(metrics),
            "TALLY_APP": self.app,
            "TALLY_EVENTS_TOPIC": self.topic,
            "TALLY_REJECTED_TOPIC": f"{self.app}-rejected",
            "TALLY_ALERTS_TOPIC": f"{self.app}-alerts",
            "TALLY_PARTITIONS": str(self.partitions),
            "TALLY_LISTEN": "127.0.0.1:0",
            "TALLY_DATA": str(self.directory / "data"),
        }
        self.log = self.directory / f"{self.app}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tally", "worker"],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while not self.address:
            time.sleep(0.01)
            for line in self.log.read_text().splitlines():
                if '"address"' in line and "Serving" in line:
                    self.address = json.loads(line)["address"]
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text()[-2000:])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def until_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            RuntimeError: it has ended; the end of its log.

        """
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(self.log.read_text()[-2000:])
            time.sleep(0.02)

    def ready(self) -> bool:
        """Whether its tables are recovered and Redis holds its totals."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/healthz/ready", timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def cpu(self) -> float:
        """Seconds of CPU so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
