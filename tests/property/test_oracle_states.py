"""Metric types against the judge, by themselves: states folded in log order, saved, restored and expired.

Each state is driven through the protocol of `stream.core.metrics.base`, with the verdicts of the
judge's own reading of the log.
"""

import decimal
from collections.abc import Collection
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from schemas.load import load
from stream.core.calendar import calendar_for
from stream.core.decode import Decoder, Event
from stream.core.filters import metric_paths, path_of
from stream.core.metrics.base import EXACT_DIGITS, BadValue, Metric, State, Terms
from stream.core.metrics.counter import Counter
from stream.core.metrics.gauge import Gauge
from stream.core.metrics.rate import Rate
from stream.core.plan import Rules
from tests.generators.logs import Log, Record, make_log
from tests.oracle import rules as judge
from tests.oracle.log import LogIndex, Row, Settings
from tests.oracle.reading import read_line
from tests.oracle.readings import OVERALL
from tests.oracle.times import KINDS, SECOND
from tests.oracle.values import compact

TYPES: dict[str, Any] = {"counter": Counter(), "gauge": Gauge(), "rate": Rate()}
COUNTED = {"counted", "replaced"}


@dataclass
class Kept:
    """A state, with the chunks that a changelog would hold of it."""

    state: State
    chunks: dict[bytes, bytes] = field(default_factory=dict)


@dataclass
class Folded:
    """One event as it was folded, to be taken back by a replacement."""

    w: Any
    order: int
    value: Any
    group: bytes | None


class Bench:
    """The states of one metric, by customer and group."""

    def __init__(self, log: Log, key: str, rnd: Random) -> None:
        loaded = load(compact(log.definitions).decode(), "metrics.json")
        self.definition = loaded.metrics[key]
        self.raw = log.definitions["metrics"][key]
        self.decoder = Decoder(metric_paths(self.definition))
        self.loaded, self.rnd = loaded, rnd
        self.states: dict[tuple[str, bytes], Kept] = {}
        self.late = 0
        plain = Rules()
        terms = Terms(
            reader=self.reader,
            keep_us=plain.keep_us,
            max_age_us=plain.max_age_us,
            max_ahead_us=plain.max_ahead_us,
            upsert=loaded.upserts(self.definition.event_name),
        )
        self.metric: Metric = TYPES[self.definition.type].build(self.definition, terms)

    def reader(self, prop: str) -> Any:
        """A function that reads a property, as the partition gives it to a metric."""
        path, layout = path_of(prop), self.decoder.layout
        return lambda properties: layout.get(properties, path)

    def calendar(self, customer: str) -> Any:
        """The customer's calendar."""
        return calendar_for(self.loaded.timezone_of(customer), self.loaded.anchor_day_of(customer))

    def read(self, record: Record, customer: str) -> Folded | None:
        """What the metric takes from a record that counts."""
        ours = self.decoder.record(record)
        assert isinstance(ours, Event)
        event = read_line(record.value or b"")
        if event.name != self.definition.event_name or not judge.passes_all(self.raw.get("filters"), event):
            return None
        try:
            value = self.metric.read(ours.properties)
        except BadValue:
            return None
        if value is None:
            return None
        w = self.calendar(customer)[ours.timestamp]
        return Folded(w, record.offset, value, judge.group_of(self.raw, event))

    def of(self, customer: str, group: bytes) -> Kept:
        """The state of a row, made when first needed."""
        known = self.states.get((customer, group))
        if known is None:
            known = Kept(self.metric.state(self.calendar(customer), overall=self.overall(group)))
            self.states[customer, group] = known
        return known

    def overall(self, group: bytes) -> bool:
        """Whether a state is folded with (group, value)."""
        return self.metric.keyed and group == OVERALL

    def fold(self, customer: str, one: Folded, clock: int) -> None:
        """Count an event in its customer's overall state and its group's."""
        late = [self.of(customer, group).state.fold(one.w, one.order, value, clock) for group, value in self.parts(one)]
        self.late += late[0]
        assert len(set(late)) == 1, late

    def remove(self, customer: str, one: Folded, clock: int) -> None:
        """Take an event back."""
        for group, value in self.parts(one):
            self.of(customer, group).state.remove(one.w, one.order, value, clock)

    def parts(self, one: Folded) -> list[tuple[bytes, Any]]:
        """The rows that an event belongs to, and what each is folded with."""
        value = (one.group or b"", one.value) if self.overall(OVERALL) else one.value
        return [(OVERALL, value), *([(one.group, one.value)] if one.group is not None else [])]

    def rest(self, clock: int) -> None:
        """What happens between two blocks: states are saved, given up and restored, and expire."""
        for row, kept in list(self.states.items()):
            if self.rnd.randrange(3) == 0:
                kept.state.expire(clock)
            if self.rnd.randrange(3) == 0:
                self.save(kept)
                if self.rnd.randrange(2):
                    self.restore(row)

    def save_and_restore(self, clock: int) -> None:
        """All of that to every state."""
        for row, kept in list(self.states.items()):
            self.save(kept)
            self.restore(row)
            self.states[row].state.expire(clock)
            self.save(kept)
            self.restore(row)

    def expire(self, clock: int) -> None:
        """Only what time does to states that stay in memory."""
        for kept in self.states.values():
            kept.state.expire(clock)

    def save(self, kept: Kept) -> None:
        """What changed goes into the changelog, in rows that are small enough."""
        for suffix, data in kept.state.save():
            if data is None:
                kept.chunks.pop(suffix, None)
            else:
                assert len(data) < 64 * 1_024
                kept.chunks[suffix] = data

    def restore(self, row: tuple[str, bytes]) -> None:
        """The state as a new owner has it."""
        customer, group = row
        chunks = dict(self.states[row].chunks)
        self.states[row].state = self.metric.state(self.calendar(customer), chunks, overall=self.overall(group))

    def check(self, index: LogIndex, key: str, position: int) -> None:
        """Every window that is kept has the judge's total."""
        for row in index.rows():
            if row.metric != key or not self.kept(index, row):
                continue
            expected = index.total(row.customer, key, row.kind, row.window[0], position, row.group)
            state = self.of(row.customer, row.group).state
            found = state.total(KINDS.index(row.kind), row.window[0] or 0)
            assert (None if found is None else (found.value, found.events)) == expected, (row, position)

    def kept(self, index: LogIndex, row: Row) -> bool:
        """Whether a window can still be read."""
        end = row.window[1]
        return end is None or index.clock < end * SECOND + min(index.settings.kept(row.kind), self.least())

    def least(self) -> int:
        """A metric's own lateness may let its windows go sooner."""
        own = judge.lateness(self.raw)
        return 10**18 if own is None else own


