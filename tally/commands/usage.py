"""`tally usage`: a customer's totals, from a running system."""

import asyncio
from typing import Any

import aiohttp
import click
import msgspec

from schemas.definitions import KINDS
from schemas.totals import instant_us, value_text
from stream.settings import Settings
from stream.totals.reader import Seen
from tally import store
from tally.cli import Command, Instant, json_option
from tally.config import settings
from tally.output import print_json, print_table

ASK_S = 15.0  # longer than a worker waits for another
STALE_US = 10_000_000  # the staleness from which gates refuse (section 6 of the contract)


class Answer(msgspec.Struct):
    """What a worker answers to /v1/usage: rows as they are printed."""

    rows: list[dict[str, Any]] = []
    error: str = ""


@click.command(
    cls=Command,
    short_help="Print a customer's totals.",
    example="""
tally usage --customer acme
tally usage --customer acme --metric tokens --window day --at 2026-03-05T12:00:00Z --json""",
)
@click.option("--customer", required=True, help="The customer's id, or an alias.")
@click.option("--metric", help="Only this metric, by its key.")
@click.option("--window", type=click.Choice(KINDS), help="Only windows of this kind.")
@click.option("--at", "at_us", type=Instant(), help="The windows that hold this time, instead of now.")
@json_option
def command(customer: str, *, metric: str | None, window: str | None, at_us: int | None, as_json: bool) -> None:
    """Print the totals of the windows that hold now (read from Redis) or at an earlier time (from the worker that has them).

    Each row says as of when it holds, and the Kafka position that it includes: everything of the customer below that
    offset. Exits with 1 when the totals cannot be told.
    """
    rows = asyncio.run(_find(settings(), customer, metric, window, at_us))
    if as_json:
        print_json({"rows": rows})
        return
    if not rows:
        click.echo("No totals.")
        return
    print_table(
        ("METRIC", "GROUP", "WINDOW", "START", "END", "VALUE", "EVENTS"),
        (
            (r["metric"], _group(r["group"]), r["window"], r["start"], r["end"], value_text(r), r["events"])
            for r in rows
        ),
        right=("VALUE", "EVENTS"),
    )
    position = rows[0].get("position") or {}
    click.echo(
        f"\nAs of {rows[0].get('as_of')}; includes partition {position.get('partition')} below offset "
        f"{position.get('offset')}."
    )


def _group(group: dict[str, Any]) -> str:
    return msgspec.json.encode(group).decode() if group else ""


async def _find(
    config: Settings, customer: str, metric: str | None, window: str | None, at_us: int | None
) -> list[dict[str, Any]]:
    async with store.connected(config.redis) as client:
        found = await store.find(client, config.app, customer)
    if at_us is not None:
        return await _ask(found, metric, window, at_us)
    if found.status is None or not found.status.complete:
        raise click.ClickException(
            f"Redis does not hold the totals of partition {found.partition} yet: is a worker running? Try again."
        )
    late = found.now_us - (found.status.fresh_us or 0)
    if late > STALE_US:
        click.echo(
            f"The totals are {late // 1_000_000} s old: no worker keeps partition {found.partition} fresh.", err=True
        )
    if found.totals is not None and found.totals.states and found.status.address:
        # A gauge lives on through windows for which no event has come. Only the worker has the calendar to say so.
        try:
            return await _ask(found, metric, window, found.now_us)
        except click.ClickException as unanswered:
            click.echo(f"Gauges without an event in the present window are missing: {unanswered.message}", err=True)
    return [msgspec.json.decode(msgspec.json.encode(row.to_json())) for row in store.rows(found, metric, window)]


async def _ask(found: Seen, metric: str | None, window: str | None, at_us: int) -> list[dict[str, Any]]:
    """Ask the worker that owns the partition."""
    if found.status is None or not found.status.address:
        raise click.ClickException(
            f"No worker owns partition {found.partition}; earlier windows are read from its worker."
        )
    given = {"customer": found.customer, "metric": metric, "window": window, "at": instant_us(at_us)}
    url = f"http://{found.status.address}/v1/usage"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session,
            session.get(url, params={name: value for name, value in given.items() if value is not None}) as response,
        ):
            answer = msgspec.json.decode(await response.read(), type=Answer)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        text = str(error) or type(error).__name__
        raise click.ClickException(f"The worker at {found.status.address} does not answer ({text}).") from error
    if answer.error:
        raise click.ClickException(f"The worker at {found.status.address} says: {answer.error}")
    return answer.rows
