"""`tally api` on Apache Kafka: what it calls accepted is counted, once, whatever dies between."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tally.processes import WorkerProcess
from tally.servers import EmbeddedRedis
from tests.integration.api.serving import METRICS, ApiProcess
from tests.integration.commands.running import environment
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

CLIENTS = 8
BATCHES = 12
EVENTS = 25


async def insist(session: aiohttp.ClientSession, api: ApiProcess, events: list[dict[str, object]]) -> int:
    """Send a batch until it is answered with 200, as its caller should; how often that took."""
    for attempt in range(1, 10_000):
        try:
            async with session.post(f"http://{api.address}/v1/events", json=events) as response:
                if response.status == 200:
                    results = (await response.json())["results"]
                    assert [each["status"] for each in results] == ["accepted"] * len(events), results
                    return attempt
                assert response.status in {429, 503}, await response.text()
                assert int(response.headers["Retry-After"]) >= 1
        except (aiohttp.ClientError, OSError):
            pass  # the API is dead, or was while it answered
        await asyncio.sleep(0.1)
    raise AssertionError("no answer")


async def used(session: aiohttp.ClientSession, api: ApiProcess) -> str | None:
    """The total that the gate tells."""
    body = {"customer": "bulk", "metric": "calls", "cost": "0", "max_staleness_ms": 600_000}
    async with session.post(f"http://{api.address}/v1/check", json=body) as response:
        return str((await response.json())["used"]) if response.status == 200 else None


def test_each_accepted_event_counts_once(
    breakable_kafka: Kafka, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    """Clients repeat their batches while the API and then the broker are killed: the total is the number of ids."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    about = {"TALLY_REDIS": valkey_server.url, "TALLY_METRICS": str(metrics)}
    env = environment(breakable_kafka.bootstrap, unique, **about)

    async def story(api: ApiProcess) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            sent = asyncio.Event()
            tries: list[int] = []

            async def client(number: int) -> None:
                for batch in range(BATCHES):
                    ids = [f"{number}-{batch}-{n}" for n in range(EVENTS)]
                    event = {"event_name": "call", "customer_id": "bulk", "timestamp": time.time()}
                    tries.append(await insist(session, api, [{"id": each, **event} for each in ids]))
                    if len(tries) == CLIENTS * BATCHES // 4:
                        sent.set()

            everybody = asyncio.gather(*(client(number) for number in range(CLIENTS)))
            async with asyncio.timeout(120):
                await sent.wait()
            api.kill()
            await asyncio.to_thread(api.start)
            breakable_kafka.kill()
            await asyncio.to_thread(breakable_kafka.start)
            async with asyncio.timeout(240):
                await everybody
                while await used(session, api) != str(CLIENTS * BATCHES * EVENTS):  # noqa: ASYNC110 - the worker's turn
                    await asyncio.sleep(0.05)
            assert max(tries) > 1, "nothing was lost on the way, so nothing was shown"
            async with session.get(f"http://{api.address}/metrics") as response:
                text = await response.text()
            assert 'tally_api_requests_total{path="/v1/events",status="200"}' in text

    with WorkerProcess(env, session_s=10.0), ApiProcess(env) as api:
        asyncio.run(story(api))
