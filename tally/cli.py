"""What the commands of `tally` have in common."""

from typing import Any

import click


class Command(click.Command):
    """A command whose help ends with an example.

    @click.command(cls=Command, example="tally key acme")
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the options."""
        super().format_epilog(ctx, formatter)
        write_example(formatter, self.example)


def write_example(formatter: click.HelpFormatter, example: str) -> None:
    """Write lines that can be copied, as they are: no wrapping."""
    with formatter.section("Example"):
        for line in example.strip().splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
