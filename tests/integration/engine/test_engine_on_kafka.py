"""The engine on Apache Kafka: nothing is lost and nothing is counted twice, whatever happens to workers and brokers."""

import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from tests.integration.engine.lab import Lab, lab, wait_for
from tests.servers.kafka import Kafka
from tests.servers.records import create_topics

pytestmark = pytest.mark.kafka


@pytest.fixture
def one(kafka: Kafka, unique: str, tmp_path: Path) -> Iterator[Lab]:
    """An app of its own on the shared Kafka."""
    with lab(kafka.bootstrap, unique, tmp_path) as made:
        yield made


def flowing(one: Lab, seconds: float = 12.0, rate: float = 2000.0) -> threading.Thread:
    """Send events at a steady rate in the background."""
    thread = threading.Thread(target=one.send, args=(int(seconds * rate),), kwargs={"rate": rate})
    thread.start()
    return thread


def test_a_killed_worker_loses_nothing(one: Lab) -> None:
    """SIGKILL in mid-stream: the other worker takes over, and every id is counted once."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")
    sending = flowing(one)
    wait_for(lambda: one.recount().headers.get(0) is not None, "the first commits")
    one.workers["a"].kill()
    one.settled("b")
    sending.join()
    one.prove()


def test_a_stopped_worker_changes_nothing_and_comes_back(one: Lab) -> None:
    """SIGSTOP past the session: what the zombie writes is refused, and it works again without a restart."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")
    sending = flowing(one, 14.0)
    wait_for(lambda: one.recount().headers.get(0) is not None, "the first commits")
    one.workers["a"].send_signal(signal.SIGSTOP)
    wait_for(lambda: one.runs("b") == {0, 1, 2, 3}, "b to run all partitions")
    one.workers["a"].send_signal(signal.SIGCONT)
    one.settled("a", "b")
    sending.join()
    one.prove()
    assert one.workers["a"].poll() is None, "the stopped worker works again, it was not restarted"
    terms = {n: h.term for n, h in one.recount().headers.items()}
    assert sum(terms.values()) >= 4 + 2 + 2, f"its partitions had an owner meanwhile and went back: {terms}"


def test_a_worker_that_joins_takes_its_share(one: Lab) -> None:
    """A third worker joins while events flow, and each partition has one owner at a time."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")
    sending = flowing(one, 8.0)
    one.worker("c")
    one.settled("a", "b", "c")
    sending.join()
    one.prove()


def test_a_worker_ends_at_sigterm_although_a_commit_hangs(one: Lab, breakable_kafka: Kafka) -> None:
    """Stock Faust ignores SIGTERM for ever while one message is unacknowledged; ours ends, also when Kafka hangs."""
    one.worker("a")
    one.settled("a")
    one.send(1000)
    breakable_kafka.pause()
    try:
        one.workers["a"].terminate()
        assert one.workers["a"].wait(45) is not None
    finally:
        breakable_kafka.resume()
    one.worker("b")
    one.settled("b")
    one.prove()


def test_a_broker_killed_and_started_again(one: Lab, breakable_kafka: Kafka) -> None:
    """SIGKILL of the only broker while events flow: the workers go on by themselves when it is back."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")
    sending = flowing(one, 14.0)
    wait_for(lambda: one.recount().headers.get(0) is not None, "the first commits")
    breakable_kafka.kill()
    breakable_kafka.start()
    sending.join()
    one.prove()
    assert {p.poll() for p in one.workers.values()} == {None}


def test_markers_and_aborted_events_do_not_stop_the_stream(one: Lab, kafka: Kafka) -> None:
    """A producer's transactions leave offsets that are never delivered: they are passed, and what was aborted is not counted."""
    one.worker("a")
    one.settled("a")
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": one.app})
    producer.init_transactions(10)
    for n in range(6):
        producer.begin_transaction()
        for i in range(10):
            producer.produce(one.events, b'{"id":"x%d"}' % (n * 10 + i), b"k%d" % i)
        if n % 2:
            producer.flush(10)  # else the client drops them before they are sent
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
    wait_for(lambda: sum(h.counts.counted for h in one.recount().headers.values()) == 30, "30 events to be counted")
    one.workers["a"].kill()
    one.worker("b")
    one.settled("b")
    found = one.recount()
    assert found.exact, found.difference()


