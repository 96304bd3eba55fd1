"""What a command leaves behind: processes that know its temporary directory, which is the test's own."""

import os
from collections.abc import Iterator
from pathlib import Path


def quiet(folder: Path, **more: str) -> dict[str, str]:
    """An environment whose temporary directory is this folder, without settings of outside."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TALLY_") or "_CI_" in name}
    return {**outside, "TMPDIR": str(folder), **more}


def started_in(folder: Path) -> Iterator[int]:
    """The processes that know this temporary directory."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"TMPDIR={folder}".encode() in environment.split(b"\0") and int(process.name) != os.getpid():
            yield int(process.name)
