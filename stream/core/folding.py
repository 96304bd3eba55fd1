"""The fold of a block: every record gets its verdict, every accepted event goes into its rows.

The order of verdicts is fixed: decoded (`malformed`, `missing_field`, `bad_timestamp`, `too_large`), at home (else
re-routed, and nothing more), known id (a duplicate, or a replacement), `too_old` and `in_future`, folded. The clock
moves with each record, before its verdict. All of it depends on the log alone.

A chunk of a block is decoded, hashed and looked up at once. The loop then folds what is plainly in order; whatever is
not (an id known, a customer without a row, a time near a bound, a header) goes through `_one`, which decides it step by
step.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Context, Inexact, InvalidOperation, Overflow, localcontext
from typing import TYPE_CHECKING, Any

import xxhash

from schemas.rejections import BAD_TIMESTAMP, IN_FUTURE, TOO_OLD, Refusal
from stream.core import outbox
from stream.core.book import HOUR_US, Book
from stream.core.general import States
from stream.core.header import Fingerprint
from stream.core.idlog import Settled
from stream.core.metrics.base import EXACT_DIGITS
from stream.core.murmur2 import Homes
from stream.core.rows import Series
from stream.core.timestamps import BadTimestamp
from stream.core.upserts import Contribution, Part, group_in, part, value_in

if TYPE_CHECKING:
    from stream.core.commit import Out

CHUNK = 1000
"""Records decoded and looked up at once: enough to spread numpy's fixed cost, few enough to stay in the cache."""

RECENT = 8000
"""New ids that wait in a set before the table takes them: in small batches it costs several times more."""

EXACT = Context(prec=EXACT_DIGITS, traps=[Inexact, InvalidOperation, Overflow])
"""Sums of accepted numbers fit into 120 digits; Python's default would silently keep 28."""

_digest = xxhash.xxh3_128_digest


class Chunk:
    """Records of one clock-hour with all that is known of them before the fold."""

    __slots__ = (
        "clock_us",
        "clocks",
        "dropped",
        "events",
        "hashes",
        "headed",
        "hour",
        "known",
        "newest_us",
        "places",
        "records",
        "times",
    )

    def __init__(self, records: Sequence[Any], times: list[int], clock_us: int) -> None:
        self.records, self.times, self.clock_us = records, times, clock_us
        self.events: list[Any] = []
        self.hashes: list[bytes] = []
        self.known: list[bool] | None = None
        self.places: dict[bytes, list[int]] | None = None  # only where an id comes twice
        self.dropped: set[int] = set()
        self.clocks: list[int] | None = None
        self.hour = 0
        self.newest_us = clock_us  # the clock after the last record
        self.headed = False  # whether some record may be a copy that was re-routed

    def clock_at(self, i: int) -> int:
        """The partition's clock with record i read, in microseconds."""
        if self.clocks is None:
            self.clocks = [max(self.clock_us, at) for at in itertools.accumulate(self.times, max)]
        return self.clocks[i]

    def came_before(self, i: int) -> bool:
        """Whether an earlier record of the chunk with the same id was accepted."""
        if self.places is None:
            return False
        return any(at < i and at not in self.dropped for at in self.places[self.hashes[i]])


