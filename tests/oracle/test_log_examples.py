"""The judge of a Kafka log, by examples worked out by hand, and against the judge of a file."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from tests.generators.cases import make_case
from tests.generators.definitions import FEATURES
from tests.oracle.homes import home, murmur2
from tests.oracle.log import LogIndex, Settings, recount_log
from tests.oracle.reading import RefusedError, read_line
from tests.oracle.recount import recount
from tests.oracle.rules import load_yaml
from tests.oracle.times import shown
from tests.oracle.values import compact

NOON = 1_772_712_000
DAY = 86_400
FOR_EVER = 400_000 * DAY * 1_000_000


@dataclass
class Record:
    """A record of the log; its timestamp in milliseconds."""

    offset: int
    timestamp: int
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def event(number: int, at: float, customer: str = "acme", name: str = "a", **properties: Any) -> bytes:
    """One native event."""
    body = {"id": f"e{number}", "event_name": name, "customer_id": customer, "timestamp": at, "properties": properties}
    return json.dumps(body).encode()


def log(*events: tuple[float, bytes]) -> list[Record]:
    """Records at offsets 0, 1, ... with their Kafka timestamps in seconds."""
    return [Record(offset, int(at * 1_000), value) for offset, (at, value) in enumerate(events)]


COUNT = load_yaml("metrics: {m: {event_name: a, type: counter, aggregation: count, windows: [minute, day, total]}}")


def test_homes_are_those_of_java_clients() -> None:
    """murmur2 gives the partitions that Kafka's own tests and aiokafka give."""
    assert [murmur2(key) for key in (b"21", b"foobar", b"abc")] == [3_321_034_988, 3_504_634_814, 479_470_107]
    assert [home(key, 1_000) for key in ("", "a", "ab", "abc", "acme")] == [681, 524, 434, 107, 268]


def test_a_total_by_position() -> None:
    """At each position the total is that of the records below it; duplicates change nothing."""
    records = log((NOON, event(1, NOON)), (NOON, event(2, NOON + 1)), (NOON, event(1, NOON)), (NOON, event(3, NOON)))
    index = LogIndex(COUNT, records, 0)
    totals = [index.total("acme", "m", "total", None, position) for position in range(5)]
    assert totals == [None, ("1", 1), ("2", 2), ("2", 2), ("3", 3)]
    assert index.total("acme", "m", "minute", NOON, 4) == ("3", 3)
    assert index.counts == {"read": 4, "counted": 3, "duplicate": 1, "late": 0}


def test_bounds_of_what_is_accepted() -> None:
    """Seven days before the clock and five minutes after the record's time are accepted, a microsecond more is not."""
    ahead, age = 300, 7 * DAY
    records = log(
        (NOON, event(1, NOON + ahead)),
        (NOON, event(2, NOON + ahead + 0.000001)),
        (NOON, event(3, NOON - age)),
        (NOON, event(4, NOON - age - 0.000001)),
        (NOON - 10, event(5, NOON - 10 + ahead + 1)),
        (NOON + 1, event(6, NOON - age)),
    )
    index = LogIndex(COUNT, records, 0)
    assert list(index.verdicts.values()) == ["counted", "in_future", "counted", "too_old", "in_future", "too_old"]


def test_a_window_no_longer_kept_is_late() -> None:
    """Three days behind the clock a minute (kept for two) is gone, the day and the total count."""
    records = log((NOON, event(1, NOON)), (NOON, event(2, NOON - 3 * DAY)))
    index = LogIndex(COUNT, records, 0)
    assert index.counts["late"] == 1
    assert index.total("acme", "m", "minute", NOON - 3 * DAY, 2) is None
    assert index.total("acme", "m", "day", NOON - 3 * DAY - DAY // 2, 2) == ("1", 1)


def test_an_id_is_forgotten_when_its_event_could_not_come_again() -> None:
    """Within max_age + max_ahead an id is a duplicate; when the hour that took it is over, it is new again."""
    later = NOON + 7 * DAY + 3_600 + 299
    records = log((NOON + 5, event(1, NOON)), (later, event(1, later)), (later + 1, event(1, later)))
    assert list(LogIndex(COUNT, records, 0).verdicts.values()) == ["counted", "duplicate", "counted"]


def test_records_away_from_home_are_rerouted_once() -> None:
    """A record elsewhere is not counted there; its copy counts under the id that its headers say."""
    there = Settings(partitions=2)
    away = 1 - home("acme", 2)
    record = log((NOON, event(1, NOON)))[0]
    assert LogIndex(COUNT, [record], away, there).verdicts == {0: "rerouted"}
    headers = [("tally-app", b"tally"), ("tally-canonical", b"acme"), ("tally-first-timestamp", b"%d" % (NOON * 1_000))]
    copy = Record(0, NOON * 1_000 + 5, event(1, NOON, customer="alias"), headers)
    index = LogIndex(COUNT, [copy], 1 - away, there)
    assert index.total("acme", "m", "total", None, 1) == ("1", 1)
    assert LogIndex(COUNT, [copy], 1 - away, Settings(partitions=2, app="other")).verdicts == {0: "skipped"}


def test_an_upsert_leaves_windows_no_longer_kept() -> None:
    """A replacement three days later takes the first event out of its day, not out of its minute."""
    definitions = COUNT | {"events": {"a": {"on_duplicate": "upsert"}}}
    records = log((NOON, event(1, NOON)), (NOON + 3 * DAY, event(1, NOON + 3 * DAY)))
    index = LogIndex(definitions, records, 0)
    assert index.total("acme", "m", "minute", NOON, 2) == ("1", 1)
    assert index.total("acme", "m", "day", NOON - DAY // 2, 2) is None
    assert index.total("acme", "m", "total", None, 2) == ("1", 1)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_the_log_and_the_file_agree(seed: int) -> None:
    """With nothing too old and every window kept, the totals of a log are the rows of the same lines in a file."""
    case = make_case(Random(seed), FEATURES - {"lateness", "sliding", "billable"}, most=15)
    records = []
    for offset, line in enumerate(case.lines):
        try:
            at = read_line(line).us // 1_000
        except RefusedError:
            at = -(10**15)
        records.append(Record(offset, at, line))
    kept = dict.fromkeys(("minute", "hour", "day", "week", "month", "quarter", "year", "billing_period"), FOR_EVER)
    totals = recount_log(case.definitions, records, 0, Settings(max_age=FOR_EVER, max_ahead=1_000, keep=kept))
    rows = recount(case.definitions, case.lines, "9990-01-01T00:00:00Z" if not gauges(case.definitions) else None)[
        "rows"
    ]
    expected = {
        (row["customer"], row["metric"], compact(row["group"]), row["window"], row["start"]): (
            row["value"],
            row["events"],
        )
        for row in rows
    }
    got = {
        (row.customer, row.metric, row.group, row.kind, shown(row.window[0])): total for row, total in totals.items()
    }
    assert got.items() <= expected.items()
    assert got.keys() >= {name for name, (_, events) in expected.items() if events}


def gauges(definitions: dict[str, Any]) -> bool:
    """Whether a metric has rows without events."""
    return any(metric["type"] == "gauge" for metric in definitions["metrics"].values())
