"""The producers that `tally up` prints: right in their language, with an event that counts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.load import load
from tally.up.producers import Snippet, example_properties, snippets

PLAIN = "metrics: {calls: {event_name: call, type: counter, aggregation: sum, property: n}}"
# a name with everything that could end a quotation early in one of the languages
ODD = 'metrics: {calls: {event_name: "it\'s 100% \\"odd\\" `x` \\\\ @TOPIC@", type: counter, aggregation: count}}'
ODD_NAME = 'it\'s 100% "odd" `x` \\ @TOPIC@'


def printed(text: str) -> dict[str, Snippet]:
    """The producers for a metrics file, by language."""
    return {each.language: each for each in snippets(load(text), "127.0.0.1:9092", "usage-events")}


def test_there_are_four_languages() -> None:
    """Each names the broker and the topic, or leaves them to `tally send`, and says what it needs."""
    found = printed(PLAIN)
    assert list(found) == ["python", "node", "go", "shell"]
    for language in ("python", "node", "go"):
        assert "127.0.0.1:9092" in found[language].code
        assert '"usage-events"' in found[language].code
        assert "(" in found[language].title
    assert "@" not in "".join(each.code for each in found.values())


@pytest.mark.parametrize("text", [PLAIN, ODD], ids=["plain", "odd"])
def test_the_shell_sends_one_event(text: str) -> None:
    """What bash hands to `tally send` is one event, whatever the names hold."""
    tally = 'tally() { [ "$*" = send ] && cat; }\n'
    done = subprocess.run(
        ["bash", "-c", tally + printed(text)["shell"].code], capture_output=True, text=True, check=True
    )
    event = json.loads(done.stdout)
    assert event["event_name"] == ("call" if text == PLAIN else ODD_NAME)
    assert event["properties"] == ({"n": 3} if text == PLAIN else {})
    assert event["customer_id"] == "acme"
    assert event["timestamp"] > 1_700_000_000


@pytest.mark.parametrize("text", [PLAIN, ODD], ids=["plain", "odd"])
def test_python_sends_one_event(text: str, tmp_path: Path) -> None:
    """It runs as it stands against a producer that writes down what it is given; the customer is the key."""
    (tmp_path / "confluent_kafka.py").write_text(
        "class Producer:\n"
        "    def __init__(self, config): print(config['bootstrap.servers'], config['partitioner'])\n"
        "    def produce(self, topic, value, key): print(topic); print(key); print(value)\n"
        "    def flush(self): print('flushed')\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{printed(text)['python'].code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    servers, topic, key, value, end = done.stdout.splitlines()
    assert (servers, topic, key, end) == ("127.0.0.1:9092 murmur2_random", "usage-events", "acme", "flushed")
    assert json.loads(value)["event_name"] == ("call" if text == PLAIN else ODD_NAME)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node on this machine")
@pytest.mark.parametrize("text", [PLAIN, ODD], ids=["plain", "odd"])
def test_node_sends_one_event(text: str, tmp_path: Path) -> None:
    """It runs as it stands against a kafkajs that writes down what it is given."""
    stub = tmp_path / "node_modules" / "kafkajs"
    stub.mkdir(parents=True)
    (stub / "index.js").write_text(
        "exports.Partitioners = { DefaultPartitioner: 'default' };\n"
        "exports.Kafka = class { constructor(o) { console.log(o.brokers[0]); } producer(o) { console.log(o.createPartitioner);\n"
        "  return { connect: async () => {}, disconnect: async () => console.log('bye'), send: async (o) => {\n"
        "    console.log(o.topic); console.log(o.messages[0].key); console.log(o.messages[0].value); } }; } };\n"
    )
    (tmp_path / "producer.js").write_text(printed(text)["node"].code)
    done = subprocess.run(["node", str(tmp_path / "producer.js")], capture_output=True, text=True, check=True)
    broker, partitioner, topic, key, value, end = done.stdout.splitlines()
    assert (broker, partitioner, topic, key, end) == ("127.0.0.1:9092", "default", "usage-events", "acme", "bye")
    assert json.loads(value)["event_name"] == ("call" if text == PLAIN else ODD_NAME)


@pytest.mark.skipif(shutil.which("gofmt") is None, reason="no Go on this machine")
@pytest.mark.parametrize("text", [PLAIN, ODD], ids=["plain", "odd"])
def test_go_is_written_as_go_is(text: str) -> None:
    """Gofmt accepts it and has nothing to change."""
    code = printed(text)["go"].code
    done = subprocess.run(["gofmt"], input=code, capture_output=True, text=True, check=True)
    assert done.stdout == code


def test_the_event_counts_for_the_metrics_of_its_name() -> None:
    """Filters by eq, nested properties, groups, an operation and a unique property are all there."""
    found = load(
        """
metrics:
  tokens: {event_name: call, type: counter, aggregation: sum, property: usage.tokens, group_by: [model],
           filters: [{property: region, op: eq, value: NA}, {property: n, op: gt, value: 1}]}
  users: {event_name: call, type: counter, aggregation: unique, property: usage.user}
  other: {event_name: else, type: counter, aggregation: sum, property: nothing}
"""
    )
    expected: dict[str, Any] = {"region": "NA", "usage": {"tokens": 3, "user": "one"}, "model": "one"}
    assert example_properties(found, found.metrics["tokens"]) == expected
    seats = load(
        """
metrics:
  seats: {event_name: seat, type: gauge, aggregation: unique, property: seat,
          operation: {property: op, add: assigned, remove: released}}
"""
    )
    assert example_properties(seats, seats.metrics["seats"]) == {"op": "assigned", "seat": "one"}
