"""The contract for one partition of a Kafka log: what a reader must see at every position.

Part of the independent judge. `LogIndex` reads a partition's records once and keeps, for each
row, the changes by offset, so that thousands of (value, position) pairs are checked quickly.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

from tests.oracle.counting import inside
from tests.oracle.gauging import timeline
from tests.oracle.homes import home
from tests.oracle.reading import Event, RefusedError, read_message
from tests.oracle.readings import OVERALL, BadValueError, Reading, read
from tests.oracle.recount import KEPT, KEPT_LONGER, late_kinds, value_of
from tests.oracle.rules import Rules
from tests.oracle.times import SECOND, UNIT_US, Window
from tests.oracle.values import decimal_text, leaving, rounded


class Record(Protocol):
    """A record of the log; `timestamp` in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Iterable[tuple[str, bytes]]: ...


@dataclass(frozen=True)
class Settings:
    """What decides verdicts besides the log; durations in microseconds."""

    partitions: int = 1
    app: str = "tally"
    max_age: int = 7 * UNIT_US["d"]
    max_ahead: int = 5 * UNIT_US["m"]
    keep: dict[str, int] = field(default_factory=dict)
    """Retention by window kind where it is not the default."""

    def kept(self, kind: str) -> int:
        """Microseconds for which a window is kept after its end."""
        return self.keep.get(kind, KEPT.get(kind, KEPT_LONGER))


class Row(NamedTuple):
    """The name of one total."""

    customer: str
    metric: str
    group: bytes
    kind: str
    window: Window


class Change(NamedTuple):
    """One reading that came (or, with sign -1, went) with the record at an offset."""

    offset: int
    sign: int
    reading: Reading


