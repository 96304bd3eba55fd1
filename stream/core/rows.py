"""The rows of one place (an event name, or one of its groupings), and what happens outside the newest window."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Protocol

from stream.core import closed, convert, wire
from stream.core.closed import Bucket, Closed, Pack
from stream.core.layout import Layout
from stream.core.metrics.base import kept
from stream.core.shape import Shape
from stream.core.showing import Showing
from stream.core.zone import Zone

_BIAS = 1 << 31  # buckets before 1970 are negative, keys are not


class Tables(Protocol):
    """What a partition's rows refer to by number."""

    layouts: list[Layout]
    zones: list[Zone]

    def zone_for(self, customer: str) -> Zone:
        """The zone of a customer's calendar."""
        ...


class Series(Showing):
    """Rows by customer, or by customer and group; encoded bytes until touched.

    `rows[customer]` is a row, its bytes, or with groups a dict of them by the group's key. `dirty` are the rows
    changed since the last commit.
    """

    def __init__(self, shape: Shape, number: int, tables: Tables, *, simulate: bool = False) -> None:
        """`number` is the shape's number in the partition's table of layouts."""
        super().__init__(shape)
        self.number, self.tables, self.simulate = number, tables, simulate
        place = shape.layout.place
        self.head = wire.encode([place.event_name, list(place.group)])
        self.prefix = wire.ROW + wire.prefixed(self.head)
        self.closed_prefix = wire.CLOSED + wire.prefixed(self.head)
        self.rows: dict[str, Any] = {}
        self.dirty: list[Any] = []
        self.closed = Closed()
        longest: dict[int, int | None] = {}
        for kind in shape.numbers:
            by = min(kind, closed.BY_MONTH)
            for keep in shape.keeps:
                if keep[kind] is None or longest.get(by, 0) is None:
                    longest[by] = None
                else:
                    longest[by] = max(longest.get(by) or 0, keep[kind] or 0)
        self.keeps = longest

    # -- rows

    def rest(self, key: Any) -> bytes:
        """What names a row behind the prefix: the customer, with a group behind its length and followed by JSON."""
        if not self.grouped:
            return key.encode()  # type: ignore[no-any-return]
        return wire.prefixed(key[0].encode()) + self.names[key[1]].encode()

    def key_of(self, rest: bytes) -> Any:
        """The row's key again: the customer, or (customer, group key)."""
        if not self.grouped:
            return rest.decode()
        customer, at = wire.part_of(rest, 0)
        return customer.decode(), self.names.key_of(rest[at:])

    def load(self, rest: bytes, value: bytes) -> None:
        """Keep a row from the changelog."""
        if not self.grouped:
            self.rows[rest.decode()] = value
            return
        customer, group = self.key_of(rest)
        rows = self.rows.get(customer)
        if rows is None:
            rows = self.rows[customer] = {}
        rows[group] = value

    def thawed(self, key: Any, data: bytes) -> Any:
        """A row from its bytes, in the present shape and calendar."""
        values = wire.decode(data)
        zone = self.tables.zone_for(key[0] if self.grouped else key)
        if values[0] == self.number and values[1] == zone.number:
            return self.shape.thaw(values, zone, key)
        row, foreign = convert.row(
            self.shape, zone, key, self.tables.layouts[values[0]], self.tables.zones[values[1]], values
        )
        for window in foreign:
            self._keep_foreign(row, window)
        return row

    def of(self, customer: str) -> Iterator[Any]:
        """The customer's rows, to be read: one that lies encoded stays so, unless it has to be converted."""
        if not self.grouped:
            row = self.rows.get(customer)
            if row is not None:
                yield self._looked_at(self.rows, customer, customer, row)
            return
        rows = self.rows.get(customer, {})
        for group, row in list(rows.items()):
            yield self._looked_at(rows, group, (customer, group), row)

    def _looked_at(self, rows: dict[Any, Any], at: Any, key: Any, row: Any) -> Any:
        if row.__class__ is not bytes:
            return row
        values = wire.decode(row)
        zone = self.tables.zone_for(key[0] if self.grouped else key)
        if values[0] == self.number and values[1] == zone.number:
            return self.shape.thaw(values, zone, key)
        rows[at] = self.thawed(key, row)
        return rows[at]

    def drop(self, key: Any) -> None:
        """Forget a row."""
        if not self.grouped:
            del self.rows[key]
            return
        customer, group = key
        del self.rows[customer][group]
        if not self.rows[customer]:
            del self.rows[customer]

    # -- events

    def elsewhere(self, row: Any, p: Any, w: tuple[int, ...], bad: list[str], closing_us: int) -> None:
        """Fold an event that lies in another window than the row's newest finest one, and is late for none.

        `closing_us`, the clock by which windows close, must never go back.
        """
        shape, us = self.shape, w[0]
        if w[shape.at[0]] > row.s0:
            self.turn(row, w, closing_us)
            shape.apply(row, p, us, bad)
            return
        for n, at in enumerate(shape.at):
            target = self.window(row, n, w[at], closing_us)
            if target is not None:
                for fold in shape.folds[n]:
                    fold(target, p, us, bad)

    def carefully(self, row: Any, p: Any, w: tuple[int, ...], bad: list[str], clock_us: int, closing_us: int) -> int:
        """Fold an event that may be late for some windows; the answer is for how many (metric, window) it was.

        `clock_us` decides what is late, `closing_us` what Redis still shows: it stays the same for a whole chunk.
        """
        shape, us = self.shape, w[0]
        ends = [row.zone.calendar.end(kind, w[1 + kind]) for kind in shape.numbers]
        open_ = [
            [kept(end, keep[kind], clock_us) for end, kind in zip(ends, shape.numbers, strict=True)]
            for keep in shape.keeps
        ]
        late = sum(
            self._would_count(n, c, p, us, bad)
            for c, flags in enumerate(open_)
            for n, flag in enumerate(flags)
            if not flag
        )
        if self.simulate or all(map(all, open_)):
            if w[shape.at[0]] == row.s0:
                shape.apply(row, p, us, bad)
            else:
                self.elsewhere(row, p, w, bad, closing_us)
            return late
        if w[shape.at[0]] > row.s0 and any(map(any, open_)):
            self.turn(row, w, closing_us)
        self.part(row, w, open_, clock_us, closing_us)
        for c, flags in enumerate(open_):
            if flags[0] and w[shape.at[0]] == row.s0:
                shape.applies[c](row, p, us, bad)
                continue
            for n, at in enumerate(shape.at):
                if flags[n]:
                    target = self.window(row, n, w[at], closing_us)
                    if target is not None:
                        shape.folds[n][c](target, p, us, bad)
        return late

    def find(self, row: Any, n: int, start: int) -> Any | None:
        """The cell of a window that is not the row's newest, None where there is none."""
        name = f"s{n}"
        if getattr(row, name) == start:
            return None
        for cell in row.older or ():
            if cell.n == n and getattr(cell, name) == start:
                return cell
        pack = self.closed.get(closed.bucket_of(self.shape.numbers[n], start), self.rest(row.key))
        if pack is None:
            return None
        return (self.apart(pack, row.zone) if isinstance(pack, bytes) else pack).cells.get((n, start, 0))

    def shown(self, i: int, slots: list[Any]) -> Any:
        """The number that a metric's slots are shown as."""
        show, value = self.shape.counting[i].show, slots[-1]
        return value if show is None else Decimal(show(value, slots[0]))

    def _would_count(self, n: int, c: int, p: Any, us: int, bad: list[str]) -> int:
        scratch = self.shape.empty_cell(n, 0)
        self.shape.folds[n][c](scratch, p, us, bad)
        return sum(events > 0 for _, events in self.shape.events(scratch, n))

    def turn(self, row: Any, w: tuple[int, ...], clock_us: int) -> None:
        """Make the windows that hold an instant after the newest finest one the row's newest.

        1. The finest window joins the coarser ones. 2. Each kind whose window is another one puts the one it had among
        the older. 3. What Redis no longer shows closes.
        """
        shape = self.shape
        row.guards = row.heads = None
        shape.merge(row)
        older = row.older or []
        for n, at in enumerate(shape.at):
            if w[at] > getattr(row, f"s{n}"):
                if shape.layout.shown[n]:
                    older.append(shape.cell[n](row))
                shape.reset[n](row, w[at])
            elif n == 0:
                shape.reset[0](row, w[at])
        if older:
            floors = self.floors(row.zone, clock_us)
            kept_ = []
            for cell in older:
                start = getattr(cell, f"s{cell.n}")
                if start >= floors[cell.n]:
                    kept_.append(cell)
                else:
                    self._close(row, cell, cell.n, start)
            row.older = kept_ or None

    def part(self, row: Any, w: tuple[int, ...], open_: list[list[bool]], clock_us: int, closing_us: int) -> None:
        """See that an event of the newest finest window joins no longer window that takes it no more.

        Only where the settings keep a longer kind for less time than the finest one. That window has ended, so the
        windows that hold the clock are newer ones; when they are the row's newest, each other stands for itself.
        """
        if w[self.shape.at[0]] == row.s0 and any(flags[0] and not all(flags) for flags in open_):
            self.turn(row, row.zone.calendar.windows(clock_us), closing_us)

    def window(self, row: Any, n: int, start: int, clock_us: int) -> Any | None:
        """The row or cell that holds the window of kind n; None where nobody shows that kind."""
        shape = self.shape
        if not shape.layout.shown[n]:
            return None
        name = f"s{n}"
        if start == getattr(row, name):
            return row if n else self._finest_alone(row)
        for cell in row.older or ():
            if cell.n == n and getattr(cell, name) == start:
                cell.raw = cell.texts = row.heads = None
                return cell
        if start >= self.floors(row.zone, clock_us)[n]:
            cell = shape.empty_cell(n, start)
            row.older, row.heads = [*(row.older or ()), cell], None
            return cell
        pack = self._pack(row, closed.bucket_of(shape.numbers[n], start))
        cell = pack.cells.get((n, start, 0))
        if cell is None:
            cell = pack.cells[n, start, 0] = shape.empty_cell(n, start)
        return cell

    @staticmethod
    def _finest_alone(row: Any) -> Any:
        raise AssertionError(f"an event of the newest finest window of {row.key!r} counts in all or none")

    # -- packs

    def _close(self, row: Any, cell: Any, n: int, start: int) -> None:
        bucket, rest = closed.bucket_of(self.shape.numbers[n], start), self.rest(row.key)
        pack = self.closed.get(bucket, rest)
        item = bytes(cell.raw or self.shape.raw(cell))
        if pack is None:
            self.closed.put(bucket, rest, closed.start_pack(self.number, row.zone.number, [item]))
        elif isinstance(pack, bytes) and closed.belongs(pack, self.number, row.zone.number):
            self.closed.put(bucket, rest, closed.append(pack, item))
        else:
            self._pack(row, bucket).cells[n, start, cell.end] = cell

    def _keep_foreign(self, row: Any, window: convert.Foreign) -> None:
        n, start, end, slots = window
        pack = self._pack(row, closed.bucket_of(self.shape.numbers[n], start))
        pack.cells[n, start, end] = self.shape.refill[n]([n, start, end, *slots])

    def _pack(self, row: Any, bucket: Bucket) -> Pack:
        """A row's pack, taken apart to be changed."""
        rest = self.rest(row.key)
        pack = self.closed.get(bucket, rest)
        if pack is None:
            pack = Pack(self.number, row.zone.number, {})
        elif isinstance(pack, bytes):
            pack = self.apart(pack, row.zone)
        self.closed.put(bucket, rest, pack)
        return pack

    def apart(self, data: bytes, zone: Zone) -> Pack:
        """A pack in the present shape and calendar."""
        number, before, items = closed.taken_apart(data)
        cells: dict[tuple[int, int, int], Any] = {}
        if number == self.number and before == zone.number:
            for item in items:
                cells[item[0], item[1], item[2]] = self.shape.refill[item[0]](item)
            return Pack(self.number, zone.number, cells)
        layout, former = self.tables.layouts[number], self.tables.zones[before]
        for item in items:
            mine, foreign = convert.cell(self.shape, zone, layout, former, item)
            if foreign is not None:
                n, start, end, slots = foreign
                mine = self.shape.refill[n]([n, start, end, *slots])
            if mine is not None:
                cells[mine.n, getattr(mine, f"s{mine.n}"), mine.end] = mine
        return Pack(self.number, zone.number, cells)

    # -- what leaves

    def encoded(self, rows: list[Any]) -> list[tuple[bytes, bytes]]:
        """Rows and changed packs as changelog records, before they are cut to size."""
        pack, number, encode, prefix = self.shape.pack, self.number, wire.encode, self.prefix
        if self.grouped:
            out = [(prefix + self.rest(row.key), encode(pack(row, number))) for row in rows]
        else:
            out = [(prefix + row.key.encode(), encode(pack(row, number))) for row in rows]
        for bucket, rest in self.closed.dirty:
            value = self.closed.buckets[bucket][rest]
            if not isinstance(value, bytes):
                value = self.closed.buckets[bucket][rest] = value.pack(self.shape.values)
            out.append((self.closed_key(bucket, rest), value))
        self.closed.dirty.clear()
        return out

    def closed_key(self, bucket: Bucket, rest: bytes) -> bytes:
        """The changelog key of a pack."""
        return b"".join((self.closed_prefix, bytes([bucket[0]]), (bucket[1] + _BIAS).to_bytes(4, "big"), rest))

    def load_closed(self, tail: bytes, value: bytes) -> None:
        """Keep a pack from the changelog; `tail` is its key behind the prefix."""
        bucket = tail[0], int.from_bytes(tail[1:5], "big") - _BIAS
        self.closed.put(bucket, tail[5:], value, dirty=False)
