"""Under load on Apache Kafka, with a worker that lags, is killed and freezes, exactly the limit is admitted."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tallygate import AsyncGate, Reservation

from tally import kafka as sending
from tally.servers import EmbeddedRedis
from tests.integration.commands.running import environment
from tests.integration.gate.contest import STALE_S, Contest, Kind
from tests.servers.fixtures import Broker
from tests.servers.records import read
from tests.servers.workers import Worker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

LIMIT = 1000
DEATHS = ("after_end:5", "before_end:3", "after_produce:3")
"""Failpoints: a commit is in Kafka and nothing of it in Redis; or it is sent, and its transaction does not end."""
LAG_S = 3.0
TTL_S = 2.0
SESSION_S = 6.0
METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [year], lateness: 1s}
limits:
  - {metric: calls, window: year, limit: 1000, warn_at: [0.5, 0.8]}
"""


class House:
    """An app with a worker of which each breath is followed by seconds in which it stands still."""

    def __init__(self, env: Mapping[str, str], gate: AsyncGate, hits: Path) -> None:
        self.env, self.gate, self.hits = dict(env), gate, hits
        self.stack = contextlib.ExitStack()

    @property
    def died(self) -> int:
        """How many workers were killed at their failpoints."""
        return len(self.hits.read_text().splitlines()) if self.hits.exists() else 0

    async def worker(self, failpoint: str | None = None) -> Worker:
        """Start one more worker; it is ready, or has met its failpoint before."""
        doomed = {} if failpoint is None else {"TALLY_FAILPOINT": failpoint, "TALLY_FAILPOINT_LOG": str(self.hits)}
        made = Worker({**self.env, **doomed}, arguments=("--session", str(SESSION_S)))
        self.stack.callback(made.stop)
        if failpoint is None:
            return await asyncio.to_thread(made.start)
        made.launch()
        async with asyncio.timeout(120):
            while made.alive():
                with contextlib.suppress(OSError):
                    if await asyncio.to_thread(made.ready):
                        break
                await asyncio.sleep(0.02)
        return made

    async def fresh(self, customer: str, since: float, worker: Worker) -> None:
        """Wait until the totals are fresh as of a moment, or the worker is dead."""
        async with asyncio.timeout(120):
            while worker.alive():
                answer = await self.gate.check(customer, "calls", 0, max_staleness=STALE_S)
                if answer.as_of is not None and answer.as_of.timestamp() > since:
                    return
                await asyncio.sleep(0.02)

    async def lag(self, worker: Worker, customer: str, until: "asyncio.Task[None]") -> None:
        """Let it lag until all is done, or it is dead: stand still for seconds, then come up to date, again and again."""
        while worker.alive() and not until.done():
            with contextlib.suppress(ProcessLookupError):  # it may die at any moment
                worker.pause()
                await asyncio.wait([until], timeout=LAG_S)
                worker.resume()
            await self.fresh(customer, time.time(), worker)


def event(kind: Kind, id_: str, customer: str, hold: Reservation) -> bytes:
    """An event that settles a hold; a late one is of years ago, a rejected one of tomorrow."""
    assert hold.at is not None
    at = hold.at.timestamp() + {"rejected": 86400, "late": -2 * 366 * 86400}.get(kind, 0)
    stamp = hold.at if kind in {"counted", "duplicate"} else datetime.fromtimestamp(at, UTC)
    about: dict[str, Any] = {"id": id_, "event_name": "call", "customer_id": customer, "reservation": hold.id}
    return json.dumps({**about, "timestamp": stamp.isoformat()}).encode()


@contextlib.asynccontextmanager
async def house(kafka: Broker, redis: EmbeddedRedis, app: str, folder: Path) -> AsyncIterator[House]:
    """A house of one partition, so that every customer has the same lag."""
    metrics = folder / "metrics.yaml"
    metrics.write_text(METRICS)
    more = {"TALLY_REDIS": redis.url, "TALLY_METRICS": str(metrics), "TALLY_PARTITIONS": "1", "TALLY_MAX_AGE": "3650d"}
    async with AsyncGate.from_url(redis.url, app, timeout=10) as gate:
        made = House({**environment(kafka.bootstrap, app), **more}, gate, folder / "hits")
        with made.stack:
            yield made


async def killed(at: House, customer: str, everybody: "asyncio.Task[None]") -> None:
    """One worker after the other dies by SIGKILL between the commit and Redis; the last one lives."""
    while not everybody.done():
        worker = await at.worker(DEATHS[at.died] if at.died < len(DEATHS) else None)
        await at.lag(worker, customer, everybody)


async def frozen(at: House, customer: str, everybody: "asyncio.Task[None]") -> None:
    """A worker freezes until another has taken its partition over, and then goes on as if nothing had been."""
    first = await at.worker()
    await at.fresh(customer, time.time(), first)
    first.pause()
    second = await at.worker()
    first.resume()
    await at.lag(second, customer, everybody)


def alerts(at: House) -> list[tuple[str, str]]:
    """Each threshold that was told of and what was used then, as whoever reads only what is committed sees them."""
    told = [json.loads(record.value or b"") for record in read(at.env["TALLY_KAFKA"], at.env["TALLY_ALERTS_TOPIC"])]
    return [(each["threshold"], each["used"]) for each in told]


@pytest.mark.parametrize("trouble", [killed, frozen], ids=["killed", "frozen"])
def test_exactly_the_limit_is_admitted_by_a_worker(
    kafka: Broker, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path, trouble: Any
) -> None:
    """64 clients, a lag longer than the holds live, workers that die or freeze: 1,000 of 1,000 are admitted.

    Each share of the limit is told once, whatever died meanwhile.
    """

    async def main() -> None:
        async with house(kafka, valkey_server, unique, tmp_path) as at, sending.producer(kafka.bootstrap) as producer:
            customer = "acme"

            async def send(kind: Kind, id_: str, hold: Reservation) -> None:
                value = event(kind, id_, customer, hold)
                await producer.send_and_wait(at.env["TALLY_EVENTS_TOPIC"], value, key=customer.encode())

            first = await at.worker()
            await at.fresh(customer, time.time(), first)
            await asyncio.to_thread(first.stop)
            contest = Contest(at.gate, customer, LIMIT, TTL_S, send)
            everybody = asyncio.create_task(contest.run())
            await trouble(at, customer, everybody)
            await everybody
            await contest.settled()
            contest.prove()
            if trouble is killed:
                assert at.died >= 2, "all was admitted before the workers died"
            assert await asyncio.to_thread(alerts, at) == [("0.5", "500"), ("0.8", "800"), ("1", "1000")]

    asyncio.run(main())
