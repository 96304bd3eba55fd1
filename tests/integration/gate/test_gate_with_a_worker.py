"""The gate on the totals of a worker that really runs: events settle holds, limits come from the file."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tallygate import Check, Gate, Line

from tally.processes import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis, wait_until
from tests.integration.commands.running import environment, tally
from tests.servers.fixtures import Broker

METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [hour, month, total]}
  usd: {event_name: call, type: counter, aggregation: sum, property: usd, group_by: [model], windows: [day]}
  seats: {event_name: seat, type: gauge, aggregation: latest, event_type: delta, property: n}
  people: {event_name: call, type: counter, aggregation: unique, property: who, windows: [total]}
  rps: {event_name: call, type: rate, aggregation: count, granularity: hour}
customers:
  acme: {aliases: [acct_42], timezone: Asia/Kolkata}
limits:
  - {metric: calls, window: total, limit: 10, warn_at: [0.5]}
  - {customer: acme, metric: calls, window: total, limit: 12, warn_at: [0.25]}
  - {metric: usd, window: day, limit: 1.50}
  - {metric: usd, window: day, limit: 0.75, group: {model: m1}}
  - {metric: seats, limit: 5}
  - {metric: people, window: total, limit: 2, mode: soft}
  - {metric: rps, window: hour, limit: 100}
"""


class House:
    """An app of its own with one worker, and a gate on it."""

    def __init__(self, env: dict[str, str], gate: Gate) -> None:
        self.env, self.gate = env, gate

    def send(self, **event: Any) -> None:
        """Send one event that happens now, unless it says otherwise."""
        whole = {"event_name": "call", "customer_id": "acme", "timestamp": time.time(), **event}
        ran = tally(self.env, "send", stdin=json.dumps(whole).encode() + b"\n")
        assert ran.code == 0, ran

    def reaches(self, metric: str, used: str, reserved: str, **named: Any) -> Check:
        """Wait until the gate tells these numbers, and return the answer."""
        found: list[Check] = []

        def there() -> bool:
            found.append(self.gate.check("acme", metric, 0, **named))
            return (str(found[-1].used), str(found[-1].reserved)) == (used, reserved)

        wait_until(there, f"{metric}: used {used}, reserved {reserved}")
        return found[-1]


@pytest.fixture
def house(broker: Broker, any_redis: EmbeddedRedis, unique: str, tmp_path: Path) -> Iterator[House]:
    """A house on each broker and each Redis, its worker ready."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    env = environment(broker.bootstrap, unique, TALLY_REDIS=any_redis.url, TALLY_METRICS=str(metrics))
    with WorkerProcess(env, session_s=2.0), Gate.from_url(any_redis.url, unique, timeout=5) as gate:
        yield House(env, gate)


def test_a_worker_settles_what_the_gate_reserves(house: House) -> None:
    """Counted, duplicate and rejected events settle their holds once; totals, groups and states are gated on."""
    gate = house.gate
    wait_until(lambda: gate.check("acme", "calls", 0).reason == "ok", "fresh totals")
    assert gate.check("never-seen", "calls", 10).allowed
    assert not gate.check("never-seen", "calls", 11)
    lines = [Line("calls"), Line("usd", "0.70", {"model": "m1"})]
    hold = gate.reserve("acct_42", lines=lines, id="job-1", ttl=600)
    assert hold.allowed
    assert isinstance(hold.at, datetime)
    assert gate.check("acme", "usd", "0.1", {"model": "m1"}).reason == "limit_reached"
    about = {"model": "m1", "usd": 0.625, "who": "ann"}
    stamped = {"id": "e1", "timestamp": hold.at.isoformat(), "reservation": "job-1", "properties": about}
    house.send(**stamped)
    house.reaches("calls", "1", "0")
    assert house.reaches("usd", "0.63", "0", group={"model": "m1"}).limit is not None
    assert gate.reserve("acme", lines=lines, id="job-1").reason == "settled"
    # a duplicate settles a second hold, and gives its place back
    gate.reserve("acme", "calls", 5, id="job-2", ttl=600)
    assert str(gate.check("acme", "calls").reserved) == "5"
    house.send(**{**stamped, "reservation": "job-2"})
    house.reaches("calls", "1", "0")
    # so does an event that is rejected
    gate.reserve("acme", "calls", 5, id="job-3", ttl=600)
    house.send(id="old", timestamp=time.time() - 90 * 86400, reservation="job-3")
    house.reaches("calls", "1", "0")
    house.send(event_name="seat", id="s1", properties={"n": 4})
    assert house.reaches("seats", "4", "0").window is None
    assert gate.check("acme", "seats", 2).reason == "limit_reached"
    for n in range(2):
        house.send(id=f"w{n}", properties={"who": f"bob-{n}"})
    answer = house.reaches("calls", "3", "0")
    assert (str(answer.limit), [str(share) for share in answer.warnings]) == ("12", ["0.25"])
    house.reaches("people", "3", "0")
    assert gate.check("acme", "people").reason == "soft_limit_reached"
    rate = house.reaches("rps", "3", "0")
    assert rate.resets_at is not None
    assert rate.resets_at.minute == 30  # acme's hours begin at half past
    assert gate.check("acme", "nonesuch").reason == "unknown_metric"


def test_other_limits_hold_after_a_restart(
    embedded_kafka: EmbeddedKafka, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    """A worker that starts with another file brings its limits; what was counted and held before counts in them."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    env = environment(embedded_kafka.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=str(metrics))
    with Gate.from_url(valkey_server.url, unique, timeout=5) as gate:
        house = House(env, gate)
        with WorkerProcess(env, session_s=2.0):
            house.send(id="e1", properties={"usd": 0.5})
            house.reaches("calls", "1", "0")
            assert gate.reserve("acme", "calls", 4, id="job-1", ttl=3600)
            assert gate.check("acme", "calls", 7).allowed
        other = METRICS.replace("window: total, limit: 12, warn_at: [0.25]", "window: total, limit: 6.5")
        metrics.write_text(
            other.replace("{metric: usd, window: day, limit: 1.50}", "{metric: usd, window: day, limit: 2}")
        )
        with WorkerProcess(env, session_s=2.0):
            house.reaches("calls", "1", "4")
            wait_until(lambda: str(gate.check("acme", "calls", 0).limit) == "6.5", "the other limit")
            # the limits are there first; until the new worker's first heartbeat the totals are as old as the other's last
            wait_until(lambda: gate.check("acme", "calls", 0).reason == "ok", "fresh totals")
            assert str(gate.check("acme", "calls", 1).remaining) == "1.5"
            assert gate.check("acme", "calls", 2).reason == "limit_reached"
            assert str(house.reaches("usd", "1", "0").limit) == "2"  # 0.5 at no decimals, rounded up
            house.send(id="e2", reservation="job-1")
            house.reaches("calls", "2", "0")
