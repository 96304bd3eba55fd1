"""Partitions against the judge, commit by commit: random blocks, crashes, takeovers, re-routing and expiry.

A small world of a topic, changelogs and Redis, without servers. What Redis shows must at every
commit equal the recount of the log up to the position that it says.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from random import Random
from types import MappingProxyType
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st

from schemas.load import load
from stream.core.commit import Commit, Out
from stream.core.partition import Partition
from stream.core.plan import Plan, Rules
from tests.generators.definitions import FEATURES
from tests.generators.logs import Log, make_log, place
from tests.oracle.alarms import Alarm, alarms, scaled
from tests.oracle.log import LogIndex, Settings
from tests.oracle.readings import OVERALL
from tests.oracle.times import KINDS, SECOND
from tests.oracle.values import Number, compact, read_json

SETTLED_FOR = 3_600_000_000
"""Microseconds of the clock: as long as a hold lives, its settling must reach Redis whatever fails."""
MOST_REPLAYS = 10
REFUSALS = ("malformed", "missing_field", "bad_timestamp", "too_old", "in_future", "too_large")


@dataclass
class Row:
    """A changelog record."""

    key: bytes
    value: bytes | None


class World:
    """A topic, a changelog and a shown state for each partition, and the partitions that work on them."""

    def __init__(self, log: Log, rnd: Random, keep: Mapping[str, int]) -> None:
        """`keep`: the retention of some kinds of window, in microseconds, where it is not the default."""
        self.log, self.rnd = log, rnd
        usual = Rules().keep_us
        rules = Rules(keep_us=tuple(keep.get(kind, own) for kind, own in zip(KINDS, usual, strict=True)))
        self.plan = Plan(load(compact(log.definitions).decode(), "metrics.json"), rules)
        count = len(log.partitions)
        self.changelog: list[list[Row]] = [[] for _ in range(count)]
        self.shown: list[dict[str, tuple[int, dict[str, str]]]] = [{} for _ in range(count)]
        self.history: list[list[tuple[str, int, dict[str, str]]]] = [[] for _ in range(count)]
        self.published: list[int | None] = [None] * count
        self.entries: Counter[tuple[int, int, str, str]] = Counter()
        self.alerts: list[dict[str, Any]] = []
        self.settled: set[tuple[str, str]] = set()
        self.crashes = self.replays = 0
        self.partitions = [self.taken_over(number) for number in range(count)]

    def taken_over(self, number: int) -> Partition:
        """A partition as a new owner has it after recovery, from a changelog compacted up to anywhere."""
        rows = self.changelog[number]
        cut = self.rnd.randrange(len(rows) + 1)
        latest = {row.key: index for index, row in enumerate(rows[:cut])}
        kept = [row for index, row in enumerate(rows[:cut]) if latest[row.key] == index] + rows[cut:]
        partition = Partition(self.plan, number, len(self.log.partitions), self.published[number])
        partition.restore(kept)
        partition.restored()
        partition.begin_term()
        return partition

    def run(self) -> None:
        """Work until every record is committed and every publication is out."""
        busy = True
        while busy:
            busy = False
            for number in self.rnd.sample(range(len(self.partitions)), len(self.partitions)):
                while self.waiting(number):
                    self.step(number)
                    busy = True
                if commit := self.partitions[number].take(1):
                    self.commit(number, commit)
                    busy = True

    def waiting(self, number: int) -> bool:
        """Whether the log holds records beyond what was folded."""
        records = self.log.partitions[number]
        return bool(records) and records[-1].offset >= (self.partitions[number].header.next_offset or 0)

    def step(self, number: int) -> None:
        """One of the things that happen to a partition."""
        partition = self.partitions[number]
        match self.rnd.randrange(8):
            case 0 | 1 | 2 | 3:
                position = partition.header.next_offset or 0
                records = [record for record in self.log.partitions[number] if record.offset >= position]
                if block := records[: self.rnd.choice((1, 2, 7, 30))]:
                    rest = records[len(block) :]
                    edge = (
                        self.rnd.randrange(block[-1].offset + 1, rest[0].offset + 1) if rest else block[-1].offset + 1
                    )
                    partition.fold(block, edge)
            case 4 | 5:
                if commit := partition.take(self.rnd.choice((1, 2_000))):
                    self.commit(number, commit)
            case 6:
                partition.sweep(self.rnd.choice((1, 10, 2_000)))
            case 7 if self.rnd.randrange(3) == 0:
                self.crash(number)

    def crash(self, number: int) -> None:
        """The owner is gone, with all that was not committed; now and then Redis has lost something too."""
        self.crashes += 1
        if self.rnd.randrange(4) == 0:
            self.shown[number].clear()
            self.published[number] = None
        self.partitions[number] = self.taken_over(number)

    def commit(self, number: int, commit: Commit) -> None:
        """What a transaction does: the changelog and the side records; then Redis, unless it dies in between."""
        assert commit.rows[0][0] == b"h"
        self.changelog[number] += [Row(key, value) for key, value in commit.rows]
        for out in commit.outbox:
            self.send(out)
        if self.rnd.randrange(12) == 0:
            self.crash(number)
            return
        for publication in commit.publications:
            self.settled |= {(publication.customer, hold) for hold in publication.settles}
            known = {} if publication.whole else dict(self.shown[number].get(publication.customer, (0, {}))[1])
            for name, text in publication.fields.items():
                if text is None:
                    known.pop(name, None)
                else:
                    known[name] = text
            self.shown[number][publication.customer] = (commit.next_offset, known)
            self.history[number].append((publication.customer, commit.next_offset, known))
        if commit.complete:
            self.published[number] = commit.version

    def send(self, out: Out) -> None:
        """A record for another topic, or for this one."""
        if out.to == "events":
            assert out.partition is not None
            assert out.timestamp_ms is not None
            self.log.append(out.partition, out.timestamp_ms, out.key, out.value, list(out.headers))
        elif out.to == "alerts":
            assert out.value is not None
            self.alerts.append(json.loads(out.value, parse_float=Number, parse_int=Number))
        else:
            headers = {name: text.decode() for name, text in out.headers}
            origin = int(headers["tally-partition"]), int(headers["tally-offset"])
            partial = headers["tally-kind"] == "partial"
            metrics = ",".join(sorted(headers["tally-metrics"].split(","))) if partial else ""
            self.entries[*origin, headers["tally-reason"], metrics] += 1
            if partial and self.rnd.randrange(2) and self.replays < MOST_REPLAYS:
                self.replay(out, headers["tally-metrics"])

    def replay(self, out: Out, metrics: str) -> None:
        """Send a partial entry again, mended or not, now and then twice or to another partition than its home."""
        body = read_json(out.value or b"")
        for holder in ("properties", "data"):
            if holder in body and self.rnd.randrange(5):
                body[holder] |= {"n": Number("2"), "w": Number("3"), "deep": {"x": "4"}, "op": "add"}
        value = compact(body)
        headers = [("tally-replay", b"usage-rejected/0/%d" % self.replays), ("tally-metrics", metrics.encode())]
        partition, key = place(
            self.rnd, self.log.definitions, value, self.rnd.choice(("home", "random")), len(self.shown)
        )
        timestamp = max(records[-1].timestamp for records in self.log.partitions if records)
        for _ in range(self.rnd.choice((1, 1, 2))):
            self.replays += 1
            self.log.append(partition, timestamp, key, value, headers)


def windows_of(text: str) -> list[tuple[str, int | None, int | None, str, int, str]]:
    """The windows in one field of Redis: kind, start, end, value, events, scaled."""
    return [(kind, *window) for kind, several in json.loads(text)["w"].items() for window in several]


def split(field: str) -> tuple[str, bytes]:
    """The metric's key and the group of a field's name."""
    key, brace, group = field.partition("{")
    return key, (brace + group).encode() or OVERALL


def check_shown(index: LogIndex, world: World, number: int) -> None:
    """Every (value, position) that Redis ever showed is the recount up to that position."""
    for customer, position, fields in world.history[number]:
        for name, text in fields.items():
            metric, group = split(name)
            for kind, start, end, value, events, amount in windows_of(text):
                expected = index.total(customer, metric, kind, start, position, group) or ("", 0)
                assert (value, events) == expected, (customer, name, kind, start, end, position)
                assert amount == scaled(index.rules.definitions, metric, value), (name, kind, start)
            kinds = index.rules.windows(index.rules.metrics[metric])
            if "s" in json.loads(text):
                state = index.state(customer, metric, kinds[0], position, group)
                assert json.loads(text)["s"] == state, name


def check_whole(index: LogIndex, world: World, number: int) -> None:
    """At the end Redis shows every window that has a row and is open, ahead of the clock, or the last that ended."""
    position = world.partitions[number].header.next_offset or 0
    for row in index.rows():
        now, end = index.rules.calendar(row.customer).window(row.kind, index.clock // SECOND), row.window[1]
        total = index.total(row.customer, row.metric, row.kind, row.window[0], position, row.group)
        if total is None or (end is not None and now[0] is not None and end < now[0]):
            continue
        name = row.metric + (row.group.decode() if row.group != OVERALL else "")
        text = world.shown[number][row.customer][1][name]
        assert (row.kind, *row.window, *total) in [window[:5] for window in windows_of(text)], row


def check_usage(index: LogIndex, world: World, number: int) -> None:
    """Windows that are kept, closed ones too, are readable from the partition."""
    partition = world.partitions[number]
    position = partition.header.next_offset or 0
    for row in index.rows():
        end = row.window[1]
        if end is not None and index.clock >= end * SECOND + index.settings.kept(row.kind):
            continue
        if index.rules.metrics[row.metric].get("lateness"):
            continue
        total = index.total(row.customer, row.metric, row.kind, row.window[0], position, row.group)
        at = index.clock if row.window[0] is None else row.window[0] * SECOND
        found = [
            (one.value, one.events)
            for one in partition.usage(row.customer, row.metric, row.kind, at)
            if compact(dict(one.group)) == row.group
        ]
        assert found == ([] if total is None else [total]), row


def check_side(index: LogIndex, log: Log, number: int) -> Counter[tuple[int, int, str, str]]:
    """The entries that a partition's records must have made on the rejected topic, each once."""
    wanted: Counter[tuple[int, int, str, str]] = Counter()
    for record in log.partitions[number]:
        spot = number, record.offset
        if origin := dict(record.headers).get("tally-origin"):
            _, partition, offset = origin.decode().rsplit("/", 2)
            spot = int(partition), int(offset)
        if (verdict := index.verdicts[record.offset]) in REFUSALS:
            wanted[*spot, verdict, ""] += 1
        elif metrics := index.partials.get(record.offset):
            wanted[*spot, "bad_value", ",".join(sorted(metrics))] += 1
    return wanted


