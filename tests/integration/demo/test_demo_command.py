"""`tally demo` proves itself, and leaves nothing behind."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tallygate import layout

from tally.__main__ import cli
from tally.demo.play import APP, PARTITIONS, Play
from tally.demo.recount import Series
from tally.servers import wait_until
from tests.integration.leftovers import quiet, started_in


@pytest.fixture
def quiet_place(tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary directory is the test's own, so that whatever stays behind is seen."""
    return quiet(tmp_path)


def test_the_recount_is_equal_after_a_kill(quiet_place: dict[str, str], tmp_path: Path) -> None:
    """One JSON object with the fields that were promised, and exact numbers; no process and no file stays."""
    done = subprocess.run(
        [sys.executable, "-m", "tally", "demo", "--seconds", "5", "--json"],
        env=quiet_place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert (result["kills"], result["mismatches"], result["duplicates"]) == (1, 0, 1000)
    assert result["sent"] == 5 * 1500 + 1000 + 1000, "the traffic, the duplicates and the jobs that were let in"
    assert result["series"] > 12 * 7 * 3
    assert result["pause_ms"] > 0
    assert result["events_per_second"] > 0
    assert set(result["latency_ms"]) == {"p50", "p99"}
    gate = result["gate"]
    assert gate.pop("lag_ms") >= 0
    assert gate == {"clients": 64, "limit": 1000, "asked": 2560, "admitted": 1000, "used": 1000, "reserved": 0}
    assert list(started_in(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_narrow_terminal_shows_the_same_story(quiet_place: dict[str, str], tmp_path: Path) -> None:
    """On 40 columns no line is wider, every act is told, and the exit code is 0."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    place = {name: value for name, value in quiet_place.items() if name != "COLUMNS"}
    demo = subprocess.Popen(
        [sys.executable, "-m", "tally", "demo", "--seconds", "4"],
        env=place, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b"".join(_read(ours)).decode()
    assert demo.wait() == 0, shown
    lines = [line.rstrip() for line in shown.splitlines()]
    assert [line for line in lines if len(line) > 40] == []
    text = " ".join(" ".join(lines).split())
    for told in (
        "kill -9: one of the two",
        "limit_reached, used 1,000 of 1,000",
        "compared with the recount: all equal.",
    ):
        assert told in text
    assert list(started_in(tmp_path)) == []


def _read(terminal: int) -> Iterator[bytes]:
    """What is written to a terminal, until the last program that holds it has ended."""
    try:
        while chunk := os.read(terminal, 4096):
            yield chunk
    except OSError:
        pass  # Linux says EIO at the end
    finally:
        os.close(terminal)


def test_a_total_that_was_tampered_with_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One total in Redis is raised by one before the comparison: the demo names it and exits with 1."""
    original = Play._found

    async def tampered(play: Play, client: Any) -> dict[Series, tuple[str, int]]:
        key = layout.Keys(APP, layout.partition_of("acme", PARTITIONS)).totals("acme")
        field = json.loads(await client.hget(key, "requests"))
        field["w"]["total"][0][2] = str(int(field["w"]["total"][0][2]) + 1)
        await client.hset(key, "requests", json.dumps(field))
        return await original(play, client)

    monkeypatch.setattr(Play, "_found", tampered)
    done = CliRunner().invoke(cli, ["demo", "--seconds", "4"])
    assert done.exit_code == 1, done.output
    assert "  DIFFERENT  acme requests total: Redis says " in done.output
    assert "1 DIFFERENT." in done.output


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
    wait_until(lambda: not list(started_in(tmp_path)), "the end of all that was started", 60)
    if sent is signal.SIGINT:
        assert list(tmp_path.iterdir()) == []
