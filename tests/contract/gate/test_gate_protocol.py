"""docs/gate-protocol.md says enough to gate from another language: its vectors hold, and its program runs."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tallygate import layout, urls
from tallygate._murmur2 import murmur2
from tallygate.testing import FakeLimit

from tests.contract.gate.world import RedisWorld

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "gate-protocol.md").read_text(encoding="utf-8")
SCRIPTS = ROOT / "client" / "tallygate" / "scripts"


def test_the_vectors_of_the_hash() -> None:
    """Every test vector of the page is what the layout computes."""
    vectors = re.findall(r"^\| `(.+)` \| (-?\d+) \| (\d+) \| (\d+) \|$", PAGE, flags=re.MULTILINE)
    assert len(vectors) == 9
    for customer, hashed, of_16, of_3 in vectors:
        assert murmur2(customer.encode()) == int(hashed) % 2**32
        assert (layout.partition_of(customer, 16), layout.partition_of(customer, 3)) == (int(of_16), int(of_3))


class Node:
    """The page's program, run by Node with nothing but its standard library."""

    def __init__(self, folder: Path, port: int, app: str) -> None:
        program = shutil.which("node")
        if program is None:
            pytest.skip("no node on this machine")
        (script,) = re.findall(r"^```js\n(.+?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
        path = folder / "gate.mjs"
        path.write_text(script, encoding="utf-8")
        self._command = [program, str(path), str(port), app, str(SCRIPTS)]

    def __call__(self, *args: str) -> list[str]:
        run = subprocess.run([*self._command, *args], capture_output=True, text=True, check=True, timeout=60)
        answer: list[str] = json.loads(run.stdout)
        return answer


@pytest.fixture
def real(valkey_server: Any, unique: str) -> RedisWorld:
    """A world on the present time: the scripts are those of the package, untouched."""
    client = urls.connect(valkey_server.url, timeout_s=5)
    world = RedisWorld(client, unique, gate=None)
    world.now = datetime.now(UTC)
    world.define([FakeLimit("tok", "10.5", warn_at=("0.5",), window="total")], aliases={"acct_42": "Zürich"})
    return world


def test_gating_from_node(real: RedisWorld, valkey_server: Any, tmp_path: Path) -> None:
    """Node checks, reserves and releases with a socket, for a customer beyond ASCII and for its alias."""
    node = Node(tmp_path, valkey_server.port, real.app)
    real.count("Zürich", "tok", 6)
    answer = node("check", "acct_42", "tok", "4.5")
    assert answer[:11] == ["answer", "1", "ok", "tok", "6", "0", "10.5", "4.5", "total", "", "0.5"]
    assert int(answer[12]) - int(answer[11]) >= 0
    answer = node("reserve", "Zürich", "tok", "4.25", "job-1")
    assert answer[1:9] == ["1", "ok", "tok", "6", "4.3", "10.5", "0.2", "total"]
    assert abs(datetime.fromtimestamp(int(answer[13]) / 1e6, UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert node("reserve", "Zürich", "tok", "4.25", "job-1")[1:3] == ["1", "ok"]
    assert node("reserve", "Zürich", "tok", "4", "job-1") == ["other_lines"]
    assert node("reserve", "Zürich", "tok", "0.3", "job-2")[1:3] == ["0", "limit_reached"]
    real.count("Zürich", "tok", "4.25", reservation="job-1")
    assert node("reserve", "Zürich", "tok", "4.25", "job-1")[1:3] == ["0", "settled"]
    assert node("reserve", "Zürich", "tok", "0.2", "job-3")[1:3] == ["1", "ok"]
    assert node("release", "acct_42", "", "", "job-3") == ["answer", "1", "ok"]
    assert node("check", "never-seen", "tok", "1")[1:9] == ["1", "ok", "tok", "0", "0", "10.5", "10.5", "total"]
    assert node("check", "Zürich", "tik", "1")[1:4] == ["0", "unknown_metric", "tik"]
