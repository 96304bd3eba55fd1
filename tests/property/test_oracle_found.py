"""Differences that the search found, kept: each once divided the product from the judge."""

import decimal
import json
from random import Random
from typing import Any

import pytest

from stream.core.metrics.base import EXACT_DIGITS
from tests.against import compare
from tests.generators.cases import Case
from tests.generators.logs import TOPIC, Log, Record
from tests.oracle.log import LogIndex, Settings
from tests.oracle.reading import read_line
from tests.property.test_oracle_states import COUNTED, Bench

UPSERTS = {"u": {"on_duplicate": "upsert"}, "v": {"on_duplicate": "upsert"}}


def event(identity: str, at: str | float, name: str = "a", customer: str = "acme", **properties: Any) -> bytes:
    """One native event."""
    body = {"id": identity, "event_name": name, "customer_id": customer, "timestamp": at, "properties": properties}
    return json.dumps(body).encode()


def gauge(aggregation: str, **fields: Any) -> dict[str, Any]:
    """A gauge over `n` of event `a`."""
    return {"event_name": "a", "type": "gauge", "aggregation": aggregation, "property": "n", **fields}


FILES = {
    "customers in the order of their JSON": Case(
        {"metrics": {"m": {"event_name": "a", "type": "counter", "aggregation": "count"}}},
        (event("1", 1e9, customer="a"), event("1", 1e9, customer="a!"), event("1", 1e9, customer='a"')),
    ),
    "an upsert name without a metric": Case(
        {"metrics": {"m": {"event_name": "v", "type": "counter", "aggregation": "count"}}, "events": UPSERTS},
        (event("1", 1e9, "u"), event("1", 1e9 + 1, "u"), event("2", 1e9, "v"), event("2", 1e9 + 1, "u")),
    ),
    "a replacement is the latest event accepted": Case(
        {"metrics": {"m": gauge("max", event_type="total", windows=["day"], event_name="v")}, "events": UPSERTS},
        (event("1", 1e9, "v", n=1), event("2", 1e9 + 90_000, "v", n=2), event("1", 1e9 + 200_000, "v", n=3)),
    ),
    "a group's number is no text": Case(
        {"metrics": {"m": {"event_name": "a", "type": "counter", "aggregation": "count", "group_by": ["g"]}}},
        (event("1", 1e9, g=2.5), event("2", 1e9, g="2.5"), event("3", 1e9, g=1e-7)),
    ),
    "all history of a sliding rate before 1970": Case(
        {
            "metrics": {
                "m": {
                    "event_name": "a",
                    "type": "rate",
                    "aggregation": "count",
                    "granularity": "hour",
                    "sliding": True,
                    "windows": ["total"],
                }
            }
        },
        (event("1", "1969-09-01T04:46:39.999Z"),),
    ),
    "a change exactly at a bucket's start": Case(
        {"metrics": {"m": gauge("max", event_type="total", granularity="year", proration="second", windows=["month"])}},
        (event("1", "1971-04-11T02:29:27Z", n=1),),
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_divided_them(name: str) -> None:
    """A file that the product once read otherwise than the contract says."""
    assert compare(FILES[name]) is None


LARGE = 10**36 - 1
LOGS: dict[str, tuple[dict[str, Any], list[tuple[float, bytes]]]] = {
    "a grouped gauge goes on after a restore": (
        gauge("latest", event_type="total", group_by=["g"], lateness="5s", windows=["day"], initial_value=-2),
        [(1e9 + n, event(str(n), 1e9 + n, n=n + 0.5, g="x")) for n in range(20)],
    ),
    "the base of a gauge beyond 64 bits": (
        gauge("weighted_sum", event_type="total", group_by=["g"], lateness="5s", windows=["day"]),
        [(1e9 + 60 * n, event(str(n), 1e9 + 60 * n, n=LARGE - n, g="x")) for n in range(4)],
    ),
    "a step of a gauge beyond 64 bits": (
        gauge("max", event_type="delta", windows=["day"]),
        [(1e9, event("1", 1e9, n=LARGE)), (1e9 + 1, event("2", 1e9 + 1, n=2**64))],
    ),
    "an older window after a replacement left nothing": (
        {"event_name": "u", "type": "counter", "aggregation": "max", "property": "n", "windows": ["minute"]},
        [
            (1e9, event("1", 1e9, "u", n=1)),
            (1e9 + 1, event("1", 1e9, "u")),
            (1e9 + 9, event("2", 1e9 - 30_000, "u", n=2)),
        ],
    ),
    "distinct values of an older window after a replacement left nothing": (
        {"event_name": "u", "type": "counter", "aggregation": "unique", "property": "n", "windows": ["hour"]},
        [
            (1e9, event("1", 1e9, "u", n=1)),
            (1e9 + 1, event("1", 1e9, "u")),
            (1e9 + 9, event("2", 1e9 - 90_000, "u", n=2)),
        ],
    ),
}


@pytest.mark.parametrize("often", [True, False])
@pytest.mark.parametrize("name", LOGS)
def test_logs_that_divided_them(name: str, often: bool) -> None:
    """A log that a state once counted otherwise, saved, restored and expired after every event, or only expired at the end."""
    metric, messages = LOGS[name]
    log = Log({"metrics": {"m": metric}, "events": UPSERTS}, [[]])
    bench, index = Bench(log, "m", Random(0)), LogIndex(log.definitions, (), 0, Settings())
    held: dict[Any, Any] = {}
    with decimal.localcontext(prec=EXACT_DIGITS):
        for offset, (at, value) in enumerate(messages):
            record = Record(TOPIC, 0, offset, int(at * 1_000), None, value)
            verdict, sent = index.take(record), read_line(value)
            assert verdict in COUNTED
            before, now = held.get(sent.identity), bench.read(record, sent.customer)
            held[sent.identity] = now
            if before is not None:
                bench.remove(sent.customer, before, index.clock)
            if now is not None:
                bench.fold(sent.customer, now, index.clock)
            bench.check(index, "m", offset + 1)
            if often:
                bench.save_and_restore(index.clock)
            elif offset == len(messages) - 1:
                bench.expire(index.clock)
            bench.check(index, "m", offset + 1)
