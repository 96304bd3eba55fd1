"""A transaction that Kafka calls ended and never marked: the next owner ends it, as it was decided.

Apache Kafka 4.3 was seen to do that where a broker is killed between the decision to commit and the markers. Here it is
made on purpose: a broker that does not verify takes records of a transaction that was never begun.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from stream.engine.transactions import Message, Transactions
from tests.integration.engine.lab import lab, wait_for
from tests.integration.engine.writing import commit, messages, run
from tests.servers.kafka import Kafka, admin
from tests.servers.records import create_topics, read

pytestmark = pytest.mark.kafka


def verify(kafka: Kafka, value: str | None) -> None:
    """Set whether the brokers verify that a transaction was begun; None: as they do by default."""
    kind = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
    entry = ConfigEntry("transaction.partition.verification.enable", value or "", incremental_operation=kind)
    client = admin(kafka.bootstrap)
    for node in kafka.nodes:
        broker = ConfigResource(ResourceType.BROKER, str(node.node), incremental_configs=[entry])
        for future in client.incremental_alter_configs([broker]).values():
            future.result(30)


@pytest.fixture
def careless(breakable_kafka: Kafka) -> Iterator[Kafka]:
    """A Kafka that takes records of transactions that were never begun."""
    verify(breakable_kafka, "false")
    yield breakable_kafka
    verify(breakable_kafka, None)


async def hang(writer: Transactions, place: TopicPartition, records: list[Message]) -> None:
    """Write records whose transaction nobody will ever end; tried again until the broker no longer verifies."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await writer.produce([(place, records)])
            except Exception:  # noqa: BLE001 - INVALID_TXN_STATE, until the setting has reached the broker
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("committed", [True, False])
def test_what_hangs_is_ended_as_it_was_decided(careless: Kafka, unique: str, committed: bool) -> None:
    """Committed where the coordinator's last word was a commit, aborted where it was none; then all goes on."""
    create_topics(careless.bootstrap, {unique: 1}, {})
    place = TopicPartition(unique, 0)

    def seen() -> list[bytes | None]:
        return [record.value for record in read(careless.bootstrap, unique)]

    async def first(writer: Transactions) -> None:
        if committed:
            await commit(writer, (place, messages(b"before")))
            await asyncio.to_thread(wait_for, lambda: seen() == [b"before"], "the marker, which comes after the answer")
        await hang(writer, place, messages(b"hanging"))

    async def settled(writer: Transactions) -> None:
        await writer.settle([place])
        await commit(writer, (place, messages(b"after")))

    run(Transactions(careless.bootstrap, unique, {unique}), first)
    assert seen() == ([b"before"] if committed else [])
    run(Transactions(careless.bootstrap, unique, {unique}), settled)
    assert seen() == ([b"before", b"hanging", b"after"] if committed else [b"after"])


def test_a_worker_takes_over_past_a_commit_that_hangs(careless: Kafka, unique: str, tmp_path: Path) -> None:
    """The changelog is read to its end, and every event is counted once."""
    with lab(careless.bootstrap, unique, tmp_path) as one:
        one.worker("a")
        one.settled("a")
        one.send(2_000)
        one.prove()
        one.workers["a"].kill()
        one.workers["a"].wait()
        changelog = TopicPartition(f"{one.app}-state-changelog", 0)

        def rows() -> list[tuple[bytes, bytes | None]]:
            return [(key, value) for n, _, key, value in one.read(changelog.topic) if n == 0 and key.startswith(b"r")]

        before = rows()
        again = [Message(key, value, (), 1_700_000_000_000) for key, value in dict(before).items()]

        async def leave_open(writer: Transactions) -> None:
            await commit(writer, (changelog, again[:1]))
            await asyncio.to_thread(wait_for, lambda: len(rows()) > len(before), "the marker")
            await hang(writer, changelog, again)

        run(Transactions(careless.bootstrap, f"{one.app}-{one.events}-0", {changelog.topic}), leave_open)
        one.worker("b")
        one.settled("b")
        one.send(2_000)
        one.prove()
        wait_for(lambda: "left open by the broker" in one.log("b"), "b to say what it found")
