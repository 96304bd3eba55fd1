"""What a commit holds, and what a new owner makes of it."""

from schemas.definitions import Customer, EventRule
from stream.core.header import KEY, unpack
from tests.partitions import NOON, Row, World, counter, definitions, event

CALLS = definitions(counter("calls"), counter("by_model", group_by=("model",), windows=("hour", "month")))


def test_the_header_comes_first_and_names_position_clock_and_last_record() -> None:
    """The first row of a commit says up to where it includes the log."""
    world = World(CALLS)
    world.fold(event(0), event(1, NOON + 2))
    commit = world.commit()
    assert commit is not None
    key, value = commit.rows[0]
    assert key == KEY
    assert value is not None
    header = unpack(value)
    assert (header.term, header.number, header.next_offset) == (1, 1, 2)
    assert header.clock_us == (NOON + 2) * 1_000_000
    assert header.fingerprint is not None
    assert (header.fingerprint.offset, header.fingerprint.timestamp_ms) == (1, (NOON + 2) * 1000)
    assert commit.version == (1 << 32) + 1


def test_nothing_changed_is_no_commit_and_a_new_term_is_one() -> None:
    """`take` answers None between blocks; a takeover and a position that moved have a commit."""
    world = World(CALLS)
    assert world.commit() is not None
    assert world.commit() is None
    world.partition.fold([], 5)
    commit = world.commit()
    assert commit is not None
    assert (commit.next_offset, [key for key, _ in commit.rows]) == (5, [KEY])
    world.restart()
    again = world.commit()
    assert again is not None
    assert again.version == (2 << 32) + 1


def test_a_new_owner_goes_on_where_the_last_commit_ended() -> None:
    """Rows, ids, groups and counts come back; what was folded but not committed does not."""
    world = World(CALLS)
    world.run(event(0, id="a", p={"model": "m1"}), event(1, id="b", p={"model": "m2"}))
    world.fold(event(2, id="c", p={"model": "m1"}))
    world.restart()
    assert world.partition.header.next_offset == 2
    world.run(event(2, id="c", p={"model": "m1"}), event(3, id="a"))
    assert world.windows("calls")["total"][0][2] == "3"
    assert world.windows('by_model{"model":"m1"}')["hour"] == [[NOON, NOON + 3600, "2", 2, ""]]
    assert world.partition.header.counts.duplicate == 1


def test_every_row_stays_below_64_kib() -> None:
    """A row of a thousand metrics, long decimals in each, is cut and put together again."""
    metrics = [counter(f"m{number}", "sum", property="v", windows=("minute", "month")) for number in range(1000)]
    world = World(definitions(*metrics))
    world.fold(event(0, p={"v": "123456789012345678901234567890.123456789012345678901234567891"}))
    commit = world.commit()
    assert commit is not None
    assert max(len(value or b"") for _, value in commit.rows) < 64 * 1024
    world.restart()
    world.run(event(1, p={"v": 1}))
    value = "123456789012345678901234567891.123456789012345678901234567891"
    assert world.windows("m999")["month"][0][2] == value


def test_many_ids_make_several_dedupe_records() -> None:
    """A commit of ten thousand ids keeps each record small, and a new owner knows them all."""
    world = World(CALLS)
    world.fold(*(event(number) for number in range(10_000)))
    commit = world.commit()
    assert commit is not None
    sizes = [len(value or b"") for key, value in commit.rows if key[:1] == b"i"]
    assert len(sizes) == 3
    assert max(sizes) < 64 * 1024
    world.restart()
    world.run(*(event(number) for number in range(10_000)))
    assert world.partition.header.counts.duplicate == 10_000


def test_redis_shows_open_windows_those_ahead_and_the_last_ended() -> None:
    """Minutes up to five ahead are open at once; of the ended ones only the one just before the clock is shown."""
    world = World(definitions(counter("calls", windows=("minute",))))
    moments = (-130, -70, -10, 5, 65, 290)
    world.run(*(event(i, NOON + at, stamp=NOON + 5) for i, at in enumerate(moments)))
    assert [window[0] - NOON for window in world.windows("calls")["minute"]] == [-60, 0, 60, 240]
    assert world.usage(NOON - 130)["calls", "{}", "minute"] == ("1", 1)


