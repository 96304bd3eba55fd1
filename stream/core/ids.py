"""The ids of the events that were accepted lately: a set of 128-bit hashes that forgets by the hour.

Of each hash 96 bits are kept, with the hour of the clock at which it came, in slots of 14 bytes. A new id is taken
for a known one with a probability of 2^-96 for each id remembered: with 20 million of them once in 4 * 10^21 events.

The table is an array of pages of 256 buckets of 8 slots. The first 32 bits of a hash say where it belongs along
the whole table, so that a table of more or fewer pages keeps the same order, and can be stretched or shrunk in
place by a sweep that goes over it page by page: to grow from the last page to the first, to shrink from the first
to the last. A look-up knows how far the sweep has come. Sweeps also drop what has expired. They advance a little
with every call, so that no call waits for a whole table. A bucket that was full when an id came marks itself as
overrun, and the id lies in the next one of its page.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from stream.core.arena import Arena

BUCKETS = 256
"""Buckets of a page; of 8 slots each, so that a page of 2,048 slots is never full by chance."""
SLOTS = 8
_PAGE = BUCKETS * SLOTS
_FEWEST = 4
_FULL = 0.8
"""The share of slots in use at which the table starts to grow: fuller, and pages may run over before a sweep ends."""
_GROWTH = 1.33
"""How much it grows: 14.125 bytes a slot * 1.33 / 0.8 stays below 24 bytes an id in the worst moment."""
_SPARSE = 0.5
_GARBAGE = 12
"""A sweep begins when a twelfth of the entries have expired."""
_PACE = 10
"""Entries that a sweep moves for each new id: so it ends before the pages it has still to reach are full."""
_LATE = 10
"""A sweep may be late by a tenth of the pages, so that look-ups, which come in smaller parts, do most of its work."""
_IDS_A_PAGE = 128
"""A look-up moves one page for so many ids that it is asked for: a tenth of a millisecond each."""
_BATCH = 8192
"""New ids placed at once; the sweep advances between two batches."""
_AT_ONCE = 4
"""Pages that a sweep moves in one run of numpy calls: few enough to stay in the cache."""
_REACH = 1 << 15
"""Hours on either side of the oldest one remembered that 16 bits tell apart: 3.7 years."""

Bits = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint32]
Hours = npt.NDArray[np.uint16]
Places = npt.NDArray[np.int64]
_WORD = np.uint64(32)
_NUMBER, _NUMBERS = 24, (1 << 24) - 1
_OVERRUN = 128
"""Added to the count of a bucket's used slots once an id that belongs there lies further on."""
_ZERO = (0,)
_FEW = 48
"""So few entries are placed faster one by one."""
_LOW = np.uint64(BUCKETS - 1)


