"""The judge is judged by examples worked out by hand from the contract's own sentences."""

import json
from typing import Any

import pytest

from tests.oracle.recount import recount
from tests.oracle.rules import load_yaml


def event(number: int, at: str | float, customer: str = "acme", name: str = "a", **properties: Any) -> bytes:
    """One native event as a line."""
    body = {"id": f"e{number}", "event_name": name, "customer_id": customer, "timestamp": at, "properties": properties}
    return json.dumps(body).encode()


def values(metric: str, lines: list[bytes], at: str | None = None, top: str = "") -> list[tuple[Any, ...]]:
    """(window, start, value, events) of each row of one metric `m`; a group's after them where there is one."""
    definitions = load_yaml(f"{top}\nmetrics:\n  m: {{event_name: a, {metric}}}\n")
    return [
        (row["window"], row["start"], row["value"], row["events"], *([row["group"]] if row["group"] else []))
        for row in recount(definitions, lines, at)["rows"]
    ]


def of_window(kind: str, metric: str, lines: list[bytes], at: str | None = None, top: str = "") -> list[str]:
    """The values of the rows of one window kind."""
    return [row[2] for row in values(f"{metric}, windows: [{kind}]", lines, at, top)]


MARCH = "2026-03-{:02d}T{:02d}:00:00Z"


def test_the_row_of_the_contract() -> None:
    """The example row of the contract's section 5 comes out to the letter."""
    definitions = load_yaml(
        "metrics: {api_requests_na: {event_name: api_request, type: counter, aggregation: sum, property: value, "
        "filters: [{property: region, op: eq, value: NA}], windows: [hour]}}"
    )
    line = (
        b'{"id": "ev_1", "event_name": "api_request", "customer_id": "acme", "timestamp": "2026-03-05T12:00:00.250Z",'
        b' "properties": {"region": "NA", "value": 3}}'
    )
    assert recount(definitions, [line]) == {
        "rows": [
            {
                "customer": "acme",
                "metric": "api_requests_na",
                "window": "hour",
                "start": "2026-03-05T12:00:00Z",
                "end": "2026-03-05T13:00:00Z",
                "group": {},
                "value": "3",
                "events": 1,
            }
        ],
        "rejected": [],
        "duplicates": 0,
        "late": 0,
    }


def test_numbers_are_exact() -> None:
    """0.1 ten times is 1."""
    lines = [event(n, MARCH.format(5, 12), v="0.1") for n in range(10)]
    assert of_window("total", "type: counter, aggregation: sum, property: v", lines) == ["1"]


@pytest.mark.parametrize(
    "aggregation, value",
    [("count", "4"), ("sum", "10"), ("avg", "3.333333333333333333"), ("min", "1"), ("max", "5"), ("latest", "5")],
)
def test_counter(aggregation: str, value: str) -> None:
    """Each aggregation over 4, 5 and 1 and an event without the property, arriving out of order."""
    lines = [event(1, MARCH.format(5, 2), v=4), event(2, MARCH.format(5, 4), v=5), event(3, MARCH.format(5, 3), v=1)]
    lines.append(event(4, MARCH.format(5, 9)))
    assert of_window("day", f"type: counter, aggregation: {aggregation}, property: v", lines) == [value]


def test_unique_compares_values() -> None:
    """1 and 1.0 are one value, "1" and true others."""
    lines = [event(n, MARCH.format(5, 2), v=v) for n, v in enumerate([1, 1.0, "1", True, "a", "a"])]
    assert of_window("day", "type: counter, aggregation: unique, property: v", lines) == ["4"]


def test_duplicates_and_upserts() -> None:
    """The first of an id counts; under an upsert name the later one replaces it, in every window."""
    lines = [event(1, MARCH.format(5, 2), v=4), event(1, MARCH.format(6, 2), v=7)]
    metric = "type: counter, aggregation: sum, property: v, windows: [day]"
    assert values(metric, lines) == [("day", "2026-03-05T00:00:00Z", "4", 1)]
    assert values(metric, lines, top="events: {a: {on_duplicate: upsert}}") == [("day", "2026-03-06T00:00:00Z", "7", 1)]