def test_what_ended_leaves_redis_without_an_event() -> None:
    """The clock moves by another customer's event; sweeping then takes the windows past the last ended one away."""
    world = World(CALLS)
    world.run(event(0))
    world.run(event(1, NOON + 3600, customer_id="other"))
    world.sweep()
    world.commit()
    assert world.windows("calls")["hour"] == [[NOON, NOON + 3600, "1", 1, ""]]
    world.run(event(2, NOON + 7200, customer_id="other"))
    world.sweep()
    world.commit()
    assert "hour" not in world.windows("calls")
    assert world.usage(NOON)["calls", "{}", "hour"] == ("1", 1)


def test_what_ended_leaves_redis_after_a_takeover_too() -> None:
    """A row that nobody touched since the takeover is looked at as well, once."""
    world = World(CALLS)
    world.run(event(0))
    world.sweep()
    world.commit()
    world.restart()
    world.run(event(1, NOON + 7200, customer_id="other"))
    world.sweep()
    world.commit()
    assert "hour" not in world.windows("calls")
    world.sweep()
    assert world.commit() is None


def test_closed_windows_are_packed_and_expire_on_the_clock() -> None:
    """Hours lie packed by day; when none of a pack is kept, its record is deleted."""
    world = World(definitions(counter("calls", windows=("hour",))))
    for number in range(30):
        world.run(event(number, NOON + number * 3600))
    packs = [key for key in world.live() if key[:1] == b"c"]
    assert len(packs) == 2
    assert world.usage(NOON + 3600)["calls", "{}", "hour"] == ("1", 1)
    world.run(event(99, NOON + 12 * 86400, customer_id="other"))
    world.sweep()
    world.commit()
    assert world.usage(NOON + 3600) == {}
    assert [key for key in world.live() if key[:1] in {b"c", b"r"} and b"acme" in key] == []
    assert "acme" not in {customer for customer, fields in world.redis.items() if fields}


def test_a_window_is_kept_to_the_last_microsecond() -> None:
    """A minute takes late events until two days after its end, on the clock; later ones count in longer windows only."""
    world = World(definitions(counter("calls", windows=("minute", "total"))))
    world.run(event(0, NOON))
    end = NOON + 60 + 2 * 86400
    world.run(event(1, NOON, stamp=end - 0.001))
    assert world.partition.header.counts.late == 0
    world.run(event(2, NOON, stamp=end))
    assert world.partition.header.counts.late == 1
    assert world.windows("calls")["total"][0][2] == "3"
    world.restart()
    assert world.usage(NOON) == {("calls", "{}", "total"): ("3", 3)}


def test_publish_since_marks_who_changed_and_what_was_settled() -> None:
    """After Redis lost its writes, exactly the customers changed since come again, whole, with their settles."""
    world = World(CALLS)
    world.run(event(0, customer_id="a"))
    version = world.partition.header.version
    world.run(event(1, customer_id="b", reservation="r1"), event(2, customer_id="c"))
    world.partition.publish_since(version)
    commit = world.partition.take()
    assert commit is not None
    assert commit.complete
    assert [(each.customer, each.whole, each.settles) for each in commit.publications] == [
        ("b", True, ["r1"]),
        ("c", True, []),
    ]


def test_everybody_is_published_in_portions() -> None:
    """With Redis empty, `take` hands out so many customers at a time, and says when it is complete."""
    world = World(CALLS)
    world.run(*(event(number, customer_id=f"c{number}") for number in range(5)))
    world.partition.publish_since(None)
    portions = []
    while commit := world.partition.take(2):
        portions.append((len(commit.publications), commit.complete))
    assert portions == [(2, False), (2, False), (1, True)]


def test_a_takeover_publishes_what_redis_missed() -> None:
    """Redis holds the first commit's version: the customers of the later one come again, the others do not."""
    world = World(CALLS)
    world.run(event(0, customer_id="a"))
    world.run(event(1, customer_id="b"))
    world.run(event(2, customer_id="c"))
    world.start(published=(1 << 32) + 2)
    commit = world.partition.take()
    assert commit is not None
    assert [each.customer for each in commit.publications] == ["c"]
    world.start(published=None)
    commit = world.partition.take()
    assert commit is not None
    assert sorted(each.customer for each in commit.publications) == ["a", "b", "c"]


