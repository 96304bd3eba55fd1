"""Arrays that grow and shrink in place.

Anonymous memory of the operating system: new rows read as zero and take no memory before they are written,
growing moves page tables rather than bytes (mremap), and rows cut off go back to the system at once. Where a
system cannot resize a mapping, the rows are copied.
"""

import mmap
from typing import Any

import numpy as np
import numpy.typing as npt


class Arena:
    """Rows of `width` items of a numpy type, as the array `rows`; take it afresh after each `resize`."""

    __slots__ = ("_map", "_type", "_width", "rows")

    def __init__(self, dtype: npt.DTypeLike, width: int, count: int) -> None:
        """`count` rows of zeros."""
        self._type, self._width = np.dtype(dtype), width
        self._map = _mapped(self._bytes(count))
        self.rows = self._view(count)

    def _bytes(self, count: int) -> int:
        return max(count, 1) * self._width * self._type.itemsize

    def _view(self, count: int) -> npt.NDArray[Any]:
        found = np.frombuffer(self._map, self._type, count * self._width)
        return found.reshape(count, self._width) if self._width > 1 else found

    def resize(self, count: int) -> None:
        """Keep the first `count` rows, or append rows of zeros."""
        kept = min(count, len(self.rows))
        cut = self.rows[kept:]
        cut[: mmap.PAGESIZE // (self._width * self._type.itemsize) + 1] = 0  # the last memory page stays as it is
        del cut
        before = self._map
        del self.rows  # a mapping that an array looks into cannot be resized
        try:
            before.resize(self._bytes(count))
        except (SystemError, ValueError, BufferError):
            self._map = _mapped(self._bytes(count))
            self.rows = self._view(count)
            self.rows[:kept] = np.frombuffer(before, self._type, kept * self._width).reshape(self.rows[:kept].shape)
            return
        self.rows = self._view(count)

    @property
    def nbytes(self) -> int:
        """Bytes set aside; those never written take no memory."""
        return len(self._map)


def _mapped(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
