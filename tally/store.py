"""Totals as they stand in Redis, for the commands that read them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import click
from redis.exceptions import RedisError

from schemas.totals import Position, Total
from stream.totals.connection import connect
from stream.totals.reader import Seen, partitions_of, read


def without_secrets(url: str) -> str:
    """A URL as it may be printed: with its hosts, without its login and options.

    >>> without_secrets("rediss://user:secret@host:6380/0?password=x")
    'rediss://host:6380/0'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


class Unreachable(click.ClickException):
    """Redis does not answer; exit code 1."""

    def __init__(self, url: str, error: object) -> None:
        text = str(error).rstrip(".") or type(error).__name__
        super().__init__(f"Redis does not answer at {without_secrets(url)} ({text}). Set TALLY_REDIS, or start it.")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A client of redis-py; that Redis does not answer becomes Unreachable."""
    try:
        client = connect(url)
    except ValueError as error:
        raise click.UsageError(f"TALLY_REDIS: {error}") from error
    try:
        yield client
    except (RedisError, OSError) as error:
        raise Unreachable(url, error) from error
    finally:
        await client.aclose()


async def partitions(client: Any, app: str) -> int:
    """How many partitions an app has; ClickException where no worker of it has been here yet."""
    try:
        found = await partitions_of(client, app)
    except ValueError as other_layout:
        raise click.ClickException(f"{other_layout}.") from other_layout
    if found is None:
        raise click.ClickException(f"No worker of the app {app!r} has written to this Redis yet. Is TALLY_APP right?")
    return found


async def find(client: Any, app: str, customer: str) -> Seen:
    """Read a customer by id or alias; an alias costs a second round trip."""
    return await read(client, app, customer, await partitions(client, app))


def rows(seen: Seen, metric: str | None, window: str | None) -> list[Total]:
    """The totals of the windows that hold at Redis's own time, in the order of the output."""
    if seen.totals is None or seen.status is None or seen.position is None:
        return []
    position = Position(seen.partition, seen.position)
    found = [
        Total(
            customer=seen.customer,
            metric=total.metric,
            window=total.window,
            start=total.start,
            end=total.end,
            group=dict(total.group),  # type: ignore[arg-type]  # its floats are read as Decimal
            value=total.value,
            events=total.events,
            error=total.error,
            as_of_us=seen.status.fresh_us,
            position=position,
        )
        for total in seen.totals.at(seen.now_us / 1_000_000)
        if metric in {None, total.metric} and window in {None, total.window}
    ]
    return sorted(found, key=Total.order)
