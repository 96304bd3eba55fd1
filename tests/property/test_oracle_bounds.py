"""The bounds of time, each a microsecond or a millisecond to either side, through a partition and the judge."""

import json
from random import Random
from typing import Any

import pytest

from tests.against import compare
from tests.generators.cases import Case
from tests.generators.logs import Log
from tests.oracle.log import LogIndex, Settings
from tests.property.test_oracle_partition import judged

NOON = 1_772_712_000
DAY = 86_400
COUNT = {"event_name": "a", "type": "counter", "aggregation": "count"}


def event(identity: str, us: int, **properties: Any) -> bytes:
    """One native event at an instant in microseconds."""
    body = {"id": identity, "event_name": "a", "customer_id": "acme", "timestamp": f"{us // 10**6}.{us % 10**6:06d}"}
    return json.dumps(body | {"properties": properties}).encode()


def verdicts(metric: dict[str, Any], records: list[tuple[int, bytes]]) -> tuple[list[str], int]:
    """What becomes of each record (milliseconds, value), and how many came late, as product and judge agree on it."""
    log = Log({"metrics": {"m": metric}}, [[]])
    for at, value in records:
        log.append(0, at, None, value, [])
    for seed in range(3):
        judged(log, Random(seed))
    index = LogIndex(log.definitions, log.partitions[0], 0, Settings())
    return list(index.verdicts.values()), index.counts["late"]


@pytest.mark.parametrize("kind, length, kept", [("minute", 60, 2), ("hour", 3_600, 8), ("day", 86_400, 100)])
@pytest.mark.parametrize("early_ms, late", [(1, 0), (0, 1)])
def test_a_window_is_kept_up_to_a_bound(kind: str, length: int, kept: int, early_ms: int, late: int) -> None:
    """A window takes events for its retention after its end: a millisecond earlier it does, at the bound no more."""
    start = NOON - NOON % length
    clock_ms = (start + length + kept * DAY) * 1_000 - early_ms
    reopened = event("1", start * 10**6), event("2", start * 10**6 + 5), event("3", clock_ms * 1_000)
    metric = {**COUNT, "windows": [kind]}
    if kept > 7:
        metric["lateness"] = "6d"
        clock_ms = (start + length + 6 * DAY) * 1_000 - early_ms
        reopened = event("1", start * 10**6), event("2", start * 10**6 + 5), event("3", clock_ms * 1_000)
    accepted = [(start * 1_000, reopened[0]), (clock_ms, reopened[2]), (clock_ms, reopened[1])]
    assert verdicts(metric, accepted) == (["counted", "counted", "counted"], late)


@pytest.mark.parametrize("beyond_us, verdict", [(0, "counted"), (1, "too_old")])
def test_the_greatest_age_is_included(beyond_us: int, verdict: str) -> None:
    """Seven days before the clock is accepted, a microsecond more is not."""
    old = (NOON - 7 * DAY) * 10**6 - beyond_us
    records = [(NOON * 1_000, event("1", NOON * 10**6)), (NOON * 1_000, event("2", old))]
    assert verdicts({**COUNT, "windows": ["total"]}, records) == (["counted", verdict], 0)


@pytest.mark.parametrize("beyond_us, verdict", [(0, "counted"), (1, "in_future")])
def test_the_furthest_ahead_is_included(beyond_us: int, verdict: str) -> None:
    """Five minutes after the record's own timestamp is accepted, a microsecond more is not, wherever the clock is."""
    records = [(NOON * 1_000 + 900_000, event("1", NOON * 10**6))]
    records.append((NOON * 1_000, event("2", (NOON + 300) * 10**6 + beyond_us)))
    assert verdicts({**COUNT, "windows": ["total"]}, records) == (["counted", verdict], 0)


@pytest.mark.parametrize("after_s, verdict", [(7 * DAY + 300, "duplicate"), (7 * DAY + 300 + 3_600, "counted")])
def test_an_id_is_remembered_for_the_whole_time(after_s: int, verdict: str) -> None:
    """An id is a duplicate for max_age + max_ahead after it came, and new when that hour of the clock is over."""
    later = NOON + after_s
    records = [(NOON * 1_000, event("1", NOON * 10**6)), (later * 1_000, event("1", later * 10**6))]
    assert verdicts({**COUNT, "windows": ["total"]}, records)[0] == ["counted", verdict]


SLIDING = {"event_name": "a", "type": "rate", "aggregation": "count", "granularity": "minute", "sliding": True}
GAUGE = {"event_name": "a", "type": "gauge", "aggregation": "latest", "event_type": "delta", "property": "n"}


@pytest.mark.parametrize("metric, lateness_s", [(SLIDING, 3_600), ({**GAUGE, "lateness": "10m"}, 600)])
@pytest.mark.parametrize("beyond_us, late", [(0, 0), (1, 1)])
def test_lateness_by_the_event_is_included(metric: dict[str, Any], lateness_s: int, beyond_us: int, late: int) -> None:
    """A sliding rate takes events up to an hour late, a gauge up to its lateness; a microsecond more is late."""
    records = [(NOON * 1_000, event("1", NOON * 10**6, n=1))]
    records.append((NOON * 1_000, event("2", (NOON - lateness_s) * 10**6 - beyond_us, n=2)))
    assert verdicts({**metric, "windows": ["hour"]}, records) == (["counted", "counted"], late)


LATEST = {"event_name": "a", "type": "counter", "aggregation": "latest", "property": "n"}


def test_of_one_instant_the_later_in_the_log_is_the_latest() -> None:
    """A tie goes to the record that came later: in one window, and where the finest window takes no more events."""
    noon = NOON * 10**6
    tied = [(NOON * 1_000, event("1", noon, n=1)), (NOON * 1_000, event("2", noon, n=2))]
    assert verdicts({**LATEST, "windows": ["minute", "day"]}, tied) == (["counted", "counted"], 0)
    passed = (NOON + 3 * DAY) * 1_000
    late = [tied[0], (passed, event("3", noon - DAY * 10**6, n=7)), (passed, event("2", noon, n=2))]
    metric = {**LATEST, "windows": ["minute", "total"]}
    assert verdicts(metric, late) == (["counted", "counted", "counted"], 2)


@pytest.mark.parametrize("text", ["x" * 256, "x" * 257, "é" * 128, "é" * 129])
def test_a_group_of_256_bytes_is_shown(text: str) -> None:
    """Up to 256 bytes of UTF-8 name a group; with more the event belongs to the overall total only."""
    line = event("1", NOON * 10**6, g=text)
    assert compare(Case({"metrics": {"m": {**COUNT, "group_by": ["g"], "windows": ["total"]}}}, (line,))) is None
