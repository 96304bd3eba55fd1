"""Running the commands of a page of documentation in one shell, in their order."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.readme.pages import Step

MARK = "--8<-- "


def run(found: Sequence[Step], folder: Path, commands: Path, settings: Mapping[str, str], within_s: float) -> list[str]:
    """What each step prints on standard output, with `commands` first on the PATH and no settings of ours but these."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TALLY_", "PYTHON", "PIP_"))}
    known |= {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **settings}
    return shell(found, folder, known, within_s)


def shell(
    found: Sequence[Step], folder: Path, env: Mapping[str, str], within_s: float, log: str = "worker.log"
) -> list[str]:
    """What each step prints on standard output, in this environment.

    The shell ends at the first command that fails, and takes what it started with it; then `log`, the file in which
    the page's own servers log, is shown.
    """
    mark = f'\nprintf "\\n%s\\n" "{MARK}"\n'
    script = "set -e -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + mark.join(
        step.script() for step in found
    )
    try:
        done = subprocess.run(
            ["bash"], input=script, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=within_s
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as slow:
        code, out, err = -1, str(slow.stdout), str(slow.stderr)
    logged = folder / log
    assert code == 0, f"{out}\n{err}\n{logged.read_text()[-3000:] if logged.exists() else ''}"
    return out.split(f"\n{MARK}\n")