def test_groups() -> None:
    """One total for each group beside the overall one; what has no group belongs to that alone."""
    lines = [event(n, MARCH.format(5, 2), g=g) for n, g in enumerate([1, 1.0, "1", True, None, [1], "x" * 257])]
    assert values("type: counter, aggregation: count, group_by: [g], windows: [total]", lines) == [
        ("total", None, "7", 7),
        ("total", None, "1", 1, {"g": "1"}),
        ("total", None, "2", 2, {"g": 1}),
        ("total", None, "1", 1, {"g": True}),
    ]


def test_filters() -> None:
    """A missing property passes only ne, not_in and not_exists; gt reads a numeric string, eq does not."""

    def count(filters: str) -> list[str]:
        lines = [event(1, MARCH.format(5, 2), v="5"), event(2, MARCH.format(5, 2), v=5.0), event(3, MARCH.format(5, 2))]
        lines.append(event(4, MARCH.format(5, 2), v="x"))
        return of_window("total", f"type: counter, aggregation: count, filters: [{filters}]", lines)

    assert count("{property: v, op: eq, value: 5}") == ["1"]
    assert count("{property: v, op: gt, value: 4}") == ["2"]
    assert count("{property: v, op: ne, value: 5}") == ["3"]
    assert count("{not: {property: v, op: gt, value: 4}}") == ["2"]
    assert count("{any: [{property: v, op: not_exists}, {property: v, op: isin, value: [x, 5]}]}") == ["3"]
    assert count("{property: v, op: exists}, {property: v, op: lte, value: 5}") == ["2"]


def test_hours_of_a_zone() -> None:
    """At +05:30 an hour starts at half past in UTC, and both hours of autumn's 01:00 stand alone."""
    hour = "type: counter, aggregation: count, windows: [hour]"
    assert values(hour, [event(1, MARCH.format(5, 12))], top="timezone: Asia/Kolkata") == [
        ("hour", "2026-03-05T11:30:00Z", "1", 1)
    ]
    lines = [event(1, "2026-11-01T01:30:00-04:00"), event(2, "2026-11-01T01:30:00-05:00")]
    assert values(hour, lines, top="timezone: America/New_York") == [
        ("hour", "2026-11-01T05:00:00Z", "1", 1),
        ("hour", "2026-11-01T06:00:00Z", "1", 1),
    ]


@pytest.mark.parametrize(
    "zone, at, kind, start, end",
    [
        ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "day", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
        ("America/St_Johns", "2006-10-29T02:30:30Z", "hour", "2006-10-29T02:30:00Z", "2006-10-29T02:31:00Z"),
        ("Pacific/Apia", "2011-12-30T09:00:00Z", "day", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "day", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:10:00Z", "hour", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"),
        ("Africa/Monrovia", "1960-01-01T12:00:00Z", "minute", "1960-01-01T11:59:30Z", "1960-01-01T12:00:30Z"),
    ],
)
def test_windows_of_odd_zones(zone: str, at: str, kind: str, start: str, end: str) -> None:
    """Gaps at midnight, half-hour changes, a skipped day and offsets with seconds give windows that join."""
    definitions = load_yaml(
        f"timezone: {zone}\nmetrics: {{m: {{event_name: a, type: counter, aggregation: count, windows: [{kind}]}}}}"
    )
    rows = recount(definitions, [event(1, at)])["rows"]
    assert [(row["start"], row["end"]) for row in rows] == [(start, end)]


def test_billing_period() -> None:
    """A period starts on the anchor's day, or on the last day of a month that lacks it."""
    lines = [event(n, f"2026-{month}T00:00:00Z") for n, month in enumerate(["02-27", "02-28", "03-30", "03-31"])]
    top = "customers: {acme: {billing_anchor: 2026-01-31}}"
    assert values("type: counter, aggregation: count, windows: [billing_period]", lines, top=top) == [
        ("billing_period", "2026-01-31T00:00:00Z", "1", 1),
        ("billing_period", "2026-02-28T00:00:00Z", "2", 2),
        ("billing_period", "2026-03-31T00:00:00Z", "1", 1),
    ]


def test_seats_prorated_by_day() -> None:
    """A seat held 10 of March's 31 days is 10/31."""
    seat = "type: gauge, aggregation: max, event_type: delta, property: v, granularity: month, proration: day"
    lines = [event(1, MARCH.format(5, 12), v=1), event(2, MARCH.format(14, 12), v=-1)]
    assert of_window("month", seat, lines) == ["0.322580645161290323"]


