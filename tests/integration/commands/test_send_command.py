"""`tally send` on real brokers."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.commands.running import environment, tally
from tests.integration.commands.topics import make_topic, records
from tests.servers.fixtures import Broker

EVENTS: list[dict[str, Any]] = [
    {"id": "ev_1", "event_name": "call", "customer_id": "acme", "timestamp": 1_772_712_000.25},
    {"uniqueId": "ev_2", "eventName": "call", "accountId": "acct_42", "timestamp": "2026-03-05T12:00:00Z"},
    {"specversion": "1.0", "id": "ev_3", "source": "/s", "type": "call", "subject": "acme", "data": {}},
]


def lines(*events: Any) -> bytes:
    """A file of events, one a line."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_events_of_any_dialect_reach_their_customers_home(broker: Broker, unique: str) -> None:
    """The value goes as it was written, the key is the customer, the partition murmur2 of it."""
    env = environment(broker.bootstrap, unique)
    ran = tally(env, "send", "--json", stdin=lines(*EVENTS) + b"\r\n\n")
    assert ran.code == 0
    assert ran.json == {"topic": f"{unique}-events", "sent": 3, "refused": [], "partitions": {"0": 2, "1": 1}}
    found = records(broker.bootstrap, f"{unique}-events")
    assert [(record.partition, record.key, json.loads(record.value or b"")) for record in found] == [
        (0, b"acme", EVENTS[0]),
        (0, b"acme", EVENTS[2]),
        (1, b"acct_42", EVENTS[1]),
    ]


def test_faults_that_can_be_seen_are_refused_by_line(broker: Broker, unique: str) -> None:
    """Blank lines count as lines; what is refused is not sent, and the exit code is 1."""
    env = environment(broker.bootstrap, unique)
    broken = b'\nnope\n{"id": "e", "event_name": "call", "timestamp": 1}\n' + lines({**EVENTS[0], "timestamp": "12:00"})
    ran = tally(env, "send", "--json", stdin=lines(EVENTS[0]) + broken)
    assert ran.code == 1
    assert [(row["line"], row["reason"]) for row in ran.json["refused"]] == [
        (3, "malformed"),
        (4, "missing_field"),
        (5, "bad_timestamp"),
    ]
    assert ran.json["sent"] == 1
    assert len(records(broker.bootstrap, f"{unique}-events")) == 1


def test_anyway_sends_what_will_be_rejected(broker: Broker, unique: str) -> None:
    """`--anyway` still says what is wrong, and sends it, without a key where no customer can be read."""
    env = environment(broker.bootstrap, unique)
    ran = tally(env, "send", "--anyway", stdin=b"nope\n")
    assert ran.code == 1
    assert "line 1: malformed: " in ran.err
    assert [(record.key, record.value) for record in records(broker.bootstrap, f"{unique}-events")] == [(None, b"nope")]


def test_event_time_becomes_the_records_time(broker: Broker, unique: str) -> None:
    """With --event-time the Kafka timestamp is the event's own, to the next millisecond."""
    env = environment(broker.bootstrap, unique)
    make_topic(broker.bootstrap, f"{unique}-events", 4)
    event = {**EVENTS[0], "timestamp": "2026-03-05T12:00:00.250001Z"}
    assert tally(env, "send", "--event-time", stdin=lines(event)).code == 0
    assert [record.timestamp for record in records(broker.bootstrap, f"{unique}-events")] == [1_772_712_000_251]


def test_a_pipe_is_sent_line_by_line(broker: Broker, unique: str) -> None:
    """What `tail -f` gives is in Kafka before the pipe ends."""
    env = {**os.environ, **environment(broker.bootstrap, unique)}
    make_topic(broker.bootstrap, f"{unique}-events", 4)
    with subprocess.Popen(
        [sys.executable, "-m", "tally", "send"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as sender:
        assert sender.stdin is not None
        sender.stdin.write(lines(EVENTS[0]))
        sender.stdin.flush()
        while not records(broker.bootstrap, f"{unique}-events"):
            assert sender.poll() is None
        sender.stdin.write(lines(EVENTS[1]))
        out, _ = sender.communicate()
    assert out == f"2 events sent to {unique}-events.\n".encode()


def test_a_large_file_arrives_whole_and_in_order(broker: Broker, unique: str, tmp_path: Path) -> None:
    """20,000 lines, more than are read at once: each once, each customer's in the order of the file."""
    file = tmp_path / "events.jsonl"
    with file.open("wb") as out:
        for number in range(20_000):
            out.write(lines({**EVENTS[0], "id": f"ev_{number}", "customer_id": f"c{number % 50}"}))
    env = environment(broker.bootstrap, unique)
    ran = tally(env, "send", str(file))
    assert (ran.code, ran.out) == (0, f"20,000 events sent to {unique}-events.\n")
    seen: dict[bytes, list[int]] = {}
    for record in records(broker.bootstrap, f"{unique}-events"):
        seen.setdefault(record.key or b"", []).append(int(json.loads(record.value or b"")["id"][3:]))
    assert seen == {f"c{n}".encode(): list(range(n, 20_000, 50)) for n in range(50)}


def test_a_last_line_without_its_end_is_sent(broker: Broker, unique: str) -> None:
    """A file that an editor left without a newline at its end loses nothing."""
    ran = tally(environment(broker.bootstrap, unique), "send", "--json", stdin=lines(*EVENTS).rstrip(b"\n"))
    assert (ran.code, ran.json["sent"]) == (0, 3)
    assert len(records(broker.bootstrap, f"{unique}-events")) == 3


def test_no_broker_is_one_sentence_and_exit_code_1() -> None:
    """Where nobody answers, no traceback and no log lines: what to set, and 1."""
    ran = tally(environment("127.0.0.1:1", "x"), "send", stdin=lines(EVENTS[0]))
    assert ran.code == 1
    assert ran.err.startswith("Error: Kafka does not answer at 127.0.0.1:1 (")
    assert ran.err.count("\n") == 1