def check(seed: int, features: Collection[str]) -> None:
    """One log through the states of each of its metrics."""
    rnd = Random(seed)
    log = make_log(rnd, features)
    records = sorted((record for part in log.partitions for record in part), key=lambda record: record.timestamp)
    order = rnd.sample(records, len(records)) if rnd.randrange(3) == 0 else records
    for offset, record in enumerate(order):
        record.offset = offset
    for key in log.definitions["metrics"]:
        run(Bench(log, key, rnd), log, key, order)


def run(bench: Bench, log: Log, key: str, order: list[Record]) -> None:
    """One metric: fold record after record beside the judge, and compare now and then."""
    one = {"metrics": {key: log.definitions["metrics"][key]}}
    index = LogIndex({**log.definitions, **one}, (), 0, Settings())
    held: dict[Any, Folded | None] = {}
    for record in order:
        verdict = index.take(record)
        if verdict in COUNTED:
            event = read_line(record.value or b"")
            customer = index.rules.canonical(event.customer)
            before, now = held.get((customer, event.identity)), bench.read(record, customer)
            held[customer, event.identity] = now
            if verdict == "replaced" and before is not None:
                bench.remove(customer, before, index.clock)
            if now is not None:
                bench.fold(customer, now, index.clock)
        if bench.rnd.randrange(4) == 0:
            bench.rest(index.clock)
        if bench.rnd.randrange(10) == 0:
            bench.check(index, key, record.offset + 1)
    bench.check(index, key, len(order))
    assert bench.late == index.counts["late"]


READY = frozenset(
    {"counter", "unique", "rate", "sliding", "upsert", "groups", "filters", "rounding", "lateness", "zones"}
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_states_come_to_the_recount(seed: int) -> None:
    """Folded late and out of order, replaced, saved, restored and expired, every kept window has the judge's total."""
    with decimal.localcontext(prec=EXACT_DIGITS):
        check(seed, READY)