@dataclass
class Series:
    """The changes of one row, and its value after the first so many of them, where that was asked for."""

    row: Row
    changes: list[Change]
    offsets: list[int] = field(init=False)
    values: dict[int, tuple[str, int] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.offsets = [change.offset for change in self.changes]


@dataclass
class Remembered:
    """An accepted event: when its id is forgotten, and in which (metric, kind) it counts."""

    event: Event
    clock: int
    counts: list[tuple[str, str, Reading]] = field(default_factory=list)


class LogIndex:
    """One partition's log, read from its first record on."""

    def __init__(
        self, definitions: dict[str, Any], records: Iterable[Record], partition: int, settings: Settings | None = None
    ) -> None:
        self.rules = Rules(definitions)
        self.partition = partition
        self.settings = Settings() if settings is None else settings
        self.clock = -1
        self.counts: Counter[str] = Counter()
        """read, skipped, rerouted, duplicate, replaced, counted, partial, late, and each reason of a refusal."""
        self.verdicts: dict[int, str] = {}
        """What became of each record, by offset."""
        self.partials: dict[int, list[str]] = {}
        """The metrics that could not use the value of a counted event, by offset."""
        self.changes: dict[tuple[str, str, str], list[Change]] = {}
        """By (customer, metric, kind), in the order of the log."""
        self.settled: dict[tuple[str, str], int] = {}
        """(customer, reservation) of every event that was read, whatever became of it, and the clock then."""
        self.ids: dict[tuple[str, tuple[str, ...]], Remembered] = {}
        self._replayed: set[tuple[bytes, str]] = set()
        self._series: dict[Row, Series] = {}
        for record in records:
            self.take(record)

    def take(self, record: Record) -> str:
        """Read the next record; the answer is its verdict."""
        self._series.clear()
        verdict = self.verdicts[record.offset] = self._take(record)
        self.counts.update(("read", verdict))
        return verdict

    def _take(self, record: Record) -> str:
        """One record's verdict: clock, decode, home, duplicate, age, fold."""
        self.clock = max(self.clock, record.timestamp * 1_000)
        headers = dict(record.headers or ())
        app = headers.get("tally-app")
        if app is not None and app.decode() != self.settings.app:
            return "skipped"
        record_ms = int(headers["tally-first-timestamp"]) if app is not None else record.timestamp
        try:
            event = read_message(record.value, headers.items(), record_ms * 1_000)
        except RefusedError as refused:
            return refused.reason
        event.order = record.offset
        event.customer = headers["tally-canonical"].decode() if app else self.rules.canonical(event.customer)
        if app is None and home(event.customer, self.settings.partitions) != self.partition:
            return "rerouted"
        if "tally-replay" in headers:
            metrics = headers["tally-metrics"].decode().split(",")
            return self._replay(event, record_ms * 1_000, headers["tally-replay"], metrics)
        if event.reservation is not None:
            self.settled[event.customer, event.reservation] = self.clock
        return self._accept(event, record_ms * 1_000)

    def _accept(self, event: Event, record_us: int) -> str:
        """Whether the event counts, and then where."""
        known = self.ids.get((event.customer, event.identity))
        if known is not None and self._forgotten(known):
            known = None
        if known is not None and not (self.rules.upserts(known.event.name) and self.rules.upserts(event.name)):
            return "duplicate"
        if untimely := self._untimely(event, record_us):
            return untimely
        if known is not None:
            self._remove(known, event.order)
        self.ids[event.customer, event.identity] = now = Remembered(event, self.clock)
        for key, metric in self.rules.metrics.items():
            self._count(key, metric, event, now)
        return "counted" if known is None else "replaced"

    def _untimely(self, event: Event, record_us: int) -> str | None:
        """Why an event's time is not accepted, bounds included."""
        if event.us < self.clock - self.settings.max_age:
            return "too_old"
        return "in_future" if event.us > record_us + self.settings.max_ahead else None

    def _replay(self, event: Event, record_us: int, entry: bytes, metrics: list[str]) -> str:
        """A mended event counts only in the metrics that could not use it, once for each entry and metric."""
        if untimely := self._untimely(event, record_us):
            return untimely
        now = self.ids.get((event.customer, event.identity)) or Remembered(event, self.clock)
        for key in metrics:
            if (entry, key) not in self._replayed and self._count(key, self.rules.metrics[key], event, now):
                self._replayed.add((entry, key))
        return "replayed"

    def _forgotten(self, known: Remembered) -> bool:
        """Whether an id has been remembered for max_age + max_ahead, by the hours of the clock.

        Ids are kept in segments of an hour, so for up to an hour longer than that.
        """
        hour = UNIT_US["h"]
        return known.clock // hour < (self.clock - self.settings.max_age - self.settings.max_ahead) // hour

    def _count(self, key: str, metric: dict[str, Any], event: Event, now: Remembered) -> bool:
        """Count an accepted event in one metric's windows that are kept; False where the metric cannot use it."""
        try:
            reading = read(metric, event)
        except BadValueError:
            self.counts["partial"] += 1
            self.partials.setdefault(event.order, []).append(key)
            return False
        if reading is None:
            return True
        late = late_kinds(self.rules, metric, event, self.clock, self.settings.kept)
        self.counts["late"] += len(late)
        for kind in self.rules.windows(metric):
            if kind not in late:
                now.counts.append((key, kind, reading))
                self.changes.setdefault((event.customer, key, kind), []).append(Change(event.order, 1, reading))
        return True

    def _remove(self, known: Remembered, offset: int) -> None:
        """Take a replaced event out of every window that is still kept.

        A gauge or a sliding rate is as if the event had not been: what no longer takes late events
        is still kept. (Of their windows that are not, nobody can read whether they changed.)
        """
        for key, kind, reading in known.counts:
            metric = self.rules.metrics[key]
            whole = metric["type"] == "gauge" or metric.get("sliding")
            if whole or kind not in late_kinds(self.rules, metric, reading.event, self.clock, self.settings.kept):
                self.changes[known.event.customer, key, kind].append(Change(offset, -1, reading))

    def rows(self) -> Iterator[Row]:
        """Every row that an event ever came into (a gauge has more: those that it was carried into)."""
        found: dict[Row, None] = {}
        for (customer, key, kind), changes in self.changes.items():
            days = self.rules.calendar(customer)
            for change in changes:
                window = days.window(kind, change.reading.us // SECOND)
                for group in {OVERALL, change.reading.group} - {None}:
                    found[Row(customer, key, group or OVERALL, kind, window)] = None
        yield from found

    def total(
        self, customer: str, metric: str, kind: str, start: int | None, position: int, group: bytes = OVERALL
    ) -> tuple[str, int] | None:
        """Value and events of a total that includes everything below a position; None where there is no row.

        `start` is the window's, in seconds; `customer` canonical; `group` compact JSON.
        """
        window = self.rules.calendar(customer).window(kind, 0 if start is None else start)
        assert window[0] == start, (kind, start, window)
        series = self._series_of(Row(customer, metric, group, kind, window))
        place = bisect_left(series.offsets, position)
        if place not in series.values:
            series.values[place] = self._evaluate(series, place)
        return series.values[place]

    def state(self, customer: str, metric: str, kind: str, position: int, group: bytes = OVERALL) -> str | None:
        """A gauge's state after its newest event below a position, unrounded; None before any event."""
        members = self._members(
            one
            for one in self.changes.get((customer, metric, kind), [])
            if one.offset < position and group in {OVERALL, one.reading.group}
        )
        if not members:
            return None
        return decimal_text(timeline(self.rules.metrics[metric], members).changes[-1][1].value)

    @staticmethod
    def _members(changes: Iterable[Change]) -> list[Reading]:
        """The readings that are there after some changes, in order of their instants."""
        members: list[Reading] = []
        for change in changes:
            if change.sign > 0:
                members.append(change.reading)
            else:
                members.remove(change.reading)
        return sorted(members, key=lambda one: one.when)

    def _series_of(self, row: Row) -> Series:
        """The changes of a row, kept after it was first asked for."""
        known = self._series.get(row)
        if known is None:
            metric = self.rules.metrics[row.metric]
            known = Series(row, self._changes_of(row, metric))
            if simple(metric, known.changes):
                known.values.update(enumerate(running(metric, known.changes), start=1))
            self._series[row] = known
        return known

    def _changes_of(self, row: Row, metric: dict[str, Any]) -> list[Change]:
        """The changes that a row's value may hang on."""
        changes = self.changes.get((row.customer, row.metric, row.kind), [])
        changes = [one for one in changes if row.group in {OVERALL, one.reading.group}]
        end = row.window[1]
        if end is not None and not metric.get("proration"):
            changes = [one for one in changes if one.reading.us < end * SECOND]
        if row.window[0] is not None and metric["type"] != "gauge" and not metric.get("sliding"):
            changes = [one for one in changes if one.reading.us >= row.window[0] * SECOND]
        return changes

    def _evaluate(self, series: Series, place: int) -> tuple[str, int] | None:
        """The row after the first so many of its changes, evaluated from nothing."""
        row, metric = series.row, self.rules.metrics[series.row.metric]
        members = self._members(series.changes[:place])
        within, end = inside(members, row.window), row.window[1]
        line = timeline(metric, members) if members and metric["type"] == "gauge" else None
        carried = line is not None and (end is None or members[0].us < end * SECOND)
        if not within and not carried:
            return None
        days = self.rules.calendar(row.customer)
        return shown(metric, value_of(metric, members, line, row.window, days), len(within))


def simple(metric: dict[str, Any], changes: Sequence[Change]) -> bool:
    """Whether a row is a fold of one value after another, with nothing taken back."""
    return metric["type"] == "counter" and all(change.sign > 0 for change in changes)


def running(metric: dict[str, Any], changes: Sequence[Change]) -> Iterator[tuple[str, int]]:
    """A counter's row after each change, without starting anew each time."""
    total, least, most, latest = Fraction(0), None, None, None
    seen = set()
    for count, change in enumerate(changes, start=1):
        reading, value = change.reading, change.reading.value
        match metric["aggregation"]:
            case "unique":
                seen.add(value)
                result = Fraction(len(seen))
            case "count":
                result = Fraction(count)
            case "min":
                result = least = value if least is None else min(least, value)
            case "max":
                result = most = value if most is None else max(most, value)
            case "latest":
                latest = reading if latest is None or latest.when <= reading.when else latest
                result = latest.value
            case aggregation:
                total += value
                result = total / count if aggregation == "avg" else total
        yield shown(metric, result, count)


def shown(metric: dict[str, Any], value: Fraction, events: int) -> tuple[str, int]:
    """A value as it leaves, and the count of its events."""
    return decimal_text(rounded(leaving(value), metric.get("rounding"))), events


def recount_log(
    definitions: dict[str, Any],
    records: Iterable[Record],
    partition: int = 0,
    settings: Settings | None = None,
    upto: int | None = None,
) -> dict[Row, tuple[str, int]]:
    """Every total that events came into, of the records below the position `upto` (all of them, if None)."""
    taken = [record for record in records if upto is None or record.offset < upto]
    index = LogIndex(definitions, taken, partition, settings)
    position = taken[-1].offset + 1 if taken else 0
    totals = {
        row: index.total(row.customer, row.metric, row.kind, row.window[0], position, row.group) for row in index.rows()
    }
    return {row: total for row, total in totals.items() if total is not None}
