"""What becomes of one event, decided step by step.

The order is fixed: decoded (`malformed`, `missing_field`, `bad_timestamp`, `too_large`), at home (else re-routed, and
nothing more), known id (a duplicate, or a replacement), `too_old` and `in_future`, folded. All of it depends on the log
alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from schemas.rejections import BAD_TIMESTAMP, IN_FUTURE, TOO_OLD, Refusal
from stream.core import outbox
from stream.core.batches import Batch
from stream.core.book import HOUR_US, Book
from stream.core.chunks import Chunk, digest_of
from stream.core.general import States, Unusable
from stream.core.idlog import Settled
from stream.core.mending import fold_only
from stream.core.murmur2 import Homes
from stream.core.numbers import BadValue
from stream.core.rows import Series
from stream.core.timestamps import BadTimestamp
from stream.core.upserts import Contribution, Part, Plain, group_in, value_in

if TYPE_CHECKING:
    from stream.core.commit import Out


class Verdicts:
    """Judges events one by one and folds those that count; what it made waits for the next commit."""

    def __init__(self, book: Book) -> None:
        self.book, self.plan, self.rules = book, book.plan, book.plan.rules
        self._source = outbox.Source(self.rules.topic, book.number)
        self.outbox: list[Out] = []
        self._sent: list[tuple[int, Out]] = []  # of the block at hand, with the offsets of the records
        self.settles: list[Settled] = []
        self.new_ids: list[tuple[int, bytes]] = []  # (clock-hour, hashes)
        self.latest_us = -(1 << 62)  # of the events accepted; kept for files only
        self._recent: set[bytes] = set()
        self._recent_hour = 0
        self._home = Homes(book.count)
        # also names that no metric counts: their events replace others, and are replaced
        self._upserts = {name for name, rule in self.plan.definitions.events.items() if rule.on_duplicate == "upsert"}
        self._all: dict[str, list[Series]] = {}
        self._general: dict[str, list[States]] = {}
        by_place = {series.shape.layout.place: series for series in book.series}
        by_key = {states.built.key: states for states in book.states}
        for name, named in self.plan.named.items():
            self._all[name] = [by_place[shape.layout.place] for shape in named.shapes]
            self._general[name] = [by_key[built.key] for built in named.general]
        self._states_of = {(states.built.key, states.built.metric.shape): states for states in book.states}
        # limits are compared after each event, so events of watched states do not wait for each other
        self._batches = {
            name: Batch(general, self.plan.named[name], book.contributions if name in self._upserts else None)
            for name, general in self._general.items()
            if general and not any(states.watched for states in general)
        }

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
            self._sent.append(
                (record.offset, outbox.rerouted(record, self._source, self.rules.app, customer, self._home[customer]))
            )
            return
        self._settle(event)
        self._catch_up([customer])
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
        refusal = self._untimely(w[0], clock_us, chunk.stamped_us(i))
        if refusal is not None:
            self._reject(chunk, i, refusal)
            return
        bad: list[str] = []
        parts: list[tuple[str, str, Any, Any]] | None = [] if event.event_name in self._upserts else None
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
            self.book.contributions.put(digest, clock_us // HOUR_US, customer, w[0], record.offset, parts)
        if former is not None:
            self._watch_again(former, clock_us, record.offset)
        if bad:
            self._partial(record, bad)

    def _replay(self, chunk: Chunk, i: int, w: tuple[int, ...], entry: bytes, metrics: list[str]) -> None:
        """Fold a mended event into the metrics that could not use it, once for each entry and metric.

        What was done is remembered among the ids: no customer's id has a control character, so none is like these.
        """
        event, clock_us = chunk.events[i], chunk.clock_at(i)
        refusal = self._untimely(w[0], clock_us, chunk.stamped_us(i))
        if refusal is not None:
            self._reject(chunk, i, refusal)
            return
        chunk.dropped.add(i)
        self.book.header.counts.replayed += 1
        marks = {key: digest_of(b"\x00%b\n%b" % (entry, key.encode())) for key in metrics}
        wanted = {key for key, mark in marks.items() if mark not in self._recent and not self.book.ids.known(mark)[0]}
        bad: list[str] = []
        order = chunk.records[i].offset
        for series, _, row in self._rows(event, w):
            late = fold_only(series, row, event.properties, w, wanted, bad, clock_us, self.book.clock_us)
            self._watch(series, row, w, clock_us, order)
            if not series.grouped:
                self.book.header.counts.late += late
        general = [states for states in self._general.get(event.event_name, ()) if states.built.key in wanted]
        upsert = event.event_name in self._upserts
        parts: list[tuple[str, str, Any, Any]] | None = [] if upsert else None
        self._states(general, event.customer_id, event.properties, w, order, clock_us, bad, parts)
        former = self.book.contributions.get(chunk.hashes[i]) if upsert else None
        if parts and former is not None:
            whole: list[Part | Plain] = [*former.parts, *((*each, order) for each in parts)]
            self.book.contributions.put(chunk.hashes[i], former.hour, former.customer, former.us, former.order, whole)
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
            states = self._states_of.get((each.metric, each.shape))
            if states is not None:
                order = former.order if each.order is None else each.order
                states.remove(former.customer, group_in(each), value_in(each), w, order, clock_us)

    def _watch_again(self, former: Contribution, clock_us: int, order: int) -> None:
        """Compare with limits what a replacement has taken from: a gauge may have fallen below one, a sum have risen."""
        w = self.book.zone_for(former.customer).calendar.windows(former.us)
        for each in former.parts:
            states = self._states_of.get((each.metric, each.shape))
            if states is not None and states.watched:
                for entry in (states.entry(former.customer, at) for at in dict.fromkeys((None, group_in(each)))):
                    self.book.alerts.state(states, entry, w, clock_us, order)

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
        parts: list[tuple[str, str, Any, Any]] | None = None,
    ) -> None:
        """Fold an event into the metrics whose states fold themselves; `parts` takes what each made of it."""
        for states in general:
            built = states.built
            try:
                value = built.value(p)
            except BadValue:
                bad.append(built.key)
                continue
            if value is None:
                continue
            group = states.group_of(p)
            late = states.fold(customer, group, value, w, order, clock_us)
            if late is None:
                bad.append(built.key)
                continue
            if late:
                self.book.header.counts.late += late
            if states.watched and late < len(built.kinds):
                alerts = self.book.alerts
                alerts.state(states, states.entry(customer, None), w, clock_us, order)
                if group is not None:
                    alerts.state(states, states.entry(customer, group), w, clock_us, order)
            if parts is not None and states.counts(late):
                parts.append(states.part(p, value))

    def _catch_up(self, customers: Iterable[str] | None = None) -> None:
        """Fold what waits of these customers, of all where none are named."""
        bad: Unusable = []
        for batch in self._batches.values():
            if batch.waiting:
                self.book.header.counts.late += batch.fold(list(batch.waiting) if customers is None else customers, bad)
        if bad:
            by_record: dict[int, tuple[Any, list[str]]] = {}
            for record, key in bad:
                by_record.setdefault(record.offset, (record, []))[1].append(key)
            for record, keys in by_record.values():
                self._partial(record, keys)

    def _send(self) -> None:
        """What the block made for other topics waits for the next commit, in the order of the log."""
        self.outbox += [out for _, out in sorted(self._sent, key=itemgetter(0))]
        self._sent.clear()

    # -- what else leaves

    def _remember(self) -> None:
        """Put the ids that wait into the table; they all came within one hour of the clock."""
        if self._recent:
            self.book.ids.add(b"".join(self._recent), self._recent_hour)
            self._recent.clear()

    def _settle(self, event: Any) -> None:
        if event.reservation is not None:
            self.settles.append(Settled(event.customer_id, event.reservation))

    def _reject(self, chunk: Chunk, i: int, refusal: Refusal) -> None:
        self.book.header.counts.rejected += 1
        chunk.dropped.add(i)
        record = chunk.records[i]
        self._sent.append((record.offset, outbox.rejected(record, self._source, refusal)))

    def _partial(self, record: Any, bad: list[str]) -> None:
        self.book.header.counts.partial += 1
        self._sent.append((record.offset, outbox.partial(record, self._source, list(dict.fromkeys(bad)))))
