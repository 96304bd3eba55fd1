"""What docs/metrics.md says that events and values cost in memory, measured."""

import gc
import json
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from schemas.load import load
from stream.core.partition import Partition
from stream.core.plan import Plan
from tests.partitions import NOON, Record

PAGE = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## What it costs in memory")[1].split("\n## ")[0]
ROWS = {
    re.sub(r"[^a-z ]", "", what): (int(memory), int(saved))
    for what, memory, saved in re.findall(r"^\| (.*?) \| (\d+) \| (\d+) \|", TABLE, re.MULTILINE)
}
EVENTS = 4_000


def spent(plan: Plan, name: str, seconds: int, *, traced: bool = True) -> tuple[int, int]:
    """Bytes of memory and of the changelog after so many events of this name of one customer, `seconds` apart in all."""
    gc.collect()
    if traced:
        tracemalloc.start()
    partition = Partition(plan, 0, 1)
    partition.restored()
    partition.begin_term()
    saved: dict[bytes, int] = {}
    for first in range(0, EVENTS, 500):
        block = []
        for i in range(first, first + 500):
            at = NOON + seconds * i // EVENTS
            body = {"id": f"e{i}", "event_name": name, "customer_id": "acme", "timestamp": at}
            body |= {"properties": {"n": i % 97, "thing": f"user-{i}", "op": "add"}}
            block.append(Record(i, json.dumps(body).encode(), at * 1000))
        partition.fold(block, first + 500)
        commit = partition.take()
        assert commit is not None
        for key, value in commit.rows:
            saved[key] = 0 if value is None else len(key) + len(value)
        del block, commit
    gc.collect()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return memory, sum(saved.values())


COUNTER = {"type": "counter", "property": "n"}
OBJECTS = {"type": "gauge", "aggregation": "unique", "property": "thing"}
OBJECTS |= {"operation": {"property": "op", "add": "add", "remove": "remove"}}  # type: ignore[dict-item]
GAUGE = {"type": "gauge", "aggregation": "max", "property": "n", "event_type": "delta"}


@pytest.mark.parametrize(
    "row, metric, upsert, each",
    [
        ("event of an upsert name and metric of count", {**COUNTER, "aggregation": "sum"}, True, EVENTS),
        ("event of an upsert name and metric of max", {**COUNTER, "aggregation": "max"}, True, EVENTS),
        (
            "event of an upsert name and metric of unique",
            {**COUNTER, "aggregation": "unique", "property": "thing"},
            True,
            EVENTS,
        ),
        ("event of an upsert name and gauge", GAUGE, True, EVENTS),
        (
            "distinct value",
            {**COUNTER, "aggregation": "unique", "property": "thing", "windows": ["total"]},
            False,
            EVENTS,
        ),
        ("event of a gauge", GAUGE, False, EVENTS),
        ("event of a gauge of unique objects", OBJECTS, False, EVENTS),
        (
            "second with an event",
            {**COUNTER, "type": "rate", "aggregation": "sum", "granularity": "hour", "sliding": True},
            False,
            3000,
        ),
    ],
)
def test_it_costs_what_the_page_says(row: str, metric: dict[str, Any], upsert: bool, each: int) -> None:
    """Within a half of it: tables grow in steps, and other releases of Python differ."""
    made: dict[str, Any] = {"metrics": {"m": {"event_name": "call", **metric}}}
    if upsert:
        made["events"] = {"call": {"on_duplicate": "upsert"}}
    plan = Plan(load(json.dumps(made), "metrics.json"))
    spent(plan, "other", 3000, traced=False)  # what is made once, and remembered of instants
    (memory, saved), (less, ids) = spent(plan, "call", 3000), spent(plan, "other", 3000)
    said, written = next(figures for what, figures in ROWS.items() if what.startswith(row))
    assert said * 0.5 < (memory - less) / each < said * 1.5
    assert written * 0.5 < (saved - ids) / each < written * 1.5
