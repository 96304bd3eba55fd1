"""The wheels: what they hold, and that they run with the sources gone."""

import os
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What must be in a wheel beside its Python files, or it fails only at the user's.
DATA = {".py", ".lua", ".json", ".yaml", ".html"}


def sources(*packages: str) -> set[str]:
    """The files of some packages, as paths relative to the folder of the first."""
    return {
        str(path.relative_to(ROOT / package.rpartition("/")[0]))
        for package in packages
        for path in (ROOT / package).rglob("*")
        if path.suffix in DATA
    }


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, built offline with the locked build tools."""
    directory = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    for project in (ROOT, ROOT / "client"):
        subprocess.run([*build, "-w", str(directory), str(project)], check=True)
    return {path.name.partition("-")[0]: path for path in directory.glob("*.whl")}


def test_wheels_hold_every_file_and_nothing_else(wheels: dict[str, Path]) -> None:
    """The service's wheel has its four rooms, the gate's has its scripts, and neither has tests."""
    for name, expected in {
        "tallystream": sources("schemas", "stream", "agents", "tally"),
        "tallygate": sources("client/tallygate"),
    }.items():
        held = {entry for entry in zipfile.ZipFile(wheels[name]).namelist() if ".dist-info/" not in entry}
        assert expected <= held
        assert {entry for entry in held - expected if not entry.endswith("py.typed")} == set()


def run(code: str, *paths: Path) -> str:
    """Run code in a Python that knows the installed dependencies and these paths, but not this checkout."""
    packages = site.getsitepackages()[0]  # added as a plain path: its .pth files, which name the checkout, are not read
    start = f"import sys; sys.path[:0] = {[str(path) for path in paths]!r}; sys.path.append({packages!r})\n"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", start + code],
        cwd=paths[0],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(wheel: Path, into: Path) -> Path:
    """Unpack a wheel: for pure Python that is what installing it means."""
    into.mkdir()
    zipfile.ZipFile(wheel).extractall(into)
    return into


def test_the_service_runs_from_its_wheel(wheels: dict[str, Path], tmp_path: Path) -> None:
    """`tally --help` answers, out of the wheel and not out of the sources."""
    service, gate = install(wheels["tallystream"], tmp_path / "s"), install(wheels["tallygate"], tmp_path / "g")
    code = "import tally, sys; from tally.__main__ import main; print(tally.__file__); sys.argv = ['tally', '--help']; main()"
    said = run(code, service, gate)
    assert said.startswith(f"{service}/tally/__init__.py\n")
    assert "Usage:" in said


def test_the_gate_needs_nothing_of_the_service(wheels: dict[str, Path], tmp_path: Path) -> None:
    """`import tallygate` works without the service, and loads neither Faust nor the rooms."""
    gate = install(wheels["tallygate"], tmp_path / "g")
    said = run(
        "import tallygate; print(tallygate.__file__);"
        "print(sorted({'faust', 'stream', 'schemas', 'agents', 'tally', 'aiokafka'} & {m.split('.')[0] for m in sys.modules}))",
        gate,
    )
    assert said == f"{gate}/tallygate/__init__.py\n[]\n"
