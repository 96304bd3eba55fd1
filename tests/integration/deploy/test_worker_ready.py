"""When a worker's /healthz/ready says yes: what a rolling update and docker compose wait for."""

import json
import time
import urllib.request
from pathlib import Path

from tally.servers import EmbeddedKafka, EmbeddedRedis
from tests.servers.records import Record, produce
from tests.servers.workers import Worker

ROOT = Path(__file__).parents[3]


def gauge(worker: Worker, name: str) -> float:
    """The value of a gauge without labels on a worker's /metrics."""
    with urllib.request.urlopen(f"http://{worker.address}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_ready_means_that_the_group_has_been_joined(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """The first worker is not ready before it owns all partitions, and its totals are in Redis from that moment."""
    with EmbeddedRedis() as store:
        settings = {
            "TALLY_KAFKA": embedded_kafka.bootstrap,
            "TALLY_REDIS": store.url,
            "TALLY_APP": unique,
            "TALLY_EVENTS_TOPIC": unique,
            "TALLY_PARTITIONS": "4",
            "TALLY_METRICS": str(ROOT / "deploy" / "metrics.yaml"),
        }
        with Worker(settings) as first:
            assert gauge(first, "tally_partitions") == 4
        now = int(time.time() * 1000)
        event = {"id": "1", "event_name": "request", "customer_id": "acme", "timestamp": now}
        produce(embedded_kafka.bootstrap, unique, [Record(b"acme", json.dumps(event).encode(), now)])
        with Worker(settings) as second:
            assert gauge(second, "tally_partitions") == 4
