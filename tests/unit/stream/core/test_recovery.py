"""What a new owner makes of deleted rows and of values that were cut."""

from tests.partitions import NOON, World, counter, definitions, event

LONG = "123456789012345678901234567890.123456789012345678901234567891"
MANY = definitions(*(counter(f"m{number}", "sum", property="v", windows=("minute", "month")) for number in range(1000)))


def test_a_deleted_row_stays_deleted() -> None:
    """A grouping that was dropped and comes back begins anew: its former rows were deleted from the changelog."""
    plain, grouped = counter("calls"), counter("by_model", group_by=("model",), windows=("hour", "month"))
    world = World(definitions(plain, grouped))
    world.run(event(0, p={"model": "m1"}))
    world.restart(definitions(plain))
    world.commit()
    world.restart(definitions(plain, grouped))
    assert ("by_model", '{"model": "m1"}', "month") not in world.usage()
    assert world.usage()["calls", "{}", "total"] == ("1", 1)


def test_the_pieces_of_a_live_row_are_not_deleted() -> None:
    """A takeover of a row that was cut deletes none of its pieces, and the owner after it finds them."""
    world = World(MANY)
    world.run(event(0, p={"v": LONG}))
    assert any(key[:1] == b"x" for key in world.live())
    world.restart()
    commit = world.commit()
    assert commit is not None
    assert [key for key, value in commit.rows if value is None] == []
    world.restart()
    assert world.usage()["m999", "{}", "month"] == (LONG, 1)


def test_closed_windows_that_were_cut_are_put_together() -> None:
    """A closed minute of a thousand metrics is longer than a record may be, and can be read after a takeover."""
    world = World(MANY)
    world.run(event(0, p={"v": LONG}))
    world.run(event(1, NOON + 3600, p={"v": 1}))
    world.run(event(2, NOON + 7200, p={"v": 1}))
    assert any(key[:1] == b"x" and key[5:6] == b"c" for key in world.live())
    world.restart()
    assert world.usage(NOON)["m999", "{}", "minute"] == (LONG, 1)


def test_with_no_room_only_what_changed_is_published() -> None:
    """Customers that are published again wait for room, and are neither lost nor a commit of their own meanwhile."""
    world = World(definitions(counter("calls")))
    world.run(event(0, customer_id="a"), event(1, customer_id="b"), event(2, customer_id="c"))
    world.start(published=None)
    first = world.partition.take(0)  # of the new term
    assert first is not None
    assert (first.publications, first.complete) == ([], False)
    assert world.partition.take(0) is None
    world.fold(event(3, customer_id="c"))
    changed = world.partition.take(0)
    assert changed is not None
    assert ([(each.customer, each.whole) for each in changed.publications], changed.complete) == ([("c", True)], False)
    second = world.partition.take(1)
    assert second is not None
    assert ([each.customer for each in second.publications], second.complete) == (["a"], False)
    last = world.partition.take(1)
    assert last is not None
    assert ([each.customer for each in last.publications], last.complete) == (["b"], True)
    assert world.partition.take(1) is None
