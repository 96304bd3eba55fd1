"""What the commands of `tally` have in common: help with an example, times, JSON."""

from collections.abc import Callable, Sequence
from typing import Any

import click


class Instant(click.ParamType):
    """A time as events carry it; the value is microseconds since the epoch."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read RFC 3339 with an offset, or seconds or milliseconds since the epoch."""
        from stream.core.timestamps import BadTimestamp, microseconds

        if isinstance(value, int):
            return value
        try:
            return microseconds(str(value))
        except BadTimestamp as bad:
            self.fail(str(bad), param, ctx)


class Exampled:
    """Gives a click command's help an example at its end."""

    example: str

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the options."""
        super().format_epilog(ctx, formatter)  # type: ignore[misc]  # click.Command's, which stands beside
        write_example(formatter, self.example)


class Command(Exampled, click.Command):
    """A command whose help ends with an example: `@click.command(cls=Command, example="tally key acme")`."""


class Group(Exampled, click.Group):
    """A command with subcommands, likewise."""


class SettingsHelp:
    """Adds the settings to a command's help, between its options and its example."""

    def __init__(self, *args: Any, settings_lines: Callable[[], Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._settings_lines = settings_lines

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the variables with their defaults, as they are: no wrapping."""
        with formatter.section("Settings, from the environment"):
            for line in self._settings_lines():
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        super().format_epilog(ctx, formatter)  # type: ignore[misc]  # Exampled's, which stands beside


def write_example(formatter: click.HelpFormatter, example: str) -> None:
    """Write lines that can be copied, as they are: no wrapping."""
    with formatter.section("Example"):
        for line in example.strip().splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
