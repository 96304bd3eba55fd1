"""What waits for Redis: coalesced by customer, bounded, cut into calls."""

import doctest

from stream.core.commit import TERM, Commit, Publication
from stream.totals import calendars, freshness
from stream.totals.pending import Pending


def commit(number: int, *rows: Publication, complete: bool = True) -> Commit:
    """A commit of some publications, at the position of its number."""
    return Commit(TERM + number, number, [], [], list(rows), complete)


def test_examples() -> None:
    """The examples in the docstrings are true."""
    for module in (freshness, calendars):
        failed, tried = doctest.testmod(module)
        assert (failed, tried > 0) == (0, True)


def test_the_last_value_wins_and_settles_add_up() -> None:
    """Commits that touch one customer meet in one publication, at the last one's version and position."""
    pending = Pending(10)
    assert not pending
    pending.add(commit(1, Publication("a", {"x": "1", "y": "1"}, ["r1"], whole=True), complete=False))
    pending.add(commit(2, Publication("b", {"x": "9"}, [], whole=False)))
    pending.add(commit(3, Publication("a", {"x": "2", "z": None}, ["r2", "r1"], whole=False)))
    assert pending
    assert (pending.version, pending.position, pending.complete) == (TERM + 3, 3, True)
    one, two = pending.customers["a"], pending.customers["b"]
    assert (one.version, one.position, one.whole) == (TERM + 3, 3, True)
    assert (one.fields, list(one.settles)) == ({"x": "2", "y": "1", "z": None}, ["r1", "r2"])
    assert (two.version, two.position, two.whole, two.fields) == (TERM + 2, 2, False, {"x": "9"})


def test_a_whole_publication_replaces_what_waited() -> None:
    """All of a customer's fields take the place of some of them; what they settled stays."""
    pending = Pending(10)
    pending.add(commit(1, Publication("a", {"x": "1", "y": None}, ["r1"], whole=False)))
    pending.add(commit(2, Publication("a", {"z": "3"}, [], whole=True)))
    waiting = pending.customers["a"]
    assert (waiting.fields, list(waiting.settles), waiting.whole) == ({"z": "3"}, ["r1"], True)


def test_what_is_offered_is_not_changed() -> None:
    """A commit's own publications stay as they were."""
    row = Publication("a", {"x": "1"}, ["r1"], whole=True)
    pending = Pending(10)
    pending.add(commit(1, row))
    pending.add(commit(2, Publication("a", {"x": "2"}, ["r2"], whole=False)))
    assert row == Publication("a", {"x": "1"}, ["r1"], whole=True)


def test_what_waits_is_bounded() -> None:
    """A customer beyond the bound is not taken; more of those that wait are."""
    pending = Pending(2)
    assert pending.add(commit(1, *(Publication(name, {}, [], whole=True) for name in "ab")))
    assert pending.add(commit(2, Publication("a", {}, [], whole=True)))
    assert not pending.add(commit(3, Publication("c", {}, [], whole=True)))


def test_calls_are_bounded() -> None:
    """Calls hold so many customers or so many bytes; a customer is never split, and none at all is one call."""
    pending = Pending(100)
    pending.add(commit(1, *(Publication(str(n), {"x": "." * 10}, [], whole=True) for n in range(5))))
    assert [[w.customer for w in chunk] for chunk in pending.chunks(2, 10_000)] == [["0", "1"], ["2", "3"], ["4"]]
    assert [len(chunk) for chunk in pending.chunks(100, 25)] == [2, 2, 1]
    assert [len(chunk) for chunk in pending.chunks(100, 1)] == [1] * 5
    empty = Pending(100)
    empty.add(commit(1))
    assert list(empty.chunks(2, 10)) == [[]]


def test_freshness_is_the_newest_moment_reached() -> None:
    """The newest moment whose watermark is published holds, also where an older one's was higher."""
    fresh = freshness.Freshness()
    fresh.asked(1, 100)
    fresh.asked(2, 98)  # nothing but transaction markers came since
    fresh.asked(3, 120)
    assert fresh.reached(97) is None
    assert fresh.reached(98) == 2
    assert fresh.reached(119) == 2
    assert fresh.reached(120) == 3
    fresh.forget()
    assert fresh.reached(1000) is None


def test_a_long_lag_costs_no_memory() -> None:
    """However long nothing is reached, a bounded number of moments is kept, the newest among them."""
    fresh = freshness.Freshness()
    for moment in range(10_000):
        fresh.asked(moment, moment)
    assert len(fresh._candidates) <= freshness.MOST + 1
    assert fresh.reached(9_999) == 9_999
