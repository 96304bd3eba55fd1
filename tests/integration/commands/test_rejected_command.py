"""`tally rejected` and its replay, on real brokers; the entries are written as the engine writes them."""

import json
from pathlib import Path

from tests.integration.commands.running import environment, tally
from tests.integration.commands.topics import make_topic, put, records
from tests.servers.fixtures import Broker

NOON_MS = 1_772_712_000_000


def headers(reason: str, offset: int, kind: str = "rejected", metrics: str = "") -> list[tuple[str, bytes]]:
    """The headers of an entry."""
    found = {
        "tally-kind": kind, "tally-reason": reason, "tally-detail": f"about {reason}", "tally-topic": "events",
        "tally-partition": "2", "tally-offset": str(offset),
    }  # fmt: skip
    if metrics:
        found["tally-metrics"] = metrics
    return [(name, value.encode()) for name, value in found.items()]


def event(name: str, **more: object) -> bytes:
    """One event of acme."""
    fields = {"id": name, "event_name": "call", "customer_id": "acme", "timestamp": 1_772_712_000, **more}
    return json.dumps(fields).encode()


def filled(broker: Broker, unique: str) -> dict[str, str]:
    """An app with four entries in two partitions: malformed, too old, partial, malformed."""
    env = environment(broker.bootstrap, unique)
    make_topic(broker.bootstrap, f"{unique}-events", 4)
    make_topic(broker.bootstrap, f"{unique}-rejected", 2)
    put(
        broker.bootstrap, f"{unique}-rejected", 0,
        (None, b"nope", headers("malformed", 1), NOON_MS),
        (b"acme", event("ev_2", properties={"n": "x"}), headers("bad_value", 2, "partial", "a,b"), NOON_MS + 2000),
    )  # fmt: skip
    put(
        broker.bootstrap, f"{unique}-rejected", 1,
        (b"acme", event("ev_3"), [("trace", b"7"), *headers("too_old", 3)], NOON_MS + 1000),
        (b"bob", b"\xff", headers("malformed", 4), NOON_MS + 3000),
    )  # fmt: skip
    return env


def test_entries_are_listed_oldest_first_across_partitions(broker: Broker, unique: str) -> None:
    """Each with its place, reason, sentence, source and value."""
    ran = tally(filled(broker, unique), "rejected", "--json")
    assert ran.code == 0
    found = ran.json
    assert found["found"] == 4
    assert [entry["entry"] for entry in found["entries"]] == [
        f"{unique}-rejected/0/0", f"{unique}-rejected/1/0", f"{unique}-rejected/0/1", f"{unique}-rejected/1/1",
    ]  # fmt: skip
    assert found["entries"][1] == {
        "entry": f"{unique}-rejected/1/0", "kind": "rejected", "reason": "too_old", "detail": "about too_old",
        "source": "events/2/3", "rejected_at": "2026-03-05T12:00:01.000000Z", "key": "acme",
        "headers": {"trace": "7"}, "value": event("ev_3").decode(),
    }  # fmt: skip
    assert found["entries"][2]["metrics"] == ["a", "b"]
    assert found["entries"][3]["value_base64"] == "/w=="


def test_filters_choose_and_a_limit_takes_the_newest(broker: Broker, unique: str) -> None:
    """By reason, kind, customer, metric and half-open times; the count is of all that were found."""
    env = filled(broker, unique)

    def offsets(*options: str) -> list[str]:
        return [e["source"].rpartition("/")[2] for e in tally(env, "rejected", "--json", *options).json["entries"]]

    assert offsets("--reason", "malformed") == ["1", "4"]
    assert offsets("--kind", "partial") == ["2"]
    assert offsets("--customer", "acme") == ["3", "2"]
    assert offsets("--metric", "b") == ["2"]
    assert offsets("--since", "2026-03-05T12:00:01Z", "--until", "2026-03-05T12:00:03Z") == ["3", "2"]
    ran = tally(env, "rejected", "--json", "--limit", "1")
    assert (ran.json["entries"][0]["source"], ran.json["found"]) == ("events/2/4", 4)


def test_a_table_says_how_many_there_are_of_each_reason(broker: Broker, unique: str) -> None:
    """For a person: one line an entry, then the sums."""
    ran = tally(filled(broker, unique), "rejected", "--limit", "2")
    assert "too_old" not in ran.out.splitlines()[1]
    assert "       2  malformed\n" in ran.out
    assert "       1  bad_value (a, b)\n" in ran.out
    assert "The newest 2 of 4 are shown" in ran.out


def test_replay_wants_to_be_told_what(broker: Broker, unique: str) -> None:
    """Without a choice, and with a choice beside --all, nothing is sent: wrong use."""
    env = filled(broker, unique)
    assert tally(env, "rejected", "replay").code == 2
    assert tally(env, "rejected", "replay", "--all", "--reason", "too_old").code == 2
    assert tally(env, "rejected", "--reason", "too_old", "replay", "--all").code == 2
    assert tally(env, "rejected", "replay", "other-topic/0/1").code == 2
    assert records(broker.bootstrap, f"{unique}-events") == []


def test_a_whole_entry_goes_as_a_new_event(broker: Broker, unique: str) -> None:
    """With the producer's own headers and its customer's key, to the customer's home."""
    ran = tally(filled(broker, unique), "rejected", "replay", "--reason", "too_old", "--json")
    assert (ran.code, ran.json) == (0, {"sent": 1, "skipped": 0, "failed": [], "dry_run": False})
    (sent,) = records(broker.bootstrap, f"{unique}-events")
    assert (sent.partition, sent.key, sent.value) == (0, b"acme", event("ev_3"))
    assert list(sent.headers) == [("trace", b"7")]


