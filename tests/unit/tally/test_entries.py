"""Entries of the rejected topic: read, chosen, and made ready to be sent again."""

from types import SimpleNamespace
from typing import Any

import pytest

from tally.entries import Entry, Place, Wanted, read_mended


def record(**changes: Any) -> Any:
    """A record of the rejected topic as the engine writes it."""
    headers = {
        "tally-kind": b"rejected",
        "tally-reason": b"malformed",
        "tally-detail": b"no JSON",
        "tally-topic": b"usage-events",
        "tally-partition": b"3",
        "tally-offset": b"4711",
        **changes.pop("headers", {}),
    }
    fields: dict[str, Any] = {
        "topic": "usage-rejected", "partition": 0, "offset": 12, "timestamp": 1_772_712_000_000,
        "key": b"acme", "value": b"nope", "headers": tuple(headers.items()), **changes,
    }  # fmt: skip
    return SimpleNamespace(**fields)


def test_an_entry_tells_where_it_stands_and_where_it_came_from() -> None:
    """`--json` names the entry, its source, the reason and the value as text."""
    assert Entry.of(record()).to_json() == {
        "entry": "usage-rejected/0/12",
        "kind": "rejected",
        "reason": "malformed",
        "detail": "no JSON",
        "source": "usage-events/3/4711",
        "rejected_at": "2026-03-05T12:00:00.000000Z",
        "key": "acme",
        "value": "nope",
    }


def test_bytes_that_are_no_text_are_shown_as_base64() -> None:
    """What is no UTF-8 is not mangled."""
    shown = Entry.of(record(value=b"\xff\xfe")).to_json()
    assert shown["value_base64"] == "//4="
    assert "value" not in shown


def test_a_whole_entry_is_sent_again_with_the_producers_own_headers_only() -> None:
    """Binary CloudEvents keep their attributes; nothing of ours goes along, re-routing included."""
    entry = Entry.of(record(headers={"ce_id": b"1", "tally-origin": b"usage-events/1/2", "trace": b"x"}))
    assert entry.replay_headers() == [("ce_id", b"1"), ("trace", b"x")]


def test_a_partial_entry_names_itself_and_its_metrics() -> None:
    """The engine folds it only into these, once for this entry."""
    entry = Entry.of(record(headers={"tally-kind": b"partial", "tally-metrics": b"a,b"}))
    assert entry.metrics == ("a", "b")
    assert entry.replay_headers() == [("tally-replay", b"usage-rejected/0/12"), ("tally-metrics", b"a,b")]


def test_a_partial_entry_mended_in_two_steps_names_the_first_entry() -> None:
    """So it counts once, though it was rejected twice."""
    entry = Entry.of(
        record(headers={"tally-kind": b"partial", "tally-metrics": b"b", "tally-replay": b"usage-rejected/0/3"})
    )
    assert entry.replay_headers() == [("tally-replay", b"usage-rejected/0/3"), ("tally-metrics", b"b")]


def test_a_replay_that_was_rejected_whole_stays_a_replay() -> None:
    """Mended into something malformed, or too old by then: sent as a new event it would only be a duplicate."""
    entry = Entry.of(record(headers={"tally-metrics": b"b", "tally-replay": b"usage-rejected/0/3"}))
    assert entry.kind == "rejected"
    assert entry.replay_headers() == [("tally-replay", b"usage-rejected/0/3"), ("tally-metrics", b"b")]


def test_places_are_read_back_as_they_are_written() -> None:
    """`topic/partition/offset`, and nothing else."""
    assert Place.parse("usage-rejected/0/12") == Place("usage-rejected", 0, 12)
    assert str(Place("a.b", 1, 2)) == "a.b/1/2"
    for wrong in ("usage-rejected/0", "usage-rejected/0/-1", "/0/1", "a/0/1/2", "a/\u0660/1"):
        with pytest.raises(ValueError, match="no topic/partition/offset"):
            Place.parse(wrong)


@pytest.mark.parametrize(
    "asked, taken",
    [
        (Wanted(), True),
        (Wanted(reasons=frozenset({"malformed"}), customers=frozenset({"acme"})), True),
        (Wanted(reasons=frozenset({"malformed"}), customers=frozenset({"bob"})), False),
        (Wanted(kinds=frozenset({"partial"})), False),
        (Wanted(metrics=frozenset({"a"})), False),
        (Wanted(since_ms=1_772_712_000_000), True),
        (Wanted(since_ms=1_772_712_000_001), False),
        (Wanted(until_ms=1_772_712_000_000), False),
        (Wanted(until_ms=1_772_712_000_001), True),
        (Wanted(places=frozenset({Place("usage-rejected", 0, 12)})), True),
        (Wanted(places=frozenset({Place("usage-rejected", 1, 12)})), False),
    ],
)
def test_every_condition_must_hold(asked: Wanted, taken: bool) -> None:
    """Times are half-open: since is included, until is not."""
    assert Wanted.takes(asked, Entry.of(record())) is taken


def test_mended_lines_keep_the_digits_that_were_written() -> None:
    """A value that is JSON is sent byte for byte, one that is text as its text."""
    values, faults = read_mended(
        [
            b'{"entry": "usage-rejected/0/1", "value": {"n": 0.10000000000000000000001, "b": 1e2}}\n',
            b"\n",
            b'{"entry": "usage-rejected/0/2", "value": "{\\"id\\": \\"\xc3\xa9\\"}", "reason": "malformed"}\n',
        ]
    )
    assert faults == []
    assert values == {
        Place("usage-rejected", 0, 1): b'{"n": 0.10000000000000000000001, "b": 1e2}',
        Place("usage-rejected", 0, 2): '{"id": "é"}'.encode(),
    }


def test_every_fault_of_a_mended_file_is_told_with_its_line() -> None:
    """Broken JSON, a wrong place and an entry that is there twice."""
    _, faults = read_mended(
        [
            b"{\n",
            b'{"entry": "x", "value": 1}\n',
            b'{"entry": "a/0/1", "value": 1}\n',
            b'{"entry": "a/0/1", "value": 2}\n',
        ]
    )
    assert [fault.partition(":")[0] for fault in faults] == ["line 1", "line 2", "line 4"]
