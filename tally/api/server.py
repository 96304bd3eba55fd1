"""The HTTP API: the gate, events and usage for callers in any language, on TALLY_API_LISTEN.

    api = Api(settings)
    await api.start()               # api.address tells host and port, also where port 0 was asked for
    ...
    await api.stop()                # requests that are being answered are, then Kafka has what waits for it

schemas/openapi.yaml describes it, and GET /openapi.json answers the same.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from tallygate import AsyncGate, GateUnavailable, OtherLines
from tallygate.requests import new_id

from stream import logs
from stream.settings import Settings
from stream.totals.connection import connect
from tally.api import asking, totals
from tally.api.door import KEEP_ALIVE_S, LINGER_S, Body, Guard, Room, Site, is_loopback
from tally.api.intake import Intake, Ready, Refused, split
from tally.api.limits import Limits
from tally.api.openapi import document
from tally.api.outlet import Outlet
from tally.api.problems import Problem, Wrong, answer, no_parameters, of_aiohttp
from tally.api.telemetry import CONTENT_TYPE, ApiTelemetry
from tally.worker_http import split_address

_log = logs.named("tally.api")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The server. Start and stop it on one event loop."""

    def __init__(
        self, config: Settings, limits: Limits | None = None, *, telemetry: ApiTelemetry | None = None
    ) -> None:
        self._config = config
        self._limits = limits = limits or Limits()
        self.telemetry = told = telemetry or ApiTelemetry()
        self._guard = Guard(config.api_token)
        self._asking = Room("calls", limits.asking, told.busy.labels("asking").set)
        self._sending = Room("requests of events", limits.sending, told.busy.labels("sending").set)
        self._held = Room("bytes of events", limits.events_held, told.bytes.set)
        self._intake = Intake()
        self._stopping = False
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._site: Site | None = None
        self._open = contextlib.AsyncExitStack()
        self.address = config.api_listen

    async def start(self) -> None:
        """Listen; OSError where the address is taken. Kafka and Redis need not be up yet."""
        config, limits = self._config, self._limits
        host, port = split_address(config.api_listen)
        try:
            self._gate = AsyncGate.from_url(config.redis, config.app)
            self._open.push_async_callback(self._gate.close)
            redis = connect(config.redis, timeout_s=2.0)
            self._open.push_async_callback(redis.aclose)
            session = await self._open.enter_async_context(aiohttp.ClientSession())
            self._totals = totals.Totals(redis, session, config.app)
            self._outlet = Outlet(config.kafka, config.events_topic, config.partitions)
            outlet = asyncio.create_task(self._outlet.run())
            self._open.push_async_callback(_cancelled, outlet)
            self._runner = web.AppRunner(
                self._application(), access_log=None, handle_signals=False, shutdown_timeout=limits.stop_s,
                keepalive_timeout=KEEP_ALIVE_S, lingering_time=LINGER_S,
            )  # fmt: skip
            await self._runner.setup()
            self._open.push_async_callback(self._runner.cleanup)
            self._site = Site(self._runner, host, port, most=limits.connections, headers_s=limits.headers_s)
            await self._site.start()
        except BaseException:
            await self._open.aclose()
            raise
        addresses = [each[:2] for each in self._runner.addresses]
        if config.api_token is None and not all(is_loopback(each[0]) for each in addresses):
            await self._open.aclose()
            raise OSError(f"{config.api_listen} is not loopback ({addresses}) and no token is set")
        host, port = addresses[0]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        _log.info("The API listens", address=self.address, token=config.api_token is not None)

    async def stop(self) -> None:
        """Take no new requests, answer those that are here, flush Kafka, close everything. May be repeated."""
        self._stopping = True
        if self._site is not None:
            site, self._site = self._site, None
            await site.stop()
            # aiohttp's own stop drops what still comes of a body that is being read
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.stop_s):
                    await self._idle.wait()
        await self._open.aclose()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._watched], client_max_size=0)
        app.router.add_get("/", self._index)
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz/live", self._live)
        app.router.add_get("/healthz/ready", self._ready)
        app.router.add_post("/v1/check", self._check)
        app.router.add_post("/v1/reserve", self._reserve)
        app.router.add_post("/v1/release", self._release)
        app.router.add_post("/v1/events", self._events)
        app.router.add_get("/v1/usage", self._usage, allow_head=False)
        return app

    # -- around every request

    @web.middleware
    async def _watched(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count requests that are being answered, so that a stop can wait for them."""
        if self._site is not None:
            self._site.begun(request)
        self._answering += 1
        self._idle.clear()
        try:
            return await self._answered(request, handler)
        finally:
            self._answering -= 1
            if not self._answering:
                self._idle.set()

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request, whatever happens."""
        began = time.monotonic()
        resource = request.match_info.route.resource
        path = "other" if resource is None else resource.canonical
        try:
            if request.path.startswith("/v1/"):
                self._guard(request)
            response = await handler(request)
        except Problem as problem:
            response = problem.answer()
        except web.HTTPException as problem:
            response = of_aiohttp(problem)
        except Exception as error:  # noqa: BLE001 - a bug must not look like an answer
            _log.exception("A request failed", path=path, error=error)
            response = Problem(500, "the API failed on this request, which is a bug: please report it").answer()
        if self._stopping:
            response.force_close()
        self.telemetry.requests.labels(path, str(response.status)).inc()
        self.telemetry.seconds.labels(path).observe(time.monotonic() - began)
        return response

    @contextlib.asynccontextmanager
    async def _timed(self) -> Any:
        try:
            async with asyncio.timeout(self._limits.answer_s):
                yield
        except TimeoutError:
            raise Problem(503, f"no answer within {self._limits.answer_s:g} s: send the request again") from None

    # -- the gate

    async def _check(self, request: web.Request) -> web.Response:
        about = await self._asked(request, ("lines",))
        found = await self._gated(
            lambda: self._gate.check(about.customer, lines=about.lines, max_staleness=about.max_staleness_s)
        )
        self.telemetry.answers.labels("check", found.reason).inc()
        return answer(found.to_json())

    async def _reserve(self, request: web.Request) -> web.Response:
        about = await self._asked(request, ("lines",))
        found = await self._gated(
            lambda: self._gate.reserve(
                about.customer,
                id=about.id or new_id(),
                ttl=about.ttl_s,
                lines=about.lines,
                max_staleness=about.max_staleness_s,
            )
        )
        self.telemetry.answers.labels("reserve", found.reason).inc()
        return answer(found.to_json())

    async def _release(self, request: web.Request) -> web.Response:
        about = await self._asked(request, ("id",))
        assert about.id is not None, "it is needed"
        found = await self._gated(partial(self._gate.release, about.customer, about.id))
        return answer(found.to_json())

    async def _asked(self, request: web.Request, needs: tuple[str, ...]) -> asking.Asking:
        no_parameters(request)
        async with Body(request, self._limits.body, seconds=self._limits.body_s) as body:
            return asking.read(body, needs=needs)

    async def _gated(self, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            with self._asking.one():
                async with self._timed():
                    found = await call()
        except GateUnavailable as away:
            self.telemetry.redis_up.set(0)
            raise Problem(503, f"{str(away).rstrip('.')}; send the request again") from away
        except OtherLines as other:
            raise Problem(409, f"{other}: write another id, or the lines of the first request", "id") from other
        except ValueError as wrong:
            raise Wrong("group", str(wrong)) from wrong
        self.telemetry.redis_up.set(1)
        return found

    # -- events

    async def _events(self, request: web.Request) -> web.Response:
        no_parameters(request)
        limits = self._limits
        async with Body(request, limits.events_body, self._held, seconds=limits.body_s) as body:
            with self._sending.one():
                raws = split(body, request.content_type.lower(), request.headers, time.time_ns() // 1_000_000)
                judged = self._intake.look(raws)
                async with self._timed():
                    refusals = iter(await self._outlet.send([each for each in judged if isinstance(each, Ready)]))
        results = []
        for index, each in enumerate(judged):
            refusal = each.refusal if isinstance(each, Refused) else next(refusals)
            status = "accepted" if refusal is None else "refused"
            self.telemetry.events.labels(status, "" if refusal is None else refusal.reason).inc()
            results.append({
                "index": index,
                "id": each.id,
                "status": status,
                "reason": None if refusal is None else refusal.reason,
                "detail": None if refusal is None else refusal.sentence,
            })  # fmt: skip
        return answer({"results": results})

    # -- usage

    async def _usage(self, request: web.Request) -> web.Response:
        about = totals.asked(request.query, repeated=len(request.query) != len(set(request.query)))
        with self._asking.one():
            async with self._timed():
                return answer(await self._totals.find(about))

    # -- about the API itself

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text="Tallystream: /openapi.json describes /v1/check, reserve, release, events and usage\n")

    async def _openapi(self, _: web.Request) -> web.Response:
        return answer(document())

    async def _metrics(self, _: web.Request) -> web.Response:
        server = self._runner.server
        self.telemetry.connections.set(len(server.connections) if server is not None else 0)
        self.telemetry.kafka_up.set(self._outlet.fault is None)
        return web.Response(body=self.telemetry.render(), headers={"Content-Type": CONTENT_TYPE})

    async def _live(self, _: web.Request) -> web.Response:
        # that the event loop answers is all there is to say: a restart mends nothing that "not ready" tells of
        return answer({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        reasons = ["the API is stopping"] if self._stopping else []
        if (redis := await self._totals.ready()) is not None:
            reasons.append(redis)
        self.telemetry.redis_up.set(redis is None)
        # without Kafka the gate still answers; taken out of service for that, nobody could ask it
        degraded = [] if self._outlet.fault is None else [f"POST /v1/events answers 503: {self._outlet.fault}"]
        return answer({"ready": not reasons, "reasons": reasons, "degraded": degraded}, 503 if reasons else 200)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
