"""Our own transactions on Apache Kafka: whole or not at all, in order, once, and nothing from a writer that was shut out."""

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from stream.engine.transactions import BATCH_BYTES, Fenced, Message, Transactions
from tests.integration.engine.writing import commit, messages, run
from tests.servers.kafka import Kafka
from tests.servers.records import create_topics, read

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.kafka


class Bench:
    """Two topics of an id of their own, and what stands in them."""

    def __init__(self, kafka: Kafka, unique: str) -> None:
        self.kafka, self.unique = kafka, unique
        self.log, self.side = f"{unique}-log", f"{unique}-side"
        create_topics(kafka.bootstrap, {self.log: 2, self.side: 2}, {})
        self.place = TopicPartition(self.log, 0)

    def writer(self) -> Transactions:
        """A writer under the one id."""
        return Transactions(self.kafka.bootstrap, self.unique, {self.log, self.side})

    def committed(self, topic: str) -> list[bytes | None]:
        """The values that a reader of committed records sees, partition by partition."""
        return [record.value for record in read(self.kafka.bootstrap, topic)]


@pytest.fixture
def lab(kafka: Kafka, unique: str) -> Bench:
    """Topics for one test."""
    return Bench(kafka, unique)


def test_a_transaction_reaches_all_its_partitions_in_order(lab: Bench) -> None:
    """Records of several partitions and topics are there after its end, with keys, headers and times as they were given."""
    side = TopicPartition(lab.side, 1)

    async def play(writer: Transactions) -> None:
        headed = [Message(None, b"s", [("h", b"1")], 1_700_000_000_123)]
        await commit(writer, (lab.place, messages(b"a", b"b")), (side, headed))
        await commit(writer, (lab.place, messages(b"c")))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [b"a", b"b", b"c"]
    (record,) = read(lab.kafka.bootstrap, lab.side)
    assert (record.key, record.value, record.headers) == (None, b"s", (("h", b"1"),))
    assert (record.timestamp, record.partition) == (1_700_000_000_123, 1)


def test_what_is_not_ended_is_not_seen_and_goes_with_the_next_writer(lab: Bench) -> None:
    """An open transaction is invisible, and the next writer's start ends it without a trace."""

    async def play(writer: Transactions) -> None:
        await writer.add([lab.place])
        await writer.produce([(lab.place, messages(b"lost"))])
        assert await asyncio.to_thread(lab.committed, lab.log) == []
        newer = lab.writer()
        await newer.start()
        await commit(newer, (lab.place, messages(b"kept")))
        await newer.stop()

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [b"kept"]


@pytest.mark.parametrize("step", ["add", "produce", "end"])
def test_a_writer_that_was_shut_out_writes_nothing(lab: Bench, step: str) -> None:
    """Whichever request comes first after another writer's start is refused as fenced."""

    async def play(writer: Transactions) -> None:
        steps: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("add", lambda: writer.add([lab.place])),
            ("produce", lambda: writer.produce([(lab.place, messages(b"zombie"))])),
            ("end", writer.end),
        ]
        newer = lab.writer()
        for name, act in steps:
            if name == step:
                await newer.start()
                with pytest.raises(Fenced):
                    await act()
                break
            await act()
        await newer.stop()

    run(lab.writer(), play)
    assert lab.committed(lab.log) == []


def test_more_than_a_batch_is_still_one_transaction(lab: Bench) -> None:
    """A commit of several megabytes goes in several batches, numbered through and in order."""
    values = [b"%06d" % n * 20_000 for n in range(40)]

    async def play(writer: Transactions) -> None:
        await commit(writer, (lab.place, messages(*values)))
        await commit(writer, (lab.place, messages(b"after")))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [*values, b"after"]


def test_a_record_larger_than_a_batch_goes_alone(lab: Bench) -> None:
    """An event of a megabyte that is sent on to its home is larger than what a batch is otherwise filled with."""
    values = [b"small", random.Random(1).randbytes(BATCH_BYTES + 1), b"small too"]

    async def play(writer: Transactions) -> None:
        await commit(writer, (lab.place, messages(*values)))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == values


def test_what_the_broker_refuses_is_raised(lab: Bench) -> None:
    """A record beyond the topic's limit is no reason to try again for ever: the commit fails, and says why."""

    async def play(writer: Transactions) -> None:
        await writer.add([lab.place])
        with pytest.raises(MessageSizeTooLargeError):
            await writer.produce([(lab.place, messages(random.Random(1).randbytes(2_000_000)))])

    run(lab.writer(), play)
    assert lab.committed(lab.log) == []


def test_a_batch_that_is_sent_twice_is_written_once(lab: Bench) -> None:
    """The answer to a batch may be lost: it is sent again under its number, and the broker knows it."""

    async def play(writer: Transactions) -> None:
        await writer.add([lab.place])
        batches = list(writer._batches(lab.place, messages(b"a", b"b")))
        await writer._written(batches)
        await writer._written(batches)
        await writer.end()
        await commit(writer, (lab.place, messages(b"c")))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [b"a", b"b", b"c"]


def test_an_end_that_is_said_twice_is_an_end(lab: Bench) -> None:
    """The answer to an end may be lost: said again, it is still the same commit."""

    async def play(writer: Transactions) -> None:
        await writer.add([lab.place])
        await writer.produce([(lab.place, messages(b"a"))])
        await writer.end()
        await writer.end()
        await commit(writer, (lab.place, messages(b"b")))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [b"a", b"b"]


def test_a_broker_that_restarts_is_waited_for(unique: str, breakable_kafka: Kafka) -> None:
    """Between its commits the only broker may go and come back: the writer goes on."""
    lab = Bench(breakable_kafka, unique)

    async def play(writer: Transactions) -> None:
        await commit(writer, (lab.place, messages(b"a")))
        breakable_kafka.kill()
        await asyncio.to_thread(breakable_kafka.start)
        await commit(writer, (lab.place, messages(b"b")))

    run(lab.writer(), play)
    assert lab.committed(lab.log) == [b"a", b"b"]
