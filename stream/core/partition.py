"""One partition: a pure state machine from the log's records to commits. No clock, no input or output.

The engine's order of calls: `restore` with the changelog's records, `restored`, `begin_term`; then `fold` with blocks
and `take` between two of them, as it likes. A partition whose commit failed is thrown away, never folded on again.
"""

import itertools
from collections.abc import Iterable, Sequence
from decimal import localcontext
from typing import Any

from schemas.rejections import INTERNAL_ERROR, Refusal
from schemas.totals import Total
from stream.core import book as books, header as headers, wire
from stream.core.book import HOUR_US, Book, Loader
from stream.core.collecting import no_collection
from stream.core.commit import Commit, Publication
from stream.core.entries import Entry
from stream.core.folding import EXACT, Folding
from stream.core.general import States
from stream.core.header import Header
from stream.core.plan import Plan
from stream.core.publishing import Marks
from stream.core.reading import totals
from stream.core.rows import Series
from stream.core.sweeping import Sweep

MOST_AGAIN = 2000
"""Customers that are published again with one commit: rendering more would hold up the fold."""


class Partition:
    """The rows, ids and position of one partition of the source topic."""

    def __init__(self, plan: Plan, number: int, count: int, published: int | None = None) -> None:
        """Partition `number` of `count`. `published` is the version that Redis holds, None where it holds none."""
        self.plan, self.number, self.count = plan, number, count
        self._published = published
        self._loader: Loader | None = Loader()
        self._book = Book(plan, number, count)
        self._marks = Marks()
        self._changed_definitions = False

    @property
    def header(self) -> Header:
        """Term, number, position, clock and counts of the last commit and of what was folded since."""
        return self._book.header

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How much is held: remembered ids, the bytes they take, and customers' rows (groups not counted apart)."""
        book = self._book
        ids = len(book.ids) + len(self._folding._recent)  # noqa: SLF001 - both are this partition's halves
        return ids, book.ids.nbytes, sum(len(series.rows) for series in book.series)

    # -- taking over

    def restore(self, records: Iterable[Any]) -> None:
        """Take changelog records, in the log's order; a later value of a key wins."""
        assert self._loader is not None, "restore comes before restored"
        self._loader.take(records)

    def restored(self) -> None:
        """All records are there: make them the state, and mark whom Redis has to be told about."""
        loader, self._loader = self._loader, None
        assert loader is not None, "restored comes once"
        book = self._book
        books.load(book, loader, self._marks)
        self._changed_definitions = book.header.revision not in {"", self.plan.revision}
        book.header.revision, book.header.partitions = self.plan.revision, self.count
        self._folding = Folding(book)
        self._sweep = Sweep(book, self._marks)
        version = book.header.version
        self._marks.restart(version)
        published = self._published
        if version == 0 or (published == version and not self._changed_definitions):
            return
        if published is None or self._changed_definitions:
            self._marks.mark(self._customers(), published)
        else:
            self._marks.mark(self._customers_of(loader.changed_since(published)), published)

    def begin_term(self) -> None:
        """A takeover: the term rises, and the next `take` yields a commit, if only with a header."""
        header = self._book.header
        header.term, header.number = header.term + 1, 0
        self._folding.moved = True

    # -- work

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Fold a block: records of the source in order, all that the log delivers below `next_offset`."""
        self._folding.fold(records, next_offset)

    def refuse(self, record: Any, next_offset: int, detail: str) -> None:
        """Reject one record of the source on which `fold` raised: a fault of ours, and it must not stop the stream."""
        self._folding.refuse(record, next_offset, Refusal(INTERNAL_ERROR, detail))

    def take(self, most: int = MOST_AGAIN) -> Commit | None:
        """Everything that changed since the last call, encoded and rendered; None where nothing did.

        Up to `most` of the customers that are marked for publication go with it, and never more than `MOST_AGAIN`;
        with none they alone are no reason for a commit.

        1. The header's number rises. 2. Rows, packs and small tables are encoded, 3. new ids and settled
        reservations, 4. tombstones. 5. What Redis is to show is rendered.
        """
        book, folding, marks = self._book, self._folding, self._marks
        dirty = [(series, series.dirty[:]) for series in book.series]
        states = [(each, each.dirty[:]) for each in book.states]
        work = (
            folding.moved
            or (most and marks.marked)
            or book.gone
            or book.records
            or folding.outbox
            or book.contributions.changed()
            or book.alerts.changed()
            or any(rows or series.closed.dirty for series, rows in dirty)
            or any(entries for _, entries in states)
        )
        if not work:
            return None
        with localcontext(EXACT), no_collection():
            return self._taken(dirty, states, min(most, MOST_AGAIN))

    def _taken(
        self, dirty: list[tuple[Series, list[Any]]], states: list[tuple[States, list[Entry]]], most: int
    ) -> Commit:
        book, folding, header = self._book, self._folding, self._book.header
        header.number += 1
        header.counts.alerts += len(book.alerts.made)
        version = header.version
        rows: list[tuple[bytes, bytes | None]] = [(headers.KEY, header.pack())]
        for key, value in book.records.items():
            rows += wire.pieces(key, value)
        for series, changed in dirty:
            for key, value in series.encoded(changed):
                if len(value) <= wire.MOST_BYTES:
                    rows.append((key, value))
                else:
                    rows += wire.pieces(key, value)
        for each, entries in states:
            rows += each.encoded(entries)
        rows += book.contributions.encoded()
        for key, crossed in book.alerts.encoded():
            rows += [(key, None)] if crossed is None else wire.pieces(key, crossed)
        rows += book.idlog.records(version, folding.new_ids, folding.settles, header.clock_us // HOUR_US)
        folding.new_ids = []
        rows += [(key, None) for key in book.gone]
        publications = self._publications(dirty, states, version, most)
        outbox, folding.outbox = [*folding.outbox, *book.alerts.made], []
        book.alerts.made = []
        book.records.clear()
        book.gone.clear()
        folding.moved = False
        for series, changed in dirty:
            for row in changed:
                row.dirty = row.idle = False
            series.dirty.clear()
        for each, entries in states:
            for entry in entries:
                entry.dirty = False
            each.dirty.clear()
        assert header.next_offset is not None or not header.counts.read
        return Commit(version, header.next_offset or 0, rows, outbox, publications, not self._marks.marked)

    # -- what Redis shows

    def _publications(
        self,
        dirty: list[tuple[Series, list[Any]]],
        states: list[tuple[States, list[Entry]]],
        version: int,
        most: int,
    ) -> list[Publication]:
        marks, clock_us, made = self._marks, self._book.header.clock_us, self._folding.settles
        marks.settled(version, clock_us, made)
        self._folding.settles = []
        fields: dict[str, dict[str, str | None]] = {}
        for series, rows in dirty:
            rendered = series.rendered(rows, clock_us)
            if not series.grouped and not fields:
                fields = dict(rendered)
                continue
            for customer, texts in rendered:
                known = fields.get(customer)
                if known is None:
                    fields[customer] = texts
                else:
                    known.update(texts)
        for those, entries in states:
            for customer, field, text in those.rendered(entries, clock_us):
                fields.setdefault(customer, {})[field] = text
        settles: dict[str, list[str]] = {}
        for each in made:
            settles.setdefault(each.customer, []).append(each.reservation)
            fields.setdefault(each.customer, {})
        if not settles and not marks.marked:
            out = [Publication(customer, texts, [], False) for customer, texts in fields.items()]
        else:
            out = [
                Publication(customer, texts, settles.get(customer, []), False)
                for customer, texts in fields.items()
                if customer not in marks.marked
            ]
            whole = dict.fromkeys(itertools.islice(marks.marked, most))
            whole.update(dict.fromkeys(customer for customer in fields if customer in marks.marked))
            for customer in whole:
                waiting = marks.marked.pop(customer)
                waiting += [each for each in settles.get(customer, ()) if each not in waiting]
                out.append(Publication(customer, self._all_fields(customer), waiting, True))
        marks.changed(version, [each.customer for each in out])
        return out

    def _all_fields(self, customer: str) -> dict[str, str | None]:
        fields: dict[str, str | None] = {}
        for series in self._book.series:
            for _, texts in series.rendered(list(series.of(customer)), self._book.header.clock_us):
                fields.update({name: text for name, text in texts.items() if text is not None})
        for states in self._book.states:
            shown = states.rendered(list(states.entries(customer)), self._book.header.clock_us)
            fields.update({field: text for _, field, text in shown if text is not None})
        return fields

    def publish_since(self, version: int | None) -> None:
        """Mark every customer that changed after a version (None: all), with what was settled since."""
        changed = self._marks.since(version)
        self._marks.mark(self._customers() if changed is None else changed, version)
        self._folding.moved = True

    def _customers(self) -> Iterable[str]:
        out = dict.fromkeys(customer for series in self._book.series for customer in series.rows)
        for states in self._book.states:
            out.update(dict.fromkeys(states.overall))
        return out

    def _customers_of(self, keys: Iterable[bytes]) -> Iterable[str]:
        by_head = {series.head: series for series in self._book.series}
        out: dict[str, None] = {}
        for key in keys:
            if key[:1] == wire.ROW:
                head, at = wire.part_of(key, 1)
                series = by_head.get(head)
                if series is not None:
                    rest = key[at:]
                    out[wire.part_of(rest, 0)[0].decode() if series.grouped else rest.decode()] = None
            elif key[:1] == wire.STATE:
                _, at = wire.part_of(key, 1)
                out[wire.part_of(key, at)[0].decode()] = None
        return out

    # -- reading

    def usage(
        self, customer: str, metric: str | None = None, window: str | None = None, at_us: int | None = None
    ) -> list[Total]:
        """The customer's totals whose windows hold an instant (the partition's clock where none is given).

        Closed windows are there for as long as they are kept. The customer may be given by an alias.
        """
        with localcontext(EXACT):
            rows = totals(self._book, self.plan.definitions.canonical(customer), at_us)
            return sorted(
                (row for row in rows if metric in {None, row.metric} and window in {None, row.window}), key=Total.order
            )

    # -- in the background

    def sweep(self, steps: int = 2000) -> None:
        """A bounded piece of background work: what expired goes, and what Redis should no longer show.

        To be called now and then, also when no events come; what it finds is in the next `take`.
        """
        with localcontext(EXACT):
            self._sweep.step(steps)
