"""The contract that import-linter lacks, and that the project's own contracts see what they should."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[tool.importlinter]
root_package = "gate"
include_external_packages = true
contract_types = ["only: tests.lint.only.OnlyContract"]

[[tool.importlinter.contracts]]
name = "redis alone"
type = "only"
package = "gate"
allowed = ["redis"]
"""


def lint(directory: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Lint a package `gate` whose one module is `source`."""
    (directory / "gate").mkdir()
    (directory / "gate" / "__init__.py").touch()
    (directory / "gate" / "room.py").write_text(source)
    (directory / "lint.toml").write_text(CONFIG)
    code = f"import sys; sys.path.insert(0, {str(directory)!r}); from importlinter.cli import lint_imports_command as go; go()"
    return subprocess.run(
        [sys.executable, "-c", code, "--config", str(directory / "lint.toml"), "--no-cache", "--no-logo"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_redis_and_the_standard_library_are_allowed(tmp_path: Path) -> None:
    """Submodules count as their package, and a package may import itself."""
    done = lint(tmp_path, "import json\nimport redis.asyncio\nfrom collections.abc import Mapping\nimport gate\n")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("wrong", ["msgspec", "aiokafka.errors", "stream.core", "valkey"])
def test_anything_else_is_named(tmp_path: Path, wrong: str) -> None:
    """An import that is not allowed fails, and the line says which module made it."""
    done = lint(tmp_path, f"def later() -> None:\n    import {wrong}\n")
    assert done.returncode == 1
    assert f"gate.room is not allowed to import {wrong.partition('.')[0]}" in done.stdout
