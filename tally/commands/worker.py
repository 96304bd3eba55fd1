"""`tally worker`: events on Kafka become totals in Redis."""

import asyncio

import click

from stream import logs
from stream.settings import help_lines
from tally.cli import Command, SettingsHelp
from tally.config import settings
from tally.definitions import require
from tally.doctor.start import look


class WorkerCommand(SettingsHelp, Command):
    """Its help lists the settings."""


@click.command(
    cls=WorkerCommand,
    settings_lines=help_lines,
    short_help="Run a worker.",
    example="""
TALLY_KAFKA=127.0.0.1:9092 TALLY_REDIS=redis://127.0.0.1:6379/0 TALLY_METRICS=metrics.yaml tally worker
TALLY_LISTEN=127.0.0.1:0 tally worker --log-level debug""",
)
@click.option("--log-level", type=click.Choice(("debug", "info", "warning", "error")), default="info", show_default=True,
              help="What is logged, to stderr: JSON lines, or text where a terminal reads.")  # fmt: skip
@click.option("--session", type=click.FloatRange(min=1.0), default=6.0, show_default=True, help="Seconds of silence after "
              "which Kafka gives a worker's partitions to another.")  # fmt: skip
def command(log_level: str, session: float) -> None:
    """Run a worker until SIGTERM or Ctrl-C: it counts the events of the partitions that Kafka gives it.

    Start as many as you like, up to one for a partition: they share the partitions, and take over from each other
    when one dies. Nothing counts twice and nothing is lost, however a worker ends.
    """
    logs.setup(log_level)
    config = settings()
    definitions = require(config.metrics)
    asyncio.run(look(config))
    from stream.engine.app import Session
    from stream.engine.process import run
    from tally.work import Worker

    # a heartbeat may be lost, and the next one too, without a rebalance
    run(Worker(config, definitions, Session(timeout=session, heartbeat=min(1.0, session / 4))).app())
