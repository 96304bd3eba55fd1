"""`tally up --new`: a file that is right from the first moment, and that an editor completes."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from schemas.load import load_file
from tally.__main__ import cli


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `tally up --new` has made."""
    done = CliRunner().invoke(cli, ["up", "--new", str(tmp_path / "mine")])
    assert done.exit_code == 0, done.output
    assert f"tally up --metrics {tmp_path / 'mine' / 'metrics.yaml'}" in done.output
    return tmp_path / "mine"


def test_the_file_is_right_as_it_is_written(folder: Path) -> None:
    """`tally validate` finds nothing in it."""
    done = CliRunner().invoke(cli, ["validate", str(folder / "metrics.yaml")])
    assert (done.exit_code, done.output) == (
        0,
        f"{folder / 'metrics.yaml'} is right: 2 metrics, 1 limit, 1 customer by name.\n",
    )


def test_what_is_commented_out_is_right_too(folder: Path) -> None:
    """A reader who takes the marks away from a suggestion has a file without faults."""
    path = folder / "metrics.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"^( +)# (?= *(?:\w+:|- \{))", r"\1", text, flags=re.MULTILINE))
    found = load_file(path)
    assert sorted(found.metrics) == ["requests", "seats", "tokens"]
    assert len(found.metrics["tokens"].filters) == 1
    assert found.metrics["seats"].event_type == "delta"
    assert [str(limit.limit) for limit in found.limits] == ["1000", "50000"]
    assert found.customers["acme"].timezone == "Europe/Berlin"
    assert found.customers["acme"].anchor_day == 15


def test_an_editor_finds_the_schema_beside_it(folder: Path) -> None:
    """The first line is yaml-language-server's, names a file of the same folder, and the metrics file fits that schema."""
    text = (folder / "metrics.yaml").read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    schema = json.loads((folder / named[1]).read_text())
    check = jsonschema.Draft202012Validator(schema)
    document = YAML(typ="safe").load(text)
    assert list(check.iter_errors(document)) == []
    document["metrics"]["requests"]["agregation"] = "sum"
    assert [error.validator for error in check.iter_errors(document)] != []


def test_nobodys_work_is_overwritten(folder: Path) -> None:
    """A second time it exits with 1 and leaves the file as it is; the folder may be there already."""
    path = folder / "metrics.yaml"
    path.write_text("mine\n")
    done = CliRunner().invoke(cli, ["up", "--new", str(folder)])
    assert done.exit_code == 1
    assert f"{path} is there already" in done.output
    assert path.read_text() == "mine\n"
    path.unlink()
    assert CliRunner().invoke(cli, ["up", "--new", str(folder)]).exit_code == 0


def test_without_a_file_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is wrong use and names the way to one; one with faults is told with its lines."""
    monkeypatch.chdir(tmp_path)
    missing = CliRunner().invoke(cli, ["up"])
    assert missing.exit_code == 2
    assert "tally up --new ." in missing.stderr
    (tmp_path / "metrics.yaml").write_text("metrics:\n  calls: {event_name: call, type: countr}\n")
    faulty = CliRunner().invoke(cli, ["up"])
    assert faulty.exit_code == 1
    assert 'metrics.yaml:2: metrics.calls.type: "countr"' in faulty.stderr
