"""`tally key`: where a customer's totals stand in Redis."""

import asyncio
import shlex

import click
from tallygate import layout

from tally import store
from tally.cli import Command, json_option
from tally.config import settings
from tally.definitions import require
from tally.output import print_json


@click.command(
    cls=Command,
    short_help="Print where a customer's totals stand in Redis.",
    example="""
tally key acme
tally key acct_42 --partitions 16 --json""",
)
@click.argument("customer")
@click.option("--partitions", type=click.IntRange(min=1), help="How many partitions the events topic has. Then nothing "
              "is connected to, and aliases come from TALLY_METRICS, where that file is. Else Redis is asked.")  # fmt: skip
@json_option
def command(customer: str, *, partitions: int | None, as_json: bool) -> None:
    """Print a customer's canonical id, home partition and keys in Redis. CUSTOMER may be an alias."""
    config = settings()
    if partitions is None:
        canonical, count = asyncio.run(_ask(config.redis, config.app, customer))
    else:
        count = partitions
        canonical = require(config.metrics).canonical(customer) if config.metrics.exists() else customer
    number = layout.partition_of(canonical, count)
    keys = layout.Keys(config.app, number)
    found = {
        "totals": keys.totals(canonical),
        "holds": keys.holds(canonical),
        "deadlines": keys.deadlines(canonical),
        "partition": keys.status,
        "app": layout.app_key(config.app),
    }
    if as_json:
        print_json(
            {"customer": customer, "canonical": canonical, "partition": number, "partitions": count, "keys": found}
        )
        return
    click.echo(f"canonical id  {canonical}")
    click.echo(f"partition     {number} of {count}")
    for name, key in found.items():
        click.echo(f"{name:<12}  {key}")
    click.echo(f"\nredis-cli HGETALL {shlex.quote(found['totals'])}")


async def _ask(url: str, app: str, customer: str) -> tuple[str, int]:
    async with store.connected(url) as client:
        count = await store.partitions(client, app)
        return (await store.find(client, app, customer)).customer, count
