"""What becomes of each record, and in which order that is decided."""

import json
from decimal import Decimal

import pytest

from schemas.definitions import Comparison, Customer, EventRule, Limit
from stream.core.murmur2 import partition_of
from tests.partitions import NOON, Record, World, counter, definitions, event, headers_of

CALLS = definitions(counter("calls"))
SUMS = definitions(counter("calls"), counter("sum", "sum", property="v"))


def test_a_known_id_counts_once_within_and_across_blocks() -> None:
    """The first event with an id counts; later ones are duplicates, whether in its block or in another."""
    world = World(CALLS)
    world.run(event(0, id="a"), event(1, id="a"), event(2, id="b"))
    world.run(event(3, id="a"), event(4, id="c"))
    counts = world.partition.header.counts
    assert (counts.read, counts.counted, counts.duplicate) == (5, 3, 2)
    assert world.windows("calls")["total"] == [[None, None, "3", 3, ""]]


def test_a_rejected_event_leaves_no_trace_in_ids() -> None:
    """An id whose first event was too old is free for the next one, also within one block."""
    world = World(CALLS)
    world.run(event(0), event(1, NOON - 8 * 86400, stamp=NOON, id="a"), event(2, id="a"))
    assert world.windows("calls")["total"] == [[None, None, "2", 2, ""]]
    assert [headers_of(out)["tally-reason"] for out in world.outbox] == ["too_old"]


def test_the_bounds_of_age_are_included() -> None:
    """From seven days before the clock to five minutes after the record's timestamp, to the microsecond."""
    world = World(CALLS)
    week = 7 * 86400
    world.run(
        event(0),
        event(1, NOON - week, stamp=NOON),
        event(2, NOON - week - 0.000001, stamp=NOON),
        event(3, NOON + 300, stamp=NOON),
        event(4, NOON + 300.000001, stamp=NOON),
    )
    assert [headers_of(out)["tally-reason"] for out in world.outbox] == ["too_old", "in_future"]
    assert world.windows("calls")["total"][0][2] == "3"


def test_the_clock_moves_before_the_verdict() -> None:
    """A record is judged by its own timestamp: what is too old for its own clock is not accepted."""
    world = World(CALLS)
    world.run(event(0), event(1, NOON, stamp=NOON + 8 * 86400))
    assert headers_of(world.outbox[0])["tally-reason"] == "too_old"


def test_a_bad_timestamp_is_told_before_a_duplicate() -> None:
    """An event that cannot be read is rejected, also where its id is known."""
    world = World(CALLS)
    world.run(event(0, id="a"), event(1, id="a", timestamp="soon"))
    assert [headers_of(out)["tally-reason"] for out in world.outbox] == ["bad_timestamp"]
    assert world.partition.header.counts.duplicate == 0


def test_a_rejected_entry_keeps_bytes_key_and_headers() -> None:
    """The original's key, value and headers, and where it came from."""
    world = World(CALLS)
    world.run(Record(7, b"no json", NOON * 1000, [("trace", b"1")], b"some key"))
    (out,) = world.outbox
    assert (out.to, out.key, out.value) == ("rejected", b"some key", b"no json")
    headers = headers_of(out)
    assert headers.pop("tally-detail")
    assert headers == {
        "trace": "1",
        "tally-kind": "rejected",
        "tally-reason": "malformed",
        "tally-topic": "usage-events",
        "tally-partition": "0",
        "tally-offset": "7",
    }


def test_of_a_message_that_is_too_large_64_kib_are_kept() -> None:
    """The entry of a message above 1 MiB has the first 64 KiB of its value."""
    world = World(CALLS)
    world.run(Record(0, b"x" * (2**20 + 1), NOON * 1000))
    assert world.outbox[0].value == b"x" * 2**16
    assert headers_of(world.outbox[0])["tally-reason"] == "too_large"


def test_a_value_that_one_metric_cannot_use_gives_one_partial_entry() -> None:
    """The event counts for the others; the entry names each metric that could not use it."""
    world = World(definitions(counter("calls"), counter("a", "sum", property="v"), counter("b", "max", property="v")))
    world.run(event(0, p={"v": "text"}), event(1, p={"v": "12"}), event(2, p={}))
    (out,) = world.outbox
    assert (headers_of(out)["tally-kind"], headers_of(out)["tally-metrics"]) == ("partial", "a,b")
    assert world.windows("calls")["total"][0][2] == "3"
    assert world.windows("a")["total"] == [[None, None, "12", 1, ""]]
    assert world.partition.header.counts.partial == 1