def test_gauge_carries_its_state() -> None:
    """The state carried in counts, a change exactly at the start replaces it, quiet windows have rows."""
    lines = [event(1, MARCH.format(5, 12), v=7), event(2, MARCH.format(7, 0), v=3)]
    gauge = "type: gauge, event_type: total, property: v, windows: [day]"
    assert values(f"{gauge}, aggregation: max", lines, MARCH.format(8, 1)) == [
        ("day", "2026-03-05T00:00:00Z", "7", 1),
        ("day", "2026-03-06T00:00:00Z", "7", 0),
        ("day", "2026-03-07T00:00:00Z", "3", 1),
        ("day", "2026-03-08T00:00:00Z", "3", 0),
    ]
    assert of_window("day", "type: gauge, event_type: total, property: v, aggregation: min", lines) == ["0", "7", "3"]


def test_weighted_sum_is_the_mean_over_the_whole_window() -> None:
    """6 from noon on is 3 over the day, then 6."""
    lines = [event(1, MARCH.format(5, 12), v=6)]
    gauge = "type: gauge, event_type: total, property: v, aggregation: weighted_sum"
    assert of_window("day", gauge, lines, MARCH.format(6, 0)) == ["3", "6"]


def test_objects_present() -> None:
    """Adding twice and removing what is absent change nothing; a group's object counts once overall."""
    moves = [("add", "a", "x"), ("add", "a", "x"), ("remove", "b", "x"), ("add", "a", "y"), ("remove", "a", "y")]
    lines = [event(n, MARCH.format(5, n), op=op, v=v, g=g) for n, (op, v, g) in enumerate(moves)]
    metric = "type: gauge, aggregation: unique, property: v, operation: {property: op, add: add, remove: remove}"
    assert [row[2:] for row in values(f"{metric}, group_by: [g], windows: [total]", lines)] == [
        ("1", 5),
        ("1", 3, {"g": "x"}),
        ("0", 2, {"g": "y"}),
    ]


def test_gauge_groups_join_with_the_initial_value() -> None:
    """Each group joins the overall state at its first event, from initial_value."""
    lines = [event(1, MARCH.format(5, 1), v=1, g="x"), event(2, MARCH.format(5, 2), v=1, g="y")]
    gauge = "type: gauge, event_type: delta, property: v, aggregation: latest, initial_value: 5, group_by: [g]"
    assert [row[2:] for row in values(f"{gauge}, windows: [total]", lines)] == [
        ("12", 2),
        ("6", 1, {"g": "x"}),
        ("6", 1, {"g": "y"}),
    ]


def test_rate_tumbling_and_sliding() -> None:
    """The greatest minute of the hour; sliding looks back over (t - 60 s, t] in whole seconds."""
    seconds = [0, 50, 70, 109, 110]
    lines = [event(n, 1_772_712_000 + second, v=1) for n, second in enumerate(seconds)]
    rate = "type: rate, aggregation: sum, property: v, granularity: minute"
    assert of_window("hour", rate, lines) == ["3"]
    assert of_window("minute", rate, lines) == ["2", "3"]
    assert of_window("minute", f"{rate}, sliding: true", lines) == ["2", "3"]
    assert of_window("hour", f"{rate}, sliding: true", [*lines, event(9, 1_772_712_050.9, v=1)]) == ["4"]


