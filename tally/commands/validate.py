"""`tally validate`: every fault of a metrics file."""

from pathlib import Path

import click

from schemas.faults import Faults
from tally.cli import Command, json_option
from tally.definitions import load
from tally.output import plural, print_json


@click.command(
    cls=Command,
    short_help="Check a metrics file.",
    example="""
tally validate metrics.yaml""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def command(file: Path, *, as_json: bool) -> None:
    """Check the whole of a metrics file (YAML, or JSON named .json) and print every fault with its path and line.

    Connects to nothing. Exits with 1 when there is a fault.
    """
    try:
        definitions = load(file)
    except Faults as found:
        if as_json:
            rows = [{"path": fault.path, "line": fault.line, "message": fault.message} for fault in found.faults]
            print_json({"file": str(file), "valid": False, "faults": rows})
        else:
            for line in found.lines():
                click.echo(line)
            click.echo(f"{plural(len(found.faults), 'fault')}.", err=True)
        raise SystemExit(1) from None
    if as_json:
        print_json({"file": str(file), "valid": True, "faults": []})
    else:
        metrics, limits = plural(len(definitions.metrics), "metric"), plural(len(definitions.limits), "limit")
        click.echo(f"{file} is right: {metrics}, {limits}, {plural(len(definitions.customers), 'customer')} by name.")