def test_a_partition_that_comes_back_does_not_go_backwards(one: Lab) -> None:
    """Stock Faust's memory store keeps lost partitions' rows; ours are dropped, so a count never falls."""
    one.worker("a")
    one.settled("a")
    one.send(2000)
    one.worker("b")
    one.settled("a", "b")
    one.send(2000)
    one.workers["b"].terminate()
    one.settled("a")
    one.send(2000)
    one.prove()
    best: dict[bytes, int] = {}
    for _, _, key, value in one.read(f"{one.app}-state-changelog"):
        if key.startswith(b"r"):
            count = (value or b"").count(b'"e')
            assert count >= best.get(key, 0), f"{key!r} fell from {best[key]} to {count}"
            best[key] = count


def test_rejected_events_go_out_once_for_each_commit(one: Lab) -> None:
    """Side records are in the commit: whatever is killed, each rejected event gives one entry."""
    one.worker("a"), one.worker("b")
    one.settled("a", "b")
    sending = threading.Thread(
        target=one.send,
        args=(16000,),
        kwargs={"rate": 2000.0, "value": lambda i: b'{"no":%d}' % i if i % 10 == 5 else b'{"id":"e%d"}' % i},
    )
    sending.start()
    wait_for(lambda: one.recount().headers.get(0) is not None, "the first commits")
    one.workers["a"].kill()
    sending.join()
    wait_for(lambda: one.recount().caught_up, "the headers to reach the log's end")
    found = one.recount()
    assert found.exact, found.difference()
    entries = sorted(value or b"" for _, _, _, value in one.read(f"{one.app}-rejected"))
    assert entries == sorted(b'{"no":%d}' % i for i in range(16000) if i % 10 == 5)


def test_an_event_on_which_the_fold_fails_is_refused_and_the_stream_goes_on(one: Lab) -> None:
    """Stock Faust acknowledges and skips what its agent raised on; ours finds the event, and sends it to the rejected topic."""
    one.worker("a")
    one.settled("a")
    one.send(2000, value=lambda i: b'{"poison":%d}' % i if i == 1003 else b'{"id":"e%d"}' % i)
    wait_for(lambda: sum(h.counts.counted for h in one.recount().headers.values()) == 1999, "all others to be counted")
    found = one.recount()
    assert found.exact, found.difference()
    assert [value for _, _, _, value in one.read(f"{one.app}-rejected")] == [b'{"poison":1003}']


