"""Runs the steps of a page in one shell, and tells what each printed."""

import os
import subprocess
from pathlib import Path

from tests.integration.readme.pages import ROOT, Step

SETTLE = Path(__file__).with_name("settle.py")
MARK = "--8<-- "


def run(found: list[Step], folder: Path, log: str = "worker.log") -> list[str]:
    """What each step prints, in a folder with a link to the virtual environment, as after `make setup`.

    `log` is the file in which the page's own servers log, which is shown where a step fails.
    """
    (folder / ".venv").symlink_to(ROOT / ".venv")
    mark = f'\nprintf "\\n%s\\n" "{MARK}"\n'
    script = "set -e -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + mark.join(
        step.script() for step in found
    )
    settings = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_") or "_CI_" in name}
    try:
        done = subprocess.run(
            ["bash"], input=script, cwd=folder, env=settings, capture_output=True, text=True, check=False, timeout=500
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as slow:
        code, out, err = -1, str(slow.stdout), str(slow.stderr)
    logged = folder / log
    assert code == 0, f"{out}\n{err}\n{logged.read_text()[-3000:] if logged.exists() else ''}"
    return out.split(f"\n{MARK}\n")
