"""What `tally api` tells Prometheus: base units, no customer as a label, help that says what to do."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from stream.telemetry import CONTENT_TYPE, FAST


class ApiTelemetry:
    """The series of one process, in a registry of its own."""

    def __init__(self, *, process: bool = True) -> None:
        """Leave `process` out in tests."""
        self.registry = registry = CollectorRegistry()
        if process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
        self.requests = Counter(
            "tally_api_requests",
            "Requests answered, by path and status. Many 503: see tally_api_kafka_up and tally_api_redis_up.",
            ("path", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "tally_api_request_seconds",
            "How long requests took, from their first byte to their answer, by path.",
            ("path",),
            buckets=FAST,
            registry=registry,
        )
        self.answers = Counter(
            "tally_api_gate_answers",
            "Answers of check and reserve by reason. `stale` rises: a worker is away, see its /healthz/ready.",
            ("call", "reason"),
            registry=registry,
        )
        self.events = Counter(
            "tally_api_events",
            "Events accepted by Kafka or refused, by reason (empty: accepted).",
            ("status", "reason"),
            registry=registry,
        )
        self.busy = Gauge(
            "tally_api_busy_requests",
            "Requests being answered now, by room. At the room's size callers get 429: start another `tally api`.",
            ("room",),
            registry=registry,
        )
        self.bytes = Gauge(
            "tally_api_body_bytes", "Bytes of events held until Kafka has acknowledged them.", registry=registry
        )
        self.connections = Gauge("tally_api_connections", "Open connections.", registry=registry)
        self.kafka_up = Gauge("tally_api_kafka_up", "1 while Kafka takes events.", registry=registry)
        self.redis_up = Gauge("tally_api_redis_up", "1 while Redis answered the last time.", registry=registry)

    def render(self) -> bytes:
        """The text that /metrics answers, of content type `CONTENT_TYPE`."""
        return generate_latest(self.registry)


__all__ = ["CONTENT_TYPE", "ApiTelemetry"]
