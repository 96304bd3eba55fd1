"""How fresh the gate's answers are beside workers that really run: by partition, and never a silent zero."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tallygate import Gate, layout
from tallygate.layout import partition_of

from tally.servers import EmbeddedKafka, EmbeddedRedis, wait_until
from tests.integration.commands.running import environment, tally
from tests.integration.totals.stub import PARTITIONS, names
from tests.servers.fixtures import need
from tests.servers.stores import Valkey, ask
from tests.servers.workers import Worker

pytestmark = pytest.mark.timeout(400)

METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [total]}
limits:
  - {metric: calls, window: total, limit: 10}
"""
COUNTED = 3
STALE_S = 3.0
BUSY = {number: names(number, 2)[0] for number in range(PARTITIONS)}
QUIET = {number: names(number, 2)[1] for number in range(PARTITIONS)}
"""A customer of each partition with events, and one that is never seen."""


class House:
    """Two workers with two partitions each, and a gate."""

    def __init__(self, env: dict[str, str], redis: EmbeddedRedis, gate: Gate, workers: list[Worker]) -> None:
        self.env, self.redis, self.gate, self.workers = env, redis, gate, workers

    def send(self) -> None:
        """Three events of each busy customer."""
        lines = [
            json.dumps({"id": f"e{n}", "event_name": "call", "customer_id": customer, "timestamp": time.time()})
            for customer in BUSY.values()
            for n in range(COUNTED)
        ]
        ran = tally(self.env, "send", stdin="\n".join(lines).encode())
        assert ran.code == 0, ran

    def owner(self, number: int) -> str:
        """The address of the worker that owns a partition."""
        status = layout.Keys(self.env["TALLY_APP"], number).status
        return str(ask(self.redis, "HGET", status, layout.ADDRESS))

    def answers(self, customer: str) -> tuple[str, str | None]:
        """What a check of a customer says."""
        answer = self.gate.check(customer, "calls", 0, max_staleness=STALE_S)
        return answer.reason, None if answer.used is None else str(answer.used)

    def fresh(self, number: int) -> bool:
        """Whether the customers of a partition read right and fresh, the quiet one too."""
        return (self.answers(BUSY[number]), self.answers(QUIET[number])) == (("ok", str(COUNTED)), ("ok", "0"))

    def stale(self, number: int) -> bool:
        """Whether both customers of a partition are stale."""
        return {self.answers(customer)[0] for customer in (BUSY[number], QUIET[number])} == {"stale"}


@pytest.fixture
def house(embedded_kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Iterator[House]:
    """Two workers that leave each other's partitions alone for longer than it takes to be stale."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    session = ("--session", "20")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(need(Valkey)())
        env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=redis.url, TALLY_METRICS=str(metrics))
        first, second = (Worker(env, arguments=session) for _ in range(2))
        for worker in (first, second):
            stack.callback(worker.stop)
            stack.callback(worker.kill)  # before the order to stop: nothing that they would do in order is looked at
            worker.launch()
        for worker in (first, second):
            worker.await_ready()
        gate = stack.enter_context(Gate.from_url(redis.url, unique, timeout=10))
        made = House(env, redis, gate, [first, second])
        both = {first.address, second.address}
        wait_until(lambda: {made.owner(number) for number in range(PARTITIONS)} == both, "both to own some", 120)
        made.send()
        wait_until(lambda: all(made.fresh(number) for number in range(PARTITIONS)), "fresh totals", 120)
        yield made


def dead(house: House) -> None:
    """While one worker stands still its customers are stale, busy or never seen, and the other's are fresh."""
    still = house.workers[0]
    its = {number for number in range(PARTITIONS) if house.owner(number) == still.address}
    others = set(range(PARTITIONS)) - its
    still.pause()
    try:
        wait_until(
            lambda: all(map(house.stale, its)) and all(map(house.fresh, others)), "some stale and some fresh", 120
        )
    finally:
        still.resume()
    wait_until(lambda: all(map(house.fresh, range(PARTITIONS))), "all to be fresh again", 120)


def flushed(house: House) -> None:
    """From FLUSHALL until all is back a customer with usage is stale or right, and then everybody is right."""
    for _ in range(3):
        ask(house.redis, "FLUSHALL")
        seen: set[tuple[str, str | None]] = set()

        def back(seen: set[tuple[str, str | None]] = seen) -> bool:
            seen |= {house.answers(customer) for customer in BUSY.values()}
            return all(map(house.fresh, range(PARTITIONS)))

        wait_until(back, "totals to come back", 120)
        assert {used for reason, used in seen if reason != "stale"} == {str(COUNTED)}


def test_answers_are_as_fresh_as_their_partition(house: House) -> None:
    """Only a dead worker's customers are stale, never-seen ones too; and after FLUSHALL nothing reads as a zero."""
    assert {partition_of(BUSY[number], PARTITIONS) for number in range(PARTITIONS)} == set(range(PARTITIONS))
    dead(house)
    flushed(house)
