"""`tally rejected`: the entries of the rejected topic, and sending mended ones again."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import click

from schemas.rejections import KIND_PARTIAL, KIND_REJECTED, REASONS
from schemas.totals import encode, instant_us
from tally import kafka
from tally.cli import Command, Group, Instant, json_option
from tally.config import settings
from tally.entries import Entry, Wanted, read_mended
from tally.output import Progress, plural, print_json, print_table
from tally.replay import Outcome, about, entries, from_file, place_option, replay, through_program, unchanged

SHOWN = 100  # entries in a table unless --limit says otherwise; JSON has them all

_Function = TypeVar("_Function", bound=Callable[..., Any])


def selection(function: _Function) -> _Function:
    """Add the options that choose entries."""
    for add in (
        click.option("--until", "until_us", type=Instant(), help="Rejected before this time."),
        click.option("--since", "since_us", type=Instant(), help="Rejected at this time or later."),
        click.option("--metric", "metrics", multiple=True, help="Only partial entries of this metric; repeatable."),
        click.option("--customer", "customers", multiple=True, help="Only with this message key; repeatable."),
        click.option("--kind", "kinds", multiple=True, type=click.Choice((KIND_REJECTED, KIND_PARTIAL)),
                     help="Whole events, or values that some metrics could not use."),
        click.option("--reason", "reasons", multiple=True, type=click.Choice(REASONS), help="Only this reason; repeatable."),
    ):  # fmt: skip
        function = add(function)
    return function


def wanted(chosen: dict[str, Any]) -> Wanted:
    """What the options of `selection`, and the entries named as arguments, ask for."""
    since, until = chosen.pop("since_us"), chosen.pop("until_us")
    return Wanted(
        since_ms=None if since is None else -(-since // 1000),
        until_ms=None if until is None else -(-until // 1000),
        **{name: frozenset(values) for name, values in chosen.items()},
    )


@click.group(
    cls=Group,
    invoke_without_command=True,
    short_help="List events that were not accepted.",
    example="""
tally rejected --since 2026-03-05T00:00:00Z --reason bad_value
tally rejected --lines --reason malformed > broken.jsonl
tally rejected replay --reason too_old""",
)
@selection
@click.option("--limit", type=click.IntRange(min=1), help=f"Only the newest so many (a table: {SHOWN}).")
@click.option(
    "--lines", "as_lines", is_flag=True, help="Print one JSON object a line; `replay --from` reads them mended."
)
@json_option
@click.pass_context
def command(ctx: click.Context, /, limit: int | None, as_lines: bool, as_json: bool, **chosen: Any) -> None:
    """List the events that were not accepted, with a reason and a sentence each, oldest first.

    An entry is named by its place in the rejected topic, as in usage-rejected/0/12. Nothing is removed from there:
    entries stay until the topic's retention ends.
    """
    if ctx.invoked_subcommand is not None:
        if any(chosen.values()) or limit or as_lines or as_json:
            raise click.UsageError(f"Options go behind {ctx.invoked_subcommand!r}.")
        return
    found = asyncio.run(_find(wanted(chosen), limit if as_json or as_lines else limit or SHOWN))
    entries_, reasons = found
    if as_lines:
        for entry in entries_:
            click.echo(encode(entry.to_json()))
    elif as_json:
        print_json({"entries": [entry.to_json() for entry in entries_], "found": reasons.total()})
    else:
        _table(entries_, reasons)


async def _find(asked: Wanted, limit: int | None) -> tuple[list[Entry], Counter[str]]:
    """The newest `limit` entries asked for, oldest first, and how many there are of each reason."""
    config = settings()
    async with kafka.admin(config.kafka) as admin:
        partitions = (await kafka.topics(admin)).get(config.rejected_topic)
    if partitions is None:  # no worker has run yet, or none has rejected anything
        return [], Counter()
    kept: list[tuple[int, int, int, Entry]] = []
    reasons: Counter[str] = Counter()
    async with kafka.consumer(config.kafka) as consumer:
        total = sum((await kafka.ends(consumer, config.rejected_topic, partitions)).values())
        with Progress("Reading", total) as progress:
            async for entry in entries(consumer, config.rejected_topic, partitions, asked, progress.step):
                reasons[about(entry)] += 1
                item = (*entry.age(), entry)
                if limit is None or len(kept) < limit:
                    heapq.heappush(kept, item)
                else:
                    heapq.heappushpop(kept, item)
    return sorted((entry for *_, entry in kept), key=Entry.age), reasons


def _table(found: list[Entry], reasons: Counter[str]) -> None:
    if not found:
        click.echo("No rejected events.")
        return
    print_table(
        ("REJECTED AT", "ENTRY", "KEY", "REASON", "DETAIL"),
        ((instant_us(e.rejected_ms * 1000), e.place, e.customer, about(e), e.detail) for e in found),
    )
    click.echo()
    for reason, count in reasons.most_common():
        click.echo(f"{count:8,}  {reason}")
    if reasons.total() > len(found):
        click.echo(f"The newest {len(found):,} of {reasons.total():,} are shown; --limit or --json shows more.")


@command.command(
    "replay",
    cls=Command,
    example="""
