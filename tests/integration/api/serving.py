"""The HTTP API in a test: in this process for what is looked at closely, as a process for what is killed."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from stream.settings import from_environment
from tally.api.limits import Limits
from tally.api.server import Api
from tally.api.telemetry import ApiTelemetry
from tally.servers import Server
from tests.servers.workers import answers

METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [hour, month, total]}
  tokens: {event_name: call, type: counter, aggregation: sum, property: tokens, group_by: [model], windows: [total]}
  seats: {event_name: seat, type: gauge, aggregation: latest, event_type: total, property: seats, windows: [hour]}
customers:
  acme: {aliases: [acct_42]}
limits:
  - {metric: calls, window: month, limit: 10, warn_at: [0.5]}
  - {metric: tokens, window: total, limit: 1000.5}
"""


class Answer(NamedTuple):
    """What came back."""

    status: int
    json: Any
    headers: Mapping[str, str]


class Caller:
    """A client of one API."""

    def __init__(self, api: Api, session: aiohttp.ClientSession) -> None:
        self.api, self.session = api, session

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        """One request; a body in `json` is written as JSON, in `data` as it is."""
        async with self.session.request(method, f"http://{self.api.address}{path}", **options) as response:
            text = await response.text()
            return Answer(response.status, json.loads(text) if text.startswith("{") else text, response.headers)

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST an object as JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send(
            "POST", path, data=io.BytesIO(data), headers={"Content-Type": "application/json", **headers}
        )

    async def get(self, path: str, **params: str) -> Answer:
        """GET with parameters."""
        return await self.send("GET", path, params=params)

    async def until(self, path: str, wanted: Any, within_s: float = 30.0, **params: str) -> Answer:
        """GET again and again until the answer is as wanted."""
        async with asyncio.timeout(within_s):
            while not wanted(found := await self.get(path, **params)):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def serving(env: Mapping[str, str], limits: Limits | None = None, *, kafka: bool = True) -> AsyncIterator[Caller]:
    """An API on a free port, connected to Kafka where `kafka`."""
    config = from_environment({"TALLY_API_LISTEN": "127.0.0.1:0", **env})
    api = Api(config, limits, telemetry=ApiTelemetry(process=False))
    await api.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            caller = Caller(api, session)
            if kafka:
                await caller.until("/healthz/ready", lambda found: found.json["degraded"] == [])
            yield caller
    finally:
        await api.stop()


class ApiProcess(Server):
    """`tally api` as a process of its own."""

    name = "api"
    grace_s = 30.0

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._settings = dict(settings)

    def command(self) -> Sequence[str]:
        """What an operator types, with its settings in the environment."""
        pairs = [f"{name}={value}" for name, value in {**self._settings, "TALLY_API_LISTEN": self.address}.items()]
        return ["env", *pairs, sys.executable, "-m", "tally", "api"]

    def ready(self) -> bool:
        """/healthz/ready answers 200."""
        return answers(f"http://{self.address}/healthz/ready")
