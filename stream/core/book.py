"""What a partition knows: its rows and tables, and the changelog records that hold them."""

from collections.abc import Iterator
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
        self.values: dict[bytes, bytes] = {}
        self.header = Header()
        self.sections: list[tuple[int, list[bytes]]] = [(0, [])]

    def take(self, records: Any) -> None:
        """Take the next records (objects with `key` and `value`)."""
        values = self.values
        keys = self.sections[-1][1]
        for record in records:
            key, value = record.key, record.value
            if value is None:
                values.pop(key, None)
                continue
            if key == HEADER_KEY:
                self.header = unpack(value)
                keys = []
                self.sections.append((self.header.version, keys))
                continue
            values[key] = value
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

    def whole(self) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of every record, those that were cut put together."""
        for key, value in self.values.items():
            if key[:1] == wire.PIECE:
                continue
            number = wire.cut_into(value)
            if number:
                yield key, b"".join(self.values[wire.piece(key, part)] for part in range(number))
            else:
                yield key, value

    def leftovers(self) -> Iterator[bytes]:
        """Keys of pieces whose value is gone, or has fewer pieces by now."""
        for key in self.values:
            if key[:1] == wire.PIECE:
                number, whole = wire.piece_of(key)
                if number >= wire.cut_into(self.values.get(whole, b"")):
                    yield key


def load(book: Book, loader: Loader, marks: Marks) -> None:
    """Fill a book from the changelog, then open it. What nothing knows any more is noted to be deleted."""
    book.header = loader.header
    book.gone += loader.leftovers()
    rows: list[tuple[bytes, bytes]] = []
    shapes: dict[int, Layout] = {}
    for key, value in loader.whole():
        kind = key[:1]
        if kind == wire.ZONES:
            for name, anchor in msgspec.msgpack.decode(value):
                book.zones.append(Zone(len(book.zones), name, anchor, calendar_for(name, anchor)))
        elif kind == wire.SHAPE:
            shapes[int.from_bytes(key[1:], "big")] = layout.unpack(value)
        else:
            rows.append((key, value))
    book.layouts = [shapes[number] for number in sorted(shapes)]
    book.open()
    by_head = {series.head: series for series in book.series}
    by_metric = {states.built.head: states for states in book.states}
    for key, value in rows:
        kind = key[:1]
        if kind == wire.IDS:
            hour, hashes, settles = book.idlog.load(key, value)
            book.ids.add(hashes, hour)
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
        if series is None or kind not in {wire.ROW, wire.CLOSED}:
            book.gone.append(key)
        elif kind == wire.ROW:
            series.load(key[at:], value)
        else:
            series.load_closed(key[at:], value)
    for states in book.states:
        states.carry_on()
    book.idlog.loaded()
