"""GET /v1/usage: totals out of Redis, and of earlier windows from the worker that owns the customer's partition."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec
from redis.exceptions import RedisClusterException, RedisError
from tallygate.requests import customer_id

from schemas.definitions import KINDS
from schemas.totals import instant_us
from stream.core.timestamps import BadTimestamp, microseconds
from stream.totals.reader import Seen, partitions_of, read
from tally import store
from tally.api.problems import Problem, Wrong
from tally.worker_http import FORWARD_S

PARAMETERS = ("customer", "metric", "window", "at")


class Asked(msgspec.Struct, frozen=True):
    """The parameters, checked; `at_us` is microseconds since the epoch."""

    customer: str
    metric: str | None
    window: str | None
    at_us: int | None


class _Rows(msgspec.Struct):
    rows: list[msgspec.Raw]


def asked(query: Mapping[str, str], *, repeated: bool = False) -> Asked:
    """Read the parameters; raises Wrong."""
    for name in query:
        if name not in PARAMETERS:
            raise Wrong(name[:80], f"is no parameter: there are {', '.join(PARAMETERS)}")
    if repeated:
        raise Wrong("", "a parameter stands twice: write each once")
    customer, window = query.get("customer"), query.get("window")
    if not customer:
        raise Wrong("customer", "is missing: write the customer's id")
    try:
        customer_id(customer)
    except ValueError as fault:
        raise Wrong("customer", str(fault)) from None
    if window is not None and window not in KINDS:
        raise Wrong("window", f"is no kind of window: there are {', '.join(KINDS)}")
    try:
        at_us = microseconds(query["at"]) if "at" in query else None
    except BadTimestamp as bad:
        raise Wrong("at", str(bad)) from None
    return Asked(customer, query.get("metric"), window, at_us)


class Totals:
    """Reads totals, with a client of redis.asyncio and a session that asks workers."""

    def __init__(self, redis: Any, session: aiohttp.ClientSession, app: str) -> None:
        self._redis, self._session, self._app = redis, session, app

    async def find(self, about: Asked) -> dict[str, Any]:
        """The rows, as `tally usage --json` prints them. Raises Problem: 400 for an unknown metric, 503."""
        try:
            partitions = await partitions_of(self._redis, self._app)
            if partitions is None:
                raise Problem(503, f"no worker of the app {self._app!r} has written to Redis yet")
            seen = await read(self._redis, self._app, about.customer, partitions)
        except (RedisError, RedisClusterException, OSError) as error:
            raise Problem(503, f"Redis does not answer ({str(error) or type(error).__name__})") from error
        except ValueError as other_layout:
            raise Problem(503, str(other_layout)) from other_layout
        if about.at_us is not None:
            return await self._ask(seen, about, about.at_us)
        if seen.status is None or not seen.status.complete:
            raise Problem(503, f"Redis does not hold the totals of partition {seen.partition} yet")
        rows = store.rows(seen, about.metric, about.window)
        gauges = seen.totals is not None and bool(seen.totals.states)
        if gauges or (about.metric is not None and not rows):
            # A gauge lives on through windows without events, which only the worker's calendar can say; and only the
            # worker knows whether a metric without a total is one.
            return await self._ask(seen, about, seen.now_us)
        return {"rows": [row.to_json() for row in rows]}

    async def ready(self) -> str | None:
        """Why Redis cannot be asked, or None."""
        try:
            await partitions_of(self._redis, self._app)
        except ValueError as other_layout:
            return str(other_layout)
        except (RedisError, RedisClusterException, OSError) as error:
            return f"Redis does not answer ({str(error) or type(error).__name__})"
        return None

    async def _ask(self, seen: Seen, about: Asked, at_us: int) -> dict[str, Any]:
        address = seen.status.address if seen.status is not None else None
        if not address:
            raise Problem(503, f"no worker owns partition {seen.partition} yet")
        given = {"customer": seen.customer, "metric": about.metric, "window": about.window, "at": instant_us(at_us)}
        params = {name: value for name, value in given.items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=FORWARD_S)
        try:
            async with self._session.get(f"http://{address}/v1/usage", params=params, timeout=timeout) as response:
                status, body = response.status, await response.read()
            if status == 200:
                return {"rows": msgspec.json.decode(body, type=_Rows).rows}
            said = str(msgspec.json.decode(body, type=dict[str, Any]).get("error", status))
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError, ValueError) as error:
            text = str(error) or type(error).__name__
            raise Problem(503, f"the worker of partition {seen.partition} does not answer ({text})") from error
        if status == 404:
            raise Wrong("metric", f"{said}: write a metric's key in the definitions")
        if status == 400:
            raise Wrong("", said)
        raise Problem(503, f"the worker of partition {seen.partition} says: {said}")
