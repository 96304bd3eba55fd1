"""Every command of the README runs, in the README's order, and prints what the README says."""

import os
import subprocess
from pathlib import Path

from tally.servers import EmbeddedKafka, EmbeddedRedis, free_port
from tests.integration.readme.pages import ROOT, Step, steps

MADE_ELSEWHERE = "make demo\n"  # tests/integration/demo runs what stands behind it
SETTLE = Path(__file__).with_name("settle.py")
MARK = "--8<-- "


def test_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """One shell runs all blocks from top to bottom; each block's output is compared with the one shown below it."""
    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        replaced = {
            "127.0.0.1:9092": kafka.bootstrap,
            "redis://127.0.0.1:6379/0": redis.url,
            "127.0.0.1:6066": f"127.0.0.1:{free_port()}",
            "sleep 1\n": f"python3 {SETTLE} {redis.url} tally\n",  # a test waits for the condition, a reader a second
        }
        found = [step for step in steps(ROOT / "README.md", replaced) if step.code != MADE_ELSEWHERE]
        printed = run(found, tmp_path)
    assert len(printed) == len(found) > 10
    for step, output in zip(found, printed, strict=True):
        assert step.fits(output), f"{step.code}\nprinted\n{output}\nand not\n{step.shown}"


def run(found: list[Step], folder: Path) -> list[str]:
    """What each step prints, in a folder with a link to the virtual environment, as after `make setup`."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    mark = f'\nprintf "\\n%s\\n" "{MARK}"\n'
    script = "set -e -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + mark.join(
        step.script() for step in found
    )
    settings = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_")}
    done = subprocess.run(
        ["bash"], input=script, cwd=folder, env=settings, capture_output=True, text=True, check=False, timeout=300
    )
    log = folder / "worker.log"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()[-3000:] if log.exists() else ''}"
    return done.stdout.split(f"\n{MARK}\n")


def test_the_commands_that_make_runs_are_there() -> None:
    """Each `make` target that the README names exists."""
    text = (ROOT / "README.md").read_text()
    for target in ("demo", "setup", "test", "test-kafka", "chaos", "check", "bench"):
        assert f"make {target}" in text
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_link_leads_somewhere() -> None:
    """Links to files of this repository are not broken."""
    import re

    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert len(targets) >= 6
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_a_page_that_shows_something_else_is_found() -> None:
    """The comparison itself: dots stand for anything, spaces count once, and everything else must be there."""
    step = Step("sh", "", "A  B\n...  3\n")
    assert step.fits("A B\nx y 3\n")
    assert not step.fits("A B\nx y 4\n")
    assert not step.fits("A B\nx y 3\nmore\n")
    assert not step.fits("A B\n")
