"""The general path: metrics whose states fold themselves, one for each customer and one for each of their groups."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from schemas.definitions import KINDS, Metric as Definition
from schemas.totals import Position, Total
from stream.core import groups, numbers, wire
from stream.core.codegen import Source
from stream.core.decode import Properties
from stream.core.metrics import base
from stream.core.metrics.base import BadValue, Metric, Shown, State, Terms
from stream.core.metrics.billable import Attribution
from stream.core.names import Names
from stream.core.zone import Zone


class Built:
    """A definition at work: its metric, and the compiled tests of its filters and groups.

    `scale` makes a value's text the whole number that the gate compares, None where no limit stands on the metric.
    `keeps[kind]` is how long a window is kept after its end, in microseconds.
    """

    def __init__(
        self,
        definition: Definition,
        metric: Metric,
        properties: Properties,
        scale: Callable[[str], str] | None,
        keeps: tuple[int | None, ...],
    ) -> None:
        self.definition, self.metric, self.scale, self.keeps = definition, metric, scale, keeps
        self.key = definition.key
        source = Source(properties, group_key=groups.group_key)
        test = source.test(definition.filters)
        source.lines += ["def test(p):", f"    return {test or 'True'}", ""]
        values = "".join(f"{source.value(prop)}, " for prop in definition.group_by)
        source.lines += ["def group(p):", f"    return group_key(({values}))" if values else "    return None"]
        made = source.run("a metric's filters and groups")
        self.test: Callable[[Any], bool] | None = made["test"] if test else None
        self.group: Callable[[Any], Any] | None = made["group"] if values else None
        self.head = wire.encode([definition.key, metric.shape])
        self.kinds = tuple(KINDS.index(kind) for kind in definition.windows)


class Entry:
    """One state, or its chunks until it is touched. `group` is None for the overall one."""

    __slots__ = (
        "attribution",
        "chunks",
        "customer",
        "dirty",
        "group",
        "names",
        "pending",
        "seen_hour",
        "shown_us",
        "state",
        "zone",
    )

    def __init__(self, customer: str, group: Any, zone: Zone) -> None:
        self.customer, self.group, self.zone = customer, group, zone
        self.state: State | None = None
        self.chunks: dict[bytes, bytes] = {}  # until the state is made
        self.names: set[bytes] = set()  # of the chunks that the changelog holds
        self.pending: list[tuple[bytes, bytes | None]] = []
        self.shown_us: int | None = None  # the clock at which it was last rendered
        self.seen_hour = -1  # the clock's hour of the last expiry
        self.dirty = False
        self.attribution: Attribution | None = None  # only where billable days are asked for


class States:
    """All states of one metric in a partition."""

    def __init__(
        self, built: Built, zone_for: Callable[[str], Zone], *, watched: bool = False, days_of: Terms | None = None
    ) -> None:
        """`watched`: a limit stands on the metric. `days_of`: each entry remembers on which day a value arose."""
        self.built, self._zone_for, self.watched, self._days_of = built, zone_for, watched, days_of
        self._is_keyed = built.metric.keyed
        self.prefix = wire.STATE + wire.prefixed(built.head)
        self.overall: dict[str, Entry] = {}
        self.grouped: dict[str, dict[Any, Entry]] = {}
        self.dirty: list[Entry] = []
        self._names = Names(built.definition.group_by)

    # -- entries

    def _key(self, entry: Entry) -> bytes:
        name = self.name_of(entry).encode()
        return b"".join(
            (self.prefix, wire.prefixed(entry.customer.encode(), name), entry.zone.number.to_bytes(2, "big"))
        )

    def load(self, tail: bytes, value: bytes) -> bool:
        """Keep a chunk from the changelog; False where it belongs to a calendar that the customer no longer has."""
        customer, at = wire.part_of(tail, 0)
        name, at = wire.part_of(tail, at)
        entry = self._entry(customer.decode(), self._names.key_of(name) if name else None)
        if int.from_bytes(tail[at : at + 2], "big") != entry.zone.number:
            return False
        suffix = tail[at + 2 :]
        entry.chunks[suffix] = value
        entry.names.add(suffix)
        return True

    def _entry(self, customer: str, group: Any) -> Entry:
        entries: dict[Any, Entry] = self.overall
        at = customer
        if group is not None:
            entries, at = self.grouped.setdefault(customer, {}), group
        entry = entries.get(at)
        if entry is None:
            entry = entries[at] = Entry(customer, group, self._zone_for(customer))
            if self._days_of is not None:
                overall = self.built.metric.keyed and group is None
                entry.attribution = Attribution(
                    self.built.definition, self._days_of, entry.zone.calendar, overall=overall
                )
        return entry

    def state(self, entry: Entry) -> State:
        """The entry's state, made from its chunks where it was not yet."""
        if entry.state is None:
            metric = self.built.metric
            entry.state = metric.state(
                entry.zone.calendar, entry.chunks or None, overall=metric.keyed and entry.group is None
            )
            entry.chunks = {}
        return entry.state

    def entries(self, customer: str) -> Iterator[Entry]:
        """The customer's entries, the overall one first."""
        if customer in self.overall:
            yield self.overall[customer]
        yield from self.grouped.get(customer, {}).values()

    # -- events

    def read(self, p: Any, bad: list[str]) -> Any | None:
        """What the metric makes of an event, None where it does not count; its key goes to `bad` where it cannot."""
        built = self.built
        if built.test is not None and not built.test(p):
            return None
        try:
            return built.metric.read(p)
        except (BadValue, numbers.BadValue):
            bad.append(built.key)
            return None

    def group_of(self, p: Any) -> Any:
        """The key of the event's group, None where it has none."""
        return None if self.built.group is None else self.built.group(p)

    def fold(self, customer: str, group: Any, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> int | None:
        """Count a value; the answer is for how many windows it came too late, None where there is no room for it.

        A group's state holds no more than the overall one, so where that has room the group's has.
        """
        entry = self.overall.get(customer)
        if entry is None or not entry.dirty:
            entry = self._touched(customer, None)
        state = entry.state or self.state(entry)
        try:
            late = state.fold(w, order, self._keyed(group, value) if self._is_keyed else value, clock_us)
        except BadValue:
            return None
        if entry.attribution is not None:
            entry.attribution.add(w[0], order, self._keyed(group, value))
        if group is not None:
            self._fold(self._touched(customer, group), value, w, order, clock_us)
        return late

    def _fold(self, entry: Entry, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> int:
        late = self.state(entry).fold(w, order, value, clock_us)
        if entry.attribution is not None:
            entry.attribution.add(w[0], order, value)
        return late

    def remove(self, customer: str, group: Any, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> None:
        """Undo what `fold` did."""
        self._remove(self._touched(customer, None), self._keyed(group, value), w, order, clock_us)
        if group is not None:
            self._remove(self._touched(customer, group), value, w, order, clock_us)

    def _remove(self, entry: Entry, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> None:
        if entry.attribution is not None:
            entry.attribution.remove(w[0], order)
        self.state(entry).remove(w, order, value, clock_us)

    def _keyed(self, group: Any, value: Any) -> Any:
        if not self.built.metric.keyed:
            return value
        return (b"" if group is None else self._names[group].encode(), value)

    def _touched(self, customer: str, group: Any) -> Entry:
        entry = self._entry(customer, group)
        if not entry.dirty:
            entry.dirty = True
            self.dirty.append(entry)
        return entry

    # -- what leaves

    def encoded(self, entries: list[Entry]) -> Iterator[tuple[bytes, bytes | None]]:
        """The changelog records of changed entries."""
        for entry in entries:
            key = self._key(entry)
            for suffix, data in [*entry.pending, *self.state(entry).save()]:
                if data is not None:
                    entry.names.add(suffix)
                elif suffix in entry.names:
                    entry.names.discard(suffix)
                else:
                    continue
                yield key + suffix, data
            entry.pending = []

    def rendered(self, entries: list[Entry], clock_us: int) -> Iterator[tuple[str, str, str | None]]:
        """(customer, field, JSON) of entries."""
        for entry in entries:
            entry.shown_us = clock_us
            yield entry.customer, self.field(entry), self.text(entry, clock_us)

    def name_of(self, entry: Entry) -> str:
        """The group's JSON, empty for the overall state."""
        return "" if entry.group is None else self._names[entry.group]

    def entry(self, customer: str, group: Any) -> Entry:
        """The entry of a customer, or of one of its groups."""
        return self._entry(customer, group)

    def field(self, entry: Entry) -> str:
        """The entry's field in the customer's hash."""
        return self.built.key + self.name_of(entry)

    def text(self, entry: Entry, clock_us: int) -> str | None:
        """What Redis shows of an entry at a clock; None where that is nothing."""
        state, scale = self.state(entry), self.built.scale
        by_kind: dict[int, list[str]] = {}
        for row in state.shown(clock_us):
            start, end = ("null", "null") if row.end is None else (row.start, row.end)
            scaled = scale(row.value) if scale is not None else ""
            error = "" if row.error is None else f',"{row.error}"'
            by_kind.setdefault(row.kind, []).append(f'[{start},{end},"{row.value}",{row.events},"{scaled}"{error}]')
        present = state.present()
        if not by_kind and present is None:
            return None
        windows = ",".join(f'"{KINDS[kind]}":[{",".join(rows)}]' for kind, rows in by_kind.items())
        extra = "" if present is None else f',"s":"{present}","ss":"{scale(present) if scale is not None else ""}"'
        return f'{{"w":{{{windows}}}{extra}}}'

    def totals(self, customer: str, instant: int, clock_us: int, position: Position) -> Iterator[Total]:
        """The customer's totals whose windows hold an instant, and are still kept."""
        for entry in list(self.entries(customer)):
            w = entry.zone.calendar.windows(instant)
            for kind in self.built.kinds:
                row = self.state(entry).total(kind, w[1 + kind])
                if row is not None and base.kept(row.end, self.built.keeps[kind], clock_us):
                    yield self._total(entry, row, clock_us, position)

    def every(self, last_us: int, billable: str | None) -> Iterator[Total]:
        """Every total whose window does not begin after an instant; those of the kind `billable` with their days."""
        for customer in list(self.overall):
            for entry in list(self.entries(customer)):
                for kind in self.built.kinds:
                    until_us = 1 << 62 if kind == base.TOTAL else last_us  # which starts at 0, also before 1970
                    for row in self.state(entry).rows(kind, until_us):
                        total = self._total(entry, row, None, None)
                        if entry.attribution is not None and total.window == billable:
                            total = msgspec.structs.replace(total, billable=entry.attribution.days(row))
                        yield total

    def _total(self, entry: Entry, row: Shown, clock_us: int | None, position: Position | None) -> Total:
        return Total(
            customer=entry.customer,
            metric=self.built.key,
            window=KINDS[row.kind],
            start=None if row.end is None else row.start,
            end=row.end,
            group={} if entry.group is None else groups.values_of(self._names[entry.group]),
            value=row.value,
            events=row.events,
            error=row.error,
            as_of_us=clock_us,
            position=position,
        )

    # -- in the background

    def sweep(self, entry: Entry, clock_us: int, swept_us: int) -> bool:
        """Expire what an entry no longer keeps; the answer is whether Redis shows something else by now."""
        if entry.dirty:
            return False
        hour = clock_us // base.HOUR_US
        if entry.seen_hour != hour:
            entry.seen_hour = hour
            state = self.state(entry)
            state.expire(clock_us)
            entry.pending += state.save()
            if entry.pending:
                entry.dirty = True
                self.dirty.append(entry)
                return False
        before, entry.shown_us = entry.shown_us, clock_us
        since_us = swept_us if before is None else before
        if since_us < 0:
            return True
        then, now = entry.zone.floors_at(since_us), entry.zone.floors(clock_us)
        if all(then[kind] == now[kind] for kind in self.built.kinds):
            return False
        return self.text(entry, since_us) != self.text(entry, clock_us)

    def drop_empty(self, entry: Entry) -> bool:
        """Forget an entry that holds nothing any more."""
        if entry.dirty or entry.names or entry.chunks:
            return False
        if entry.group is None:
            self.overall.pop(entry.customer, None)
        else:
            mine = self.grouped.get(entry.customer, {})
            mine.pop(entry.group, None)
            if not mine:
                self.grouped.pop(entry.customer, None)
        return True
