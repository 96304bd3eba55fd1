"""`tally` starts only where `agents`, `stream` and `schemas` are its own."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tally import names


def distribution(folder: Path, name: str, record: str) -> metadata.Distribution:
    """A distribution as pip leaves it in site-packages."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(record)
    return metadata.PathDistribution(info)


def test_a_distribution_with_a_package_of_ours_is_named(tmp_path: Path) -> None:
    """Who installs `agents` beside us is found by what pip recorded, package or module."""
    package = distribution(tmp_path, "openai-agents", "agents/__init__.py,sha256=x,1\nagents/run.py,,\n")
    module = distribution(tmp_path, "stream-py", "stream.py,sha256=x,1\n")
    assert list(names.rivals([package, module])) == [("openai-agents", "agents"), ("stream-py", "stream")]


def test_names_deeper_down_and_our_own_are_no_conflict(tmp_path: Path) -> None:
    """A package that has a module `agents` inside itself, or is Tallystream, takes nothing from us."""
    inner = distribution(tmp_path, "other", "other/agents/__init__.py,,\nstreams/__init__.py,,\n")
    ours = distribution(tmp_path, "tallystream", "agents/__init__.py,,\nstream/__init__.py,,\n")
    assert list(names.rivals([inner, ours])) == []


def test_here_the_names_are_ours() -> None:
    """In the project's own environment nothing stands in the way."""
    assert names.conflict() is None


def test_tally_refuses_to_start_where_another_package_shadows_ours(tmp_path: Path) -> None:
    """With a foreign `schemas` first on Python's path, `tally` says so in one sentence and exits with 1."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from tally.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("tally cannot start here: Python finds the package `schemas` at ")
    assert done.stderr.count("\n") == 1
