"""Producers to copy: the same event, sent from four languages.

Each runs as it is on the embedded broker, and sends a customer's events to the partition that a Java client would choose.
On a real Kafka let them be idempotent besides (enable.idempotence), which the embedded one does not know.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from schemas.definitions import Comparison, Definitions, Metric, path_of

PYTHON = """\
import json, time, uuid
from confluent_kafka import Producer

# murmur2_random: the partitioner of Java's clients, by which each customer has one home partition
producer = Producer({"bootstrap.servers": "@KAFKA@", "partitioner": "murmur2_random"})
event = {"id": str(uuid.uuid4()), "event_name": @NAME@, "customer_id": "acme",
         "timestamp": time.time(), "properties": @PROPERTIES@}
producer.produce("@TOPIC@", json.dumps(event), key=event["customer_id"])
producer.flush()
"""

NODE = """\
const { randomUUID } = require("node:crypto");
const { Kafka, Partitioners } = require("kafkajs");

const producer = new Kafka({ brokers: ["@KAFKA@"] }).producer({ createPartitioner: Partitioners.DefaultPartitioner });
const event = { id: randomUUID(), event_name: @NAME@, customer_id: "acme",
                timestamp: Date.now(), properties: @PROPERTIES@ };
producer.connect()
  .then(() => producer.send({ topic: "@TOPIC@", messages: [{ key: event.customer_id, value: JSON.stringify(event) }] }))
  .then(() => producer.disconnect());
"""

GO = """\
package main

import (
\t"context"
\t"fmt"
\t"time"

\t"github.com/segmentio/kafka-go"
)

func main() {
\twriter := &kafka.Writer{Addr: kafka.TCP("@KAFKA@"), Topic: "@TOPIC@", Balancer: kafka.Murmur2Balancer{}}
\tnow := time.Now()
\tevent := fmt.Sprintf(`{"id": "go-%d", "event_name": @NAME@, "customer_id": "acme", "timestamp": %d, "properties": @PROPERTIES@}`,
\t\tnow.UnixNano(), now.UnixMilli())
\tif err := writer.WriteMessages(context.Background(), kafka.Message{Key: []byte("acme"), Value: []byte(event)}); err != nil {
\t\tpanic(err)
\t}
\tif err := writer.Close(); err != nil {
\t\tpanic(err)
\t}
}
"""

SHELL = """\
echo '{"id": "'$(date +%s%N)'", "event_name": @NAME@, "customer_id": "acme", "timestamp": '$(date +%s)', "properties": @PROPERTIES@}' | tally send
"""


class Snippet(NamedTuple):
    """A producer, what it needs, and the language by which tests know it."""

    language: str
    title: str
    code: str


def snippets(definitions: Definitions, bootstrap: str, topic: str) -> Iterator[Snippet]:
    """Yield the producers, with an event that the file's first metric counts."""
    metric = next(iter(definitions.metrics.values()))
    for language, title, code in (
        ("python", "Python (pip install confluent-kafka)", PYTHON),
        ("node", "Node (npm install kafkajs)", NODE),
        ("go", "Go (go get github.com/segmentio/kafka-go)", GO),
        ("shell", "a shell (one event a line; the key is set for you)", SHELL),
    ):
        name, properties = (
            json.dumps(metric.event_name),
            json.dumps(example_properties(definitions, metric), default=float),
        )
        if language == "python":
            properties = repr(json.loads(properties))
        if language == "shell":
            name, properties = (text.replace("'", r"'\''") for text in (name, properties))
        if language == "go":
            name, properties = (text.replace("%", "%%").replace("`", r"\u0060") for text in (name, properties))
        values = {"@KAFKA@": bootstrap, "@TOPIC@": topic, "@NAME@": name, "@PROPERTIES@": properties}
        yield Snippet(language, title, _filled(code, values))


def _filled(code: str, values: Mapping[str, str]) -> str:
    """Put each value where its mark stands, all in one pass, so that no value is taken for a mark."""
    return re.sub("|".join(values), lambda mark: values[mark[0]], code)


def example_properties(definitions: Definitions, metric: Metric) -> dict[str, Any]:
    """Properties with which an event counts for this metric and for the others of its event name, as far as can be told.

    What `eq` asks for, a value for each group, a number for what is added up, an id for what is told apart.
    """
    found: dict[str, Any] = {}
    of_event = [one for one in definitions.metrics.values() if one.event_name == metric.event_name]
    for one in (metric, *of_event):
        for wanted in one.filters:
            if isinstance(wanted, Comparison) and wanted.op == "eq":
                _put(found, wanted.property, wanted.value)
        if one.operation is not None:
            _put(found, one.operation.property, one.operation.add)
        if one.property is not None:
            _put(found, one.property, "one" if one.aggregation == "unique" else 3)
        for grouped in one.group_by:
            _put(found, grouped, "one")
    return found


def _put(found: dict[str, Any], prop: str, value: Any) -> None:
    """Set a property, nested where it is dotted; what is there already stays."""
    *outer, last = path_of(prop)
    inner: Any = found
    for name in outer:
        inner = inner.setdefault(name, {})
        if not isinstance(inner, dict):
            return
    inner.setdefault(last, value)