def told(alert: dict[str, Any]) -> Alarm:
    """An alert as the judge writes it."""
    start = alert["start"]
    second = None if start is None else int(datetime.fromisoformat(start).timestamp())
    share, limit = Fraction(alert["threshold"]), Fraction(alert["limit"])
    group = compact(alert["group"])
    return Alarm(alert["customer"], alert["metric"], group, alert["window"], second, share, limit, alert["used"])


def check(seed: int, features: Any) -> World:
    """Run one world and judge it."""
    rnd = Random(seed)
    return judged(make_log(rnd, features), rnd)


def judged(log: Log, rnd: Random, keep: Mapping[str, int] = MappingProxyType({})) -> World:
    """Run a log through a world, in steps that `rnd` chooses, and judge all that came of it."""
    world = World(log, rnd, keep)
    world.run()
    wanted: list[Alarm] = []
    entries: Counter[tuple[int, int, str, str]] = Counter()
    settled: set[tuple[str, str]] = set()
    lately: set[tuple[str, str]] = set()
    for number, records in enumerate(log.partitions):
        index = LogIndex(log.definitions, records, number, Settings(partitions=len(log.partitions), keep=dict(keep)))
        counts, seen = world.partitions[number].header.counts, index.counts
        assert (counts.read, counts.counted + counts.replaced) == (seen["read"], seen["counted"] + seen["replaced"])
        assert (counts.duplicate, counts.rerouted, counts.late) == (seen["duplicate"], seen["rerouted"], seen["late"])
        assert counts.replayed == seen["replayed"]
        assert counts.rejected == sum(seen[reason] for reason in REFUSALS)
        check_shown(index, world, number)
        check_whole(index, world, number)
        check_usage(index, world, number)
        entries += check_side(index, log, number)
        settled |= index.settled.keys()
        lately |= {hold for hold, clock in index.settled.items() if clock > index.clock - SETTLED_FOR}
        wanted += alarms(index)
    assert world.entries == entries
    assert lately <= world.settled <= settled
    assert len({alert["id"] for alert in world.alerts}) == len(world.alerts)
    assert sorted(map(told, world.alerts), key=repr) == sorted(wanted, key=repr)
    return world


READY = FEATURES - {"billable"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_commits_show_the_recount_at_every_position(seed: int) -> None:
    """Through crashes, takeovers, re-routing and expiry, Redis shows the recount of the log up to its position."""
    check(seed, READY)


KEEPS = (60, 3_600, 3 * 3_600, 86_400, 3 * 86_400, 10 * 86_400, 40 * 86_400)
"""Seconds that a kind of window may be kept, in any order of the kinds."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(min_value=0, max_value=2**40))
def test_each_kind_is_kept_as_its_own_setting_says(seed: int) -> None:
    """Also where a longer window is kept for less time than a shorter one: what is late for it alone leaves it as it is."""
    rnd = Random(seed)
    keep = {kind: rnd.choice(KEEPS) * SECOND for kind in KINDS[:-1] if rnd.randrange(3)}
    judged(make_log(rnd, READY), rnd, keep)
