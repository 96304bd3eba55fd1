"""What customers install: the wheel of client/ has all it needs, and needs nothing but redis."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import tallygate
from tallygate import AsyncGate, Gate, testing, layout, urls, _protocol
assert tallygate.__file__.startswith(sys.argv[1]), tallygate.__file__
assert "redis.call" in _protocol.GATE.text
found = {name.partition(".")[0] for name in sys.modules}
print(*sorted(found & {"stream", "schemas", "agents", "tally", "faust", "aiokafka", "msgspec", "numpy", "aiohttp"}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the folder client/ as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "-w", str(folder), str(ROOT / "client")], check=True)
    (found,) = folder.glob("tallygate-*.whl")
    return found


def test_what_is_in_it(wheel: Path) -> None:
    """Every script and the mark of its types are in the wheel, and nothing of the service."""
    names = set(zipfile.ZipFile(wheel).namelist())
    scripts = {path.name for path in (ROOT / "client" / "tallygate" / "scripts").glob("*.lua")}
    assert len(scripts) == 8
    assert {f"tallygate/scripts/{name}" for name in scripts} | {"tallygate/py.typed"} <= names
    assert all(name.startswith(("tallygate/", "tallygate-")) for name in names)
    (metadata,) = [name for name in names if name.endswith("METADATA")]
    needs = [line for line in zipfile.ZipFile(wheel).read(metadata).decode().splitlines() if "Requires-Dist" in line]
    assert [line.split()[1].partition(">")[0] for line in needs] == ["redis"]


def test_it_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, it is imported with nothing of the service loaded."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    run = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert run.stdout.strip() == ""
