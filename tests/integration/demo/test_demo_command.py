"""`tally demo` proves itself, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tally.servers import wait_until


@pytest.fixture
def quiet_place(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary directory is the test's own, so that whatever stays behind is seen."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def started_in(folder: Path) -> Iterator[int]:
    """The processes that know this temporary directory."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in environment.split(b"\0") and int(process.name) != os.getpid():
            yield int(process.name)


@pytest.mark.parametrize("terminal", ["none", "narrow"])
def test_the_recount_is_equal_after_a_kill(quiet_place: dict[str, str], tmp_path: Path, terminal: str) -> None:
    """One JSON object with the fields that were promised; no process and no file stays."""
    place = {**quiet_place, "COLUMNS": "20"} if terminal == "narrow" else quiet_place
    done = subprocess.run(
        [sys.executable, "-m", "tally", "demo", "--seconds", "5", "--json"],
        env=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert list(result) == [
        "sent", "duplicates", "kills", "series", "mismatches", "events_per_second", "pause_ms", "latency_ms",
    ]  # fmt: skip
    assert (result["kills"], result["mismatches"], result["duplicates"]) == (1, 0, 1000)
    assert result["sent"] > 5_000
    assert result["series"] > 12 * 7 * 3
    assert result["pause_ms"] > 0
    assert set(result["latency_ms"]) == {"p50", "p99"}
    assert list(started_in(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_nothing_is_left_behind(quiet_place: dict[str, str], tmp_path: Path, sent: signal.Signals) -> None:
    """After Ctrl-C in the middle, and even after a SIGKILL, servers, workers and files go."""
    with subprocess.Popen(
        [sys.executable, "-m", "tally", "demo", "--seconds", "60"],
        env=quiet_place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        assert any(line.strip().startswith("2 s") for line in demo.stdout)
        assert len(list(started_in(tmp_path))) > 4
        demo.send_signal(sent)
        demo.communicate()
    assert demo.returncode == (1 if sent is signal.SIGINT else -signal.SIGKILL)
    wait_until(lambda: not list(started_in(tmp_path)), "the end of all that was started")
    if sent is signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
