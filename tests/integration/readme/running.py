"""Runs the steps of a page as a newcomer would after `make setup`, and tells what each printed."""

import os
from pathlib import Path

from tests.integration.pages_shell import shell
from tests.integration.readme.pages import ROOT, Step

SETTLE = Path(__file__).with_name("settle.py")


def run(found: list[Step], folder: Path, log: str = "worker.log") -> list[str]:
    """What each step prints, in a folder with a link to the virtual environment; `log` as in `shell`."""
    (folder / ".venv").symlink_to(ROOT / ".venv")
    settings = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_") or "_CI_" in name}
    return shell(found, folder, settings, 500, log)