def test_refusals() -> None:
    """Each reason, with its line; blank lines are skipped but numbered."""
    lines = [
        b"{",
        b"",
        b'{"id": "1", "event_name": "a", "customer_id": "c", "timestamp": NaN}',
        b'{"id": 1.0, "event_name": "a", "customer_id": "c", "timestamp": 1}',
        b'{"id": 1, "event_name": "a", "timestamp": 1}',
        b'{"id": 1, "event_name": "a", "customer_id": "c", "timestamp": "2026-03-05 12:00:00Z"}',
        b'{"id": 1, "event_name": "a", "customer_id": "c", "timestamp": "2016-12-31T23:59:60Z"}',
        b'{"id": 1, "event_name": "a", "customer_id": "c", "timestamp": 1, "properties": []}',
        b'{"specversion": "1.0", "id": "1", "source": "s", "type": "a", "subject": "c"}',
        event(9, MARCH.format(5, 1), v="x"),
        b" " * 1_048_577,
        b"[" + b" " * 1_048_576,
    ]
    definitions = load_yaml("metrics: {m: {event_name: a, type: counter, aggregation: sum, property: v}}")
    found = recount(definitions, lines)["rejected"]
    assert [(entry["line"], entry["reason"], entry.get("metrics")) for entry in found] == [
        (1, "malformed", None),
        (3, "malformed", None),
        (4, "malformed", None),
        (5, "missing_field", None),
        (6, "bad_timestamp", None),
        (7, "bad_timestamp", None),
        (8, "malformed", None),
        (9, "missing_field", None),
        (10, "bad_value", ["m"]),
        (12, "too_large", None),
    ]


def test_dialects() -> None:
    """Alguna, Lotus, Lago and CloudEvents lines of one customer and id each count once."""
    stamp = b'"2026-03-05T12:00:00Z"'
    lines = [
        b'{"uniqueId": 1, "eventName": "a", "accountId": "c", "timestamp": %b}' % stamp,
        b'{"idempotency_id": "2", "event_name": "a", "customer_id": "c", "time_created": %b}' % stamp,
        b'{"transaction_id": "3", "code": "a", "external_subscription_id": "c", "timestamp": "1772712000.5"}',
        b'{"specversion": "1.0", "source": "s", "id": "1", "type": "a", "subject": "c", "time": %b}' % stamp,
        b'{"specversion": "1.0", "source": "t", "id": "1", "type": "a", "subject": "c", "time": %b}' % stamp,
    ]
    assert of_window("total", "type: counter, aggregation: count", [*lines, *lines]) == ["5"]


def test_late_counts_each_window_left_out() -> None:
    """An event 10 days behind the clock is too late for minute and hour, not for day and total."""
    lines = [event(1, MARCH.format(15, 12)), event(2, MARCH.format(5, 11))]
    definitions = load_yaml(
        "metrics: {m: {event_name: a, type: counter, aggregation: count, windows: [minute, hour, day, total]}}"
    )
    answer = recount(definitions, lines)
    assert answer["late"] == 2
    assert len(answer["rows"]) == 7


@pytest.mark.parametrize(
    "metric, parts",
    [
        ("type: counter, aggregation: sum, property: v", {"05": "5", "07": "4"}),
        ("type: counter, aggregation: max, property: v", {"05": "4"}),
        ("type: counter, aggregation: unique, property: v", {"05": "2"}),
        ("type: counter, aggregation: avg, property: v", {"05": "1.666666666666666667", "07": "1.333333333333333333"}),
        ("type: gauge, event_type: total, property: v, aggregation: latest", {"07": "4"}),
        ("type: gauge, event_type: total, property: v, aggregation: max", {"05": "4"}),
    ],
)
def test_billable_days_add_up(metric: str, parts: dict[str, str]) -> None:
    """Values 4 and 1 on the 5th and 4 on the 7th, attributed to their days."""
    lines = [event(1, MARCH.format(5, 1), v=4), event(2, MARCH.format(5, 2), v=1), event(3, MARCH.format(7, 1), v=4)]
    definitions = load_yaml(f"metrics: {{m: {{event_name: a, {metric}, windows: [month, total]}}}}")
    rows = recount(definitions, lines, billable="month")["rows"]
    assert [row.get("billable") for row in rows] == [
        [{"day": f"2026-03-{day}", "value": value} for day, value in parts.items()],
        None,
    ]


def test_rounding_applies_last() -> None:
    """Half goes away from zero; a negative precision rounds to hundreds."""
    lines = [event(1, MARCH.format(5, 1), v=-2.5)]
    metric = "type: counter, aggregation: sum, property: v"
    assert of_window("total", f"{metric}, rounding: {{mode: round}}", lines) == ["-3"]
    assert of_window("total", f"{metric}, rounding: {{mode: ceil}}", lines) == ["-2"]
    assert of_window("total", f"{metric}, rounding: {{mode: floor, precision: -2}}", lines) == ["-100"]
