"""A worker's HTTP, before any engine: it answers for what it owns and asks the owner for the rest."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from schemas.totals import Position, Total
from stream.telemetry import Telemetry
from tally.worker_http import NotHere, WorkerHttp, split_address

NOON_US = 1_772_712_000_000_000


class View:
    """A worker that owns some customers of partition 3."""

    def __init__(self, *owned: str) -> None:
        self.owned = owned
        self.reasons: list[str] = []
        self.owners: dict[int, str] = {}
        self.asked: list[tuple[str, str | None, str | None, int]] = []

    def unready(self) -> Sequence[str]:
        return self.reasons

    def usage(self, customer: str, metric: str | None, window: str | None, at_us: int) -> Sequence[Total]:
        self.asked.append((customer, metric, window, at_us))
        if customer not in self.owned:
            raise NotHere(3)
        if metric == "nonesuch":
            raise KeyError(metric)
        total = Total(
            customer=customer, metric="calls", window="hour", start=1_772_712_000, end=1_772_715_600, group={},
            value="3", events=1, as_of_us=NOON_US, position=Position(3, 4711),
        )  # fmt: skip
        return [total]

    async def owner(self, partition: int) -> str | None:
        return self.owners.get(partition)


@asynccontextmanager
async def worker(view: View) -> AsyncIterator[WorkerHttp]:
    """A worker that serves."""
    http = WorkerHttp(view, Telemetry(process=False), "127.0.0.1:0", clock=lambda: NOON_US / 1_000_000)
    await http.start()
    try:
        yield http
    finally:
        await http.stop()


async def get(http: WorkerHttp, path: str, **query: str) -> tuple[int, Any]:
    """The status and the body."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{http.address}{path}", params=query) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


def test_usage_answers_with_the_rows_of_the_contract() -> None:
    """GET /v1/usage gives rows with as_of and position, for now where no time is asked for."""

    async def run() -> tuple[int, Any, View]:
        view = View("acme")
        async with worker(view) as http:
            return *await get(http, "/v1/usage", customer="acme", metric="calls", window="hour"), view

    status, body, view = asyncio.run(run())
    assert status == 200
    assert body == {
        "rows": [
            {
                "customer": "acme", "metric": "calls", "window": "hour",
                "start": "2026-03-05T12:00:00Z", "end": "2026-03-05T13:00:00Z", "group": {}, "value": "3", "events": 1,
                "as_of": "2026-03-05T12:00:00.000000Z", "position": {"partition": 3, "offset": 4711},
            }
        ]
    }  # fmt: skip
    assert view.asked == [("acme", "calls", "hour", NOON_US)]


@pytest.mark.parametrize(
    "query, status, sentence",
    [
        ({}, 400, "the parameter customer is missing"),
        ({"customer": "acme", "windw": "hour"}, 400, "unknown parameter 'windw'"),
        ({"customer": "acme", "window": "fortnight"}, 400, "unknown window 'fortnight'"),
        ({"customer": "acme", "at": "yesterday"}, 400, "at: timestamp 'yesterday' is neither"),
        ({"customer": "acme", "metric": "nonesuch"}, 404, "there is no metric 'nonesuch'"),
    ],
)
def test_a_wrong_question_is_told_so(query: dict[str, str], status: int, sentence: str) -> None:
    """400 and 404 come with a sentence."""

    async def run() -> tuple[int, Any]:
        async with worker(View("acme")) as http:
            return await get(http, "/v1/usage", **query)

    found, body = asyncio.run(run())
    assert found == status
    assert body["error"].startswith(sentence)


def test_any_worker_asks_the_owner() -> None:
    """A question for another worker's customer is answered by that worker, the time asked for included."""

    async def run() -> tuple[int, Any, View]:
        mine, other = View(), View("acme")
        async with worker(mine) as first, worker(other) as second:
            mine.owners[3] = second.address
            return *await get(first, "/v1/usage", customer="acme", at="2026-03-05T11:00:00+01:00"), other

    status, body, other = asyncio.run(run())
    assert status == 200
    assert body["rows"][0]["customer"] == "acme"
    assert other.asked == [("acme", None, None, NOON_US - 2 * 3600 * 1_000_000)]


def test_a_question_is_forwarded_once() -> None:
    """Where the partition moves meanwhile, two workers do not ask each other for ever: 503, ask again."""

    async def run() -> tuple[int, Any, View, View]:
        a, b = View(), View()
        async with worker(a) as first, worker(b) as second:
            a.owners[3], b.owners[3] = second.address, first.address
            return *await get(first, "/v1/usage", customer="acme"), a, b

    status, body, a, b = asyncio.run(run())
    assert (status, body["error"]) == (503, "partition 3 is moving; ask again")
    assert (len(a.asked), len(b.asked)) == (1, 1)


@pytest.mark.parametrize("owner, sentence", [(None, "no worker is ready"), ("127.0.0.1:1", "the owner of partition 3")])
def test_an_owner_that_is_away_is_a_503(owner: str | None, sentence: str) -> None:
    """No owner, or one that does not answer: the caller is told to ask again."""

    async def run() -> tuple[int, Any]:
        view = View()
        if owner is not None:
            view.owners[3] = owner
        async with worker(view) as http:
            return await get(http, "/v1/usage", customer="acme")

    status, body = asyncio.run(run())
    assert status == 503
    assert body["error"].startswith(sentence)


def test_ready_says_why_it_is_not() -> None:
    """/healthz/ready is 503 with the reasons, then 200; /healthz/live is 200 all the while."""

    async def run() -> list[tuple[int, Any]]:
        view = View()
        async with worker(view) as http:
            view.reasons = ["partition 3 is being recovered"]
            before = [await get(http, "/healthz/ready"), await get(http, "/healthz/live")]
            view.reasons = []
            return [*before, await get(http, "/healthz/ready")]

    assert asyncio.run(run()) == [
        (503, {"ready": False, "reasons": ["partition 3 is being recovered"]}),
        (200, {"live": True}),
        (200, {"ready": True, "reasons": []}),
    ]


def test_metrics_are_prometheus_text() -> None:
    """/metrics tells whether the worker is ready, at the moment of the question."""

    async def run() -> list[Any]:
        view = View()
        async with worker(view) as http:
            first = (await get(http, "/metrics"))[1]
            view.reasons = ["recovering"]
            return [first, (await get(http, "/metrics"))[1]]

    first, second = asyncio.run(run())
    assert "\ntally_ready 1.0\n" in first
    assert "\ntally_ready 0.0\n" in second


@pytest.mark.parametrize("wrong", ["", "6066", ":6066", "host:", "host:x", "host:65536", "host:٦"])
def test_an_address_needs_host_and_port(wrong: str) -> None:
    """Anything else is refused before a socket is opened."""
    with pytest.raises(ValueError, match="is no host:port"):
        split_address(wrong)
