"""`tally simulate`: the command around the fold."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tally.__main__ import cli

METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [hour, total]}
  tokens: {event_name: call, type: counter, aggregation: sum, property: tokens, group_by: [model], windows: [total]}
"""
EVENTS = """
{"id": "1", "event_name": "call", "customer_id": "acme", "timestamp": "2026-03-05T12:00:00Z", "properties": {"tokens": 0.1, "model": "m1"}}
{"id": "1", "event_name": "call", "customer_id": "acme", "timestamp": "2026-03-05T12:00:00Z", "properties": {"tokens": 9}}
nope
{"id": "2", "event_name": "call", "customer_id": "acme", "timestamp": "2026-03-05T13:00:00Z", "properties": {"tokens": 0.2}}
{"id": "3", "event_name": "call", "customer_id": "acme", "timestamp": "2026-03-05T13:00:00Z", "properties": {"tokens": "x"}}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The options that name both files."""
    (tmp_path / "m.yaml").write_text(METRICS)
    (tmp_path / "e.jsonl").write_text(EVENTS)
    return ["--metrics", str(tmp_path / "m.yaml"), "--events", str(tmp_path / "e.jsonl")]


def run(*arguments: str) -> Result:
    """One simulation."""
    return CliRunner().invoke(cli, ["simulate", *arguments], catch_exceptions=False)


def row(metric: str, window: str, value: str, events: int, start: str | None = None, end: str | None = None) -> object:
    """One row of acme without a group."""
    return {
        "customer": "acme", "metric": metric, "window": window, "start": start, "end": end, "group": {},
        "value": value, "events": events,
    }  # fmt: skip


def test_json_is_the_contracts(files: list[str]) -> None:
    """Rows in their order, rejected lines with their numbers (blank ones count), duplicates and late."""
    done = run(*files, "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert list(report) == ["rows", "rejected", "duplicates", "late"]
    assert report["rows"] == [
        row("calls", "hour", "1", 1, "2026-03-05T12:00:00Z", "2026-03-05T13:00:00Z"),
        row("calls", "hour", "2", 2, "2026-03-05T13:00:00Z", "2026-03-05T14:00:00Z"),
        row("calls", "total", "3", 3),
        row("tokens", "total", "0.3", 2),
        {**row("tokens", "total", "0.1", 1), "group": {"model": "m1"}},  # type: ignore[dict-item]
    ]
    assert [(entry["line"], entry["reason"]) for entry in report["rejected"]] == [(4, "malformed"), (6, "bad_value")]
    assert (report["rejected"][1]["kind"], report["rejected"][1]["metrics"]) == ("partial", ["tokens"])
    assert (report["duplicates"], report["late"]) == (1, 0)


def test_at_chooses_windows_and_cuts_no_events(files: list[str]) -> None:
    """The later hour is not shown, but its events are in the total."""
    rows = json.loads(run(*files, "--json", "--at", "2026-03-05T12:30:00Z").stdout)["rows"]
    assert [(r["metric"], r["window"], r["value"]) for r in rows] == [
        ("calls", "hour", "1"),
        ("calls", "total", "3"),
        ("tokens", "total", "0.3"),
        ("tokens", "total", "0.1"),
    ]


def test_billable_says_on_which_day_value_arose(tmp_path: Path) -> None:
    """Only rows of the period carry it, and its days add up to the value; in the table they stand below their row."""
    (tmp_path / "m.yaml").write_text(
        "metrics: {t: {event_name: e, type: counter, aggregation: sum, property: n, windows: [day, month]}}\n"
    )
    event = '{{"id": "{}", "event_name": "e", "customer_id": "a", "timestamp": "2026-03-0{}T12:00:00Z", "properties": {{"n": {}}}}}\n'
    (tmp_path / "e.jsonl").write_text(event.format(1, 5, 1.5) + event.format(2, 6, 2) + event.format(3, 6, 4))
    files = ["--metrics", f"{tmp_path}/m.yaml", "--events", f"{tmp_path}/e.jsonl", "--billable", "month"]
    rows = json.loads(run(*files, "--json").stdout)["rows"]
    assert [row.get("billable") for row in rows] == [
        None,
        None,
        [{"day": "2026-03-05", "value": "1.5"}, {"day": "2026-03-06", "value": "6"}],
    ]
    assert [line.split() for line in run(*files).stdout.splitlines()[-2:]] == [
        ["on", "2026-03-05", "1.5"],
        ["on", "2026-03-06", "6"],
    ]
    assert run(*files[:-1], "fortnight").exit_code == 2


def test_strict_makes_a_rejected_line_a_failure(files: list[str]) -> None:
    """Only then: the rows are printed all the same."""
    done = run(*files, "--json", "--strict")
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["rows"]) == 5


def test_a_table_for_people(files: list[str]) -> None:
    """Rows on standard output; what was rejected, and the counts, on standard error."""
    done = run(*files)
    assert done.stdout.splitlines()[1].split() == [
        "acme",
        "calls",
        "hour",
        "2026-03-05T12:00:00Z",
        "2026-03-05T13:00:00Z",
        "1",
        "1",
    ]
    assert "line 6: bad_value (for tokens): " in done.stderr
    assert done.stderr.endswith("2 rejections, 1 duplicate, 0 late.\n")


@pytest.mark.parametrize("wrong", [["--at", "yesterday"], ["--metrics", "/none"], []])
def test_wrong_use_exits_with_2(files: list[str], wrong: list[str]) -> None:
    """A time that is none, a file that is not there, options that are missing."""
    assert run(*(files if wrong[:1] == ["--at"] else files[2:]), *wrong).exit_code == 2


def test_faults_in_the_definitions_are_told_and_exit_with_1(files: list[str], tmp_path: Path) -> None:
    """The same lines as `tally validate` prints."""
    (tmp_path / "m.yaml").write_text("metrics:\n  m: {event_name: e, type: counter}\n")
    done = run(*files)
    assert done.exit_code == 1
    assert f"{tmp_path}/m.yaml:2: metrics.m" in done.stderr