def test_a_record_elsewhere_is_sent_home_once() -> None:
    """It is not counted here; its copy says the customer, where it stood and when, and is counted at home."""
    home = partition_of(b"acme", 4)
    elsewhere = World(CALLS, number=(home + 1) % 4, count=4)
    elsewhere.run(event(5, partition=elsewhere.number))
    (out,) = elsewhere.outbox
    assert (out.to, out.key, out.partition) == ("events", b"acme", home)
    assert headers_of(out) == {
        "tally-app": "tally",
        "tally-canonical": "acme",
        "tally-origin": f"usage-events/{elsewhere.number}/5",
        "tally-first-timestamp": str(NOON * 1000),
    }
    assert elsewhere.redis == {}
    at_home = World(CALLS, number=home, count=4)
    at_home.run(Record(0, out.value, NOON * 1000, out.headers, partition=home))
    assert at_home.windows("calls")["total"][0][2] == "1"
    assert elsewhere.partition.header.counts.rerouted == 1


def test_a_copy_is_judged_by_the_first_timestamp_and_never_sent_on() -> None:
    """An event ahead of its first Kafka timestamp stays in the future; a copy in the wrong place is counted there."""
    wrong = (partition_of(b"acme", 4) + 1) % 4
    world = World(CALLS, number=wrong, count=4)
    first = [
        ("tally-app", b"tally"),
        ("tally-canonical", b"acme"),
        ("tally-first-timestamp", str(NOON * 1000).encode()),
    ]
    world.run(
        event(0, NOON + 400, stamp=NOON + 200, headers=first, partition=wrong),
        event(1, NOON + 200, stamp=NOON + 200, headers=first, partition=wrong),
    )
    assert [(out.to, headers_of(out).get("tally-reason")) for out in world.outbox] == [("rejected", "in_future")]
    assert world.windows("calls")["total"][0][2] == "1"


@pytest.mark.parametrize(
    "name, text",
    [
        ("tally-canonical", b"\xff"),
        ("tally-canonical", b""),
        ("tally-first-timestamp", b"soon"),
        ("tally-first-timestamp", b"1.5"),
        ("tally-origin", b"usage-events"),
        ("tally-origin", b"usage-events/one/2"),
        ("tally-canonical", None),
        ("tally-first-timestamp", None),
    ],
)
def test_a_copy_that_is_none_of_ours_is_malformed(name: str, text: bytes | None) -> None:
    """Headers that name this app, and that it cannot have written, are told as such, and the stream goes on."""
    right = {"tally-canonical": b"acme", "tally-first-timestamp": b"%d" % (NOON * 1000), "tally-origin": b"t/0/1"}
    headers = [("tally-app", b"tally"), *(right | {name: text}).items()]
    world = World(CALLS)
    world.run(event(0, headers=headers), event(1))
    (out,) = world.outbox
    told = headers_of(out)
    assert (told["tally-reason"], told["tally-topic"], told["tally-offset"]) == (
        "malformed",
        "t" if name != "tally-origin" else "usage-events",
        "1" if name != "tally-origin" else "0",
    )
    assert told["tally-detail"].startswith("It has the header tally-app, but")
    assert world.windows("calls")["total"][0][2] == "1"


def test_headers_of_a_copy_mean_nothing_without_its_app() -> None:
    """A producer that sends them, or a mirror that keeps some of them, counts for the customer of the event itself."""
    headers = [("tally-canonical", b"other"), ("tally-first-timestamp", b"soon"), ("tally-origin", b"x")]
    world = World(CALLS)
    world.run(event(0, headers=headers), event(1, NOON - 8 * 86400, stamp=NOON, headers=headers))
    assert list(world.redis) == ["acme"]
    assert headers_of(world.outbox[0])["tally-offset"] == "1"


def test_a_copy_of_another_app_is_skipped() -> None:
    """Two apps share a topic: what the other one re-routed is not ours to count."""
    world = World(CALLS)
    world.run(event(0, headers=[("tally-app", b"other"), ("tally-canonical", b"acme")]))
    assert world.partition.header.counts.skipped == 1
    assert world.redis == {}


def test_an_alias_counts_for_its_customer() -> None:
    """The canonical id owns totals and ids."""
    world = World(definitions(counter("calls"), customers={"acme": Customer(aliases=("a1",))}, aliases={"a1": "acme"}))
    world.run(event(0, id="x", customer_id="a1"), event(1, id="x"), event(2, id="y", customer_id="a1"))
    assert world.windows("calls")["total"][0][2] == "2"
    assert list(world.redis) == ["acme"]
    assert world.usage(customer="a1")["calls", "{}", "total"] == ("2", 2)


