"""Running the commands of a page of documentation in one shell, in their order."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.integration.readme.pages import Step

MARK = "--8<-- "


def run(found: Sequence[Step], folder: Path, commands: Path, settings: Mapping[str, str], within_s: float) -> list[str]:
    """What each step prints on standard output, with `commands` first on the PATH and no settings of ours but these.

    The shell ends at the first command that fails, and takes what it started with it.
    """
    mark = f'\nprintf "\\n%s\\n" "{MARK}"\n'
    script = "set -e -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + mark.join(
        step.script() for step in found
    )
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TALLY_", "PYTHON", "PIP_"))}
    known |= {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **settings}
    done = subprocess.run(
        ["bash"], input=script, cwd=folder, env=known, capture_output=True, text=True, check=False, timeout=within_s
    )
    log = folder / "worker.log"
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{log.read_text()[-3000:] if log.exists() else ''}"
    return done.stdout.split(f"\n{MARK}\n")
