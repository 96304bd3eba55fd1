"""The clients of bench/gate.py, in processes of their own; they import little, since each process imports it anew."""

import asyncio
import contextlib
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import redis
import redis.asyncio
from tallygate import AsyncGate, Gate

CUSTOMERS = [f"customer-{n:04}" for n in range(2000)]


def sync_call(kind: str, url: str, app: str, names: "itertools.cycle[str]") -> Callable[[], object]:
    """One call of a kind, for threads."""
    if kind == "get":
        client = redis.Redis.from_url(url)
        return lambda: client.get(f"{app}-plain")
    if kind == "limits":
        from limits import parse
        from limits.storage import storage_from_string
        from limits.strategies import FixedWindowRateLimiter

        limiter, item = FixedWindowRateLimiter(storage_from_string(url)), parse("1000000000/day")
        return lambda: limiter.hit(item, app, next(names))
    gate = Gate.from_url(url, app, timeout=10)
    if kind == "check":
        return lambda: gate.check(next(names), "calls")
    return lambda: gate.reserve(next(names), "calls", ttl=1)


def async_call(kind: str, url: str, app: str, names: "itertools.cycle[str]") -> Callable[[], Awaitable[object]]:
    """One call of a kind, for asyncio."""
    if kind == "get":
        client = redis.asyncio.Redis.from_url(url)
        return lambda: client.get(f"{app}-plain")
    gate = AsyncGate.from_url(url, app, timeout=10)
    if kind == "check":
        return lambda: gate.check(next(names), "calls")
    return lambda: gate.reserve(next(names), "calls", ttl=1)


@contextlib.asynccontextmanager
async def http_call(
    kind: str, api: str, names: "itertools.cycle[str]"
) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """One call of a kind of the HTTP API, over connections that stay."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> None:
            body = {"customer": next(names), "metric": "calls", "ttl_ms": 1000}
            async with session.post(f"http://{api}/v1/{kind}", json=body) as response:
                assert response.status == 200, await response.text()
                await response.read()

        yield ask


def work(kind: str, mode: str, url: str, app: str, clients: int, seconds: float, together: Any, out: Any) -> None:
    """One process: when all are ready its clients call for so long; every call's seconds go to `out`."""
    names = itertools.cycle(CUSTOMERS[os.getpid() % 977 :] + CUSTOMERS[: os.getpid() % 977])
    took: list[float] = []
    if mode == "sync":
        call = sync_call(kind, url, app, names)
        call()
        together.wait()
        end = time.time() + seconds

        def client() -> None:
            while (at := time.perf_counter()) and time.time() < end:
                call()
                took.append(time.perf_counter() - at)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:

        async def compete(ask: Callable[[], Awaitable[object]]) -> None:
            await ask()
            together.wait()
            end = time.time() + seconds

            async def client() -> None:
                while (at := time.perf_counter()) and time.time() < end:
                    await ask()
                    took.append(time.perf_counter() - at)

            await asyncio.gather(*(client() for _ in range(clients)))

        async def main() -> None:
            if mode == "http":
                async with http_call(kind, url, names) as ask:
                    await compete(ask)
            else:
                await compete(async_call(kind, url, app, names))

        asyncio.run(main())
    out.put(took)


def measure(kind: str, mode: str, url: str, app: str, clients: int, processes: int, seconds: float) -> list[float]:
    """Every call's seconds, sorted."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    used = min(clients, processes)
    together = context.Barrier(used)
    parts = [clients // used + (n < clients % used) for n in range(used)]
    about = [(kind, mode, url, app, part, seconds, together, out) for part in parts]
    running = [context.Process(target=work, args=args) for args in about]
    for one in running:
        one.start()
    took = [each for _ in running for each in out.get()]
    for one in running:
        one.join()
    return sorted(took)
