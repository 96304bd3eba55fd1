"""What the totals and the gate cost Redis: bytes of a customer and of a hold, server time of each script.

    python bench/gate_cost.py [--server redis|valkey] [--customers 20000]

Server time is Redis's own: wall time inside `EVALSHA` (`INFO commandstats`), and the processor time of the whole server
(`INFO cpu`), which also holds reading and writing the sockets and does not grow when neighbours take the processor.
Three metrics of three windows each, one hard limit, as in the design's measurements.
"""

import argparse
import asyncio
import json
import secrets
import time
from decimal import Decimal
from typing import Any

from tallygate import AsyncGate
from tallygate._protocol import GATE
from tallygate.layout import Keys

from schemas.definitions import Definitions, Limit, Metric
from stream.core.commit import TERM, Commit, Publication
from stream.totals.connection import connect
from stream.totals.gate_config import GateConfigs
from stream.totals.publisher import Publisher
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
    before = await redis.info("cpu")
    await work
    after = await redis.info("cpu")
    stats = (await redis.info("commandstats")).get("cmdstat_evalsha", {"usec": 0})
    cpu = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    print(f"{what:34} {stats['usec'] / count:7.2f} us in the script, {1e6 * cpu / count:7.2f} us of processor time")


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
    while not writer.complete:  # noqa: ASYNC110 - the publisher says it no other way
        await asyncio.sleep(0.01)

    async def publish(version: int, publications: list[Publication]) -> None:
        writer.offer(Commit(TERM + version, version, [], [], publications, True))
        while writer.published != TERM + version:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)

    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "publish, new customer", customers, publish(2, first))
    after = (await redis.info("memory"))["used_memory"]
    print(f"{'memory of a customer':34} {(after - before) / customers:7.0f} bytes")
    again = [Publication(name, {METRICS[0]: row(n + 1, now)}, [], False) for n, name in enumerate(names)]
    await spent(redis, "publish, one of three metrics", customers, publish(3, again))
    gate = AsyncGate(redis, app)
    await gate.check(names[0], METRICS[0])

    keys, one = Keys(app, 0), names[0]

    async def ask(op: str, customers: list[str]) -> None:
        """Many calls in each round trip, so that what is measured is the script."""
        for start in range(0, len(customers), 250):
            pipe = redis.pipeline(transaction=False)
            for n, name in enumerate(customers[start : start + 250], start):
                about = ["", f"job-{n:05}", 3_600_000_000] if op == "reserve" else ["", "", ""]
                pipe.evalsha(
                    GATE.sha, 5, keys.status, *keys.of(name), keys.due, op, 1, 1, name, *about, METRICS[0], "", 1
                )
            assert all(answer.startswith(b"answer\n1\n") for answer in await pipe.execute())

    for _ in range(3):
        await spent(redis, "check", 10_000, ask("check", names[:10_000]))
    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "reserve, a customer's first hold", 5000, ask("reserve", names[:5000]))
    print(f"{'memory of the first hold':34} {((await redis.info('memory'))['used_memory'] - before) / 5000:7.0f} bytes")
    before = (await redis.info("memory"))["used_memory"]
    await spent(redis, "reserve, one of many holds", 5000, ask("reserve", [one] * 5000))
    print(
        f"{'memory of one of many holds':34} {((await redis.info('memory'))['used_memory'] - before) / 5000:7.0f} bytes"
    )
    settles = [f"job-{n:05}" for n in range(5000)]
    row_of: dict[str, str | None] = {METRICS[0]: row(5, now)}
    assert await redis.hlen(keys.holds(one)) >= 5000
    settled = publish(4, [Publication(one, row_of, settles, False)])
    await spent(redis, "settle", 5000, settled)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await redis.aclose()


def main() -> None:
    """Start a server and measure on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["redis", "valkey"], default="redis")
    parser.add_argument("--customers", type=int, default=20_000, help="10,000 or more")
    options = parser.parse_args()
    with (Redis if options.server == "redis" else Valkey)() as server:
        asyncio.run(measure(server.url, options.customers))


if __name__ == "__main__":
    main()
