"""`tally simulate`: a file of events through the worker's own fold, with no Kafka and no Redis."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import click

from schemas.definitions import KINDS
from schemas.totals import group_text, value_text
from stream.core.simulate import Folded
from tally.cli import Command, Instant, json_option
from tally.config import rules, settings
from tally.definitions import require
from tally.output import Progress, plural, print_json, print_table, size_of

LINES = 5000  # between two steps of the progress bar


@click.command(
    cls=Command,
    short_help="Fold a file of events without servers.",
    example="""
tally simulate --metrics metrics.yaml --events events.jsonl
tally simulate --metrics metrics.yaml --events events.jsonl --at 2026-03-05T12:00:00Z --json
tally simulate --metrics metrics.yaml --events events.jsonl --billable month""",
)
@click.option("--metrics", "path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The definitions, YAML or JSON.")  # fmt: skip
@click.option("--events", "file", required=True, type=click.File("rb", lazy=True),
              help="One event a line, of any dialect (- for standard input).")  # fmt: skip
@click.option("--at", "at_us", type=Instant(), help="Show windows up to those that hold this time, instead of the latest "
              "event accepted. No event is left out for it.")  # fmt: skip
@click.option("--billable", metavar="PERIOD", type=click.Choice(KINDS), help="Say for windows of this kind on which "
              "day each part of their value arose; the days add up to the value.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit with 1 when a line is rejected, wholly or for a metric.")
@json_option
def command(
    path: Path, file: BinaryIO, at_us: int | None, billable: str | None, *, strict: bool, as_json: bool
) -> None:
    """Fold a file of events through the code that workers run, and print every total of every window.

    Each event's Kafka timestamp is taken to be its own; nothing is too old, too late or forgotten. `late` says how many
    (event, metric, window) a worker would have left out for coming too late.
    """
    folded = Folded(require(path), rules(settings()), billable=billable)
    with Progress("Folding", size_of(file)) as progress:
        while lines := list(islice(file, LINES)):
            folded.take(lines)
            progress.step(sum(map(len, lines)))
    report = folded.report(at_us)
    if as_json:
        print_json(report)
    else:
        _print(report)
    if strict and report["rejected"]:
        raise SystemExit(1)


def _print(report: dict[str, Any]) -> None:
    if report["rows"]:
        print_table(
            ("CUSTOMER", "METRIC", "GROUP", "WINDOW", "START", "END", "VALUE", "EVENTS"),
            (cells for row in report["rows"] for cells in _lines(row)),
            right=("VALUE", "EVENTS"),
        )
    for entry in report["rejected"]:
        what = f" (for {', '.join(entry['metrics'])})" if entry.get("metrics") else ""
        click.echo(f"line {entry['line']}: {entry['reason']}{what}: {entry['detail']}", err=True)
    rejected = plural(len(report["rejected"]), "rejection")
    click.echo(f"{rejected}, {plural(report['duplicates'], 'duplicate')}, {report['late']:,} late.", err=True)


def _lines(row: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    """A row of the table, and below it its billable days."""
    group = group_text(row["group"]) if row["group"] else ""
    yield row["customer"], row["metric"], group, row["window"], row["start"], row["end"], value_text(row), row["events"]
    for part in row.get("billable", ()):
        yield "", "", "", "  on", part["day"], "", part["value"], ""
