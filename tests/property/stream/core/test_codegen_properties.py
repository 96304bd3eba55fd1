"""Generated source against its specification: the interpreting counter of the metric types."""

from decimal import localcontext
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from schemas.definitions import KINDS, All, AnyOf, Comparison, Filter, Metric, Not, Rounding
from stream.core.calendar import calendar_for
from stream.core.decode import Event
from stream.core.folding import EXACT
from stream.core.metrics.base import kept
from stream.core.metrics.counter import Counter
from stream.core.plan import Plan, Rules, keep_of
from tests.partitions import NOON, World, counter, definitions, event

VALUES: tuple[Any, ...] = (0, 1, -1, 7, 2.5, "3", "0.1", "x", True, None, 10**36, 10**35, [1], {"a": 1}, "", 1e-30)


def a_filter(chance: Random, depth: int = 0) -> Filter:
    """Any operator, nested up to two deep."""
    match chance.randrange(9 if depth < 2 else 6):
        case 6:
            return All(tuple(a_filter(chance, depth + 1) for _ in range(chance.randrange(3))))
        case 7:
            return AnyOf(tuple(a_filter(chance, depth + 1) for _ in range(chance.randrange(3))))
        case 8:
            return Not(a_filter(chance, depth + 1))
    prop = chance.choice(("r", "v", "deep.x"))
    op = chance.choice(("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "exists", "not_exists"))
    if op in {"in", "not_in"}:
        return Comparison(prop, op, tuple(chance.sample(("NA", "EU", 1, 2, True, "1"), 3)))
    if op in {"gt", "gte", "lt", "lte"}:
        return Comparison(prop, op, chance.choice((0, 1, 3)))
    return Comparison(prop, op, chance.choice(("NA", 1, True, "1")) if op in {"eq", "ne"} else None)


def a_counter(chance: Random, key: str) -> Metric:
    """A counter with anything that the generated source knows."""
    aggregation = chance.choice(("count", "sum", "avg", "min", "max", "latest"))
    return counter(
        key,
        aggregation,
        property=None if aggregation == "count" else chance.choice(("v", "w", "deep.x")),
        windows=tuple(kind for kind in KINDS if chance.random() < 0.3) or ("hour",),
        filters=tuple(a_filter(chance) for _ in range(chance.randrange(3))),
        rounding=chance.choice((None, None, Rounding("ceil", 1))),
        lateness_us=chance.choice((None, None, 3_600_000_000)),
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_generated_counters_equal_the_interpreter(seed: int) -> None:
    """For random definitions, events and orders, every kept window of every metric is the same, and so is `late`."""
    with localcontext(EXACT):
        compare(Random(seed))


def compare(chance: Random) -> None:
    """Fold the same events both ways."""
    zone = chance.choice(("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"))
    metrics = [a_counter(chance, f"m{number}") for number in range(chance.randrange(1, 4))]
    world = World(definitions(*metrics, timezone=zone))
    plan = Plan(world.made, Rules())
    calendar = calendar_for(zone)
    built = {metric.key: Counter().build(metric, plan.terms(upsert=False)) for metric in metrics}
    states = {key: metric.state(calendar) for key, metric in built.items()}
    tests = {metric.key: metric.filters for metric in metrics}
    now, late, bad = NOON, 0, 0
    moments = []
    for number in range(chance.randrange(1, 40)):
        now += chance.choice((0, 0, 1, 59, 3700, 90_000))
        at = now - chance.choice((0, 0, 0, 1, 60, 3600, 86400, 3 * 86400))
        p = {
            "r": chance.choice(("NA", "EU", 1, "1", True, None)),
            "v": chance.choice(VALUES),
            "w": chance.randrange(100),
            "deep": chance.choice(({"x": chance.choice(VALUES)}, None, 3)),
        }
        record = event(number, at, stamp=now, p=p)
        world.fold(record)
        (read,) = plan.decoder.block([record])
        assert isinstance(read, Event)
        w = calendar.windows(int(at * 1_000_000))
        moments.append(w)
        for key, metric in built.items():
            if not all(_passes(rule, read.properties, plan) for rule in tests[key]):
                continue
            try:
                value = metric.read(read.properties)
            except ValueError:
                bad += 1
                continue
            if value is not None:
                late += states[key].fold(w, number, value, now * 1_000_000)
        if chance.random() < 0.2:
            world.commit()
        if chance.random() < 0.05:
            world.commit()
            world.restart()
    assert world.partition.header.counts.late == late
    clock_us = now * 1_000_000
    for state in states.values():
        state.expire(clock_us)
    for w in moments:
        got = world.usage(w[0] / 1_000_000)
        for made in metrics:
            keeps = keep_of(made, plan.rules)
            for kind in made.windows:
                row = states[made.key].total(KINDS.index(kind), w[1 + KINDS.index(kind)])
                if row is not None and not kept(row.end, keeps[KINDS.index(kind)], clock_us):
                    row = None  # the last that ended stays, for Redis alone
                assert got.get((made.key, "{}", kind)) == (None if row is None else (row.value, row.events))


def _passes(rule: Filter, properties: Any, plan: Plan) -> bool:
    from stream.core.filters import passes

    return passes(rule, lambda path: plan.decoder.layout.get(properties, path))