tally rejected replay --reason too_old --since 2026-03-05T00:00:00Z
tally rejected replay --metric tokens --map "jq -c '.properties.tokens |= tonumber'"
tally rejected replay --from mended.jsonl""",
)
@click.argument("places", metavar="[ENTRY]...", nargs=-1, callback=place_option)
@selection
@click.option("--all", "everything", is_flag=True, help="All entries, where no other option chooses.")
@click.option("--map", "program", metavar="COMMAND", help="Run this for each entry: the event on its standard input, "
              "the mended one on its standard output; nothing skips the entry.")  # fmt: skip
@click.option("--from", "file", type=click.File("rb", lazy=True), help='Take mended events from lines of {"entry": ..., "value": ...}, '
              "as --lines prints them (- for standard input).")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Send nothing, only say what would be sent.")
@json_option
def replay_command(
    *, everything: bool, program: str | None, file: BinaryIO | None, dry_run: bool, as_json: bool, **chosen: Any
) -> None:
    """Send entries again, as they are or mended. Nothing counts twice.

    A whole event is sent as a new one and judged afresh; where it counted meanwhile it is a duplicate. A partial
    entry folds only into the metrics that could not use it, once for each entry and metric, however often it is sent.
    Exits with 1 when an entry could not be sent.
    """
    asked = wanted(chosen)
    if program and file:
        raise click.UsageError("--map and --from exclude each other.")
    mend = through_program(program) if program else unchanged
    if file:
        values, faults = read_mended(file)
        if faults:
            raise click.UsageError(f"{file.name}: " + "; ".join(faults))
        asked = Wanted(
            **{**{f: getattr(asked, f) for f in Wanted.__struct_fields__}, "places": asked.places or frozenset(values)}
        )
        mend = from_file(values)
    if everything != asked.everything:
        raise click.UsageError("Say which entries: by name, by options or with --from, or else --all.")
    outcome = asyncio.run(_replay(asked, mend, dry_run=dry_run))
    if as_json:
        print_json({**outcome.to_json(), "dry_run": dry_run})
    else:
        would = "would be " if dry_run else ""
        click.echo(f"{plural(outcome.sent, 'event')} {would}sent again, {outcome.skipped:,} skipped.")
        for place, why in outcome.failed:
            click.echo(f"{place} not sent: {why}", err=True)
    if outcome.failed:
        raise SystemExit(1)


async def _replay(asked: Wanted, mend: Callable[[Entry], bytes | None], *, dry_run: bool) -> Outcome:
    config = settings()
    async with kafka.admin(config.kafka) as admin:
        partitions = await kafka.topics(admin)
    if asked.places and (unknown := sorted({place.topic for place in asked.places} - {config.rejected_topic})):
        raise click.UsageError(f"{unknown[0]} is not the rejected topic, which is {config.rejected_topic}.")
    async with kafka.consumer(config.kafka) as consumer:
        count = partitions.get(config.rejected_topic, 0)
        found = [entry async for entry in entries(consumer, config.rejected_topic, count, asked)]
    chosen = sorted(found, key=Entry.age)
    if missing := asked.places - {entry.place for entry in chosen}:
        raise click.ClickException(
            f"{min(missing)} is not there, or not of the reason, kind, customer or time asked for; nothing was sent."
        )
    if dry_run:
        return await replay(chosen, mend, None, config.events_topic)
    if chosen and config.events_topic not in partitions:
        raise click.ClickException(f"The topic {config.events_topic} does not exist; nothing was sent.")
    async with kafka.producer(config.kafka) as producer:
        return await replay(chosen, mend, producer, config.events_topic)