def test_what_compaction_left_of_headers_is_enough() -> None:
    """Where headers between rows are gone, too many customers are published again, never too few."""
    world = World(CALLS)
    for number, customer in enumerate("abc"):
        world.run(event(number, customer_id=customer))
    world.changelog = [Row(key, value) for key, value in world.live().items() if key != KEY] + [
        row for row in world.changelog if row.key == KEY
    ][-1:]
    world.start(published=(1 << 32) + 1)
    commit = world.partition.take()
    assert commit is not None
    assert {"b", "c"} <= {each.customer for each in commit.publications}


def test_a_customer_that_gets_another_time_zone_keeps_what_still_fits() -> None:
    """Its total and the hours carry on; a day of the old calendar closes as it is, the new one starts at zero."""
    metrics = (counter("calls", windows=("hour", "day", "total")),)
    world = World(definitions(*metrics))
    world.run(event(0, NOON), event(1, NOON + 60))
    world.restart(definitions(*metrics, customers={"acme": Customer(timezone="America/New_York")}))
    world.run(event(2, NOON + 120))
    shown = world.windows("calls")
    assert shown["total"] == [[None, None, "3", 3, ""]]
    assert shown["hour"] == [[NOON, NOON + 3600, "3", 3, ""]]
    new_york = NOON - 7 * 3600  # midnight at -05:00
    assert shown["day"] == [[new_york, new_york + 86400, "3", 3, ""]]
    days = world.partition.usage("acme", window="day", at_us=NOON * 1_000_000)
    assert sorted((row.start, row.end, row.value) for row in days) == [
        (NOON - 12 * 3600, NOON + 12 * 3600, "2"),
        (new_york, new_york + 86400, "3"),
    ]
    world.restart(definitions(*metrics))
    world.run(event(3, NOON + 180))
    assert world.windows("calls")["hour"] == [[NOON, NOON + 3600, "4", 4, ""]]


def test_rows_of_metrics_that_are_gone_are_deleted() -> None:
    """An event name that no definition has any more leaves neither rows nor Redis fields."""
    world = World(definitions(counter("calls"), counter("jobs", event_name="job")))
    world.run(event(0), event(1, event_name="job"))
    assert set(world.redis["acme"]) == {"calls", "jobs"}
    world.restart(definitions(counter("calls")))
    world.commit()
    assert set(world.redis["acme"]) == {"calls"}
    assert not any(b"job" in key for key in world.live() if key[:1] == b"r")


def test_numbers_beyond_64_bits_survive_in_every_type() -> None:
    """A gauge's change, a rate's sum and an upsert's value of thirty digits are saved, and restored as they were."""
    great = 123456789012345678901234567890
    gauge = {"type": "gauge", "event_type": "delta", "property": "v"}
    rate = {"type": "rate", "granularity": "hour", "property": "v"}
    world = World(
        definitions(
            counter("seats", "max", **gauge, windows=("day",)),
            counter("rate", "sum", **rate, windows=("day",)),
            counter("sum", "sum", property="v", event_name="line"),
            events={"line": EventRule("upsert")},
        )
    )
    world.run(event(0, p={"v": great}), event(1, id="x", event_name="line", p={"v": great}))
    world.restart()
    world.run(event(2, p={"v": 1}), event(3, event_name="line", p={"v": 1}))
    for name in ("seats", "rate", "sum"):
        assert world.windows(name)["day"][0][2] == str(great + 1)
    world.run(event(4, id="x", event_name="line", p={"v": 2}))
    assert world.windows("sum")["day"][0][2] == "3"


