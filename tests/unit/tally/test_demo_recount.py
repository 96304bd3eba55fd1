"""The demo's judge is itself judged: it counts right, and it finds what is wrong."""

import ast
import json
from pathlib import Path
from typing import Any

from tally.demo import recount as module
from tally.demo.recount import Sent, Series, compare, recount, start_of
from tally.demo.traffic import DUPLICATES, Traffic, duplicates

NOON = 1_772_712_000  # 2026-03-05T12:00:00Z
MARCH = 1_772_323_200


def line(number: int, at: float = NOON, **properties: Any) -> bytes:
    """One event of acme."""
    values = {"model": "small", "tokens": 10, "cost": "0.1", **properties}
    event = {
        "id": f"ev_{number}",
        "event_name": "request",
        "customer_id": "acme",
        "timestamp": at,
        "properties": values,
    }
    return json.dumps(event).encode()


def test_each_event_counts_once_in_each_window() -> None:
    """A duplicate adds nothing; 0.1 and 0.2 make 0.3; an event of an earlier day counts there."""
    lines = [line(1), line(2, model="large", tokens=5, cost="0.2"), line(1), line(3, NOON - 86400)]
    counted = recount(lines, NOON)
    found = counted.totals
    assert counted.duplicates == 1
    assert counted.sent == {"acme": Sent(events=4, duplicates=1, too_old=0)}
    assert found["acme", "requests", "", "hour", NOON] == ("2", 2)
    assert found["acme", "requests", "", "day", NOON - 36 * 3600] == ("1", 1)
    assert found["acme", "requests", "", "month", MARCH] == ("3", 3)
    assert found["acme", "tokens", '{"model":"large"}', "total", None] == ("5", 1)
    assert found["acme", "cost", "", "hour", NOON] == ("0.3", 2)


def test_an_event_of_more_than_a_week_ago_counts_nowhere() -> None:
    """It is rejected by the workers, and its id stays free."""
    counted = recount([line(1, NOON - 8 * 86400), line(1)], NOON)
    assert counted.sent == {"acme": Sent(events=2, duplicates=0, too_old=1)}
    assert counted.totals["acme", "requests", "", "total", None] == ("1", 1)


def test_every_kind_of_difference_is_found() -> None:
    """A wrong value, a wrong number of events, a row that should not be, an open window that is missing."""
    series: Series = ("acme", "requests", "", "hour", NOON)
    other: Series = ("acme", "requests", "", "hour", NOON - 3600)
    assert compare({series: ("2", 2)}, {series: ("2", 2)}, NOON) == []
    assert len(compare({series: ("2", 2)}, {series: ("3", 2)}, NOON)) == 1
    assert len(compare({series: ("2", 2)}, {series: ("2", 3)}, NOON)) == 1
    assert len(compare({series: ("2", 2)}, {}, NOON)) == 1
    assert len(compare({}, {series: ("2", 2)}, NOON)) == 1
    assert compare({other: ("2", 2)}, {}, NOON) == [], "Redis need not hold a window that has ended"
    total: Series = ("acme", "requests", "", "total", None)
    assert compare({total: ("2", 2)}, {}, NOON) == ["acme requests total: Redis has nothing, the recount 2 in 2"]


def test_windows_are_half_open() -> None:
    """The last second of an hour belongs to it, the next one to the next."""
    assert start_of("hour", NOON - 1) == NOON - 3600
    assert start_of("hour", NOON) == NOON
    assert start_of("month", MARCH - 1) == 1_769_904_000


def test_the_judge_imports_nothing_of_what_it_judges() -> None:
    """Its imports are Python's own."""
    tree = ast.parse(Path(module.__file__).read_text())
    names = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    names |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert names == {"json", "collections.abc", "dataclasses", "datetime", "decimal"}


def test_a_demo_has_a_thousand_duplicates() -> None:
    """Evenly spread over its time, and no more where it goes on for longer."""
    again = duplicates(20, 1500)
    assert sum(next(again) for _ in range(27_000)) == DUPLICATES
    assert sum(next(again) for _ in range(30_000)) == 0
    traffic = Traffic()
    ages = [NOON - json.loads(traffic.event(NOON)[1])["timestamp"] for _ in range(1000)]
    assert sum(age > 7 * 86400 for age in ages) == 2
    assert sum(0 < age <= 3 * 86400 for age in ages) == 18