class Folding:
    """Folds blocks into a book."""

    def __init__(self, book: Book) -> None:
        self.book, self.plan, self.rules = book, book.plan, book.plan.rules
        self._source = outbox.Source(self.rules.topic, book.number)
        self.outbox: list[Out] = []
        self.settles: list[Settled] = []
        self.new_ids: list[tuple[int, bytes]] = []  # (clock-hour, hashes)
        self.moved = False
        self.latest_us = -(1 << 62)  # of the events accepted; kept for files only
        self._recent: set[bytes] = set()
        self._recent_hour = 0
        self._decode: Callable[[Sequence[Any]], list[Any]] = self.plan.decoder.block
        self._aliases = self.plan.definitions.aliases
        self._remembered_us = self.rules.max_age_us + self.rules.max_ahead_us
        self._home = Homes(book.count)
        self._entries: dict[str, tuple[Any, ...]] = {}
        self._all: dict[str, list[Series]] = {}
        # also names that no metric counts: their events replace others, and are replaced
        self._upserts = {name for name, rule in self.plan.definitions.events.items() if rule.on_duplicate == "upsert"}
        self._general: dict[str, list[States]] = {}
        by_place = {series.shape.layout.place: series for series in book.series}
        by_key = {states.built.key: states for states in book.states}
        shortest = (1 << 62) if self.rules.simulate else self.rules.max_age_us
        for name, named in self.plan.named.items():
            series = [by_place[shape.layout.place] for shape in named.shapes]
            general = [by_key[built.key] for built in named.general]
            self._all[name], self._general[name] = series, general
            for shape in named.shapes:
                shortest = min(shortest, *(keep for keeps in shape.keeps for keep in keeps if keep is not None))
            if not named.upsert:
                self._entries[name] = _entry(series, general)
        self._shortest_us = shortest
        """An event no older than this is late for no window, and not too old."""

    # -- blocks

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Fold records of the partition's log; afterwards everything below `next_offset` is included."""
        header = self.book.header
        if records:
            with localcontext(EXACT):
                for at in range(0, len(records), CHUNK):
                    for chunk in self._by_hour(records[at : at + CHUNK]):
                        self._fold_chunk(chunk)
            header.fingerprint = Fingerprint.of(records[-1])
            self.moved = True
        if header.next_offset != next_offset:
            header.next_offset = next_offset
            self.moved = True

    def refuse(self, record: Any, next_offset: int, refusal: Refusal) -> None:
        """Reject one record without looking into it."""
        header = self.book.header
        header.clock_us = max(header.clock_us, record.timestamp * 1000)
        header.counts.read += 1
        header.counts.rejected += 1
        header.fingerprint, header.next_offset = Fingerprint.of(record), next_offset
        self.outbox.append(outbox.rejected(record, self._source, refusal))
        self.moved = True

    def _by_hour(self, records: Sequence[Any]) -> Iterable[Chunk]:
        """The records in chunks during which the clock's hour stays the same, and that up to which ids are forgotten."""
        times = [record.timestamp * 1000 for record in records]
        span = self._remembered_us
        while times:
            clock_us = self.book.header.clock_us
            cut, newest = len(times), max(clock_us, max(times))  # noqa: PLW3301 - to unpack a thousand costs more
            hour = newest // HOUR_US
            if hour > clock_us // HOUR_US or (newest - span) // HOUR_US > (clock_us - span) // HOUR_US:
                clocks = [max(clock_us, at) for at in itertools.accumulate(times, max)]
                marks = [(at // HOUR_US, (at - span) // HOUR_US) for at in clocks]
                hour = marks[0][0]
                cut = next((i for i, mark in enumerate(marks) if mark != marks[0]), cut)
            chunk = Chunk(records[:cut], times[:cut], clock_us)
            chunk.hour = hour
            chunk.newest_us = newest if cut == len(times) else max(clock_us, max(times[:cut]))  # noqa: PLW3301
            yield chunk
            records, times = records[cut:], times[cut:]

    def fold_file(self, records: Sequence[Any]) -> None:
        """Fold lines of a file, each with its own timestamp as Kafka's."""
        with localcontext(EXACT):
            for at in range(0, len(records), CHUNK):
                some = records[at : at + CHUNK]
                clock_us = self.book.header.clock_us
                events = self._decode(some)
                chunk = Chunk(some, [self._own_time(event, clock_us) for event in events], clock_us)
                chunk.events, chunk.newest_us = events, max(clock_us, max(chunk.times))  # noqa: PLW3301
                self._fold_chunk(chunk)
                self.new_ids.clear()
                accepted = (at for i, at in enumerate(chunk.times) if i not in chunk.dropped)
                self.latest_us = max(self.latest_us, *accepted, self.latest_us)

    def _own_time(self, event: Any, clock_us: int) -> int:
        if event.__class__ is not Refusal:
            with suppress(BadTimestamp):
                us: int = self.book.default.calendar[event.timestamp][0]
                return us
        return clock_us

    def _fold_chunk(self, chunk: Chunk) -> None:
        book, header = self.book, self.book.header
        book.clock_us = chunk.clock_us
        header.clock_us = chunk.newest_us
        if not self.rules.simulate:
            before = (header.clock_us - self._remembered_us) // HOUR_US
            if before > book.contributions.floor:
                self._remember()
                book.ids.expire(before)
                book.contributions.floor = before
        odd = self._look_up(chunk)
        self._loop(chunk, odd)
        counts = header.counts
        counts.read += len(chunk.records)
        counts.counted += len(chunk.records) - len(chunk.dropped)
        if len(chunk.dropped) < len(chunk.hashes):
            new = chunk.hashes
            if chunk.dropped:
                new = [each for i, each in enumerate(new) if i not in chunk.dropped]
            self.new_ids.append((chunk.hour, b"".join(new)))
            if self._recent_hour != chunk.hour:
                self._remember()
            self._recent.update(new)
            self._recent_hour = chunk.hour
            if len(self._recent) >= RECENT:
                self._remember()

    def _remember(self) -> None:
        """Put the ids that wait into the table; they all came within one hour of the clock."""
        if self._recent:
            self.book.ids.add(b"".join(self._recent), self._recent_hour)
            self._recent.clear()

    def _look_up(self, chunk: Chunk) -> list[bool] | None:
        """Decode, name and hash a chunk; the answer says which of it must be looked at one by one."""
        records = chunk.records
        events = chunk.events = chunk.events or self._decode(records)
        odd: list[bool] | None = None
        headed = [i for i, record in enumerate(records) if record.headers]
        if self._aliases:
            aliases = self._aliases
            for event in events:
                if event.__class__ is not Refusal and event.customer_id in aliases:
                    event.customer_id = aliases[event.customer_id]
        for i in headed:
            for name, text in records[i].headers:
                if name.startswith("tally-"):
                    odd = odd or [False] * len(events)
                    odd[i] = chunk.headed = True
                    if name == outbox.CANONICAL and events[i].__class__ is not Refusal:
                        events[i].customer_id = text.decode()
        try:
            hashes = [_digest(f"{event.customer_id}\n{event.id}".encode()) for event in events]
        except AttributeError:
            hashes = []
            odd = odd or [False] * len(events)
            for i, event in enumerate(events):
                if event.__class__ is Refusal:
                    odd[i] = True
                    hashes.append(bytes(16))
                else:
                    hashes.append(_digest(f"{event.customer_id}\n{event.id}".encode()))
        chunk.hashes = hashes
        known = self.book.ids.known(b"".join(hashes))
        recent, fresh = self._recent, set(hashes)
        if known.any() or not recent.isdisjoint(fresh):
            chunk.known = [a or b in recent for a, b in zip(known.tolist(), hashes, strict=True)]
            odd = [a or b for a, b in zip(odd, chunk.known, strict=True)] if odd else chunk.known
        if self.book.contributions and self.book.contributions.known(hashes):
            odd = [True] * len(events)
        if len(fresh) < len(hashes):
            places: dict[bytes, list[int]] = {}
            for i, each in enumerate(hashes):
                places.setdefault(each, []).append(i)
            chunk.places = places
            odd = list(odd) if odd else [False] * len(events)
            for same in places.values():
                for i in same[1:]:
                    odd[i] = True
        return odd

    def _loop(self, chunk: Chunk, odd: list[bool] | None) -> None:
        entries, one, clock_us = self._entries, self._one, chunk.clock_us
        special, default, alerts = self.book.special, self.book.default, self.book.alerts
        number, headed = self.book.number, chunk.headed
        newest = self.book.header.clock_us
        least, most = newest - self._shortest_us, min(chunk.times) + self.rules.max_ahead_us
        bad: list[str] = []
        for i, event in enumerate(chunk.events):
            if odd is not None and odd[i]:
                one(chunk, i)
                continue
            entry = entries.get(event.event_name)
            if entry is None:
                one(chunk, i)
                continue
            series, rows, dirty, apply, finest, more, general, watch = entry
            customer = event.customer_id
            row = rows.get(customer)
            if row is None and (series is None or headed or self._home[customer] != number):
                one(chunk, i)
                continue
            if series is None or row is None:
                zone = special.get(customer, default)
            else:
                if row.__class__ is bytes:
                    row = rows[customer] = series.thawed(customer, row)
                zone = row.zone
            try:
                w = zone.calendar[event.timestamp]
            except BadTimestamp:
                one(chunk, i)
                continue
            us = w[0]
            if not least <= us <= most:
                one(chunk, i)
                continue
            p = event.properties
            if series is not None:
                if row is None:
                    row = rows[customer] = series.shape.new(zone, customer, w)
                if not row.dirty:
                    row.dirty = True
                    dirty.append(row)
                if row.s0 == w[finest]:
                    apply(row, p, us, bad)
                    if watch is not None and watch(row):
                        alerts.row(series, row, chunk.clock_at(i), chunk.records[i].offset)
                else:
                    series.elsewhere(row, p, w, bad, clock_us)
                    if watch is not None:
                        self._watch(series, row, w, chunk.clock_at(i), chunk.records[i].offset)
            for each, groups, changed, fold, first, group in more:
                key = group(p)
                if key is None:
                    continue
                mine = groups.get(customer)
                if mine is None:
                    mine = groups[customer] = {}
                row = mine.get(key)
                if row is None:
                    row = mine[key] = each.shape.new(zone, (customer, key), w)
                elif row.__class__ is bytes:
                    row = mine[key] = each.thawed((customer, key), row)
                if not row.dirty:
                    row.dirty = True
                    changed.append(row)
                if row.s0 == w[first]:
                    fold(row, p, us, bad)
                else:
                    each.elsewhere(row, p, w, bad, clock_us)
                if each.shape.watch is not None:
                    self._watch(each, row, w, chunk.clock_at(i), chunk.records[i].offset)
            if general:
                self._states(general, customer, p, w, chunk.records[i].offset, chunk.clock_at(i), bad)
            if bad:
                self._partial(chunk.records[i], bad)
                bad.clear()
            if event.reservation is not None:
                self.settles.append(Settled(customer, event.reservation))

    def _watch(self, series: Series, row: Any, w: tuple[int, ...], clock_us: int, order: int) -> None:
        """Compare with limits what an event changed, wherever it lies."""
        if series.shape.watch is not None:
            alerts = self.book.alerts
            if w[series.shape.at[0]] < row.s0:
                alerts.older(series, row, w, clock_us, order)
            if series.shape.watch(row):
                alerts.row(series, row, clock_us, order)

    def _states(
        self,
        general: Sequence[States],
        customer: str,
        p: Any,
        w: tuple[int, ...],
        order: int,
        clock_us: int,
        bad: list[str],
        parts: list[Part] | None = None,
    ) -> None:
        """Fold an event into the metrics whose states fold themselves; `parts` takes what each made of it."""
        for states in general:
            value = states.read(p, bad)
            if value is None:
                continue
            group = states.group_of(p)
            late = states.fold(customer, group, value, w, order, clock_us)
            self.book.header.counts.late += late
            if states.watched and late < len(states.built.kinds):
                alerts = self.book.alerts
                alerts.state(states, states.entry(customer, None), w, clock_us, order)
                if group is not None:
                    alerts.state(states, states.entry(customer, group), w, clock_us, order)
            if parts is not None:
                parts.append(part(states.built.key, states.built.metric.shape, group, value))

    # -- one event, step by step

    def _one(self, chunk: Chunk, i: int) -> None:
        record, event = chunk.records[i], chunk.events[i]
        headers = dict(record.headers) if record.headers else {}
        app = headers.get(outbox.APP)
        counts = self.book.header.counts
        if app is not None and app != self.rules.app.encode():
            counts.skipped += 1
            chunk.dropped.add(i)
            return
        if event.__class__ is Refusal:
            self._reject(chunk, i, event)
            return
        customer = event.customer_id
        here = app is not None or self._home[customer] == self.book.number
        zone = self.book.zone_for(customer)
        try:
            w = zone.calendar[event.timestamp]
        except BadTimestamp as error:
            self._reject(chunk, i, Refusal(BAD_TIMESTAMP, str(error)))
            if here:
                self._settle(event)
            return
        if not here:
            counts.rerouted += 1
            chunk.dropped.add(i)
            self.outbox.append(outbox.rerouted(record, self._source, self.rules.app, customer, self._home[customer]))
            return
        self._settle(event)
        replay = outbox.replay_of(record) if headers else None
        if replay is not None:
            self._replay(chunk, i, w, *replay)
            return
        digest = chunk.hashes[i]
        former = self.book.contributions.get(digest) if self.book.contributions else None
        replaces = former is not None and event.event_name in self._upserts
        known = former is not None or (chunk.known is not None and chunk.known[i]) or chunk.came_before(i)
        if known and not replaces:
            counts.duplicate += 1
            chunk.dropped.add(i)
            return
        clock_us = chunk.clock_at(i)
        stamped_us = (
            int(headers[outbox.FIRST_TIMESTAMP]) * 1000 if outbox.FIRST_TIMESTAMP in headers else chunk.times[i]
        )
        refusal = self._untimely(w[0], clock_us, stamped_us)
        if refusal is not None:
            self._reject(chunk, i, refusal)
            return
        bad: list[str] = []
        parts: list[Part] | None = [] if event.event_name in self._upserts else None
        if former is not None:
            counts.replaced += 1
            chunk.dropped.add(i)  # its id is no new one; yet it is accepted, and a file's windows reach as far
            self.latest_us = max(self.latest_us, w[0])
            self._remove(former, clock_us)
        self._count(event, w, record.offset, clock_us, bad)
        self._states(
            self._general.get(event.event_name, ()), customer, event.properties, w, record.offset, clock_us, bad, parts
        )
        if parts is not None:
            hour = clock_us // HOUR_US
            self.book.contributions.put(digest, Contribution(hour, customer, w[0], record.offset, parts))
        if bad:
            self._partial(record, bad)

    def _replay(self, chunk: Chunk, i: int, w: tuple[int, ...], entry: bytes, metrics: list[str]) -> None:
        """Fold a mended event into the metrics that could not use it, once for each entry and metric.

        What was done is remembered among the ids: no customer's id has a control character, so none is like these.
        """
        event, clock_us = chunk.events[i], chunk.clock_at(i)
        refusal = self._untimely(w[0], clock_us, _stamped_us(chunk, i))
        if refusal is not None:
            self._reject(chunk, i, refusal)
            return
        chunk.dropped.add(i)
        self.book.header.counts.replayed += 1
        marks = {key: _digest(b"\x00%b\n%b" % (entry, key.encode())) for key in metrics}
        wanted = {key for key, mark in marks.items() if mark not in self._recent and not self.book.ids.known(mark)[0]}
        bad: list[str] = []
        order = chunk.records[i].offset
        for series, _, row in self._rows(event, w):
            late = series.only(row, event.properties, w, wanted, bad, clock_us, self.book.clock_us)
            self._watch(series, row, w, clock_us, order)
            if not series.grouped:
                self.book.header.counts.late += late
        general = [states for states in self._general.get(event.event_name, ()) if states.built.key in wanted]
        upsert = event.event_name in self._upserts
        parts: list[Part] | None = [] if upsert else None
        self._states(general, event.customer_id, event.properties, w, order, clock_us, bad, parts)
        former = self.book.contributions.get(chunk.hashes[i]) if upsert else None
        if parts and former is not None:
            for each in parts:
                former.parts.append(Part(each.metric, each.shape, each.group, each.value, order))
            self.book.contributions.put(chunk.hashes[i], former)
        if self._recent_hour != chunk.hour:
            self._remember()
        self._recent_hour = chunk.hour
        for key in wanted.difference(bad):
            self._recent.add(marks[key])
            self.new_ids.append((chunk.hour, marks[key]))
        if bad:
            self._partial(chunk.records[i], bad)

    def _remove(self, former: Contribution, clock_us: int) -> None:
        """Undo what an event contributed to the metrics that there still are."""
        w = self.book.zone_for(former.customer).calendar.windows(former.us)
        for each in former.parts:
            for states in self.book.states:
                if (states.built.key, states.built.metric.shape) == (each.metric, each.shape):
                    order = former.order if each.order is None else each.order
                    states.remove(former.customer, group_in(each), value_in(each), w, order, clock_us)

    def _untimely(self, us: int, clock_us: int, stamped_us: int) -> Refusal | None:
        if self.rules.simulate:
            return None
        if us < clock_us - self.rules.max_age_us:
            return Refusal(TOO_OLD, f"The event is {(clock_us - us) / 1e6:.6f} s older than the partition's clock.")
        if us > stamped_us + self.rules.max_ahead_us:
            return Refusal(IN_FUTURE, f"The event lies {(us - stamped_us) / 1e6:.6f} s after its Kafka timestamp.")
        return None

    def _count(self, event: Any, w: tuple[int, ...], order: int, clock_us: int, bad: list[str]) -> None:
        """Fold an accepted event into counters, making rows that are missing and looking at each window's lateness."""
        for series, _, row in self._rows(event, w):
            late = series.carefully(row, event.properties, w, bad, clock_us, self.book.clock_us)
            self._watch(series, row, w, clock_us, order)
            if not series.grouped:
                self.book.header.counts.late += late

    def _rows(self, event: Any, w: tuple[int, ...]) -> Iterator[tuple[Series, Any, Any]]:
        """(series, key, row) of each row that an event belongs to, made where it was missing, and marked as changed."""
        customer = event.customer_id
        for series in self._all.get(event.event_name, ()):
            key: Any = customer
            at, rows = key, series.rows
            if series.shape.group is not None:
                at = series.shape.group(event.properties)
                if at is None:
                    continue
                key, rows = (customer, at), rows.setdefault(customer, {})
            row = rows.get(at)
            if row is None:
                row = rows[at] = series.shape.new(self.book.zone_for(customer), key, w)
            elif row.__class__ is bytes:
                row = rows[at] = series.thawed(key, row)
            if not row.dirty:
                row.dirty = True
                series.dirty.append(row)
            yield series, key, row

    # -- what else leaves

    def _settle(self, event: Any) -> None:
        if event.reservation is not None:
            self.settles.append(Settled(event.customer_id, event.reservation))

    def _reject(self, chunk: Chunk, i: int, refusal: Refusal) -> None:
        self.book.header.counts.rejected += 1
        chunk.dropped.add(i)
        self.outbox.append(outbox.rejected(chunk.records[i], self._source, refusal))

    def _partial(self, record: Any, bad: list[str]) -> None:
        self.book.header.counts.partial += 1
        self.outbox.append(outbox.partial(record, self._source, list(dict.fromkeys(bad))))


def _stamped_us(chunk: Chunk, i: int) -> int:
    """The Kafka timestamp that an event may lie ahead of: of a re-routed one, that of the producer's record."""
    for name, text in chunk.records[i].headers:
        if name == outbox.FIRST_TIMESTAMP:
            return int(text) * 1000
    return chunk.times[i]


def _entry(series: list[Series], general: list[States]) -> tuple[Any, ...]:
    """What the loop needs of an event name: its overall rows, its groups' rows, and its states."""
    more = tuple(
        (each, each.rows, each.dirty, each.shape.apply, each.shape.at[0], each.shape.group) for each in series[1:]
    )
    if not series:
        return None, general[0].overall, None, None, 0, more, general, None
    first = series[0]
    shape = first.shape
    return first, first.rows, first.dirty, shape.apply, shape.at[0], more, general, shape.watch
