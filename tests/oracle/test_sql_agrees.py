"""The judge itself against SQL, where SQL can say what the contract says: DuckDB recounts the same events."""

from fractions import Fraction
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, strategies as st

from tests.generators.instants import near, rfc3339
from tests.oracle.recount import recount
from tests.oracle.values import Number, compact

KINDS = ("minute", "hour", "day", "week", "month", "quarter", "year")
AGGREGATIONS = {
    "count": "count(*)",
    "sum": "sum(n)",
    "min": "min(n)",
    "max": "max(n)",
    "unique": "count(distinct n)",
    "latest": "arg_max(n, (us, line))",
    "avg": "sum(n)",
}
MARCH_2026 = 1_772_712_000


def events(seed: int) -> list[tuple[int, str, int, str]]:
    """Random (line, customer, instant in microseconds, value) of events that all count."""
    rnd = Random(seed)
    span = rnd.choice((90, 7_200, 3 * 86_400, 400 * 86_400))
    return [
        (line, rnd.choice(("a", "b")), near(rnd, MARCH_2026, span), rnd.choice(("1", "2", "-3", "0.1", "2.50", "1e2")))
        for line in range(1, rnd.randrange(2, 40))
    ]


def lines_of(made: list[tuple[int, str, int, str]]) -> list[bytes]:
    """The events as a file."""
    return [
        compact(
            {
                "id": f"e{line}",
                "event_name": "x",
                "customer_id": customer,
                "timestamp": rfc3339(us),
                "properties": {"n": Number(value)},
            }
        )
        for line, customer, us, value in made
    ]


def table(made: list[tuple[int, str, int, str]]) -> duckdb.DuckDBPyConnection:
    """The events as a table."""
    base = duckdb.connect()
    base.execute("create table events (line int, customer text, us bigint, n decimal(20, 4))")
    base.executemany("insert into events values (?, ?, ?, ?::double::decimal(20, 4))", made)
    return base


def rows_of(metric: dict[str, Any], made: list[tuple[int, str, int, str]]) -> dict[Any, tuple[Fraction, int]]:
    """(customer, start) -> value and events, by the judge."""
    answer = recount({"metrics": {"m": {"event_name": "x", **metric}}}, lines_of(made), "2029-01-01T00:00:00Z")
    return {(row["customer"], row["start"]): (Fraction(row["value"]), row["events"]) for row in answer["rows"]}


START = "strftime(date_trunc('{kind}', make_timestamp(us)), '%Y-%m-%dT%H:%M:%SZ')"


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), kind=st.sampled_from(KINDS))
def test_counters_are_group_by(aggregation: str, seed: int, kind: str) -> None:
    """A counter's windows are SQL's groups by the truncated timestamp."""
    made = events(seed)
    found = table(made).execute(
        f"select customer, {START.format(kind=kind)} as start, {AGGREGATIONS[aggregation]}, count(*) "
        "from events group by customer, start"
    )
    expected = {
        (customer, start): (Fraction(value) / count if aggregation == "avg" else Fraction(value), count)
        for customer, start, value, count in found.fetchall()
    }
    got = rows_of({"type": "counter", "aggregation": aggregation, "property": "n", "windows": [kind]}, made)
    assert got.keys() == expected.keys()
    for key, (value, count) in got.items():
        assert abs(value - expected[key][0]) <= Fraction(1, 2 * 10**18)
        assert count == expected[key][1]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), unit=st.sampled_from(["minute", "hour", "day"]))
def test_rates_are_the_greatest_of_groups(seed: int, unit: str) -> None:
    """A tumbling rate over a year is the greatest group of its sub-periods."""
    made = events(seed)
    found = table(made).execute(
        f"""
        with parts as (
            select customer, date_trunc('{unit}', make_timestamp(us)) as part, sum(n) as value, count(*) as events
            from events group by customer, part)
        select customer, strftime(date_trunc('year', part), '%Y-%m-%dT%H:%M:%SZ') as start, max(value), sum(events)
        from parts group by customer, start
        """
    )
    expected = {(customer, start): (Fraction(value), count) for customer, start, value, count in found.fetchall()}
    metric = {"type": "rate", "aggregation": "sum", "property": "n", "granularity": unit, "windows": ["year"]}
    assert rows_of(metric, made) == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_sliding_rates_are_range_frames(seed: int) -> None:
    """A sliding rate is SQL's sum over the range of the 59 seconds before and the second itself."""
    made = events(seed)
    found = table(made).execute(
        """
        with seconds as (select *, us // 1000000 as second from events),
        worth as (select customer, us, sum(n) over (
            partition by customer order by second range between 59 preceding and current row) as value from seconds)
        select customer, strftime(date_trunc('hour', make_timestamp(us)), '%Y-%m-%dT%H:%M:%SZ') as start,
               max(value), count(*)
        from worth group by customer, start
        """
    )
    expected = {(customer, start): (Fraction(value), count) for customer, start, value, count in found.fetchall()}
    metric = {"type": "rate", "aggregation": "sum", "property": "n", "granularity": "minute", "sliding": True}
    assert rows_of({**metric, "windows": ["hour"]}, made) == expected


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_gauges_are_running_sums(seed: int) -> None:
    """A gauge of deltas over all history ends at SQL's sum, and its greatest state is the greatest running sum, or 0."""
    made = events(seed)
    found = table(made).execute(
        """
        with moves as (select customer, us, sum(n) as move from events group by customer, us),
        states as (select customer, sum(move) over (partition by customer order by us) as state from moves)
        select customer, greatest(max(state), 0), (select count(*) from events e where e.customer = s.customer)
        from states s group by customer
        """
    )
    expected = {(customer, None): (Fraction(value), count) for customer, value, count in found.fetchall()}
    metric = {"type": "gauge", "aggregation": "max", "event_type": "delta", "property": "n", "windows": ["total"]}
    assert rows_of(metric, made) == expected
