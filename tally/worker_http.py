"""A worker's HTTP: /metrics, /healthz/live, /healthz/ready and GET /v1/usage, on TALLY_LISTEN.

    http = WorkerHttp(view, telemetry, "127.0.0.1:6066")
    await http.start()          # http.address tells host and port, also where port 0 was asked for
    ...
    await http.stop()

Any worker answers /v1/usage: for its own partitions itself, for others by asking the owner, whose address stands
in the partition's Redis hash. A question is forwarded once; where the partition has moved meanwhile the answer is
503 and the caller asks again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import aiohttp
from aiohttp import web

from schemas.definitions import KINDS
from schemas.totals import Total, encode
from stream.core.timestamps import BadTimestamp, microseconds
from stream.telemetry import CONTENT_TYPE, Telemetry

FORWARDED: Final = "X-Tally-Forwarded"  # names the partition; its presence ends the forwarding
FORWARD_S: Final = 5.0  # how long the owner may take; a caller's own timeout is usually longer
RETRY_S: Final = "1"  # what a 503 recommends: a rebalance takes about that long


class NotHere(Exception):  # noqa: N818 - no error, but where to ask
    """That this worker does not own the customer's partition, or has not recovered it yet."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.partition = partition


class WorkerView(Protocol):
    """What the HTTP server may ask of a worker."""

    def unready(self) -> Sequence[str]:
        """Why the worker is not ready, a sentence each; empty when it is. Called for every /healthz/ready."""
        ...

    def usage(self, customer: str, metric: str | None, window: str | None, at_us: int) -> Sequence[Total]:
        """The rows of the windows that hold at `at_us`, microseconds since the epoch, each with as_of and position.

        `customer` may be an alias. An unknown customer has no rows; an unknown metric raises KeyError. Raises NotHere.
        """
        ...

    async def owner(self, partition: int) -> str | None:
        """The host:port that the owner of a partition advertises; None where nobody does."""
        ...


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[::1]:port`; ValueError for anything else.

    >>> split_address("127.0.0.1:6066"), split_address("[::1]:0")
    (('127.0.0.1', 6066), ('::1', 0))
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or not host:
        raise ValueError(f"{address!r} is no host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


class WorkerHttp:
    """The server. One for each worker process; start and stop it on the worker's own event loop."""

    def __init__(
        self,
        view: WorkerView,
        telemetry: Telemetry,
        listen: str,
        *,
        clock: Callable[[], float] = time.time,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """`refresh` is called before each /metrics, to bring gauges up to date."""
        self._refresh = refresh
        self._view = view
        self._telemetry = telemetry
        self._host, self._port = split_address(listen)
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self.address = listen

    async def start(self) -> None:
        """Listen; OSError where the address is taken."""
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz/live", self._live)
        app.router.add_get("/healthz/ready", self._ready)
        app.router.add_get("/v1/usage", self._usage)
        self._client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=FORWARD_S))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        host, port = self._runner.addresses[0][:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def stop(self) -> None:
        """Close the port and every connection. May be repeated."""
        runner, self._runner = self._runner, None
        client, self._client = self._client, None
        if runner is not None:
            await runner.cleanup()
        if client is not None:
            await client.close()

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text="Tallystream worker: /metrics /healthz/live /healthz/ready /v1/usage?customer=C\n")

    async def _metrics(self, _: web.Request) -> web.Response:
        self._refresh()
        self._telemetry.ready.set(0 if self._view.unready() else 1)
        return web.Response(body=self._telemetry.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _live(self, _: web.Request) -> web.Response:
        # that the event loop answers is all there is to say: a restart mends nothing that "not ready" tells of
        return _answer({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        reasons = list(self._view.unready())
        return _answer({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _usage(self, request: web.Request) -> web.Response:
        asked = request.query
        if unknown := sorted(set(asked) - {"customer", "metric", "window", "at"}):
            return _fault(400, f"unknown parameter {unknown[0]!r}: there are customer, metric, window and at")
        customer, metric, window = asked.get("customer"), asked.get("metric"), asked.get("window")
        if not customer:
            return _fault(400, "the parameter customer is missing")
        if window is not None and window not in KINDS:
            return _fault(400, f"unknown window {window!r}: there are {', '.join(KINDS)}")
        try:
            at_us = microseconds(asked["at"]) if "at" in asked else int(self._clock() * 1_000_000)
        except BadTimestamp as bad:
            return _fault(400, f"at: {bad}")
        try:
            rows = self._view.usage(customer, metric, window, at_us)
        except NotHere as elsewhere:
            return await self._forward(request, elsewhere.partition)
        except KeyError:
            return _fault(404, f"there is no metric {metric!r}")
        return _answer({"rows": [row.to_json() for row in rows]})

    async def _forward(self, request: web.Request, partition: int) -> web.Response:
        if FORWARDED in request.headers:
            return _fault(503, f"partition {partition} is moving; ask again")
        address = await self._view.owner(partition)
        if address is None or address == self.address:
            return _fault(503, f"no worker is ready for partition {partition} yet; ask again")
        assert self._client is not None
        url = f"http://{address}/v1/usage"
        try:
            async with self._client.get(url, params=request.query, headers={FORWARDED: str(partition)}) as answer:
                body = await answer.read()
                headers = {"Retry-After": RETRY_S} if answer.status == 503 else {}
                return web.Response(
                    body=body, status=answer.status, content_type="application/json", charset="utf-8", headers=headers
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            text = str(error) or type(error).__name__
            return _fault(503, f"the owner of partition {partition} at {address} does not answer ({text}); ask again")


def _answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=encode(value) + b"\n", status=status, content_type="application/json", charset="utf-8")


def _fault(status: int, sentence: str) -> web.Response:
    answer = _answer({"error": sentence}, status)
    if status == 503:
        answer.headers["Retry-After"] = RETRY_S
    return answer
