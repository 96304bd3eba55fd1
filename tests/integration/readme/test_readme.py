"""Every command of the README runs, in the README's order, and prints what the README says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tally.servers import free_port
from tests.integration.readme.pages import ROOT, Step, steps
from tests.integration.readme.running import SETTLE, run

MADE_ELSEWHERE = "make demo\n"  # tests/integration/demo runs what stands behind it
PAGES = ("README.md", "docs/operations.md", "docs/exactness.md")


@pytest.mark.timeout(600)
def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """One shell runs all blocks from top to bottom; each block's output is compared with the one shown below it."""
    kafka, redis, worker = free_port(), free_port(), free_port()
    replaced = {
        "127.0.0.1:9092": f"127.0.0.1:{kafka}",
        "--kafka-port 9092": f"--kafka-port {kafka}",
        "127.0.0.1:6379": f"127.0.0.1:{redis}",
        "port: 6379": f"port: {redis}",
        "--redis-port 6379": f"--redis-port {redis}",
        "--port 6066": f"--port {worker}",
        # a test waits for the condition, a reader a second
        "sleep 1\n": f"python3 {SETTLE} redis://127.0.0.1:{redis}/0 tally\n",
    }
    found = [step for step in steps(ROOT / "README.md", replaced) if step.code != MADE_ELSEWHERE]
    if shutil.which("node") is None:
        found = [step for step in found if not step.code.startswith("node ")]
    printed = run(found, tmp_path, log="mine/up.log")
    assert len(printed) == len(found) > 12
    for step, output in zip(found, printed, strict=True):
        assert step.fits(output), f"{step.code}\nprinted\n{output}\nand not\n{step.shown}"


def test_the_commands_that_make_runs_are_there() -> None:
    """Each `make` target that the README names exists."""
    text = (ROOT / "README.md").read_text()
    for target in ("demo", "setup", "test", "test-kafka", "chaos", "check", "bench"):
        assert f"make {target}" in text
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """Links and pictures of files of this repository are not broken."""
    path = ROOT / page
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text())
    assert len(targets) >= 3
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_a_page_that_shows_something_else_is_found() -> None:
    """The comparison itself: dots stand for anything, spaces count once, and everything else must be there."""
    step = Step("sh", "", "A  B\n...  3\n")
    assert step.fits("A B\nx y 3\n")
    assert not step.fits("A B\nx y 4\n")
    assert not step.fits("A B\nx y 3\nmore\n")
    assert not step.fits("A B\n")
