"""Totals back out of Redis, for the command line, the HTTP API and tests."""

from dataclasses import dataclass
from typing import Any

from tallygate import layout

_STATUS = (
    layout.LAYOUT,
    layout.PARTITIONS,
    layout.VERSION_HELD,
    layout.POSITION,
    layout.FRESH,
    layout.COMPLETE,
    layout.ADDRESS,
)


@dataclass(frozen=True)
class Seen:
    """What Redis holds of a customer, with its partition's state, read at one instant of its clock.

    `totals` is None for a customer without totals: where `status.complete`, none of its events has been counted.
    `position` is the offset up to which the partition's log is included in these totals.
    """

    customer: str
    partition: int
    now_us: int
    status: layout.Status | None
    totals: layout.CustomerTotals | None

    @property
    def position(self) -> int | None:
        """The next offset: all below it that concerns this customer is included; None where nothing is known."""
        known = [self.totals.position] if self.totals is not None else []
        if self.status is not None and self.status.complete and self.status.position is not None:
            known.append(self.status.position)
        return max(known, default=None)


async def read(redis: Any, app: str, customer: str, partitions: int) -> Seen:
    """Read a customer, following an alias, in one atomic step of its partition.

    Args:
        redis: an asyncio client.
        app: the app's name.
        customer: canonical id or alias.
        partitions: how many there are (`partitions_of`).

    """
    seen, alias_of = await _read(redis, app, customer, partitions)
    if alias_of is not None:
        seen, _ = await _read(redis, app, alias_of, partitions)
    return seen


async def partitions_of(redis: Any, app: str) -> int | None:
    """How many partitions the app's totals are spread over; None where no worker has said so.

    Raises:
        ValueError: the totals are kept in a layout that this program does not know.

    """
    kept_as, count = await redis.hmget(layout.app_key(app), layout.APP_LAYOUT, layout.APP_PARTITIONS)
    if kept_as is None or count is None:
        return None
    if int(kept_as) != layout.VERSION:
        raise ValueError(f"Redis holds layout {int(kept_as)}, this program reads layout {layout.VERSION}")
    return int(count)


async def status_of(redis: Any, app: str, number: int) -> layout.Status | None:
    """What Redis says of a partition; None where it holds nothing of it."""
    return layout.parse_status(_named(await redis.hmget(layout.Keys(app, number).status, _STATUS)))


async def _read(redis: Any, app: str, customer: str, partitions: int) -> tuple[Seen, str | None]:
    number = layout.partition_of(customer, partitions)
    keys = layout.Keys(app, number)
    text = "return {redis.call('TIME'), redis.call('HMGET', KEYS[1], unpack(ARGV)), redis.call('HGETALL', KEYS[2])}"
    time, status, totals = await redis.eval(text, 2, keys.status, keys.totals(customer), *_STATUS)
    fields = _pairs(totals)
    seen = Seen(
        customer,
        number,
        int(time[0]) * 1_000_000 + int(time[1]),
        layout.parse_status(_named(status)),
        layout.parse_customer(fields),
    )
    return seen, layout.parse_alias(fields)


def _pairs(flat: list[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


def _named(values: list[bytes | None]) -> dict[bytes, bytes]:
    pairs = zip(_STATUS, values, strict=True)
    return {name.encode(): value for name, value in pairs if value is not None}
