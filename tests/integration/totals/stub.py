"""An engine in thirty lines: events in a list, commits of counts, and what the publisher asks of it."""

import asyncio
import contextlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tallygate.layout import partition_of

from schemas.definitions import Definitions, Metric
from stream.core.commit import TERM, Commit, Publication
from stream.totals.connection import connect
from stream.totals.gate_config import GateConfigs
from stream.totals.publisher import Publisher

PARTITIONS = 4
METRICS = ("calls", "tokens", "errors")


def definitions(**more: Any) -> Definitions:
    """Three metrics and no limits, unless the test has some."""
    metrics = {key: Metric(key=key, name=key, event_name=key, type="counter", windows=("total",)) for key in METRICS}
    return Definitions(metrics=metrics, **more)


def names(number: int, count: int) -> list[str]:
    """So many customers at home in a partition."""
    found: list[str] = []
    candidate = 0
    while len(found) < count:
        if partition_of(f"c{candidate}", PARTITIONS) == number:
            found.append(f"c{candidate}")
        candidate += 1
    return found


class Engine:
    """Counts events by customer and metric; the log is a list of (customer, metric, reservation or None)."""

    def __init__(self, number: int = 0, term: int = 1, *, after: "Engine | None" = None) -> None:
        """A new owner restores what the one before it committed."""
        self.number = number
        self.log: list[tuple[str, str, str | None]] = [] if after is None else after.log
        self.version = term * TERM
        self.watermark: int | None = None
        self.asked: list[int | None] = []
        self.fenced = False
        self._dirty: dict[str, set[str]] = defaultdict(set)
        self._settles: dict[str, list[str]] = defaultdict(list)
        self._changed: dict[str, int] = {} if after is None else dict(after._changed)
        self._settled: list[tuple[int, str, str]] = [] if after is None else list(after._settled)
        self._marked: set[str] = set()
        self._header_owed = True

    def recount(self, customer: str, position: int) -> Counter[str]:
        return Counter(metric for name, metric, _ in self.log[:position] if name == customer)

    def event(self, customer: str, metric: str, reservation: str | None = None) -> None:
        self.log.append((customer, metric, reservation))
        self._dirty[customer].add(metric)
        if reservation:
            self._settles[customer].append(reservation)

    def take(self, most: int = 50) -> Commit | None:
        if not (self._dirty or self._marked or self._header_owed):
            return None
        self._header_owed = False
        self.version += 1
        publications = []
        again = sorted(self._marked & set(self._dirty)) + sorted(self._marked - set(self._dirty))
        rest = {customer for customer in again[most:] if customer not in self._dirty}
        for customer in dict.fromkeys([*self._dirty, *(c for c in again if c not in rest)]):
            whole = customer in self._marked or customer not in self._changed
            total = self.recount(customer, len(self.log))
            metrics = total if whole else self._dirty[customer]
            fields: dict[str, str | None] = {metric: shown(total[metric]) for metric in sorted(metrics)}
            settles = list(self._settles.pop(customer, []))
            if customer in self._marked:
                settles = [r for _, c, r in self._settled if c == customer] + settles
            publications.append(Publication(customer, fields, settles, whole))
        for customer in self._dirty:
            self._changed[customer] = self.version
        for publication in publications:
            self._settled += [(self.version, publication.customer, r) for r in publication.settles]
        self._dirty.clear()
        self._marked = rest
        return Commit(self.version, len(self.log), [], [], publications, not rest)

    def publish_since(self, version: int | None) -> int:
        self.asked.append(version)
        floor = self.version
        self._marked = {c for c, changed in self._changed.items() if version is None or changed > version}
        self._header_owed = True
        return floor

    async def below(self) -> int:
        return len(self.log) if self.watermark is None else self.watermark

    def fence(self) -> None:
        self.fenced = True

    def publisher(self, redis: Any, app: str, about: Definitions | None = None) -> Publisher:
        return Publisher(
            redis,
            app,
            self.number,
            PARTITIONS,
            address="127.0.0.1:6066",
            config=GateConfigs(about or definitions(), PARTITIONS).of(self.number),
            below=self.below,
            on_behind=self.publish_since,
            on_fenced=self.fence,
        )

    def work(self, randomly: random.Random, customers: list[str], events: int) -> None:
        for _ in range(events):
            self.event(randomly.choice(customers), randomly.choice(METRICS))


def shown(count: int) -> str:
    """The field of a metric whose total of all time is this."""
    return json.dumps({"w": {"total": [[None, None, str(count), count, str(count)]]}}, separators=(",", ":"))


class Faulty:
    """A client whose script calls pass a hook first and another after."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.calls = 0
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None

    async def evalsha(self, *args: Any) -> Any:
        return await self._run(self._redis.evalsha, args)

    async def eval(self, *args: Any) -> Any:
        return await self._run(self._redis.eval, args)

    async def _run(self, call: Any, args: Any) -> Any:
        self.calls += 1
        if self.before is not None:
            await self.before()
        answer = await call(*args)
        if self.after is not None:
            await self.after()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


@contextlib.asynccontextmanager
async def client(url: str) -> AsyncIterator[Any]:
    """A connection for the test."""
    redis = connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[Publisher]:
    """A publisher at work."""
    task = asyncio.ensure_future(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def drive(engine: Engine, writer: Publisher) -> bool:
    """Offer all there is, as the engine's committer does; say whether all of it is in Redis."""
    while (commit := engine.take()) is not None:
        writer.offer(commit)
    return writer.complete and writer.published == engine.version


@contextlib.asynccontextmanager
async def at_work(
    url: str, app: str, through: Callable[[Any], Any] = lambda redis: redis
) -> AsyncIterator[tuple[Any, Engine, Publisher, list[str]]]:
    """A connection for the test, an engine, its publisher at work, and 40 customers; it publishes `through` a client."""
    async with client(url) as redis:
        engine = Engine()
        async with running(engine.publisher(through(redis), app)) as writer:
            yield redis, engine, writer, names(0, 40)


async def until(done: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait for a condition; TimeoutError says that it did not come."""
    async with asyncio.timeout(within_s):
        while not done():  # noqa: ASYNC110 - some conditions are another program's
            await asyncio.sleep(0.002)


async def image(redis: Any, app: str, partitions: int = PARTITIONS) -> dict[bytes, Any]:
    """Every key of an app with its value: to see that nothing changed."""
    found: dict[bytes, Any] = {}
    for number in range(partitions):
        async for key in redis.scan_iter(match=f"{app}:{{{number}}}*", count=1000):
            found[key] = await contents(redis, key)
    return found


async def contents(redis: Any, key: bytes) -> Any:
    """A key's value, whatever its type."""
    kind = await redis.type(key)
    if kind == b"hash":
        return await redis.hgetall(key)
    if kind == b"zset":
        return await redis.zrange(key, 0, -1, withscores=True)
    return await redis.smembers(key)
