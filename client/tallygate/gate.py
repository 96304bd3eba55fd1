"""The gate, for threads."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, cast

from redis.exceptions import RedisClusterException, RedisError

from tallygate import urls
from tallygate._protocol import Protocol, Talk
from tallygate.answers import Check, Release, Reservation
from tallygate.errors import GateUnavailable
from tallygate.layout import Scalar
from tallygate.requests import TIMEOUT_S, Duration, Lines, Number, asked


class Gate:
    """Lets requests in on the running totals, one round trip to Redis each. Safe to share between threads.

    Every method raises `GateUnavailable` where Redis cannot be reached in time.
    """

    def __init__(self, redis: Any, app: str = "tally") -> None:
        """Make a gate on a redis-py client of your own; it must not decode responses unless as UTF-8."""
        self._redis = redis
        self._protocol = Protocol(app)

    @classmethod
    def from_url(cls, url: str, app: str = "tally", *, timeout: float = TIMEOUT_S) -> "Gate":
        """Make a gate by URL: `redis`, `rediss`, `redis+sentinel`, `redis+cluster`.

        `app` is the worker's TALLY_APP, `timeout` the seconds that Redis has to answer; a failed call is tried again
        twice, so a call lasts at most about three times as long.
        """
        try:
            return cls(urls.connect(url, timeout_s=timeout), app)
        except (RedisError, RedisClusterException, OSError) as error:
            raise GateUnavailable(f"Redis cannot be reached: {error}") from error

    def check(
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
        return cast("Check", self._run(talk))

    def reserve(
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
        return cast("Reservation", self._run(talk))

    def release(self, customer: str | int, id: str | int) -> Release:  # noqa: A002 - likewise
        """Give a hold back: nothing was used, and no event will come.

        Raises:
            ValueError: the id is wrong.
            GateUnavailable: Redis cannot be reached; the hold lapses by itself.
        """
        return cast("Release", self._run(self._protocol.release(customer, id)))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def __enter__(self) -> "Gate":  # noqa: PYI034 - Self is newer than Python 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, talk: Talk) -> object:
        reply = None
        try:
            while True:
                send = talk.send(reply)
                if send.script is None:
                    reply = self._redis.hmget(send.keys[0], list(send.args))
                else:
                    reply = send.script.call(self._redis, send.keys, send.args)
        except StopIteration as done:
            return done.value
        except (RedisError, RedisClusterException, OSError) as error:
            raise GateUnavailable(f"Redis did not answer: {error}") from error
