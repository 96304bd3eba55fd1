"""Closed windows: those that Redis no longer shows, packed, and kept for as long as their kind is.

Minutes are packed by hour, hours by day, longer windows by month (of their start, in UTC). A pack is one msgpack
array: shape number, zone number, then a list for each window (kind number in that shape, start, end, slots). `end`
is 0 where the zone's calendar says it; a window of a calendar that the customer had before carries its own. A window
that closes is appended without decoding the pack.
"""

from collections.abc import Callable, Iterator
from typing import Any

from stream.core.timestamps import date_of_day, day_of_date
from stream.core.wire import decode, encode

BY_HOUR, BY_DAY, BY_MONTH = range(3)
Bucket = tuple[int, int]
"""(one of the three, number of the hour, day or month since the epoch)."""


def bucket_of(kind: int, start: int) -> Bucket:
    """The pack that holds a window; `kind` as in `KINDS`.

    >>> bucket_of(0, 7300), bucket_of(1, 90000), bucket_of(4, 1772323200)
    ((0, 2), (1, 1), (2, 674))
    """
    if kind < 2:
        return kind, start // (3600 if kind == 0 else 86400)
    year, month, _ = date_of_day(start // 86400)
    return BY_MONTH, (year - 1970) * 12 + month - 1


def bucket_ends(bucket: Bucket) -> int:
    """The first second that lies behind the bucket: its windows start before it.

    >>> bucket_ends((2, 674)), bucket_ends((0, 2))
    (1775001600, 10800)
    """
    by, number = bucket
    if by == BY_MONTH:
        return day_of_date(1970 + (number + 1) // 12, (number + 1) % 12 + 1) * 86400
    return (number + 1) * (3600 if by == BY_HOUR else 86400)


LONGEST = (3600, 7200, 367 * 86400)
"""No window of a bucket lasts longer, in seconds."""


def start_pack(shape: int, zone: int, items: list[bytes]) -> bytes:
    """A pack of encoded windows."""
    return b"".join((b"\xdd", (len(items) + 2).to_bytes(4, "big"), _head(shape, zone), *items))


def append(pack: bytes, item: bytes) -> bytes:
    """The pack with one more encoded window."""
    count = int.from_bytes(pack[1:5], "big") + 1
    return b"".join((b"\xdd", count.to_bytes(4, "big"), pack[5:], item))


def belongs(pack: bytes, shape: int, zone: int) -> bool:
    """Whether the pack was written in this shape and zone, so that windows can be appended."""
    return pack[5:15] == _head(shape, zone)


def _head(shape: int, zone: int) -> bytes:
    return b"\xce" + shape.to_bytes(4, "big") + b"\xce" + zone.to_bytes(4, "big")


class Pack:
    """A pack taken apart, to find or change windows in it. `cells` are by (kind number, start, end)."""

    __slots__ = ("cells", "shape", "zone")

    def __init__(self, shape: int, zone: int, cells: dict[tuple[int, int, int], Any]) -> None:
        self.shape, self.zone, self.cells = shape, zone, cells

    def pack(self, values: list[Callable[[Any], list[Any]]]) -> bytes:
        """The pack's bytes; `values[n]` lists a window of kind n."""
        return start_pack(self.shape, self.zone, [encode(values[n](cell)) for (n, _, _), cell in self.cells.items()])


class Closed:
    """The packs of a series, by bucket and by the row that they belong to."""

    def __init__(self) -> None:
        self.buckets: dict[Bucket, dict[bytes, bytes | Pack]] = {}
        self.dirty: set[tuple[Bucket, bytes]] = set()

    def get(self, bucket: Bucket, rest: bytes) -> bytes | Pack | None:
        """A row's pack of a bucket."""
        packs = self.buckets.get(bucket)
        return None if packs is None else packs.get(rest)

    def put(self, bucket: Bucket, rest: bytes, pack: bytes | Pack, *, dirty: bool = True) -> None:
        """Keep a pack, and unless it came from the changelog write it there with the next commit."""
        packs = self.buckets.get(bucket)
        if packs is None:
            packs = self.buckets[bucket] = {}
        packs[rest] = pack
        if dirty:
            self.dirty.add((bucket, rest))

    def drop(self, bucket: Bucket, rest: bytes) -> None:
        """Forget a pack."""
        packs = self.buckets.get(bucket)
        if packs is not None and packs.pop(rest, None) is not None:
            self.dirty.discard((bucket, rest))
            if not packs:
                del self.buckets[bucket]

    def over(self, clock_us: int, keeps: dict[int, int | None]) -> Iterator[tuple[Bucket, bytes]]:
        """(bucket, row) of each pack none of whose windows is kept any more. `keeps[by]` in microseconds."""
        for bucket in list(self.buckets):
            keep = keeps.get(bucket[0])
            if keep is None:
                continue
            last = bucket_ends(bucket) + LONGEST[bucket[0]]
            if clock_us >= last * 1_000_000 + keep:
                for rest in list(self.buckets.get(bucket, ())):
                    yield bucket, rest


def taken_apart(data: bytes) -> tuple[int, int, list[list[Any]]]:
    """Shape number, zone number and the windows' lists of a pack."""
    shape, zone, *items = decode(data)
    return shape, zone, items