def test_a_commit_that_cannot_be_written_whole_is_not_written_at_all(one: Lab) -> None:
    """A batch that is refused alone must not leave a transaction that commits the rest, nor an acknowledged offset."""
    from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    one.worker("a")
    one.settled("a")
    one.send(500)
    one.prove()
    admin = AdminClient({"bootstrap.servers": one.bootstrap})

    def limit(size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        topic = ConfigResource(ResourceType.TOPIC, f"{one.app}-rejected", incremental_configs=[entry])
        for done in admin.incremental_alter_configs([topic]).values():
            done.result(10)

    limit(300)  # Kafka's own transaction markers, 78 bytes, still fit
    long = random.Random(1).randbytes(500).hex().encode()
    before = {n: h.next_offset for n, h in one.recount().headers.items()}
    one.send(500, value=lambda i: b'{"no":"%s"}' % long if i == 701 else b'{"id":"e%d"}' % i)
    wait_for(lambda: one.log("a").count("taken over afresh") >= 2, "the commit to fail, and fail again")
    stuck = {n: h.next_offset for n, h in one.recount().headers.items()}
    assert any(stuck[n] == before[n] for n in before), "the partition of the entry that does not fit stands still"
    found = one.recount()
    counted = {i for ids in found.counted.values() for i in ids}
    assert all(sorted(set(ids)) == sorted(ids) for ids in found.counted.values())
    limit(4 << 20)
    wait_for(lambda: sum(h.counts.counted for h in one.recount().headers.values()) == 999, "the rest to be counted")
    found = one.recount()
    assert found.exact, found.difference()
    assert counted < {i for ids in found.counted.values() for i in ids}
    assert [value for _, _, _, value in one.read(f"{one.app}-rejected")] == [b'{"no":"%s"}' % long]


@pytest.mark.parametrize("name", ["after_fold", "after_produce", "before_end", "after_end"])
def test_a_kill_within_a_commit_leaves_all_of_it_or_nothing(one: Lab, name: str) -> None:
    """SIGKILL at each step of a commit: what the next owner finds is whole, and every id is counted once."""
    worker = one.worker("a", TALLY_FAILPOINT=f"{name}:12")
    one.settled("a")
    sending = flowing(one, 4.0)
    wait_for(lambda: worker.poll() is not None, f"{name} to be hit")
    one.worker("b")
    one.settled("b")
    sending.join()
    one.prove()


def test_a_topic_made_anew_stops_the_partition_and_says_so(one: Lab) -> None:
    """The events topic is deleted and created again: no event of it is counted on top of the old totals."""
    one.worker("a")
    one.settled("a")
    one.send(1000)
    one.prove()
    one.workers["a"].kill()
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    admin.delete_topics([one.events])[one.events].result(30)
    wait_for(lambda: one.events not in admin.list_topics(timeout=10).topics, "the topic to go")
    create_topics(one.bootstrap, {one.events: 4})
    one.send(1200, value=lambda i: b'{"id":"other%d"}' % i)
    one.worker("b")
    wait_for(lambda: one.log("b").count("stands still") == 4, "all partitions to stand still")
    assert one.log("b").count("the topic was made anew") == 4
    assert "tally reset --partition 0" in one.log("b")
    assert sum(h.counts.counted for h in one.recount().headers.values()) == 1000
    assert one.workers["b"].poll() is None


def test_events_deleted_before_they_were_counted_stop_the_partition(one: Lab) -> None:
    """Retention went past what was counted: the worker says which offsets are gone, and does not jump over them."""
    one.worker("a")
    one.settled("a")
    one.send(1000)
    one.prove()
    counted = {n: h.next_offset or 0 for n, h in one.recount().headers.items()}
    one.workers["a"].kill()
    one.send(1000)
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    for done in admin.delete_records([TopicPartition(one.events, n, counted[n] + 10) for n in counted]).values():
        done.result(30)
    one.worker("b")
    wait_for(lambda: one.log("b").count("stands still") == 4, "all partitions to stand still")
    for n, offset in counted.items():
        assert f"{one.events} partition {n}: the events of offsets {offset} to {offset + 9} were deleted" in one.log(
            "b"
        )


def test_partitions_added_to_the_topic_stop_the_worker(one: Lab) -> None:
    """With another number of partitions customers have other homes: the worker refuses to mix them."""
    one.worker("a")
    one.settled("a")
    one.send(1000)
    one.prove()
    one.workers["a"].kill()
    admin = AdminClient({"bootstrap.servers": one.bootstrap})
    admin.create_partitions([NewPartitions(one.events, 6)])[one.events].result(30)
    wait_for(lambda: len(admin.list_topics(timeout=10).topics[one.events].partitions) == 6, "six partitions")
    worker = one.worker("b")
    wait_for(lambda: worker.poll() is not None, "the worker to refuse")
    assert worker.returncode != 0
    assert "has 6 partitions" in one.log("b")
    assert "customers' homes moved" in one.log("b")