def test_small_dedupe_records_are_merged() -> None:
    """Four thousand commits of one event, over two hours, leave a handful of records, and every id is still known."""
    world = World(definitions(counter("calls", windows=("total",))))
    for number in range(4000):
        world.run(event(number, NOON + number, reservation=f"r{number}" if number % 1000 == 0 else None))
    live = {key: value for key, value in world.live().items() if key[:1] == b"i"}
    assert len(live) <= 402
    world.run(event(4000, NOON + 7200))
    live = {key: value for key, value in world.live().items() if key[:1] == b"i"}
    sizes = sorted(int.from_bytes(value[5:9], "big") // 16 for value in live.values())
    assert sizes == [1, 100, 400, 3500]
    world.restart()
    world.run(*(event(number, NOON + number, stamp=NOON + 7200) for number in range(4000)))
    assert world.partition.header.counts.duplicate == 4000


def test_pieces_that_are_left_over_are_deleted() -> None:
    """A row that was cut and is shorter now leaves no pieces behind a takeover."""
    metrics = [counter(f"m{number}", "sum", property="v", windows=("minute", "month")) for number in range(1000)]
    world = World(definitions(*metrics))
    world.run(event(0, p={"v": "123456789012345678901234567890.123456789012345678901234567891"}))
    assert any(key[:1] == b"x" for key in world.live())
    world.restart(definitions(metrics[0]))
    world.run(event(1, p={"v": 1}))
    world.restart()
    world.commit()
    assert not any(key[:1] == b"x" for key in world.live())
    assert world.usage()["m0", "{}", "month"][1] == 2


def test_what_was_settled_is_told_by_the_next_owner() -> None:
    """Redis missed the commit with the settle: after the takeover it comes with the customer's totals."""
    world = World(CALLS)
    world.run(event(0))
    world.run(event(1, customer_id="b", reservation="r1"))
    world.start(published=(1 << 32) + 1)
    commit = world.partition.take()
    assert commit is not None
    assert [(each.customer, each.settles) for each in commit.publications] == [("b", ["r1"])]


def test_what_was_settled_is_remembered_for_two_hours_whoever_owns_it() -> None:
    """The changelog knows the hour of a settle only: an hour and 59 minutes later a new owner still tells of it."""
    world = World(CALLS)
    settled = NOON + 59 * 60
    world.run(event(0, settled, customer_id="b", reservation="r1"))
    world.run(event(1, settled + 119 * 60))
    world.restart()
    world.commit()
    world.partition.publish_since(None)
    commit = world.partition.take()
    assert commit is not None
    assert [(each.customer, each.settles) for each in commit.publications] == [("b", ["r1"]), ("acme", [])]


def test_a_pack_stays_until_its_last_window_is_no_longer_kept() -> None:
    """Hours are readable to the last microsecond of their eight days, however often is swept."""
    world = World(definitions(counter("calls", windows=("hour",))))
    for number in range(4):
        world.run(event(number, NOON + number * 3600))
    over = NOON + 3600 + 8 * 86400
    world.run(event(9, over - 0.001, customer_id="other"))
    world.sweep()
    world.commit()
    assert world.usage(NOON)["calls", "{}", "hour"] == ("1", 1)
    world.run(event(10, over, customer_id="other"))
    assert world.usage(NOON) == {}


def test_older_windows_of_another_calendar_close_with_their_own_end() -> None:
    """Yesterday's day of UTC stays readable as it was, and the new calendar's yesterday has no row."""
    metrics = (counter("calls", windows=("day",)),)
    world = World(definitions(*metrics))
    world.run(event(0, NOON - 86400), event(1, NOON))
    world.restart(definitions(*metrics, customers={"acme": Customer(timezone="Asia/Kolkata")}))
    world.run(event(2, NOON))
    midnight = NOON - 43_200
    yesterday = world.partition.usage("acme", at_us=(midnight - 7 * 3600) * 1_000_000)
    assert [(row.start, row.end, row.value) for row in yesterday] == [(midnight - 86400, midnight, "1")]
    today = world.partition.usage("acme", at_us=NOON * 1_000_000)
    kolkata = midnight - 19_800
    assert sorted((row.start, row.end, row.value) for row in today) == [
        (kolkata, kolkata + 86400, "1"),
        (midnight, midnight + 86400, "1"),
    ]
    assert world.windows("calls")["day"] == [[kolkata, kolkata + 86400, "1", 1, ""]]
