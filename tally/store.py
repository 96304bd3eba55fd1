"""Totals as they stand in Redis, for the commands that read them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from redis.exceptions import RedisError
from tallygate import layout
from tallygate.urls import connect_async

from schemas.totals import Position, Total

ANSWER_S = 5.0  # a Redis that is silent for longer is called unreachable

READ = """
-- KEYS[1] a partition's hash, KEYS[2] a customer's totals. Answers both with the time, as they are at one instant.
return {redis.call('TIME'), redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])}
"""


def without_secrets(url: str) -> str:
    """A URL as it may be printed: with its hosts, without its login."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class Unreachable(click.ClickException):
    """Redis does not answer; exit code 1."""

    def __init__(self, url: str, error: object) -> None:
        super().__init__(f"Redis does not answer at {without_secrets(url)} ({error}). Set TALLY_REDIS, or start it.")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A client of redis-py; what Redis refuses inside becomes Unreachable."""
    client = connect_async(url, timeout_s=ANSWER_S)
    try:
        yield client
    except (RedisError, OSError) as error:
        raise Unreachable(url, error) from error
    finally:
        await client.aclose()


async def partitions(client: Any, app: str) -> int:
    """How many partitions an app has; ClickException where no worker of it has been here yet."""
    found = await client.hgetall(layout.app_key(app))
    if not found:
        raise click.ClickException(f"No worker of the app {app!r} has written to this Redis yet. Is TALLY_APP right?")
    version = int(found[layout.APP_LAYOUT.encode()])
    if version != layout.VERSION:
        raise click.ClickException(f"Redis holds layout {version}, this tally reads layout {layout.VERSION}.")
    return int(found[layout.APP_PARTITIONS.encode()])


class Found(msgspec.Struct, frozen=True):
    """What Redis holds of one customer at one instant of its own clock (`now_us`, microseconds).

    `customer` is the canonical id; `totals` is None where it holds nothing; `status` where no worker has written
    the partition yet.
    """

    customer: str
    partition: int
    now_us: int
    status: layout.Status | None
    totals: layout.CustomerTotals | None

    def rows(self, metric: str | None, window: str | None) -> list[Total]:
        """The totals of the windows that hold at Redis's own time, in the order of the output."""
        if self.totals is None or self.status is None:
            return []
        # the customer's own position may be ahead of the partition's while a publication is under way, and behind it
        # when the customer has been quiet: all below the greater one is included
        position = Position(self.partition, max(self.totals.position, self.status.position or 0))
        rows = [
            Total(
                customer=self.customer,
                metric=total.metric,
                window=total.window,
                start=total.start,
                end=total.end,
                group=dict(total.group),  # type: ignore[arg-type]  # floats are read as Decimal
                value=total.value,
                events=total.events,
                as_of_us=self.status.fresh_us,
                position=position,
            )
            for total in self.totals.at(self.now_us / 1_000_000)
            if metric in {None, total.metric} and window in {None, total.window}
        ]
        return sorted(rows, key=Total.order)


async def find(client: Any, app: str, customer: str) -> Found:
    """Read a customer by id or alias; an alias costs a second round trip."""
    count = await partitions(client, app)
    found, canonical = await _read(client, app, customer, layout.partition_of(customer, count))
    if canonical is not None:
        found, _ = await _read(client, app, canonical, layout.partition_of(canonical, count))
    return found


async def _read(client: Any, app: str, customer: str, number: int) -> tuple[Found, str | None]:
    """What stands under an id, and the customer that it is an alias of, if it is one."""
    keys = layout.Keys(app, number)
    (seconds, micros), status, totals = await client.eval(READ, 2, keys.status, keys.totals(customer))
    hash_ = _pairs(totals)
    now_us = int(seconds) * 1_000_000 + int(micros)
    found = Found(customer, number, now_us, layout.parse_status(_pairs(status)), layout.parse_customer(hash_))
    return found, layout.parse_alias(hash_)


def _pairs(flat: Sequence[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    if isinstance(flat, dict):  # RESP3 answers a map
        return flat
    return dict(zip(flat[::2], flat[1::2], strict=True))
