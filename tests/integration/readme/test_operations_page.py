"""docs/operations.md is done as it stands, on three brokers of Apache Kafka, and `tally doctor` finds nothing wrong."""

import os
import sys
from pathlib import Path

import pytest

from tally.servers import EmbeddedRedis, free_port
from tests.integration.readme.pages import ROOT, steps
from tests.integration.readme.running import SETTLE, run
from tests.servers.fixtures import need
from tests.servers.kafka import Kafka
from tests.servers.stores import Redis

METRICS = """\
metrics:
  api_requests: {event_name: api_request, type: counter, aggregation: count, windows: [month, total]}
limits:
  - {metric: api_requests, window: month, limit: 1000}
"""

# What Kafka's own tool does with these words; the tool itself is not among the jars of the tests.
KAFKA_TOPICS = """\
import argparse
from confluent_kafka.admin import AdminClient, NewTopic

words = argparse.ArgumentParser()
words.add_argument("--bootstrap-server", required=True)
words.add_argument("--create", action="store_true", required=True)
words.add_argument("--topic", required=True)
words.add_argument("--partitions", type=int, required=True)
words.add_argument("--replication-factor", type=int, required=True)
words.add_argument("--config", action="append", default=[])
asked = words.parse_args()
config = dict(pair.split("=", 1) for pair in asked.config)
topic = NewTopic(asked.topic, asked.partitions, asked.replication_factor, config=config)
client = AdminClient({"bootstrap.servers": asked.bootstrap_server})
client.create_topics([topic])[asked.topic].result(60)
"""


@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_the_checklist_can_be_followed(
    kafka_trio: Kafka, tmp_path: Path, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics, Redis, doctor, a worker, an event, a reset: every block runs, and prints what the page says."""
    tools = tmp_path / "bin"
    tools.mkdir()
    script = tools / "kafka-topics.sh"
    script.write_text(f"#!{sys.executable}\n{KAFKA_TOPICS}")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "metrics.yaml").write_text(METRICS)
    with need(Redis)() as store:
        printed_matches(kafka_trio, store, tmp_path, unique)


def printed_matches(kafka: Kafka, store: EmbeddedRedis, folder: Path, unique: str) -> None:
    """Run the page with an app of this test's own, and compare."""
    own = f" TALLY_APP={unique} TALLY_EVENTS_TOPIC={unique}-events TALLY_REJECTED_TOPIC={unique}-rejected TALLY_ALERTS_TOPIC={unique}-alerts"
    replaced = {
        "127.0.0.1:9092": kafka.bootstrap,
        "redis://127.0.0.1:6379/0": store.url,
        "TALLY_LISTEN=127.0.0.1:6066": f"TALLY_LISTEN=127.0.0.1:6066{own}",
        "127.0.0.1:6066": f"127.0.0.1:{free_port()}",
        "--topic usage-events": f"--topic {unique}-events",
        "--topic usage-rejected": f"--topic {unique}-rejected",
        "--topic usage-alerts": f"--topic {unique}-alerts",
        "--topic tally-state-changelog": f"--topic {unique}-state-changelog",
        "sent to usage-events": f"sent to {unique}-events",
        "sleep 1\n": f"python3 {SETTLE} {store.url} {unique}\n",
    }
    found = list(steps(ROOT / "docs" / "operations.md", replaced))
    printed = run(found, folder)
    assert len(printed) == len(found) == 6
    for step, output in zip(found, printed, strict=True):
        assert step.fits(output), f"{step.code}\nprinted\n{output}\nand not\n{step.shown}"
