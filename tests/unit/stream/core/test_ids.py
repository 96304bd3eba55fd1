"""The set of remembered ids."""

import numpy as np
import pytest

from stream.core.arena import Arena
from stream.core.ids import Ids

Random = np.random.Generator


def fresh(random: Random, count: int) -> bytes:
    """So many hashes, end to end."""
    return random.bytes(16 * count)


@pytest.fixture
def random() -> Random:
    """The same hashes in each run."""
    return np.random.default_rng(7)


def test_what_was_added_is_known_and_nothing_else(random: Random) -> None:
    """After each of many additions every id so far is known, and new ones are not."""
    ids, added = Ids(), []
    for hour in range(60):
        some = fresh(random, 1000)
        assert not ids.known(some).any()
        ids.add(some, 1000 + hour)
        added.append(some)
        assert ids.known(b"".join(added)).all()
    assert len(ids) == 60_000
    assert ids.known(added[0] + fresh(random, 2) + added[1]).tolist() == [True] * 1000 + [False] * 2 + [True] * 1000


def test_no_ids_are_no_question(random: Random) -> None:
    """An empty run of hashes is looked up and added as nothing."""
    ids = Ids()
    assert ids.known(b"").tolist() == []
    ids.add(b"", 5)
    assert len(ids) == 0
    ids.add(fresh(random, 3), 5)
    assert ids.known(b"").tolist() == []


def test_96_bits_tell_ids_apart() -> None:
    """Two hashes that differ in one of their first 96 bits are two ids."""
    ids = Ids()
    ids.add(bytes(16), 10)
    assert ids.known(bytes(16)).tolist() == [True]
    for bit in range(1, 96):  # of the first 64 bits, 0 and 1 count as one
        other = (1 << bit).to_bytes(16, "little")
        assert ids.known(other).tolist() == [False], bit


def test_an_id_is_forgotten_at_its_hour(random: Random) -> None:
    """`expire(h)` forgets what was added before h, and only that, whether or not its memory is back."""
    ids = Ids()
    by_hour = {hour: fresh(random, 5000) for hour in range(500_000, 500_010)}
    for hour, some in by_hour.items():
        ids.add(some, hour)
    for floor in range(500_000, 500_011):
        ids.expire(floor)
        for hour, some in by_hour.items():
            assert ids.known(some).tolist() == [hour >= floor] * 5000
        assert len(ids) == 5000 * (500_010 - floor)


def test_an_expired_id_may_come_again(random: Random) -> None:
    """An id that was forgotten is new, can be added, and is then known by its new hour."""
    ids, some, other = Ids(), fresh(random, 100), fresh(random, 100_000)
    ids.add(some, 10)
    ids.add(other, 11)
    ids.expire(11)
    assert not ids.known(some).any()
    ids.add(some, 12)
    ids.expire(12)
    assert ids.known(some).all()
    assert not ids.known(other).any()
    assert len(ids) == 100


def test_what_is_already_past_is_not_remembered(random: Random) -> None:
    """An id of an hour before the floor is not taken in."""
    ids, some = Ids(), fresh(random, 10)
    ids.expire(100)
    ids.add(some, 99)
    assert not ids.known(some).any()
    assert len(ids) == 0


@pytest.mark.parametrize("count", [100_000, 250_000, 600_000, 1_000_000])
def test_a_million_ids_take_at_most_24_megabytes(random: Random, count: int) -> None:
    """From 100,000 on, at every size on the way, the memory set aside is at most 24 bytes an id."""
    ids, worst = Ids(), 0.0
    step = 10_000 if count > 100_000 else 1000
    for _ in range(count // step):
        ids.add(fresh(random, step), 10)
        if len(ids) >= 100_000:
            worst = max(worst, ids.nbytes / len(ids))
    assert len(ids) == count
    assert 14 < worst <= 24


def test_memory_comes_back_after_expiry(random: Random) -> None:
    """When nine of ten ids have expired, steps shrink the table until it fits the rest, all of which stay known."""
    ids = Ids()
    ids.add(fresh(random, 270_000), 10)
    kept = fresh(random, 30_000)
    ids.add(kept, 20)
    before = ids.nbytes
    ids.expire(20)
    steps = 0
    while ids.step():
        steps += 1
        assert ids.known(kept).all()
    assert steps > 3
    assert ids.nbytes < before / 5
    assert len(ids) == 30_000
    ids.expire(21)
    assert len(ids) == 0
    assert ids.nbytes < 300_000


def test_ids_that_collide_on_purpose_are_still_remembered(random: Random) -> None:
    """Thousands of ids made to fall into one bucket overrun its page, and each is still known, forgotten and counted."""
    ids = Ids()
    hostile = b"".join(bytes(8)[:4] + (0xABCD0000).to_bytes(4, "little") + n.to_bytes(8, "little") for n in range(3000))
    ids.add(fresh(random, 100_000), 9)
    ids.add(hostile, 10)
    assert ids.known(hostile).all()
    ids.expire(10)
    while ids.step():
        pass
    assert ids.known(hostile).all()
    assert not ids.known(fresh(random, 1000)).any()
    assert len(ids) == 3000
    ids.expire(11)
    assert not ids.known(hostile).any()
    assert len(ids) == 0


def test_a_clock_that_leaps_forgets(random: Random) -> None:
    """A leap of years, told to `expire` or seen in `add` alone, leaves nothing behind that could be taken for known."""
    ids, some, later = Ids(), fresh(random, 5000), fresh(random, 5000)
    ids.add(some, 10)
    ids.expire(490_000)
    assert not ids.known(some).any()
    ids.add(later, 490_001)
    ids.add(some, 490_001 + 66_000)
    assert not ids.known(later).any()
    assert ids.known(some).all()


def test_room_set_aside_holds_what_is_restored(random: Random) -> None:
    """With the number of ids told beforehand, adding them changes the table's size no more."""
    ids = Ids(200_000)
    before = ids.nbytes
    for _ in range(20):
        ids.add(fresh(random, 10_000), 10)
    assert ids.nbytes == before
    assert before / len(ids) < 24


def test_an_arena_keeps_its_rows_through_every_change_of_size() -> None:
    """Rows stay, new ones are zero, and rows cut off and appended again are zero too."""
    arena = Arena(np.uint64, 8, 10)
    arena.rows[:] = 7
    arena.resize(100_000)
    assert arena.rows.shape == (100_000, 8)
    assert (arena.rows[:10] == 7).all()
    assert not arena.rows[10:].any()
    arena.rows[:] = 9
    arena.resize(5)
    arena.resize(20)
    assert (arena.rows[:5] == 9).all()
    assert not arena.rows[5:].any()


def test_an_arena_copies_where_it_cannot_be_resized() -> None:
    """Rows stay where an array still looks into the old memory, which cannot be resized then."""
    arena = Arena(np.uint64, 8, 10)
    arena.rows[:] = 7
    view = arena.rows[:2]
    arena.resize(1000)
    assert (arena.rows[:10] == 7).all()
    assert not arena.rows[10:].any()
    assert (view == 7).all()
    again = arena.rows[:2]
    arena.resize(3)
    assert arena.rows.shape == (3, 8)
    assert (arena.rows == 7).all()
    assert (again == 7).all()