def test_a_cloud_event_in_headers_goes_as_it_came(broker: Broker, unique: str) -> None:
    """In binary mode the attributes are headers: they say whose it is, and go along."""
    env = environment(broker.bootstrap, unique)
    make_topic(broker.bootstrap, f"{unique}-events", 4)
    make_topic(broker.bootstrap, f"{unique}-rejected", 1)
    attributes = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/s", "ce_type": "call", "ce_subject": "acme"}
    own = [(name, value.encode()) for name, value in attributes.items()]
    put(broker.bootstrap, f"{unique}-rejected", 0, (None, b'{"n": 1}', [*own, *headers("too_old", 1)], NOON_MS))
    assert tally(env, "rejected", "replay", "--all").code == 0
    (sent,) = records(broker.bootstrap, f"{unique}-events")
    assert (sent.partition, sent.key, sent.value, list(sent.headers)) == (0, b"acme", b'{"n": 1}', own)


def test_a_partial_entry_goes_for_its_metrics_only(broker: Broker, unique: str) -> None:
    """Mended by a program, it names the entry and the metrics that could not use it."""
    ran = tally(filled(broker, unique), "rejected", "replay", f"{unique}-rejected/0/1", "--map", "sed 's/\"x\"/7/'")
    assert (ran.code, ran.out) == (0, "1 event sent again, 0 skipped.\n")
    (sent,) = records(broker.bootstrap, f"{unique}-events")
    assert sent.value == event("ev_2", properties={"n": 7})
    assert list(sent.headers) == [("tally-replay", f"{unique}-rejected/0/1".encode()), ("tally-metrics", b"a,b")]


def test_what_would_come_straight_back_is_not_sent(broker: Broker, unique: str) -> None:
    """A malformed entry that nobody mended is named, the others go; the exit code is 1."""
    ran = tally(filled(broker, unique), "rejected", "replay", "--all", "--json")
    assert ran.code == 1
    assert ran.json["sent"] == 2
    assert [failed["entry"] for failed in ran.json["failed"]] == [f"{unique}-rejected/0/0", f"{unique}-rejected/1/1"]
    assert ran.json["failed"][0]["detail"].startswith("it would be rejected again: malformed: ")
    assert len(records(broker.bootstrap, f"{unique}-events")) == 2


def test_a_program_may_skip_and_may_fail(broker: Broker, unique: str) -> None:
    """Nothing on its output skips an entry; a failure is told with the last line it wrote, and nothing is sent."""
    env = filled(broker, unique)
    skipped = tally(env, "rejected", "replay", "--all", "--map", "true", "--json")
    assert (skipped.code, skipped.json["sent"], skipped.json["skipped"]) == (0, 0, 4)
    failed = tally(
        env, "rejected", "replay", "--reason", "too_old", "--map", "echo no such field >&2; exit 3", "--json"
    )
    assert failed.code == 1
    assert failed.json["failed"][0]["detail"] == "the program ended with 3: no such field"
    assert records(broker.bootstrap, f"{unique}-events") == []


def test_a_dry_run_sends_nothing(broker: Broker, unique: str) -> None:
    """It says what would be sent."""
    ran = tally(filled(broker, unique), "rejected", "replay", "--reason", "too_old", "--dry-run")
    assert (ran.code, ran.out) == (0, "1 event would be sent again, 0 skipped.\n")
    assert records(broker.bootstrap, f"{unique}-events") == []


def test_lines_can_be_edited_and_handed_back(broker: Broker, unique: str, tmp_path: Path) -> None:
    """`--lines` and `--from` belong together: the lines of a file choose the entries and bring their values."""
    env = filled(broker, unique)
    listed = tally(env, "rejected", "--lines", "--reason", "malformed").out.splitlines()
    first = json.loads(listed[0])
    first["value"] = json.loads(event("ev_1", properties={"n": 1}))
    mended = tmp_path / "mended.jsonl"
    mended.write_text(json.dumps(first) + "\n")
    ran = tally(env, "rejected", "replay", "--from", str(mended), "--json")
    assert (ran.code, ran.json["sent"]) == (0, 1)
    (sent,) = records(broker.bootstrap, f"{unique}-events")
    assert json.loads(sent.value or b"") == first["value"]
    assert sent.key == b"acme"


def test_an_entry_that_is_not_there_stops_the_replay(broker: Broker, unique: str) -> None:
    """A slip in a place is told before anything is sent."""
    ran = tally(filled(broker, unique), "rejected", "replay", f"{unique}-rejected/1/0", f"{unique}-rejected/0/99")
    assert ran.code == 1
    assert f"{unique}-rejected/0/99 is not there" in ran.err
    assert records(broker.bootstrap, f"{unique}-events") == []


def test_an_app_that_rejected_nothing_has_an_empty_list(broker: Broker, unique: str) -> None:
    """No topic yet is no fault."""
    env = environment(broker.bootstrap, unique)
    assert tally(env, "rejected", "--json").json == {"entries": [], "found": 0}
    assert tally(env, "rejected").out == "No rejected events.\n"
    assert tally(env, "rejected", "replay", "--all").code == 0
