"""The command line: `tally COMMAND`.

Each command is a module in `tally/commands` and is imported when it is called, so that `tally --help` and shell
completion stay fast: Faust, Kafka and Redis are loaded by those who need them.

Exit codes: 0 done, 1 the answer is no or a check failed, 2 wrong use.
"""

import difflib
import importlib
import logging
import sys

import click

from tally.cli import write_example
from tally.names import conflict

COMMANDS = {
    "demo": "Watch totals stay exact while a worker is killed: half a minute, nothing to install.",
    "up": "Run Kafka, Redis and workers here, in one command, for your own events and metrics.",
    "worker": "Run a worker: events on Kafka become totals in Redis.",
    "api": "Serve the gate, events and usage over HTTP.",
    "validate": "Check a metrics file; print every fault with its line.",
    "simulate": "Fold a file of events without Kafka or Redis, and print the totals.",
    "send": "Send events from a file or standard input to Kafka.",
    "usage": "Print a customer's totals, now or at an earlier time.",
    "check": "Ask the gate whether a customer may use so much more.",
    "key": "Print where a customer's totals stand in Redis.",
    "rejected": "List events that were not accepted; send mended ones again.",
    "reset": "Drop an app's state and fold its events afresh from a chosen place.",
    "doctor": "Check the servers, topics and settings; print what mends them.",
}
"""Each command's module name (with - for _) and its line in `tally --help`, in the order shown there."""


EXAMPLE = """
tally demo
tally validate metrics.yaml
tally usage --customer acme
"""


class Lazy(click.Group):
    """A group that imports a command when it is called, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of `COMMANDS`."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where the name is unknown."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tally.commands.{cmd_name.replace('-', '_')}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown name is answered with the nearest known one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        write_example(formatter, EXAMPLE)


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tallystream", prog_name="tally")
@click.option("-v", "--verbose", is_flag=True, help="Print what the Kafka and Redis clients log, to stderr.")
def cli(verbose: bool) -> None:
    """Turn usage events on Kafka into running totals in Redis: exact, fresh, safe to gate on.

    Settings come from TALLY_* environment variables; `tally worker --help` lists them.
    """
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    else:
        # a client's "cannot connect" is said by the command, in one sentence; the library's own lines would bury it
        logging.basicConfig(handlers=[logging.NullHandler()])


def main() -> None:
    """The console script."""
    if (sentence := conflict()) is not None:
        print(sentence, file=sys.stderr)
        sys.exit(1)
    cli(prog_name="tally")


if __name__ == "__main__":
    main()
