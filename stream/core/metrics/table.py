"""A table of small values by a byte string, saved in buckets by hash and encoded until touched."""

from collections.abc import Mapping
from typing import Any

import xxhash

from stream.core.metrics.packs import Chunks, Parts
from stream.core.metrics.wire import decode, encode

_SIZES = (1, 64, 4096)
_FULL = (128, 8192)
"""With so many entries the buckets become 64 times as many, which keeps a bucket below some 4 KB."""


class Table:
    """Values that msgpack can hold, None meaning none."""

    __slots__ = ("_buckets", "_dirty", "_level", "_number", "_parts", "_prefix")

    def __init__(self, prefix: bytes) -> None:
        """`prefix` is one byte, with which no other chunk's name begins."""
        self._prefix = prefix
        self._level = self._number = 0
        self._buckets: dict[int, dict[bytes, Any] | bytes] = {}
        self._dirty: set[tuple[int, int]] = set()
        self._parts = Parts()

    def _of(self, key: bytes) -> int:
        return xxhash.xxh3_64_intdigest(key) % _SIZES[self._level]

    def _bucket(self, number: int) -> dict[bytes, Any]:
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = {}
        elif isinstance(bucket, bytes):
            bucket = self._buckets[number] = dict(decode(bucket))
        return bucket

    def get(self, key: bytes) -> Any:
        """The value of a key."""
        return self._bucket(self._of(key)).get(key)

    def set(self, key: bytes, value: Any) -> None:
        """Change a value; None removes it."""
        number = self._of(key)
        bucket = self._bucket(number)
        self._number += (value is not None) - (key in bucket)
        if value is None:
            bucket.pop(key, None)
        else:
            bucket[key] = value
        self._dirty.add((self._level, number))
        if self._level < len(_FULL) and self._number > _FULL[self._level]:
            self._grow()

    def _grow(self) -> None:
        entries = [entry for number in self._buckets for entry in self._bucket(number).items()]
        self._dirty.update((self._level, number) for number in self._buckets)
        self._buckets, self._level = {}, self._level + 1
        for key, value in entries:
            number = self._of(key)
            self._bucket(number)[key] = value
            self._dirty.add((self._level, number))

    def save(self, out: Chunks) -> None:
        """Add the chunks that changed."""
        for level, number in self._dirty:
            bucket = self._bucket(number) if level == self._level else {}
            data = encode(sorted(bucket.items())) if bucket else b""
            self._parts.put(self._prefix + bytes((level,)) + number.to_bytes(2), data, out)
            if level == self._level:
                self._buckets[number] = data or {}
        self._dirty.clear()

    def load(self, chunks: Mapping[bytes, bytes]) -> None:
        """Take what `save` gave."""
        for name, data in self._parts.join(chunks, self._prefix).items():
            self._level = name[1]
            self._buckets[int.from_bytes(name[2:])] = data
            self._number += len(decode(data))
