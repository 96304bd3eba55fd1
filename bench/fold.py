"""What the fold costs: decode, hash, dedupe, fold, take (encode and render), in microseconds of CPU for each event.

    python bench/fold.py [EVENTS [FOLDER]]

FOLDER may hold the lab study of the fold (`data.py`, `plan.py`, `rows.py`): it then does the same work on the same
events in turn with ours, block by block. A part's figure is the first decile over the blocks of the second half,
which is what it costs when nothing else disturbs the machine.

Three metrics of three windows each (count, a filtered sum, the greatest of a decimal) over events of about 250 bytes,
in blocks of 5,000 with a commit after each; 1,000 customers alike, and 100,000 by zipf (1.1).
"""

import bisect
import importlib
import itertools
import json
import random
import sys
import time
from types import SimpleNamespace
from typing import Any

from schemas.definitions import Comparison, Definitions, Metric
from stream.core.partition import Partition
from stream.core.plan import Plan

T0 = 1_772_712_000
BLOCK = 5000
WINDOWS = ("hour", "day", "month")
METRICS = (
    Metric(key="requests", name="", event_name="api_request", type="counter", aggregation="count", windows=WINDOWS),
    Metric(
        key="na_value",
        name="",
        event_name="api_request",
        type="counter",
        aggregation="sum",
        property="value",
        filters=(Comparison("region", "eq", "NA"),),
        windows=WINDOWS,
    ),
    Metric(
        key="max_latency",
        name="",
        event_name="api_request",
        type="counter",
        aggregation="max",
        property="latency_ms",
        windows=WINDOWS,
    ),
)


def events(number: int, customers: int, zipf: bool) -> list[Any]:
    """Records of one hour, ahead of and behind each other by up to three seconds."""
    chance = random.Random(1)
    weights = list(itertools.accumulate(1 / (i + 1) ** 1.1 for i in range(customers))) if zipf else []
    out = []
    for i in range(number):
        ms = i * 1000 // 300_000 + chance.randrange(3000)
        who = bisect.bisect(weights, chance.random() * weights[-1]) if zipf else chance.randrange(customers)
        second = ms // 1000
        event = {
            "id": f"ev_{i:010}",
            "event_name": "api_request",
            "customer_id": f"cust{who:06}",
            "timestamp": f"2026-03-05T12:{second // 60 % 60:02}:{second % 60:02}.{ms % 1000:03}Z",
            "properties": {"region": chance.choice(("NA", "EU")), "value": chance.randrange(1, 10), "latency_ms": 0},
        }
        text = json.dumps(event, separators=(",", ":"))
        text = text.replace('"latency_ms":0', f'"latency_ms":{chance.randrange(500)}.{chance.randrange(1, 1000):03}')
        out.append(
            SimpleNamespace(
                topic="usage-events",
                partition=0,
                offset=i,
                timestamp=T0 * 1000 + ms + 20,
                key=f"cust{who:06}".encode(),
                value=text.encode(),
                headers=(),
            )
        )
    return out


class Ours:
    """The product's partition, one part of its work after the other."""

    def __init__(self) -> None:
        self._partition = Partition(Plan(Definitions(metrics={metric.key: metric for metric in METRICS})), 0, 1)
        self._partition.restored()
        self._partition.begin_term()
        self.rows = 0

    def work(self, block: list[Any]) -> dict[str, float]:
        """Seconds of CPU for a block, by part."""
        began = time.process_time()
        self._partition.fold(block, block[-1].offset + 1)
        folded = time.process_time()
        commit = self._partition.take()
        assert commit is not None
        self.rows += len(commit.publications)
        return {"fold": folded - began, "take": time.process_time() - folded}

    def check(self, number: int) -> None:
        """Every event was counted."""
        assert self._partition.header.counts.counted == number


class LabStudy:
    """The lab study, likewise."""

    def __init__(self, folder: str) -> None:
        sys.path.insert(0, folder)
        data, plan, rows = (importlib.import_module(name) for name in ("data", "plan", "rows"))
        rows.plan = plan  # type: ignore[attr-defined]
        self._part = rows.Part(data.DEFS)

    def work(self, block: list[Any]) -> dict[str, float]:
        """Seconds of CPU for a block, by part."""
        began = time.process_time()
        self._part.fold(block)
        folded = time.process_time()
        self._part.encode()
        self._part.render()
        self._part.clean()
        return {"fold": folded - began, "take": time.process_time() - folded}


def measure(records: list[Any], folder: str | None) -> None:
    """Print microseconds of CPU for each event, of everyone."""
    ours = Ours()
    everyone: dict[str, Any] = {"ours": ours} | ({} if folder is None else {"lab study": LabStudy(folder)})
    spent: dict[str, dict[str, list[float]]] = {who: {"fold": [], "take": []} for who in everyone}
    for at in range(0, len(records), BLOCK):
        for who, worker in everyone.items():
            for part, seconds in worker.work(records[at : at + BLOCK]).items():
                spent[who][part].append(seconds)
    ours.check(len(records))
    for who, parts in spent.items():
        shown = {part: _decile(each[len(each) // 2 :]) / BLOCK * 1e6 for part, each in parts.items()}
        listed = ", ".join(f"{part} {value:.2f}" for part, value in shown.items())
        print(f"  {who}: {sum(shown.values()):.2f} us an event ({listed})")
    print(f"  {ours.rows / len(records):.2f} customers published for each event")


def _decile(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


def main() -> None:
    """Print both loads."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for label, customers, zipf in (("1,000 customers alike", 1000, False), ("100,000 by zipf", 100_000, True)):
        print(label)
        measure(events(number, customers, zipf), sys.argv[2] if len(sys.argv) > 2 else None)


if __name__ == "__main__":
    main()