class Ids:
    """Remembered hashes, each until the hour it was added at lies before the one last given to `expire`.

    Whether a hash is known depends on what was added and expired alone, never on how far sweeps have come.
    Not for a clock that spans more than 3.7 years between two calls of `expire`.
    """

    def __init__(self, expected: int = 0) -> None:
        """Room for `expected` ids is set aside (not yet used as memory), which spares growing while many are restored."""
        pages = max(_FEWEST, int(expected / _FULL / _PAGE) + 1)
        count = pages * BUCKETS
        self._bits, self._words = Arena(np.uint64, SLOTS, count), Arena(np.uint32, SLOTS, count)
        self._hours, self._fills = Arena(np.uint16, SLOTS, count), Arena(np.uint8, 1, count)
        self._pages = pages
        self._target = pages
        self._front = pages
        self._sweeping = False
        self._owed = 0
        self._floor: int | None = None
        self._entries = 0
        self._live = 0
        self._by_hour: dict[int, int] = {}
        self._spilled: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        """How many ids are remembered."""
        return self._live

    @property
    def nbytes(self) -> int:
        """Bytes of memory set aside for the table."""
        return sum(arena.nbytes for arena in (self._bits, self._words, self._hours, self._fills))

    # -- look up

    def known(self, hashes: bytes) -> npt.NDArray[np.bool_]:
        """Whether each hash (16 bytes each, end to end) is remembered."""
        bits, words = _split(hashes)
        found = np.zeros(len(bits), np.bool_)
        if not self._entries:
            return found
        if self._owed > 0:
            self._pay(min(self._owed, len(bits) // _IDS_A_PAGE + 1))
        rows, fills = self._bits.rows, self._fills.rows
        places = self._buckets(bits)
        at: npt.NDArray[np.intp] | None = None  # of those still looked for, their positions; None is all
        for _ in range(BUCKETS):
            equal = rows.take(places, axis=0) == (bits if at is None else bits[at])[:, None]
            hits = equal.any(axis=1).nonzero()[0]
            if len(hits):
                here = places[hits]
                wanted = hits if at is None else at[hits]
                match = (
                    equal[hits] & (self._words.rows[here] == words[wanted, None]) & self._alive(self._hours.rows[here])
                )
                found[wanted] = match.any(axis=1)
            on = fills.take(places) >= _OVERRUN
            on &= ~(found if at is None else found[at])
            further = on.nonzero()[0]
            if not len(further):
                break
            at = further if at is None else at[further]
            places = _following(places[further])
        if self._spilled:
            for position in (~found).nonzero()[0].tolist():
                found[position] = (int(bits[position]), int(words[position])) in self._spilled
        return found

    def _buckets(self, bits: Bits) -> Places:
        """The bucket in which each hash belongs, as far as the sweep has come."""
        along = bits >> _WORD
        page = along * np.uint64(self._pages) >> _WORD
        if self._sweeping:
            moved = page >= np.uint64(self._front) if self._target >= self._pages else page < np.uint64(self._front)
            page = np.where(moved, along * np.uint64(self._target) >> _WORD, page)
        return (page * np.uint64(BUCKETS) + (bits & _LOW)).astype(np.int64)

    def _alive(self, hours: Hours) -> npt.NDArray[np.bool_]:
        """Which of the hours, kept modulo 2^16, are not before the floor."""
        if self._floor is None:
            return np.ones(hours.shape, np.bool_)
        return hours - np.uint16(self._floor & 0xFFFF) < _REACH

    # -- change

    def add(self, hashes: bytes, hour: int) -> None:
        """Remember hashes, all distinct and none known, as of an hour of the clock (hours since the epoch).

        What is already past is not remembered.
        """
        if self._floor is None:
            self._floor = hour - _REACH // 2
        if hour < self._floor or not hashes:
            return
        if hour >= self._floor + _REACH:
            self._forget_before(hour - _REACH + 1)
            self._finish()
        bits, words = _split(hashes)
        start = 0
        while start < len(bits):
            size = min(_BATCH, max(_PAGE // 4, self._entries // 16))
            some, others = bits[start : start + size], words[start : start + size]
            start += size
            if not self._sweeping and self._entries + len(some) > _FULL * _PAGE * self._pages:
                self._begin()
            if self._sweeping:
                self._owed += len(some) * _PACE // int(_FULL * _PAGE) + 1
                self._pay(self._owed - self._pages // _LATE)
            hours = np.full(len(some), hour & 0xFFFF, np.uint16)
            self._place(some, others, hours, hour)
            self._entries += len(some)
            self._live += len(some)
            self._by_hour[hour] = self._by_hour.get(hour, 0) + len(some)

    def expire(self, before_hour: int) -> None:
        """Forget what was added before an hour; its memory comes back with later calls of `expire`, `add` or `step`."""
        if self._floor is None or before_hour > self._floor:
            self._forget_before(before_hour)
        if not self._sweeping and self._due():
            self._begin()
        if self._sweeping:
            self.step()

    def _pay(self, pages: int) -> None:
        """Move some of the pages that additions owe the sweep."""
        if pages > 0 and self._sweeping:
            self._owed -= pages
            self.step(pages)

    def step(self, pages: int = 16) -> bool:
        """Advance the sweep under way by some pages, about 0.1 ms each; False when nothing remains to be done."""
        if not self._sweeping:
            if not self._due():
                return False
            self._begin()
        growing = self._target >= self._pages
        for _ in range(0, pages, _AT_ONCE):
            if growing:
                start = max(self._front - _AT_ONCE, 0)
                self._move(start, self._front, start)
            else:
                end = min(self._front + _AT_ONCE, self._pages)
                self._move(self._front, end, end)
            if self._front == (0 if growing else self._pages):
                break
        done = self._front == (0 if growing else self._pages)
        if done:
            self._sweeping, self._owed = False, 0
            if self._target < self._pages:
                self._resize(self._target)
            self._pages = self._front = self._target
            self._absorb()
        return self._sweeping or self._due()

    def _forget_before(self, hour: int) -> None:
        self._floor = hour
        for past in [each for each in self._by_hour if each < hour]:
            self._live -= self._by_hour.pop(past)
        if self._spilled:
            self._spilled = {key: each for key, each in self._spilled.items() if each >= hour}
        if not self._live and self._entries:
            self.__init__()  # type: ignore[misc]
            self._floor = hour

    def _due(self) -> bool:
        """Whether enough has expired, or there is too much room, for a sweep to be worth it."""
        return (self._entries - self._live) * _GARBAGE > self._entries or (
            self._pages > _FEWEST and self._live < _SPARSE * _PAGE * self._pages and self._fit() < self._pages
        )

    def _fit(self) -> int:
        return max(_FEWEST, int(self._live * _GROWTH / _FULL / _PAGE) + 1)

    def _begin(self) -> None:
        """Start a sweep towards the number of pages that fits what is alive."""
        target = self._fit()
        if self._pages * 0.9 < target < self._pages:
            target = self._pages
        if target > self._pages:
            self._resize(target)
        self._target, self._sweeping = target, True
        self._front = 0 if target < self._pages else self._pages

    def _finish(self) -> None:
        while self._sweeping:
            self.step(1 << 30)

    def _resize(self, pages: int) -> None:
        for arena in (self._bits, self._words, self._hours, self._fills):
            arena.resize(pages * BUCKETS)

    def _move(self, start: int, end: int, front: int) -> None:
        """Take the pages [start, end) out, drop what has expired, and put the rest where it will belong."""
        span = slice(start * BUCKETS, end * BUCKETS)
        bits, words, hours = (arena.rows[span].reshape(-1) for arena in (self._bits, self._words, self._hours))
        used = bits.nonzero()[0]
        stay = used[self._alive(hours[used])]
        self._entries -= len(used) - len(stay)
        moving = bits[stay], words[stay], hours[stay]
        bits[:] = 0
        self._fills.rows[span] = 0
        self._front = front
        self._place(*moving, None)

    def _place(self, bits: Bits, words: Words, hours: Hours, hour: int | None) -> None:
        """Write entries into the first free slots of their buckets, or of the next ones in the page."""
        fills = self._fills.rows
        all_bits, all_words, all_hours = (arena.rows.reshape(-1) for arena in (self._bits, self._words, self._hours))
        places = self._buckets(bits)
        at = np.arange(len(bits))  # which entries stand at these places
        for _ in range(BUCKETS):  # in the end only what was made to collide is left
            count = len(places)
            if count <= _FEW:
                break
            numbered = places << _NUMBER | np.arange(
                count
            )  # sorting numbers with their position is faster than argsort
            numbered.sort()
            places, order = numbered >> _NUMBER, numbered & _NUMBERS
            runs = np.flatnonzero(places[1:] != places[:-1])
            starts = np.concatenate((_ZERO, runs + 1))
            ends = np.concatenate((runs, (count - 1,)))
            before = fills[places[starts]]
            slots = np.arange(count) + np.repeat((before & 15) - starts, ends - starts + 1)
            last = slots[ends] + 1
            fills[places[starts]] = np.where(last > SLOTS, _OVERRUN | SLOTS, before & _OVERRUN | last)
            fits = slots < SLOTS
            if last.max() <= SLOTS:
                entries, there = at[order], places * SLOTS + slots
            else:
                entries, there = at[order[fits]], (places * SLOTS + slots)[fits]
            all_bits[there], all_words[there], all_hours[there] = bits[entries], words[entries], hours[entries]
            if len(there) == count:
                return
            at, places = at[order[~fits]], _following(places[~fits])
        for entry, place in zip(at.tolist(), places.tolist(), strict=True):
            slot = self._walk(place)
            if slot is None:
                self._spill(bits[entry], words[entry], hours[entry], hour)
            else:
                all_bits[slot], all_words[slot], all_hours[slot] = bits[entry], words[entry], hours[entry]

    def _walk(self, place: int) -> int | None:
        """Take a slot for one entry, in this bucket or the next of its page that has one; None where the page is full."""
        fills, page = self._fills.rows, place - place % BUCKETS
        for step in range(BUCKETS):
            bucket = page + (place + step) % BUCKETS
            fill = int(fills[bucket])
            if fill & 15 < SLOTS:
                fills[bucket] = fill + 1
                return bucket * SLOTS + (fill & 15)
            fills[bucket] = _OVERRUN | SLOTS
        return None

    def _spill(self, bits: np.uint64, word: np.uint32, kept: np.uint16, hour: int | None) -> None:
        """Keep an entry whose page is full apart: only ids that were made to collide bring this about."""
        assert self._floor is not None
        self._entries -= 1
        self._spilled[int(bits), int(word)] = (
            self._floor + ((int(kept) - self._floor) & 0xFFFF) if hour is None else hour
        )

    def _absorb(self) -> None:
        """Try again what was kept apart: in another number of pages it may no longer collide."""
        apart, self._spilled = self._spilled, {}
        for (bit, word), hour in apart.items():
            self._entries += 1
            self._place(
                np.array([bit], np.uint64), np.array([word], np.uint32), np.array([hour & 0xFFFF], np.uint16), hour
            )


def _split(hashes: bytes) -> tuple[Bits, Words]:
    """The first 64 bits of each hash, of which none is 0 (that marks a free slot), and the next 32."""
    bits: Any = np.frombuffer(hashes, "<u8")[::2]
    words: Any = np.frombuffer(hashes, "<u4")[2::4]
    return np.maximum(bits, np.uint64(1)), words


def _following(places: Places) -> Places:
    """The next bucket of each one's page, the first after the last."""
    return places & ~np.int64(BUCKETS - 1) | (places + 1) & np.int64(BUCKETS - 1)
