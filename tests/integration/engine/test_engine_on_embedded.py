"""The engine on the embedded broker, which has no transactions: a commit is one record batch."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tally.servers import EmbeddedKafka
from tests.integration.engine.lab import Lab, lab, wait_for


@pytest.fixture
def one(embedded_kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Iterator[Lab]:
    """An app of its own on the shared embedded broker."""
    with lab(embedded_kafka.bootstrap, unique, tmp_path) as made:
        made.knows_ends = False
        yield made


def test_a_killed_worker_loses_nothing(one: Lab) -> None:
    """SIGKILL in mid-stream: the other worker takes over, every id is counted once, and each refusal has its entry."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")

    def value(i: int) -> bytes:
        return b'{"no":%d}' % i if i % 10 == 5 else b'{"id":"e%d"}' % i

    sending = threading.Thread(target=one.send, args=(16000,), kwargs={"rate": 2000.0, "value": value})
    sending.start()
    wait_for(lambda: one.recount().headers.get(0) is not None, "the first commits")
    one.workers["a"].kill()
    one.settled("b")
    sending.join()
    wait_for(lambda: one.recount().caught_up, "the headers to reach the log's end")
    found = one.recount()
    assert found.exact, found.difference()
    entries = {value or b"" for _, _, _, value in one.read(f"{one.app}-rejected")}
    assert entries == {b'{"no":%d}' % i for i in range(16000) if i % 10 == 5}
    assert "no transactions" in one.log("b")


def test_side_records_of_the_last_commit_are_sent_again(one: Lab) -> None:
    """A worker dies between its batch and the side records in it: the next one sends them, and none is missing."""
    worker = one.worker("a", TALLY_FAILPOINT="after_end:10")
    one.settled("a")
    one.send(3000, value=lambda i: b'{"no":%d}' % i)
    wait_for(lambda: worker.poll() is not None, "the kill")
    one.worker("b")
    one.settled("b")
    wait_for(lambda: one.recount().caught_up, "the headers to reach the log's end")
    entries = {value or b"" for _, _, _, value in one.read(f"{one.app}-rejected")}
    assert entries == {b'{"no":%d}' % i for i in range(3000)}
