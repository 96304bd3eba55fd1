"""The commands around a worker that really runs: what is sent is counted, told, mended, and counted afresh."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tally.processes import WorkerProcess
from tally.servers import EmbeddedKafka, EmbeddedRedis, wait_until
from tests.integration.commands.running import Ran, environment, tally
from tests.integration.commands.topics import make_topic, widen
from tests.servers.fixtures import Broker
from tests.servers.kafka import GivenKafka, Kafka

METRICS = """
metrics:
  calls: {event_name: call, type: counter, aggregation: count, windows: [hour, total]}
  tokens: {event_name: call, type: counter, aggregation: sum, property: tokens, group_by: [model], windows: [total]}
customers:
  acme: {aliases: [acct_42]}
"""


class House:
    """An app of its own with one worker."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.worker = WorkerProcess(env, session_s=2.0)

    def run(self, *arguments: str, stdin: bytes | None = None) -> Ran:
        """One command with the app's settings."""
        return tally(self.env, *arguments, stdin=stdin)

    def send(self, *events: dict[str, Any]) -> None:
        """Send events that happen now, unless they say otherwise."""
        now = {"event_name": "call", "customer_id": "acme", "timestamp": time.time()}
        ran = self.run("send", stdin=b"".join(json.dumps({**now, **event}).encode() + b"\n" for event in events))
        assert ran.code == 0, ran

    def totals(self, *options: str) -> dict[tuple[str, str, str], str]:
        """Metric, group and window -> value, as `tally usage` tells them."""
        ran = self.run("usage", "--customer", "acme", "--json", *options)
        if ran.code:
            return {}
        return {(r["metric"], json.dumps(r["group"]), r["window"]): r["value"] for r in ran.json["rows"]}

    def reaches(self, calls: str, tokens: str) -> None:
        """Wait until both totals of all history are these."""
        wanted = {("calls", "{}", "total"): calls, ("tokens", "{}", "total"): tokens}
        wait_until(lambda: wanted.items() <= self.totals().items(), f"{wanted}, now {self.totals()}")


@pytest.fixture
def house(broker: Broker, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path) -> Iterator[House]:
    """A house on each broker, its worker ready."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    env = environment(broker.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=str(metrics))
    found = House(env)
    with found.worker:
        yield found


def test_what_is_sent_is_told(house: House) -> None:
    """An event, its duplicate, and one of an alias: counted once each, in the groups and windows of the definitions."""
    first = {"id": "ev_1", "properties": {"tokens": 3, "model": "m1"}}
    house.send(first, first, {"id": "ev_2", "customer_id": "acct_42", "properties": {"tokens": 4.5}})
    house.reaches("2", "7.5")
    totals = house.totals()
    assert totals["tokens", '{"model": "m1"}', "total"] == "3"
    assert totals["calls", "{}", "hour"] == "2"
    row = house.run("usage", "--customer", "acct_42", "--metric", "calls", "--window", "total", "--json").json["rows"][
        0
    ]
    assert (row["customer"], row["value"], row["events"], row["start"]) == ("acme", "2", 2, None)
    assert row["position"]["offset"] >= 2
    assert row["as_of"].endswith("Z")
    table = house.run("usage", "--customer", "acme").out
    assert table.splitlines()[0].split() == ["METRIC", "GROUP", "WINDOW", "START", "END", "VALUE", "EVENTS"]


def test_earlier_windows_come_from_the_worker(house: House) -> None:
    """--at tells the hour that held that time, which Redis no longer has; HTTP tells the same."""
    now = time.time()
    house.send({"id": "a", "timestamp": now - 5 * 3600}, {"id": "b", "timestamp": now - 5 * 3600}, {"id": "c"})
    wait_until(lambda: house.totals().get(("calls", "{}", "total")) == "3", "three calls")
    at = str(now - 5 * 3600)
    assert house.totals("--at", at)["calls", "{}", "hour"] == "2"
    assert house.totals("--window", "hour") == {("calls", "{}", "hour"): "1"}
    url = f"http://{house.worker.address}/v1/usage?customer=acct_42&metric=calls&window=hour&at={at}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        (row,) = json.load(answer)["rows"]
    assert (row["customer"], row["value"], row["events"]) == ("acme", "2", 2)
    asked = house.run("usage", "--customer", "acme", "--metric", "nonesuch", "--at", at)
    assert (asked.code, "there is no metric 'nonesuch'" in asked.err) == (1, True)


def test_any_worker_answers_for_all(house: House) -> None:
    """With two workers, each answers for customers of all four partitions, its own and the other's."""
    customers = [f"customer-{number}" for number in range(12)]
    with WorkerProcess(house.env, session_s=2.0) as second:
        house.send(*({"id": "1", "customer_id": name} for name in customers))

        def answers(worker: WorkerProcess, customer: str) -> bool:
            url = f"http://{worker.address}/v1/usage?customer={customer}&metric=calls&window=total"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return [(row["customer"], row["value"]) for row in json.load(answer)["rows"]] == [(customer, "1")]
            except urllib.error.HTTPError as error:
                if error.code != 503:  # while the partition moves
                    raise
                return False

        for customer in customers:
            for worker in (house.worker, second):
                wait_until(partial(answers, worker, customer), f"{customer} at {worker.address}")
        with urllib.request.urlopen(f"http://{second.address}/metrics", timeout=5) as answer:
            assert b"\ntally_partitions 2.0\n" in answer.read()