def test_a_reservation_is_settled_whatever_becomes_of_its_event() -> None:
    """Counted, duplicate, too old, of an unknown name: each settles; a malformed one does not."""
    world = World(CALLS)
    world.run(
        event(0, id="a", reservation="r1"),
        event(1, id="a", reservation="r2"),
        event(2, NOON - 9 * 86400, stamp=NOON, reservation="r3"),
        event(3, event_name="other", reservation="r4"),
        Record(4, b'{"reservation": "r5"', NOON * 1000),
    )
    assert sorted(world.settled) == [("acme", "r1"), ("acme", "r2"), ("acme", "r3"), ("acme", "r4")]


def test_an_event_that_nobody_counts_is_accepted_and_remembered() -> None:
    """Its id is known afterwards, although it changed no total."""
    world = World(CALLS)
    world.run(event(0, id="a", event_name="other"), event(1, id="a"))
    counts = world.partition.header.counts
    assert (counts.counted, counts.duplicate) == (1, 1)


def test_ids_are_forgotten_by_the_hour_of_the_clock() -> None:
    """An id lasts max_age + max_ahead, and no longer than an hour more; its changelog records go as well."""
    world = World(CALLS)
    world.run(event(0, id="a"))
    span = 7 * 86400 + 300
    world.run(event(1, NOON + span, id="a"))
    assert world.partition.header.counts.duplicate == 1
    world.run(event(2, NOON + span + 3600, id="a"))
    assert world.partition.header.counts.duplicate == 1
    assert world.windows("calls")["total"][0][2] == "2"
    world.sweep()
    world.commit()
    assert len([key for key in world.live() if key[:1] == b"i"]) == 1


def test_a_record_on_which_the_fold_fails_is_rejected_unseen() -> None:
    """`refuse` sends it off with its bytes, moves position and clock, and counts it."""
    world = World(CALLS)
    world.partition.refuse(event(3, stamp=NOON + 5), 4, "it broke")
    world.commit()
    header = world.partition.header
    assert (header.next_offset, header.clock_us, header.counts.rejected) == (4, (NOON + 5) * 1_000_000, 1)
    assert headers_of(world.outbox[0])["tally-reason"] == "internal_error"


def test_filters_and_groups_of_any_name_are_bound_not_pasted() -> None:
    """Names and values that are Python change nothing but the events they match."""
    evil = '"]); raise SystemExit("pwned'
    world = World(
        definitions(
            counter(
                "evil",
                "sum",
                property=f"{evil} v",
                filters=(Comparison(f"{evil} r", "eq", evil),),
                group_by=(f"{evil} g",),
                event_name=evil,
            ),
            limits=(Limit(metric="evil", window="day", limit=Decimal(2), group={f"{evil} g": evil}),),
        )
    )
    p = {f"{evil} v": 2, f"{evil} r": evil, f"{evil} g": evil}
    world.run(event(0, event_name=evil, p=p), event(1, event_name=evil, p={**p, f"{evil} r": "x"}))
    world.run(event(2, event_name=evil, p=p))
    name = "evil" + json.dumps({f"{evil} g": evil}, separators=(",", ":"))
    assert world.windows("evil")["total"] == [[None, None, "4", 2, "4"]]
    assert world.windows(name)["total"] == [[None, None, "4", 2, "4"]]
    shapes = world.partition.plan.named[evil].shapes
    assert not any(evil in shape.source for shape in shapes)


def test_an_upsert_replaces_what_the_first_event_gave() -> None:
    """As if the first had not been, with its own time; counted as replaced; an emptied window has no row."""
    upserts = definitions(
        counter("calls", windows=("hour",)),
        counter("top", "max", property="v"),
        events={"call": EventRule("upsert")},
    )
    world = World(upserts)
    world.run(event(0, id="a", p={"v": 9}), event(1, id="b", p={"v": 5}))
    assert world.windows("top")["total"][0][2] == "9"
    world.run(event(2, NOON - 3600, stamp=NOON, id="a", p={"v": 1}))
    assert world.windows("top")["total"][0][2] == "5"
    assert [window[2] for window in world.windows("calls")["hour"]] == ["1", "1"]
    world.restart()
    world.run(event(3, NOON - 3600, stamp=NOON, id="b", p={"v": 2}))
    assert [window[2] for window in world.windows("calls")["hour"]] == ["2"]
    counts = world.partition.header.counts
    assert (counts.counted, counts.replaced, counts.duplicate) == (2, 2, 0)
