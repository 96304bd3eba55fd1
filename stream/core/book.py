"""What a partition knows: its rows and tables, and the changelog records that hold them."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from stream.core import layout, wire
from stream.core.alerts import Alerts
from stream.core.calendar import calendar_for
from stream.core.general import States
from stream.core.header import KEY as HEADER_KEY, Header, unpack
from stream.core.idlog import IdLog, version_of
from stream.core.ids import Ids
from stream.core.layout import Layout
from stream.core.plan import Plan
from stream.core.publishing import Marks
from stream.core.rows import Series
from stream.core.upserts import Contributions
from stream.core.zone import Zone

HOUR_US = 3_600_000_000


class Book:
    """The state of one partition and its tables; it decides nothing."""

    def __init__(self, plan: Plan, number: int, count: int) -> None:
        self.plan, self.number, self.count = plan, number, count
        self.header = Header(partitions=count)
        self.layouts: list[Layout] = []
        self.zones: list[Zone] = []
        self.special: dict[str, Zone] = {}  # customers with a calendar of their own
        self.series: list[Series] = []
        self.states: list[States] = []
        self.contributions = Contributions()
        self.alerts = Alerts(plan.limits)
        self.ids = Ids()
        self.records: dict[bytes, bytes] = {}  # small tables to write with the next commit
        self.gone: list[bytes] = []  # keys to write tombstones for
        self.idlog = IdLog()
        self.clock_us = -1  # the clock by which windows close, see `Folding`

    # -- tables

    def open(self) -> None:
        """Number what the plan needs: its zones and its shapes. After everything has been loaded."""
        definitions = self.plan.definitions
        self.default = self._zone(definitions.timezone, None)
        for customer in definitions.customers:
            zone = self._zone(definitions.timezone_of(customer), definitions.anchor_day_of(customer))
            if zone is not self.default:
                self.special[customer] = zone
        for named in self.plan.named.values():
            for shape in named.shapes:
                self.series.append(Series(shape, self._layout(shape.layout), self, simulate=self.plan.rules.simulate))
            for built in named.general:
                watched = built.key in self.plan.limits.windows and not self.plan.rules.simulate
                days_of = None if self.plan.rules.billable is None else self.plan.terms(upsert=named.upsert)
                simulate = self.plan.rules.simulate
                self.states.append(States(built, self.zone_for, watched=watched, days_of=days_of, simulate=simulate))

    def _zone(self, name: str, anchor: int | None) -> Zone:
        for zone in self.zones:
            if (zone.name, zone.anchor) == (name, anchor):
                return zone
        zone = Zone(len(self.zones), name, anchor, calendar_for(name, anchor))
        self.zones.append(zone)
        self.records[wire.ZONES] = msgspec.msgpack.encode([(each.name, each.anchor) for each in self.zones])
        return zone

    def _layout(self, wanted: Layout) -> int:
        for number, known in enumerate(self.layouts):
            if known == wanted:
                return number
        self.layouts.append(wanted)
        number = len(self.layouts) - 1
        self.records[wire.SHAPE + number.to_bytes(4, "big")] = wanted.pack()
        return number

    def zone_for(self, customer: str) -> Zone:
        """The zone of a (canonical) customer's calendar."""
        return self.special.get(customer, self.default)


