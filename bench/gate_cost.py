"""What the totals and the gate cost Redis: bytes of a customer and of a hold, server time of each script.

    python bench/gate_cost.py [--server redis|valkey] [--customers 20000]

Server time is Redis's own (`INFO commandstats`, microseconds spent in `EVALSHA`), so it holds no network and no Python.
Three metrics of three windows each, one hard limit, as in the design's measurements.
"""

import argparse
import asyncio
import json
import secrets
import time
from decimal import Decimal
from typing import Any

from schemas.definitions import Definitions, Limit, Metric
from stream.core.commit import TERM, Commit, Publication
from stream.totals.connection import connect
from stream.totals.gate_config import GateConfigs
from stream.totals.publisher import Publisher
from tallygate import AsyncGate
from tallygate.layout import Keys, partition_of
from tests.servers.stores import Redis, Valkey

METRICS = ("api_requests", "input_tokens", "output_tokens")
HOUR = 3600


def row(value: int, now: int) -> str:
    """A total of three windows, each with the one before it."""
    hour, day = now - now % HOUR, now - now % 86400
    windows = {
        "hour": [[hour - HOUR, hour, str(value), 7, str(value)], [hour, hour + HOUR, str(value), 7, str(value)]],
        "day": [[day - 86400, day, str(value), 70, str(value)], [day, day + 86400, str(value), 70, str(value)]],
        "total": [[None, None, str(value * 100), 7000, str(value * 100)]],
    }
    return json.dumps({"w": windows}, separators=(",", ":"))


async def spent(redis: Any, what: str, count: int, work: Any) -> None:
    """Run some work and print the server's time for each of `count`."""
    await redis.config_resetstat()
    began = time.perf_counter()
    await work
    wall = time.perf_counter() - began
    stats = (await redis.info("commandstats")).get("cmdstat_evalsha", {"usec": 0, "calls": 0})
    print(f"{what:34} {stats['usec'] / count:7.2f} us of server time each, {1e6 * wall / count:8.2f} us of wall time each")


async def measure(url: str, customers: int) -> None:
    """Measure publishing, memory, checks and reservations."""
    redis = connect(url)
    app = f"cost-{secrets.token_hex(3)}"
    definitions = Definitions(
        metrics={
            key: Metric(key=key, name=key, event_name=key, type="counter", windows=("hour", "day", "total"))
            for key in METRICS
        },
        limits=(Limit(metric="api_requests", window="day", limit=Decimal(1_000_000_000)),),
    )
    names = [f"customer-{n:06}" for n in range(customers)]

    async def below() -> int:
        return 1

    writer = Publisher(
        redis,
        app,
        0,
        1,
        address="127.0.0.1:6066",
        config=GateConfigs(definitions, 1).of(0),
        below=below,
        on_behind=lambda _: None,
        on_fenced=lambda: None,
    )
    now = int(time.time())
    first = [Publication(name, dict.fromkeys(METRICS, row(n, now)), [], True) for n, name in enumerate(names)]
    writer.offer(Commit(TERM + 1, 1, [], [], [], True))
    running = asyncio.ensure_future(writer.run())
    while not writer.complete:
        await asyncio.sleep(0.01)

    async def publish(version: int, publications: list[Publication]) -> None:
        writer.offer(Commit(TERM + version, version, [], [], publications, True))
        while writer.published != TERM + version:
            await asyncio.sleep(0)

    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "publish, new customer", customers, publish(2, first))
    after = (await redis.info("memory"))["used_memory"]
    print(f"{'memory of a customer':34} {(after - before) / customers:7.0f} bytes")
    again = [Publication(name, {METRICS[0]: row(n + 1, now)}, [], False) for n, name in enumerate(names)]
    await spent(redis, "publish, one of three metrics", customers, publish(3, again))
    gate = AsyncGate(redis, app)
    await gate.check(names[0], METRICS[0])

    async def checks() -> None:
        for name in names[:5000]:
            assert await gate.check(name, METRICS[0])

    async def reserves(of: str) -> None:
        for n in range(5000):
            assert await gate.reserve(names[n] if of == "each" else names[0], METRICS[0], id=f"job-{n:05}", ttl=3600)

    await spent(redis, "check", 5000, checks())
    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "reserve, a customer's first hold", 5000, reserves("each"))
    print(f"{'memory of the first hold':34} {((await redis.info('memory'))['used_memory'] - before) / 5000:7.0f} bytes")
    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "reserve, one of many holds", 5000, reserves("one"))
    print(f"{'memory of one of many holds':34} {((await redis.info('memory'))['used_memory'] - before) / 5000:7.0f} bytes")
    settles = [f"job-{n:05}" for n in range(5000)]
    row_of = {METRICS[0]: row(5, now)}
    one = partition_of(names[0], 1)
    assert await redis.hlen(Keys(app, one).holds(names[0])) >= 5000
    settled = publish(4, [Publication(names[0], row_of, settles, False)])
    await spent(redis, "settle", 5000, settled)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await redis.aclose()


def main() -> None:
    """Start a server and measure on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["redis", "valkey"], default="redis")
    parser.add_argument("--customers", type=int, default=20_000)
    options = parser.parse_args()
    with (Redis if options.server == "redis" else Valkey)() as server:
        asyncio.run(measure(server.url, options.customers))


if __name__ == "__main__":
    main()
