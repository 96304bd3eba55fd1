"""A shard without Kafka: what it is made of is the test's."""

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from stream.core.header import Counts
from stream.engine.shard import Parts, Poison, Shard
from stream.telemetry import Telemetry


def shard(committer: Any, publisher: Any, *, read_to: int, kafka: Any = None, **state: Any) -> Any:
    """A recovered shard of the only partition that has folded up to `read_to`; its state is the header and `state`."""
    parts: Any = Parts(
        kafka=kafka,
        source="events",
        changelog="changelog",
        isolation="read_committed",
        count=1,
        partition=lambda *_: None,  # type: ignore[arg-type]
        committer=lambda _: committer,
        publisher=lambda _: publisher,
        ack=lambda _: None,
        telemetry=Telemetry(CollectorRegistry()),
    )
    made: Any = Shard(0, parts, Poison())
    made._state = SimpleNamespace(header=SimpleNamespace(next_offset=read_to, counts=Counts()), **state)
    return made
