"""The dashboard and the rules on a real Prometheus that scrapes a real worker."""

import json
import shutil
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tally.servers import EmbeddedKafka, EmbeddedRedis, wait_until
from tests.servers.records import Record, produce
from tests.servers.workers import Prometheus, Worker

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tallystream.json"
# Series that exist only once something has gone wrong: no answer is the right answer.
ONLY_IN_TROUBLE = {"tally_commit_failures_total"}


def query(prometheus: Prometheus, expression: str) -> list[dict[str, Any]]:
    """Ask Prometheus; an error in the expression raises."""
    asked = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://{prometheus.address}/api/v1/query?{asked}", timeout=10) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result


def shows(prometheus: Prometheus, expression: str) -> bool:
    """Whether a panel would draw something: a value that is a number."""
    return any(sample["value"][1] != "NaN" for sample in query(prometheus, expression))


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not here (Debian: prometheus)")
def test_every_panel_shows_something_under_load(embedded_kafka: EmbeddedKafka, unique: str) -> None:
    """Each query of the dashboard is valid and finds series of a worker that counts, and no alert fires."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"].replace("$job", "tally") for panel in panels for target in panel["targets"]]
    expected = [one for one in queries if not any(name in one for name in ONLY_IN_TROUBLE)]
    sent = 0

    def load() -> None:
        nonlocal sent
        now = int(time.time() * 1000)
        event = {"event_name": "request", "customer_id": "acme", "timestamp": now, "properties": {"tokens": 3}}
        events = [Record(b"acme", json.dumps({**event, "id": f"e{sent + one}"}).encode(), now) for one in range(100)]
        produce(embedded_kafka.bootstrap, f"{unique}-events", [*events, Record(b"acme", b"{", now)])
        sent += 100

    with EmbeddedRedis() as store:
        settings = {
            "TALLY_KAFKA": embedded_kafka.bootstrap,
            "TALLY_REDIS": store.url,
            "TALLY_APP": unique,
            "TALLY_EVENTS_TOPIC": f"{unique}-events",
            "TALLY_REJECTED_TOPIC": f"{unique}-rejected",
            "TALLY_ALERTS_TOPIC": f"{unique}-alerts",
            "TALLY_PARTITIONS": "4",
            "TALLY_METRICS": str(ROOT / "deploy" / "metrics.yaml"),
        }
        with Worker(settings) as worker, Prometheus([worker.address]) as prometheus:
            missing = list(expected)

            def all_shown() -> bool:
                load()
                missing[:] = [one for one in missing if not shows(prometheus, one)]
                return not missing

            try:
                wait_until(all_shown, "an answer to every query", 60)
            except TimeoutError:
                pytest.fail(f"panels that stay empty: {missing}")
            for one in queries:
                query(prometheus, one)
            read = sum(float(sample["value"][1]) for sample in query(prometheus, "tally_read_total"))
            assert read > 0
            firing = query(prometheus, 'ALERTS{alertstate="firing"}')
            assert [alert["metric"]["alertname"] for alert in firing] == []
