"""The general path: metrics whose states fold themselves, one for each customer and one for each of their groups."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Context, localcontext
from itertools import compress
from typing import Any

import msgspec

from schemas.definitions import KINDS
from schemas.totals import Position, Total
from stream.core import groups, wire
from stream.core.built import Built
from stream.core.entries import Entry
from stream.core.metrics import base
from stream.core.metrics.base import BadValue, Many, Shown, State, Terms
from stream.core.metrics.billable import Attribution
from stream.core.names import Names
from stream.core.upserts import part
from stream.core.waiting import CHUNK, NUMBER, ORDER, PROPERTIES, WINDOWS, Waiting
from stream.core.zone import Zone

Unusable = list[tuple[Any, str]]
"""Records, each with the key of a metric that cannot use its value."""

_OPEN = [f'{{"w":{{"{kind}":[' for kind in KINDS]
_NEXT = [f'],"{kind}":[' for kind in KINDS]
_NONE = '{"w":{}'


class States:
    """All states of one metric in a partition."""

    def __init__(
        self,
        built: Built,
        zone_for: Callable[[str], Zone],
        *,
        watched: bool = False,
        days_of: Terms | None = None,
        simulate: bool = False,
    ) -> None:
        """`watched`: a limit stands on the metric. `days_of`: each entry remembers on which day a value arose."""
        self.built, self._zone_for, self.watched, self._days_of = built, zone_for, watched, days_of
        self._is_keyed = built.metric.keyed
        self._plain = built.group is None and days_of is None
        self._simulate = simulate
        self.prefix = wire.STATE + wire.prefixed(built.head)
        self.overall: dict[str, Entry] = {}
        self.grouped: dict[str, dict[Any, Entry]] = {}
        self.dirty: list[Entry] = []
        self._former: dict[Entry, dict[bytes, bytes]] = {}  # chunks of another calendar, while they are loaded
        self._names = Names(built.definition.group_by)

    # -- entries

    def load(self, tail: bytes, value: bytes) -> bool:
        """Keep a chunk from the changelog; False where it belongs to a calendar that the customer no longer has.

        Of such a one `carry_on` takes what goes on.
        """
        customer, at = wire.part_of(tail, 0)
        name, at = wire.part_of(tail, at)
        entry = self._entry(customer.decode(), self._names.key_of(name) if name else None)
        if int.from_bytes(tail[at : at + 2], "big") != entry.zone.number:
            self._former.setdefault(entry, {})[tail[at + 2 :]] = value
            return False
        suffix = tail[at + 2 :]
        entry.chunks[suffix] = value
        entry.names.add(suffix)
        return True

    def carry_on(self) -> None:
        """After the last chunk: what goes on of states of another calendar is theirs in the present one, and written so."""
        former, self._former = self._former, {}
        metric = self.built.metric
        if not isinstance(metric, base.Carrying):
            return
        with localcontext(Context(prec=base.EXACT_DIGITS)):
            for entry, chunks in former.items():
                carried = {} if entry.chunks else metric.carried(chunks)
                if carried:
                    entry.chunks, entry.names, entry.pending = carried, set(carried), list(carried.items())
                    self.touched(entry.customer, entry.group)

    def _entry(self, customer: str, group: Any) -> Entry:
        entries: dict[Any, Entry] = self.overall
        at = customer
        if group is not None:
            entries, at = self.grouped.setdefault(customer, {}), group
        entry = entries.get(at)
        if entry is None:
            zone, name = self._zone_for(customer), "" if group is None else self._names[group]
            key = self.prefix + wire.prefixed(customer.encode(), name.encode()) + zone.number.to_bytes(2, "big")
            entry = entries[at] = Entry(customer, group, zone, key, self.built.key + name)
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
            entry.fold = entry.state.fold
            entry.fold_all = getattr(entry.state, "fold_all", None)
        return entry.state

    def entries(self, customer: str) -> Iterator[Entry]:
        """The customer's entries, the overall one first."""
        if customer in self.overall:
            yield self.overall[customer]
        yield from self.grouped.get(customer, {}).values()

    # -- events

    def fold(self, customer: str, group: Any, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> int | None:
        """Count a value; the answer is for how many windows it came too late, None where there is no room for it.

        A group's state holds no more than the overall one, so where that has room the group's has.
        """
        entry = self.overall.get(customer)
        if entry is None or not entry.dirty:
            entry = self.touched(customer, None)
        try:
            late = entry.fold(w, order, self._keyed(group, value) if self._is_keyed else value, clock_us)  # type: ignore[misc]
        except BadValue:
            return None
        if entry.attribution is not None:
            entry.attribution.add(w[0], order, self._keyed(group, value))
        if group is not None:
            self._fold(self.touched(customer, group), value, w, order, clock_us)
        return late

    def fold_batch(
        self, customer: str, batch: Sequence[Waiting], place: int, events: Many, clock_us: int, bad: Unusable
    ) -> tuple[list[int] | None, int]:
        """Count a customer's events, which came one after the other up to a clock; `place` is the value's in each.

        `events` are the same in columns, None standing for what does not count. The answer is which of them, by number,
        were not counted though they have a value (None: all were), and for how many windows they came too late
        together. Where there is no room for a value, its record goes to `bad`.
        """
        if self._plain:
            if None in events.values:
                chosen = [value is not None for value in events.values]
                counted = [*compress(events.values, chosen)]
                if not counted:
                    return None, 0
                instants, orders = [*compress(events.instants, chosen)], [*compress(events.orders, chosen)]
                events = Many(instants, orders, counted, events.first, events.last, by_time=events.by_time)
            entry = self.overall.get(customer)
            if entry is None or not entry.dirty:
                entry = self.touched(customer, None)
            if entry.fold_all is not None and entry.fold_all(events, clock_us):
                return None, 0
        late, out = 0, []
        for number, waits in enumerate(batch):
            value, chunk, i = waits[place], waits[CHUNK], waits[NUMBER]
            if value is not None:
                group = self.group_of(waits[PROPERTIES])
                late_here = self.fold(customer, group, value, waits[WINDOWS], waits[ORDER], chunk.clock_at(i))
                if late_here is None:
                    bad.append((chunk.records[i], self.built.key))
                else:
                    late += late_here
                if late_here is None or not self.counts(late_here):
                    out.append(number)
        return out, late

    def counts(self, late: int) -> bool:
        """Whether an event counts in any window, that came too late for so many."""
        return late < len(self.built.kinds) or self._simulate

    def group_of(self, p: Any) -> Any:
        """The key of the event's group, None where it has none."""
        return None if self.built.group is None else self.built.group(p)

    def part(self, p: Any, value: Any) -> tuple[str, str, Any, Any]:
        """What is remembered of a value, so that it can be taken back."""
        return part(self.built.key, self.built.metric.shape, self.group_of(p), value)

    def _fold(self, entry: Entry, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> int:
        late = self.state(entry).fold(w, order, value, clock_us)
        if entry.attribution is not None:
            entry.attribution.add(w[0], order, value)
        return late

    def remove(self, customer: str, group: Any, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> None:
        """Undo what `fold` did."""
        self._remove(self.touched(customer, None), self._keyed(group, value), w, order, clock_us)
        if group is not None:
            self._remove(self.touched(customer, group), value, w, order, clock_us)

    def _remove(self, entry: Entry, value: Any, w: tuple[int, ...], order: int, clock_us: int) -> None:
        if entry.attribution is not None:
            entry.attribution.remove(w[0], order)
        self.state(entry).remove(w, order, value, clock_us)

    def _keyed(self, group: Any, value: Any) -> Any:
        if not self.built.metric.keyed:
            return value
        return (b"" if group is None else self._names[group].encode(), value)

    def touched(self, customer: str, group: Any) -> Entry:
        """The entry of a customer, or of one of its groups, with its state made and marked as changed."""
        entry = self._entry(customer, group)
        if not entry.dirty:
            entry.dirty = True
            self.dirty.append(entry)
            if entry.state is None:
                self.state(entry)
        return entry

    # -- what leaves

    def encoded(self, entries: list[Entry]) -> Iterator[tuple[bytes, bytes | None]]:
        """The changelog records of changed entries."""
        for entry in entries:
            key, names, chunks = entry.key, entry.names, self.state(entry).save()
            if entry.pending:
                chunks = [*entry.pending, *chunks]
                entry.pending = []
            for suffix, data in chunks:
                if data is not None:
                    names.add(suffix)
                elif suffix in names:
                    names.discard(suffix)
                else:
                    continue
                yield key + suffix, data

    def rendered(self, entries: list[Entry], clock_us: int) -> Iterator[tuple[str, str, str | None]]:
        """(customer, field, JSON) of entries."""
        for entry in entries:
            entry.shown_us = clock_us
            yield entry.customer, entry.field, self.text(entry, clock_us)

    def name_of(self, entry: Entry) -> str:
        """The group's JSON, empty for the overall state."""
        return "" if entry.group is None else self._names[entry.group]

    def entry(self, customer: str, group: Any) -> Entry:
        """The entry of a customer, or of one of its groups."""
        return self._entry(customer, group)

    def text(self, entry: Entry, clock_us: int) -> str | None:
        """What Redis shows of an entry at a clock; None where that is nothing."""
        state, scale, labels = self.state(entry), self.built.scale, entry.zone.labels
        parts: list[str] = []
        last = -1
        for kind, start, _, value, events, error in state.shown(clock_us):
            if kind != last:
                parts.append(_OPEN[kind] if last < 0 else _NEXT[kind])
                last = kind
            else:
                parts.append(",")
            scaled = scale(value) if scale is not None else ""
            if error is None:
                parts.append(f'{labels[kind][start]}{value}",{events},"{scaled}"]')
            else:
                parts.append(f'{labels[kind][start]}{value}",{events},"{scaled}","{error}"]')
        present = state.present()
        if present is not None:
            scaled = scale(present) if scale is not None else ""
            parts.append(f'{"]}" if parts else _NONE},"s":"{present}","ss":"{scaled}"}}')
        elif parts:
            parts.append("]}}")
        else:
            return None
        return "".join(parts)

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
