"""Seed faults one at a time into a copy of the project, and see that the tests find each.

    python -m tests.mutants.run                     every mutant
    python -m tests.mutants.run --list fold         those of tests/mutants/seeded/fold.py
    python -m tests.mutants.run --list fold --only 3 5

Prints a line for each and a table at the end; exits 1 when one survived or no longer applies.
"""

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from tests.mutants.catalogue import Mutant, all_mutants

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".venv", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".tally")
LONGEST_S = 900


def main() -> int:
    """Run the chosen mutants; the exit code is 1 when one was not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="append", help="a list in tests/mutants/seeded; all of them unless given")
    parser.add_argument("--only", nargs="*", type=int, help="the numbers of mutants in the list")
    parser.add_argument("--head", action="store_true", help="what is committed, not what lies in the folder")
    told = parser.parse_args()
    chosen = {name: mutants for name, mutants in all_mutants().items() if told.list is None or name in told.list}
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="tally-mutants-") as directory:
        copy = Path(directory) / "tree"
        if told.head:
            archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(copy, filter="data")
        else:
            shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        wanted = {
            tests
            for mutants in chosen.values()
            for number, mutant in enumerate(mutants, start=1)
            if not told.only or number in told.only
            for tests in mutant.tests
        }
        if not passes(copy, tuple(sorted(wanted))):
            print("the tests fail without any fault: nothing they find can be trusted")
            return 2
        for name, mutants in chosen.items():
            for number, mutant in enumerate(mutants, start=1):
                if told.only and number not in told.only:
                    continue
                began = time.monotonic()
                verdict = tried(copy, mutant)
                print(f"{name} {number:2} {verdict:9} {time.monotonic() - began:4.0f} s  {mutant.why}", flush=True)
                verdicts.append(verdict)
    found = verdicts.count("found")
    print(f"{found} of {len(verdicts)} found, {verdicts.count('survived')} survived, {verdicts.count('stale')} stale")
    return 0 if found == len(verdicts) else 1


def tried(copy: Path, mutant: Mutant) -> str:
    """found, survived, or stale where the text to change is not there exactly once."""
    file = copy / mutant.file
    text = file.read_text()
    if text.count(mutant.before) != 1:
        return "stale"
    file.write_text(text.replace(mutant.before, mutant.after))
    try:
        return "survived" if passes(copy, mutant.tests) else "found"
    finally:
        file.write_text(text)


def passes(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass on the copy; one that hangs has found something."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=1", *tests]
    environment = {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'client'}", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"the tests could not be run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
