"""`tally api`: the gate, events and usage over HTTP."""

import asyncio
import signal

import click
import uvloop

from stream import logs
from stream.settings import Settings, api_fault, help_lines
from tally.cli import Command, SettingsHelp
from tally.config import settings


class ApiCommand(SettingsHelp, Command):
    """Its help lists the settings that it reads."""


_OURS = ("KAFKA", "REDIS", "APP", "EVENTS_TOPIC", "PARTITIONS", "API_LISTEN", "API_TOKEN")


def _lines() -> list[str]:
    names = {f"TALLY_{name}" for name in _OURS}
    return [line for line in help_lines() if line.split()[0] in names]


@click.command(
    cls=ApiCommand,
    settings_lines=_lines,
    short_help="Serve the gate, events and usage over HTTP.",
    example="""
TALLY_API_TOKEN=... TALLY_API_LISTEN=0.0.0.0:8080 tally api
tally api &
curl 127.0.0.1:8080/v1/check -d '{"customer": "acme", "metric": "api_requests"}'
curl 127.0.0.1:8080/openapi.json""",
)
@click.option("--log-level", type=click.Choice(("debug", "info", "warning", "error")), default="info", show_default=True,
              help="What is logged, to stderr: JSON lines, or text where a terminal reads.")  # fmt: skip
def command(log_level: str) -> None:
    """Serve HTTP until SIGTERM or Ctrl-C: /v1/check, /v1/reserve, /v1/release, /v1/events and /v1/usage.

    Run as many as you like beside each other. Without TALLY_API_TOKEN it listens on loopback only. It starts without
    Kafka or Redis and answers 503 until they are there. On SIGTERM it answers the requests that it has, and Kafka gets
    what waits for it.
    """
    logs.setup(log_level)
    config = settings()
    if (fault := api_fault(config)) is not None:
        raise click.UsageError(fault)
    uvloop.run(_serve(config))


async def _serve(config: Settings) -> None:
    from tally.api.server import Api

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    api = Api(config)
    try:
        await api.start()
    except ValueError as fault:
        raise click.UsageError(f"TALLY_REDIS: {fault}") from fault
    except OSError as fault:
        raise click.ClickException(
            f"It cannot listen on {config.api_listen} ({fault}). Set TALLY_API_LISTEN."
        ) from fault
    try:
        await stop.wait()
    finally:
        await api.stop()
