"""The fold of a block: every record gets its verdict, every accepted event goes into its rows.

A chunk of a block is decoded, hashed and looked up at once. The loop then folds what is plainly in order; whatever is
not (an id known, a customer without a row, a time near a bound, a header) is judged step by step, see `verdicts`. The
clock moves with each record, before its verdict.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from decimal import Context, Inexact, InvalidOperation, Overflow, localcontext
from typing import Any

from schemas.rejections import MALFORMED, Refusal
from stream.core import outbox
from stream.core.batches import Batch
from stream.core.book import HOUR_US, Book
from stream.core.chunks import Chunk, digest_of
from stream.core.collecting import no_collection
from stream.core.general import States
from stream.core.header import Fingerprint
from stream.core.idlog import Settled
from stream.core.metrics.base import EXACT_DIGITS, BadValue
from stream.core.rows import Series
from stream.core.timestamps import BadTimestamp
from stream.core.verdicts import Verdicts

CHUNK = 1000
"""Records decoded and looked up at once: enough to spread numpy's fixed cost, few enough to stay in the cache."""

RECENT = 8000
"""New ids that wait in a set before the table takes them: in small batches it costs several times more."""

EXACT = Context(prec=EXACT_DIGITS, traps=[Inexact, InvalidOperation, Overflow])
"""Sums of accepted numbers fit into 120 digits; Python's default would silently keep 28."""


class Folding(Verdicts):
    """Folds blocks into a book."""

    def __init__(self, book: Book) -> None:
        super().__init__(book)
        self.moved = False
        self._decode: Callable[[Sequence[Any]], list[Any]] = self.plan.decoder.block
        self._aliases = self.plan.definitions.aliases
        self._remembered_us = self.rules.max_age_us + self.rules.max_ahead_us
        self._entries: dict[str, tuple[Any, ...]] = {}
        shortest = (1 << 62) if self.rules.simulate else self.rules.max_age_us
        for name, named in self.plan.named.items():
            for shape in named.shapes:
                shortest = min(shortest, *(keep for keeps in shape.keeps for keep in keeps if keep is not None))
            if not named.upsert or name in self._batches:
                self._entries[name] = _entry(self._all[name], self._general[name], self._batches.get(name))
        self._shortest_us = shortest
        """An event no older than this is late for no window, and not too old."""

    # -- blocks

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Fold records of the partition's log; afterwards everything below `next_offset` is included."""
        header = self.book.header
        if records:
            with localcontext(EXACT), no_collection():
                for at in range(0, len(records), CHUNK):
                    for chunk in self._by_hour(records[at : at + CHUNK]):
                        self._fold_chunk(chunk)
                self._catch_up()
                self._send()
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
        with localcontext(EXACT), no_collection():
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
            self._catch_up()
            self._send()

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
        chunk.events = []  # what waits holds the chunk
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
            if any(name.startswith("tally-") for name, _ in records[i].headers):
                odd = odd or [False] * len(events)
                odd[i] = chunk.headed = True
                if events[i].__class__ is not Refusal:
                    events[i] = self._as_sent_home(records[i], events[i])
        try:
            hashes = [digest_of(f"{event.customer_id}\n{event.id}".encode()) for event in events]
        except AttributeError:
            hashes = []
            odd = odd or [False] * len(events)
            for i, event in enumerate(events):
                if event.__class__ is Refusal:
                    odd[i] = True
                    hashes.append(bytes(16))
                else:
                    hashes.append(digest_of(f"{event.customer_id}\n{event.id}".encode()))
        chunk.hashes = hashes
        known = self.book.ids.known(b"".join(hashes))
        recent, fresh = self._recent, set(hashes)
        if known.any() or not recent.isdisjoint(fresh):
            chunk.known = [a or b in recent for a, b in zip(known.tolist(), hashes, strict=True)]
            odd = [a or b for a, b in zip(odd, chunk.known, strict=True)] if odd else chunk.known
        replaced = self.book.contributions.known(hashes)
        if replaced is not None:
            odd = [a or b for a, b in zip(odd, replaced, strict=True)] if odd else replaced
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

    def _as_sent_home(self, record: Any, event: Any) -> Any:
        """The event with the customer that a copy of ours names; a refusal where its headers are not ours."""
        try:
            copy = outbox.copy_of(record, self.rules.app)
        except ValueError as fault:
            return Refusal(MALFORMED, str(fault))
        if copy is not None:
            event.customer_id = copy.customer
        return event

    def _loop(self, chunk: Chunk, odd: list[bool] | None) -> None:
        entries, one, clock_us, records = self._entries, self._one, chunk.clock_us, chunk.records
        special, default, alerts = self.book.special, self.book.default, self.book.alerts
        number, headed, home = self.book.number, chunk.headed, self._home
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
            series, rows, dirty, apply, finest, more, general, watch, batch = entry
            customer = event.customer_id
            row = rows.get(customer)
            if row is None:
                if headed or home[customer] != number:
                    one(chunk, i)
                    continue
                zone = special.get(customer, default)
            elif series is None:
                zone = row.zone
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
            waits: tuple[Any, ...] = ()
            if batch is not None:
                try:
                    waits = batch.waits(w, records[i].offset, p, chunk, i)
                except BadValue:
                    one(chunk, i)
                    continue
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
            if batch is not None and not bad:
                mine = batch.waiting.get(customer)
                if mine is None:
                    batch.waiting[customer] = [waits]
                else:
                    mine.append(waits)
            elif general:
                if batch is not None:
                    self._catch_up([customer])
                self._states(general, customer, p, w, records[i].offset, chunk.clock_at(i), bad)
            if bad:
                self._partial(records[i], bad)
                bad.clear()
            if event.reservation is not None:
                self.settles.append(Settled(customer, event.reservation))


def _entry(series: list[Series], general: list[States], batch: Batch | None) -> tuple[Any, ...]:
    """What the loop needs of an event name: its overall rows, its groups' rows, its states, and their batch."""
    more = tuple(
        (each, each.rows, each.dirty, each.shape.apply, each.shape.at[0], each.shape.group) for each in series[1:]
    )
    if not series:
        return None, general[0].overall, None, None, 0, more, general, None, batch
    first = series[0]
    shape = first.shape
    return first, first.rows, first.dirty, shape.apply, shape.at[0], more, general, shape.watch, batch
