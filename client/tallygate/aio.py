"""The gate, for asyncio."""

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, cast

from redis.exceptions import RedisClusterException, RedisError, TimeoutError  # noqa: A004 - redis-py's own

from tallygate import urls
from tallygate._protocol import Protocol, Talk
from tallygate._scripts import whole
from tallygate.answers import Check, Release, Reservation
from tallygate.errors import GateUnavailable
from tallygate.layout import Scalar
from tallygate.requests import TIMEOUT_S, Duration, Lines, Number, asked


class AsyncGate:
    """Lets requests in on the running totals, one round trip to Redis each. One for each event loop.

    Every method raises `GateUnavailable` where Redis cannot be reached in time.
    """

    def __init__(self, redis: Any, app: str = "tally") -> None:
        """Make a gate on a redis.asyncio client of your own; it must not decode responses unless as UTF-8."""
        self._redis = redis
        self._protocol = Protocol(app)
        self._within_s: float | None = None

    @classmethod
    def from_url(cls, url: str, app: str = "tally", *, timeout: float = TIMEOUT_S) -> "AsyncGate":
        """Make a gate by URL: `redis`, `rediss`, `redis+sentinel`, `redis+cluster`.

        `app` is the worker's TALLY_APP, `timeout` the seconds that Redis has to answer; a failed call is tried again
        twice, so a call lasts at most about three times as long.
        """
        try:
            gate = cls(urls.connect_async(url, timeout_s=timeout), app)
            if urls.parse(url).kind == "cluster":
                gate._within_s = 3.5 * timeout
            return gate
        except (RedisError, RedisClusterException, OSError) as error:
            raise GateUnavailable(f"Redis cannot be reached: {error}") from error

    async def check(
        self,
        customer: str | int,
        metric: str | None = None,
        cost: Number = 1,
        group: Mapping[str, Scalar] | None = None,
        max_staleness: Duration | None = None,
        *,
        lines: Lines | None = None,
    ) -> Check:
        """Ask whether every limit allows so much more; nothing changes.

        Raises:
            ValueError: the request is wrong.
            GateUnavailable: Redis cannot be reached.
        """
        talk = self._protocol.check(customer, asked(metric, cost, group, lines), max_staleness)
        return cast("Check", await self._run(talk))

    async def reserve(
        self,
        customer: str | int,
        metric: str | None = None,
        cost: Number = 1,
        id: str | int | None = None,  # noqa: A002 - the contract's name
        ttl: Duration = 60,
        group: Mapping[str, Scalar] | None = None,
        max_staleness: Duration | None = None,
        *,
        lines: Lines | None = None,
    ) -> Reservation:
        """Take a hold where every limit allows it, until its event settles it, it is released, or it lapses.

        Give the event the answer's `id` as its `reservation` and the answer's `at` as its time. The same id again is the
        same hold. A hold lapses when the totals have become fresh past its `ttl` (seconds, at most an hour).

        Raises:
            ValueError: the request is wrong.
            OtherLines: a hold of this id is there, with other lines.
            GateUnavailable: Redis cannot be reached. The hold may have been taken: repeat with the same id.
        """
        talk = self._protocol.reserve(customer, asked(metric, cost, group, lines), max_staleness, id, ttl)
        return cast("Reservation", await self._run(talk))

    async def release(self, customer: str | int, id: str | int) -> Release:  # noqa: A002 - likewise
        """Give a hold back: nothing was used, and no event will come.

        Raises:
            ValueError: the id is wrong.
            GateUnavailable: Redis cannot be reached; the hold lapses by itself.
        """
        return cast("Release", await self._run(self._protocol.release(customer, id)))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def __aenter__(self) -> "AsyncGate":  # noqa: PYI034 - Self is newer than Python 3.10
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, talk: Talk) -> object:
        reply = None
        try:
            while True:
                send = talk.send(reply)
                if send.script is None:
                    call = whole(self._redis.hmget(send.keys[0], list(send.args)))
                else:
                    call = send.script.call_async(self._redis, send.keys, send.args)
                reply = await (call if self._within_s is None else _ended(call, self._within_s))
        except StopIteration as done:
            return done.value
        except (RedisError, RedisClusterException, OSError) as error:
            raise GateUnavailable(f"Redis did not answer: {error}") from error


async def _ended(call: Coroutine[Any, Any, Any], within_s: float) -> Any:
    """Await a call for so many seconds at most, then leave it behind.

    redis-py's cluster client bounds each read, but a call whose connection another task closes, after a failover, was
    seen to wait for ever.
    """
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=within_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise TimeoutError(f"no answer within {within_s:g} s")
    return task.result()
