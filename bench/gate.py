"""The gate beside a bare GET and beside the `limits` library's fixed window, on the same Redis, in the same run.

    python -m bench.gate [--url redis://...] [--seconds 3] [--rounds 3] [--clients 1 64] [--processes 8] [--json]

Without --url it starts a Redis of its own. Each row: calls a second, and the milliseconds within which 50, 99 and 99.9 of
100 calls were answered. Clients are spread over processes, as services are; `sync` ones are threads, `asyncio` ones tasks,
`http` ones tasks that ask one `tally api`. What is compared is measured in turns, so that a neighbour of the machine does
not slow one of them only. Last, what one Redis answers when the clients cost next to nothing: redis-benchmark, where it
is installed.
"""

import argparse
import asyncio
import contextlib
import json
import secrets
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import redis
from tallygate._protocol import GATE
from tallygate.layout import VERSION, Keys, partition_of

from bench.gate_clients import CUSTOMERS, measure

PARTITIONS = 16
KINDS = {
    "sync": ("get", "check", "reserve", "limits"),
    "asyncio": ("get", "check", "reserve"),
    "http": ("check", "reserve"),
}


def totals(now: int) -> str:
    """A total of two windows."""
    day = now - now % 86400
    windows = {"day": [[day, day + 86400, "17", 17, "17"]], "total": [[None, None, "170", 170, "170"]]}
    return json.dumps({"w": windows}, separators=(",", ":"))


async def fill(url: str, app: str, ready: threading.Event, stop: threading.Event) -> None:
    """Play the worker: totals of every customer, kept fresh until told to stop."""
    from decimal import Decimal

    from schemas.definitions import Definitions, Limit, Metric
    from stream.core.commit import TERM, Commit, Publication
    from stream.totals.connection import connect
    from stream.totals.gate_config import GateConfigs
    from stream.totals.publisher import Publisher

    calls = Metric(key="calls", name="calls", event_name="call", type="counter", windows=("day", "total"))
    limit = Limit(metric="calls", window="day", limit=Decimal(10**12))
    definitions = Definitions(metrics={"calls": calls}, limits=(limit,))
    client = connect(url)
    configs = GateConfigs(definitions, PARTITIONS)
    row = totals(int(time.time()))

    async def below() -> int:
        return 1

    writers = []
    for number in range(PARTITIONS):
        writer = Publisher(
            client,
            app,
            number,
            PARTITIONS,
            address="127.0.0.1:6066",
            config=configs.of(number),
            below=below,
            on_behind=lambda _: None,
            on_fenced=lambda: None,
        )
        rows = [Publication(name, {"calls": row}, [], whole=True) for name in CUSTOMERS]
        writer.offer(Commit(TERM + 1, 1, [], [], rows, complete=True))
        writers.append(writer)
    tasks = [asyncio.ensure_future(writer.run()) for writer in writers]
    while not all(writer.fresh_us for writer in writers):  # noqa: ASYNC110 - they say it no other way
        await asyncio.sleep(0.01)
    await client.set(f"{app}-plain", "17")
    ready.set()
    await asyncio.to_thread(stop.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await client.aclose()


class Row(NamedTuple):
    """What was measured of one kind of call."""

    call: str
    mode: str
    clients: int
    calls_per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


def rows(options: argparse.Namespace, url: str, api: str, app: str) -> Iterator[Row]:
    """Measure all kinds of one number of clients in turns, some rounds, and then the next number."""
    asked = [(mode, kind) for mode, kinds in KINDS.items() for kind in kinds]
    each_s = options.seconds / options.rounds
    for clients in options.clients:
        took: dict[tuple[str, str], list[float]] = defaultdict(list)
        for mode, kind in asked * options.rounds:
            took[mode, kind] += measure(
                kind, mode, api if mode == "http" else url, app, clients, options.processes, each_s
            )
        for (mode, kind), times in took.items():
            times.sort()
            at = [1000 * times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99, 0.999)]
            yield Row(kind, mode, clients, len(times) / options.seconds, *at)


def capacity(url: str, app: str) -> Iterator[tuple[str, float]]:
    """Calls a second of one Redis from 64 clients of redis-benchmark: GETs, and checks of one customer."""
    program = shutil.which("redis-benchmark")
    if program is None:
        return
    where = urlsplit(url)
    client = redis.Redis.from_url(url)
    client.script_load(GATE.text)
    keys, name = Keys(app, partition_of(CUSTOMERS[0], PARTITIONS)), CUSTOMERS[0]
    check = ["EVALSHA", GATE.sha, "5", keys.status, *keys.of(name), keys.due]
    check += ["check", str(VERSION), str(PARTITIONS), name, "", "", "", "calls", "", "1"]
    for kind, command in (("get", ["GET", f"{app}-plain"]), ("check", check)):
        about = ["-h", str(where.hostname), "-p", str(where.port), "-n", "200000", "-c", "64", "--csv"]
        done = subprocess.run([program, *about, *command], capture_output=True, text=True, check=True)
        # the name of the test may hold commas, so the figures are counted from the end
        yield kind, float(done.stdout.strip().splitlines()[-1].split(",")[-7].strip('"'))


def report(options: argparse.Namespace, url: str) -> None:
    """Fill Redis, measure each kind, print the table."""
    from tests.integration.api.serving import ApiProcess

    app = f"bench-{secrets.token_hex(3)}"
    ready, stop = threading.Event(), threading.Event()
    filling = threading.Thread(target=lambda: asyncio.run(fill(url, app, ready, stop)))
    filling.start()
    ready.wait()
    try:
        with ApiProcess({"TALLY_REDIS": url, "TALLY_APP": app, "TALLY_KAFKA": "127.0.0.1:1"}) as api:
            if not options.json:
                print(
                    f"{'call':9} {'mode':8} {'clients':>7} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'p99.9 ms':>9}"
                )
            found = []
            for row in rows(options, url, api.address, app):
                found.append(row)
                if not options.json:
                    call, mode, clients, rate, *at = row
                    print(
                        f"{call:9} {mode:8} {clients:7} {rate:9.0f} {at[0]:8.2f} {at[1]:8.2f} {at[2]:9.2f}", flush=True
                    )
        at_most = dict(capacity(url, app))
        p99 = {row.call: row.p99_ms for row in found if (row.mode, row.clients) == ("sync", 1)}
        ratio = p99["check"] / p99["get"] if "check" in p99 else None
        if options.json:
            print(
                json.dumps({"rows": [row._asdict() for row in found], "redis_benchmark": at_most, "p99_ratio": ratio})
            )
            return
        for kind, rate in at_most.items():
            print(f"{kind:9} {'redis-benchmark':>16} {rate:9.0f} calls/s from 64 clients")
        if ratio is not None:
            print(f"one client: a check's p99 is {ratio:.2f} times a GET's (goal: 1.5)")
    finally:
        stop.set()
        filling.join()


def main() -> None:
    """Measure on the Redis of --url, or on one of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row, in all rounds together")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from tests.servers.stores import Redis

    with contextlib.ExitStack() as stack:
        url = options.url or stack.enter_context(Redis()).url
        report(options, url)


if __name__ == "__main__":
    main()
