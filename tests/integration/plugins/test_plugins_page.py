"""docs/plugins.md as it stands: its files become a wheel, which is installed beside the service, and works."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tally.servers import EmbeddedKafka, EmbeddedRedis, free_port
from tests.integration.pages_shell import run
from tests.integration.readme.pages import ROOT, steps

PAGE = ROOT / "docs" / "plugins.md"
SETTLE = ROOT / "tests" / "integration" / "readme" / "settle.py"
FILE = re.compile(r"`([\w-]+\.\w+)`[^`]*:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)


def beside(folder: Path) -> Path:
    """An environment of its own that knows all that is installed here: what is installed into it stays in it.

    Its commands' folder is the answer, with `python`, and `tally` as the service's wheel brings it.
    """
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    known = [path for path in sys.path if path.endswith("site-packages")]
    site.joinpath("beside.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in known))
    tally = folder / "bin" / "tally"
    tally.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m tally "$@"\n')
    tally.chmod(0o755)
    return tally.parent


OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one as "false: no isolation"
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
"""No package index to ask, and the build tools of here."""


@pytest.mark.timeout(420)
def test_the_page_makes_a_metric_type_that_works(tmp_path: Path) -> None:
    """Its wheel is found, told off, simulated, run by a worker, killed, and carried on with from the changelog."""
    commands = beside(tmp_path / "environment")
    folder = tmp_path / "tally-percentile"
    folder.mkdir()
    files = dict(FILE.findall(PAGE.read_text()))
    assert sorted(files) == ["metrics.yaml", "pyproject.toml", "tally_percentile.py"]
    for name, text in files.items():
        (folder / name).write_text(text)
    with EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        replaced = {
            "127.0.0.1:9092": kafka.bootstrap,
            "redis://127.0.0.1:6379/0": redis.url,
            "127.0.0.1:6066": f"127.0.0.1:{free_port()}",
            "sleep 1\n": f"python {SETTLE} {redis.url} tally\n",  # a test waits for the condition, a reader a second
        }
        found = [step for step in steps(PAGE, replaced) if step.language == "sh"]
        printed = run(found, folder, commands, OFFLINE, within_s=400)
    assert len(printed) == len(found) == 5
    for step, output in zip(found, printed, strict=True):
        assert step.fits(output), f"{step.code}\nprinted\n{output}\nand not\n{step.shown}"


def test_the_wheel_is_all_that_makes_it_known(tmp_path: Path) -> None:
    """Where it is not installed the type is a fault, so that the test above has found it in the wheel."""
    (tmp_path / "metrics.yaml").write_text(dict(FILE.findall(PAGE.read_text()))["metrics.yaml"])
    done = subprocess.run(
        [sys.executable, "-m", "tally", "validate", "metrics.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'metrics.yaml:4: metrics.latency_p95.type: "percentile" is no type of metric' in done.stdout


def test_the_sketches_are_as_large_as_the_page_says(tmp_path: Path) -> None:
    """334 bytes for the hundred values; and what is read back is what was written."""
    (tmp_path / "tally_percentile.py").write_text(dict(FILE.findall(PAGE.read_text()))["tally_percentile.py"])
    code = """
from decimal import Decimal
from msgspec import msgpack
from tally_percentile import Percentile
folding = Percentile(95, Decimal("0.01"))
acc = folding.empty()
for value in range(1, 101):
    acc = folding.add(acc, value, 0, 0)
saved = msgpack.encode(folding.plain(acc))
again = folding.restored(msgpack.decode(saved))
print(len(saved), folding.value(again, 100), folding.plain(again) == folding.plain(acc))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "334 94.642 True\n", done.stderr
