"""`tally reset`: drop an app's state and fold its events afresh."""

import asyncio

import click

from stream.settings import Settings
from tally import store
from tally.cli import Command, Instant, json_option
from tally.config import settings
from tally.output import Progress, plural, print_json, print_table
from tally.resetting import Fate, Where, carry_out, plan, refuse_if_live, spelled


class Start(click.ParamType):
    """Where to read from: `beginning`, `end` or a time; a time becomes milliseconds."""

    name = "beginning|end|TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Where:
        """Read one of the three."""
        if value == "beginning" or value == "end":  # noqa: PLR1714 - mypy reads the narrowing off it
            return value
        return -(-Instant().convert(value, param, ctx) // 1000)


@click.command(
    cls=Command,
    short_help="Drop an app's state and count afresh.",
    example="""
tally reset
tally reset --yes
tally reset --partition 3 --from 2026-03-05T00:00:00Z --yes""",
)
@click.option("--partition", "partitions", type=click.IntRange(min=0), multiple=True, help="Only this one; repeatable.")
@click.option("--from", "where", type=Start(), default="beginning", show_default=True,
              help="Where reading begins again: the first event that Kafka still has, past the last one, or the first "
              "event that Kafka got at this time or later.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do it. Without this, only say what would be done.")
@json_option
def command(partitions: tuple[int, ...], where: Where, *, yes: bool, as_json: bool) -> None:
    """Drop totals, remembered ids and holds, and count afresh from what Kafka has. Says what it would do; --yes does it.

    Events that Kafka has no more, and those before --from, are then in no total. Stop all workers of the app first: it
    refuses while one is at work.
    """
    config = settings()
    fates = asyncio.run(_reset(config, partitions, where, yes=yes))
    if as_json:
        print_json({"done": yes, "partitions": [fate.to_json() for fate in fates]})
        return
    print_table(
        ("PARTITION", "ROWS", "COUNTED", "READ UP TO", "RESTART AT", "TO READ"),
        (
            (f.partition, len(f.keys), f.header.counts.counted, f.header.next_offset, f.position, f.end - f.position)
            for f in fates
        ),
        right=("PARTITION", "ROWS", "COUNTED", "READ UP TO", "RESTART AT", "TO READ"),
    )
    rows, events = sum(len(fate.keys) for fate in fates), sum(fate.header.counts.counted for fate in fates)
    did = "were" if yes else "would be"
    click.echo(
        f"\n{plural(rows, 'row')} of state and the memory of {plural(events, 'counted event')} {did} dropped; reading "
        f"begins at {spelled(where)}."
    )
    lost = [
        fate.partition for fate in fates if fate.header.counts.read and fate.begin > 0 and fate.position == fate.begin
    ]
    if lost and where == "beginning":
        click.echo(f"In {plural(len(lost), 'partition')} Kafka has removed the oldest events: totals will lack them.")
    click.echo("Start the workers: they count afresh." if yes else "Nothing was changed. `tally reset --yes` does it.")


async def _reset(config: Settings, partitions: tuple[int, ...], where: Where, *, yes: bool) -> list[Fate]:
    if not yes:
        return await _plan(config, partitions, where)
    # connected before anything is dropped: a Redis that is away would keep the old totals
    async with store.connected(config.redis) as client:
        await refuse_if_live(config, client)
        fates = await _plan(config, partitions, where)
        with Progress("Resetting", len(fates)) as progress:
            await carry_out(config, client, fates, lambda _: progress.step())
    return fates


async def _plan(config: Settings, partitions: tuple[int, ...], where: Where) -> list[Fate]:
    with Progress("Reading the changelog", 0) as progress:
        return await plan(config, partitions, where, progress.step)