class Loader:
    """Changelog records in log order, kept until the last one is there: a later value of a key wins."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}  # customers' rows, by far the most
        self.others: dict[bytes, bytes] = {}
        self.header = Header()
        self.sections: list[tuple[int, list[bytes]]] = [(0, [])]

    def take(self, records: Any) -> None:
        """Take the next records (objects with `key` and `value`)."""
        rows, others = self.rows, self.others
        keys = self.sections[-1][1]
        for record in records:
            key, value = record.key, record.value
            if value is None:
                rows.pop(key, None)
                others.pop(key, None)
                continue
            if key[:1] == wire.ROW:
                rows[key] = value
            elif key == HEADER_KEY:
                self.header = unpack(value)
                keys = []
                self.sections.append((self.header.version, keys))
                continue
            else:
                others[key] = value
            keys.append(key)

    def changed_since(self, version: int) -> Iterator[bytes]:
        """Keys of records that may be younger than a version.

        Compaction may have taken headers away: what stands between two of them is then of any version from the
        first on, and before the second.
        """
        for at, (_, keys) in enumerate(self.sections):
            last = self.sections[at + 1][0] - 1 if at + 1 < len(self.sections) else self.header.version
            if last > version:
                yield from keys

    def whole(self, key: bytes, value: bytes) -> bytes:
        """The value of a key, put together where it was cut."""
        number = wire.cut_into(value)
        return b"".join(self.others[wire.piece(key, part)] for part in range(number)) if number else value

    def leftovers(self) -> Iterator[bytes]:
        """Keys of pieces whose value is gone, or has fewer pieces by now."""
        for key in self.others:
            if key[:1] == wire.PIECE:
                number, of = wire.piece_of(key)
                if number >= wire.cut_into(self.rows.get(of) or self.others.get(of, b"")):
                    yield key


def load(book: Book, loader: Loader, marks: Marks) -> None:
    """Fill a book from the changelog, then open it. What nothing knows any more is noted to be deleted."""
    book.header = loader.header
    book.gone += loader.leftovers()
    others: list[tuple[bytes, bytes]] = []
    shapes: dict[int, Layout] = {}
    for key, value in loader.others.items():
        kind = key[:1]
        if kind == wire.PIECE:
            continue
        whole = loader.whole(key, value)
        if kind == wire.ZONES:
            for name, anchor in msgspec.msgpack.decode(whole):
                book.zones.append(Zone(len(book.zones), name, anchor, calendar_for(name, anchor)))
        elif kind == wire.SHAPE:
            shapes[int.from_bytes(key[1:], "big")] = layout.unpack(whole)
        else:
            others.append((key, whole))
    book.layouts = [shapes[number] for number in sorted(shapes)]
    book.open()
    _load_others(book, others, marks)
    _load_rows(book, loader)
    for states in book.states:
        states.carry_on()
    book.idlog.loaded()


def _load_others(book: Book, others: list[tuple[bytes, bytes]], marks: Marks) -> None:
    by_head = {series.head: series for series in book.series}
    by_metric = {states.built.head: states for states in book.states}
    remembered: list[tuple[bytes, int]] = []
    for key, value in others:
        kind = key[:1]
        if kind == wire.IDS:
            hour, hashes, settles = book.idlog.load(key, value)
            remembered.append((hashes, hour))
            # stamped with the end of the hour: rather remembered too long than forgotten early
            marks.settled(version_of(key), (hour + 1) * HOUR_US, settles)
            continue
        if kind == wire.CONTRIBUTION:
            book.contributions.load(key[1:], value)
            continue
        if kind == wire.ALERTS:
            book.alerts.load(key[1:].decode(), value)
            continue
        head, at = wire.part_of(key, 1)
        if kind == wire.STATE:
            states = by_metric.get(head)
            if states is None or not states.load(key[at:], value):
                book.gone.append(key)
            continue
        series = by_head.get(head)
        if series is None or kind != wire.CLOSED:
            book.gone.append(key)
        else:
            series.load_closed(key[at:], value)
    # room for all at once: a table that grows while it is filled moves each id several times
    book.ids = Ids(sum(len(hashes) for hashes, _ in remembered) // 16)
    for hashes, hour in remembered:
        book.ids.add(hashes, hour)


def _load_rows(book: Book, loader: Loader) -> None:
    """The customers' rows: little enough for each that recovery is hardly more than reading."""
    by_head = {series.head: series for series in book.series}
    prefix, size = b"", 0  # of the row before, which is most often this one's too
    load: Callable[[bytes, bytes], None] | None = None
    cut = wire.CUT
    for key, value in loader.rows.items():
        if not size or not key.startswith(prefix):
            head, size = wire.part_of(key, 1)
            prefix, series = key[:size], by_head.get(head)
            load = None if series is None else series.load
        if load is None:
            book.gone.append(key)
        else:
            load(key[size:], value if value[:1] != cut else loader.whole(key, value))
