"""What customers install: the wheel of client/ has all it needs, and needs nothing but redis."""

import importlib.metadata
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tally.servers import EmbeddedRedis

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


INSTALLED = """
import asyncio, sys
from importlib.metadata import distributions
from tallygate import AsyncGate, Gate
from tallygate.testing import FakeGate, FakeLimit

async def ask():
    async with AsyncGate.from_url(sys.argv[1], "t-installed") as gate:
        return (await gate.check("acme", "calls")).reason

with Gate.from_url(sys.argv[1], "t-installed") as gate:
    print(gate.check("acme", "calls").reason, gate.reserve("acme", "calls").reason, asyncio.run(ask()))
print(FakeGate(limits=[FakeLimit("calls", 1)]).check("acme", "calls").remaining)
print(*sorted(each.metadata["Name"] for each in distributions()))
"""


def test_it_installs_into_an_empty_environment(wheel: Path, tmp_path: Path, valkey_server: EmbeddedRedis) -> None:
    """Where nothing but redis is, pip installs it, and both gates and the fake answer: it needs nothing else."""
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    # redis as it is installed here, so that the test asks no registry; an old Python needs one more for it
    needs = [Requirement(text) for text in importlib.metadata.requires("redis") or ()]
    redis = ["redis", *(each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""}))]
    for file in (file for name in redis for file in importlib.metadata.files(name) or ()):
        if file.suffix != ".pyc" and ".." not in file.parts:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), site / file)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", str(wheel)]
    subprocess.run(pip, check=True)
    run = subprocess.run(
        [str(python), "-I", "-c", INSTALLED, valkey_server.url], capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["stale stale stale", "1", " ".join(sorted([*redis, "tallygate"]))]