def test_a_worker_waits_for_its_servers(valkey_server: EmbeddedRedis, unique: str, tmp_path: Path) -> None:
    """Started before Kafka it lives, says what it waits for, obeys SIGTERM, and works once Kafka is there."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    broker = EmbeddedKafka()
    env = environment(broker.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=str(metrics))

    def told(worker: Starting) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://{worker.address}/healthz/ready", timeout=5) as answer:
                return answer.status, json.load(answer)["reasons"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["reasons"]

    try:
        with Starting(env, session_s=2.0) as worker:
            assert told(worker) == (503, ["starting: Kafka has not answered yet"])
            os.kill(worker.pid, signal.SIGTERM)
            wait_until(lambda: not worker.alive(), "the worker's end")
        with Starting(env, session_s=2.0) as worker:
            broker.start()
            wait_until(lambda: told(worker) == (200, []), "a ready worker")
    finally:
        broker.stop()


class Starting(WorkerProcess):
    """A worker that counts as started as soon as it lives."""

    def ready(self) -> bool:
        """/healthz/live answers 200."""
        with urllib.request.urlopen(f"http://{self.address}/healthz/live", timeout=2) as answer:
            return bool(answer.status == 200)


def test_a_redis_that_evicts_is_refused(broker: Broker, unique: str, tmp_path: Path) -> None:
    """The worker does not start on it, says why and what mends it, and exits with 1."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    with EmbeddedRedis(options={"maxmemory-policy": "allkeys-lru"}) as evicting:
        env = environment(broker.bootstrap, unique, TALLY_REDIS=evicting.url, TALLY_METRICS=str(metrics))
        done = subprocess.run(
            [sys.executable, "-m", "tally", "worker"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Error: This Redis is not fit to hold totals. " in done.stderr
    assert "CONFIG SET maxmemory-policy noeviction" in done.stderr


def test_a_rejected_event_is_listed_mended_and_counted(house: House) -> None:
    """What no decoder can read, and what one metric cannot use: both come back, mended, and count once."""
    house.run(
        "send", "--anyway", stdin=b'{"id": "ev_1", "event_name": "call", "customer_id": "acme", "timestamp": "now"}\n'
    )
    house.send({"id": "ev_2", "customer_id": "acct_42", "properties": {"tokens": "x"}})  # an alias: it is re-routed
    wait_until(lambda: house.run("rejected", "--json").json["found"] == 2, "two entries")
    found = {entry["reason"]: entry for entry in house.run("rejected", "--json").json["entries"]}
    assert found["bad_timestamp"]["kind"] == "rejected"
    assert (found["bad_value"]["kind"], found["bad_value"]["metrics"]) == ("partial", ["tokens"])
    assert house.totals()["calls", "{}", "total"] == "1"
    mended = f"sed 's/\"now\"/{time.time()}/'"
    assert house.run("rejected", "replay", "--reason", "bad_timestamp", "--map", mended).code == 0
    wait_until(lambda: house.totals()["calls", "{}", "total"] == "2", "the mended event")
    for _ in range(2):  # however often it is sent, it counts once
        assert house.run("rejected", "replay", "--metric", "tokens", "--map", "sed 's/\"x\"/7/'").code == 0
    house.reaches("2", "7")
    house.send({"id": "ev_3", "properties": {"tokens": 1}})
    house.reaches("3", "8")


def test_reset_counts_afresh(house: House) -> None:
    """It refuses while a worker lives, says what it would do, and then does it: ids and totals are gone, events are not."""
    house.send({"id": "ev_1", "properties": {"tokens": 3}}, {"id": "ev_2", "properties": {"tokens": 4}})
    house.reaches("2", "7")
    refused = house.run("reset", "--yes")
    assert (refused.code, "Stop them first" in refused.err) == (1, True)
    house.worker.stop()
    said = house.run("reset", "--json")
    assert (said.code, said.json["done"]) == (0, False)
    assert sum(part["counted"] for part in said.json["partitions"]) == 2
    assert {part["restart_at"] for part in said.json["partitions"]} == {0}
    assert sum(part["events"] for part in said.json["partitions"]) == 2
    assert house.totals()["calls", "{}", "total"] == "2", "saying changes nothing"
    wait_until(lambda: house.run("reset", "--yes").code == 0, "the worker's session to end")
    assert house.totals() == {}, "no total is told before it is counted afresh"
    with WorkerProcess(house.env, session_s=2.0):
        house.reaches("2", "7")
        house.send({"id": "ev_2", "properties": {"tokens": 4}}, {"id": "ev_3", "properties": {"tokens": 1}})
        house.reaches("3", "8")


def test_reset_to_the_end_forgets_what_was(house: House) -> None:
    """From the end, old events are in no total; new ones count, an id from before the reset too."""
    house.send({"id": "ev_1", "properties": {"tokens": 3}})
    house.reaches("1", "3")
    house.worker.stop()
    wait_until(lambda: house.run("reset", "--from", "end", "--yes").code == 0, "the worker's session to end")
    with WorkerProcess(house.env, session_s=2.0):
        house.send({"id": "ev_1", "properties": {"tokens": 5}})
        house.reaches("1", "5")


def test_reset_to_a_time_begins_in_the_middle(
    broker: Broker, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    """Only what Kafka got at that time or later is counted; the worker goes on from there, and the term has risen."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    house = House(environment(broker.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=str(metrics)))
    make_topic(broker.bootstrap, f"{unique}-events", 4)
    now = int(time.time())
    history = [
        {"id": f"ev_{hours}", "timestamp": now - hours * 3600, "properties": {"tokens": hours}} for hours in (3, 2, 1)
    ]
    events = [{"event_name": "call", "customer_id": "acme", **event} for event in history]
    for event in events:  # one batch each: the embedded broker has one timestamp for a batch
        assert house.run("send", "--event-time", stdin=json.dumps(event).encode()).code == 0
    with WorkerProcess(house.env, session_s=2.0):
        house.reaches("3", "6")
    said = house.run("reset", "--partition", "0", "--from", str(now - 2 * 3600), "--json").json["partitions"]
    assert [(part["partition"], part["restart_at"], part["events"]) for part in said] == [(0, 1, 2)]
    wait_until(
        lambda: house.run("reset", "--partition", "0", "--from", str(now - 2 * 3600), "--yes").code == 0,
        "the worker's session to end",
    )
    after = house.run("reset", "--json").json["partitions"][0]
    assert (after["term"], after["counted"], after["read_up_to"]) == (said[0]["term"] + 1, 0, 1)
    with WorkerProcess(house.env, session_s=2.0):
        house.reaches("2", "3")


@pytest.mark.kafka
def test_reset_follows_a_topic_that_was_widened(
    kafka: Kafka | GivenKafka, valkey_server: EmbeddedRedis, unique: str, tmp_path: Path
) -> None:
    """More partitions move the customers' homes: the worker stands still and says so, until all is counted afresh."""
    metrics = tmp_path / "metrics.yaml"
    metrics.write_text(METRICS)
    house = House(environment(kafka.bootstrap, unique, TALLY_REDIS=valkey_server.url, TALLY_METRICS=str(metrics)))
    names = [f"customer-{number}" for number in range(12)]
    with WorkerProcess(house.env, session_s=2.0):
        house.send(*({"id": "1", "customer_id": name} for name in names))
        house.send({"id": "ev_1", "properties": {"tokens": 3}})
        house.reaches("1", "3")
    widen(kafka.bootstrap, f"{unique}-events", 7)
    part = house.run("reset", "--partition", "0")
    assert (part.code, "only all partitions can be reset together" in part.err) == (2, True)
    wait_until(lambda: house.run("reset", "--yes").code == 0, "the worker's session to end")
    with WorkerProcess(house.env, session_s=2.0):
        house.reaches("1", "3")
        for name in names:
            told = partial(house.run, "usage", "--customer", name, "--window", "total", "--json")
            wait_until(lambda told=told: told().code == 0 and told().json["rows"], name)  # type: ignore[misc]
            assert [row["value"] for row in told().json["rows"] if row["metric"] == "calls"] == ["1"]


def test_doctor_sees_a_house_at_work(house: House) -> None:
    """Who works, what was read, re-routed and rejected; nothing is wrong on servers for trying things."""
    house.send({"id": "ev_1"}, {"id": "ev_2", "customer_id": "acct_42"}, {"id": "ev_3", "timestamp": 12})
    wait_until(lambda: house.totals().get(("calls", "{}", "total")) == "2", "both calls")
    checks = house.run("doctor", "--json").json["checks"]
    details = [check["detail"] for check in checks if check["about"] == f"events of {house.env['TALLY_APP']}"]
    assert details[0] == "4 read, 2 counted, 0 duplicates"
    assert details[1].startswith("1 (25.0%) were found away from their customer's home")
    assert details[2].startswith("1 were rejected, 0 could not be used by some metric")
    told = [(check["state"], check["about"], check["detail"]) for check in checks]
    app = house.env["TALLY_APP"]
    assert ("ok", f"totals of {app}", "all 4 partitions are complete in Redis, and fresh") in told
    assert ("ok", f"worker {house.worker.address}", "is ready") in told


def test_a_worker_tells_prometheus_what_it_did(house: House) -> None:
    """Counters of the partition that the customer lives in, by reason where something was rejected."""
    house.send({"id": "ev_1"}, {"id": "ev_1"}, {"id": "ev_2", "timestamp": 12})
    wait_until(lambda: house.totals().get(("calls", "{}", "total")) == "1", "the call")
    with urllib.request.urlopen(f"http://{house.worker.address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    for line in (
        'tally_read_total{partition="0"} 3.0',
        'tally_counted_total{partition="0"} 1.0',
        'tally_duplicates_total{partition="0"} 1.0',
        'tally_rejected_total{kind="rejected",partition="0",reason="too_old"} 1.0',
        'tally_lag_records{partition="0"} 0.0',
        'tally_ids{partition="0"} 1.0',
        'tally_rows{partition="0"} 1.0',
        "tally_partitions 4.0",
        "tally_ready 1.0",
    ):
        name = line.partition(" ")[0]
        assert [found for found in text.splitlines() if found.startswith(name + " ")] == [line]
