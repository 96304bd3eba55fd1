"""`tally up`: everything in one command, for one's own producer and metrics file."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tally.servers import free_port, wait_until
from tests.integration.leftovers import quiet, started_in

TALLY = [sys.executable, "-m", "tally"]
WITHIN_S = 90.0  # of each condition, on a machine that does ten other things


class Up:
    """A running `tally up`, what it has printed so far, and the environment that it tells others to have."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self.process, self._folder = process, folder
        self.lines: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                self.lines.append(line.rstrip("\n"))

    @property
    def text(self) -> str:
        """All lines so far."""
        return "\n".join(self.lines)

    def says(self, what: str) -> None:
        """Wait until a line holds this; fails at once where the command has ended."""

        def said() -> bool:
            assert self.process.poll() is None or what in self.text, self.text
            return what in self.text

        wait_until(said, f"the line {what!r}", WITHIN_S)

    def environment(self) -> dict[str, str]:
        """This test's environment with the variables of the printed export line."""
        (line,) = [line for line in self.lines if line.startswith("export ")]
        found = dict(pair.split("=", 1) for pair in line.removeprefix("export ").split())
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {**quiet(self._folder), **found, "PATH": path}

    def producer(self, title: str) -> str:
        """The printed code below this title."""
        found = re.search(rf"^--- {title}[^\n]*\n(.*?)(?=\n\n---|\n*\Z)", self.text, re.MULTILINE | re.DOTALL)
        assert found is not None, self.text
        return found[1]

    def requests(self) -> str:
        """Acme's requests of all time, as `tally usage` reads them; empty where there are none."""
        usage = [*TALLY, "usage", "--customer", "acme", "--metric", "requests", "--window", "total", "--json"]
        done = subprocess.run(usage, env=self.environment(), capture_output=True, text=True, check=False)
        rows = json.loads(done.stdout)["rows"] if done.returncode == 0 else []
        return str(rows[0]["value"]) if rows else ""

    def counts(self, value: str) -> None:
        """Wait until acme has made so many requests."""
        wait_until(lambda: self.requests() == value, f"{value} requests", WITHIN_S)


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[Up]:
    """`tally up` in a folder of its own; whatever becomes of the test, it ends."""
    process = subprocess.Popen(
        [*TALLY, "up", *arguments],
        cwd=folder, env=quiet(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    running = Up(process, folder)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        running.reader.join()
        wait_until(lambda: not list(started_in(folder)), "the end of all that was started", WITHIN_S)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with the metrics file of `tally up --new`."""
    subprocess.run([*TALLY, "up", "--new", str(tmp_path)], check=True, capture_output=True)
    return tmp_path


@pytest.mark.timeout(600)
def test_an_own_producer_is_counted_whatever_dies_and_changes(mine: Path) -> None:
    """The printed producers send, a killed worker is replaced, a changed file is taken up, Ctrl-C ends all with 0."""
    with up(mine) as running:
        running.says("tally send")
        producer = running.producer("Python")
        subprocess.run([sys.executable, "-c", producer], env=running.environment(), check=True)
        running.counts("1")
        subprocess.run(["bash", "-c", running.producer("a shell")], env=running.environment(), check=True)
        running.counts("2")

        pid = int(re.findall(r"process (\d+)$", running.text, re.MULTILINE)[0])
        os.kill(pid, signal.SIGKILL)
        running.says(f"worker 1 (process {pid}) had died; started again as process ")
        subprocess.run([sys.executable, "-c", producer], env=running.environment(), check=True)
        running.counts("3")

        file = mine / "metrics.yaml"
        right = file.read_text()
        file.write_text(right + "limts: []\n")
        running.says("limts: is no field of the file: did you mean limits?")
        file.write_text(
            right.replace(
                "\ncustomers:", "  calls: {event_name: api_request, type: counter, aggregation: count}\n\ncustomers:"
            )
        )
        running.says("metrics.yaml has changed, and the workers count by it from here on: worker 1 is process ")
        subprocess.run([sys.executable, "-c", producer], env=running.environment(), check=True)
        running.counts("4")
        usage = [*TALLY, "usage", "--customer", "acme", "--metric", "calls", "--window", "total", "--json"]
        done = subprocess.run(usage, env=running.environment(), capture_output=True, text=True, check=True)
        assert [row["value"] for row in json.loads(done.stdout)["rows"]] == ["1"]

        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(WITHIN_S) == 0
        wait_until(lambda: not list(started_in(mine)), "the end of all that was started", WITHIN_S)
        assert sorted(path.name for path in mine.iterdir()) == ["definitions.schema.json", "metrics.yaml"]


@pytest.mark.timeout(400)
def test_ports_are_those_that_were_asked_for(mine: Path) -> None:
    """--json prints one object with them; a second `tally up` there exits with 1, and SIGTERM ends the first with 0."""
    kafka, redis, first = free_port(), free_port(), free_port()
    ports = ["--kafka-port", str(kafka), "--redis-port", str(redis), "--port", str(first)]
    with up(mine, "--json", "--workers", "1", *ports) as running:
        wait_until(lambda: bool(running.lines) or running.process.poll() is not None, "the addresses", WITHIN_S)
        (line,) = running.lines
        found = json.loads(line)
        (worker,) = found["workers"]
        assert (found["kafka"], found["redis"]) == (f"127.0.0.1:{kafka}", f"redis://127.0.0.1:{redis}/0")
        assert worker["address"] == f"127.0.0.1:{first}"
        with urllib.request.urlopen(f"http://{worker['address']}/metrics", timeout=30) as answer:
            assert b"tally_partitions 4" in answer.read()
        second = subprocess.run([*TALLY, "up", *ports], cwd=mine, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"127.0.0.1:{kafka}" in second.stderr
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(WITHIN_S) == 0


def test_nothing_outlives_it(mine: Path) -> None:
    """Killed with SIGKILL in the middle, its servers and workers go by themselves."""
    with up(mine, "--workers", "1") as running:
        running.says("tally send")
        assert len(list(started_in(mine))) > 3
        running.process.kill()
        wait_until(lambda: not list(started_in(mine)), "the end of all that was started", WITHIN_S)


def _kafkajs() -> bool:
    node = shutil.which("node")
    return (
        node is not None
        and not subprocess.run([node, "-e", "require('kafkajs')"], capture_output=True, check=False).returncode
    )


@pytest.mark.skipif(not _kafkajs(), reason="no kafkajs where node looks (NODE_PATH)")
def test_the_producer_for_node_is_counted(mine: Path) -> None:
    """With the real kafkajs: the event comes to its customer's home, and nothing has to be re-routed."""
    with up(mine, "--workers", "1") as running:
        running.says("tally send")
        subprocess.run(["node", "-e", running.producer("Node")], env=running.environment(), check=True)
        running.counts("1")
        assert rerouted(running) == 0.0


def rerouted(running: Up) -> float:
    """How many events the first worker had to send to another partition."""
    (address,) = re.findall(r"http://(\S+)/metrics", running.text)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("tally_rerouted_total"))
