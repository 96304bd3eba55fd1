"""Apache Kafka out of Maven's jars: what the fixtures promise to the tests that stand on them."""

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from tests.servers.fixtures import Broker
from tests.servers.kafka import Kafka
from tests.servers.records import Record, create_topics, produce, read

pytestmark = pytest.mark.kafka


def transaction(bootstrap: str, name: str, *, commit: bool | None, topic: str, value: bytes) -> Producer:
    """Write one record to partition 0 in a transaction; commit it, abort it, or (None) leave it open."""
    client = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    client.init_transactions(30)
    client.begin_transaction()
    client.produce(topic, value, b"key", 0)
    client.flush(30)
    if commit is True:
        client.commit_transaction(30)
    elif commit is False:
        client.abort_transaction(30)
    return client


def test_only_committed_records_are_read(kafka: Broker, unique: str) -> None:
    """An aborted transaction is left out, and an open one ends the reading, unless the reader asks for all."""
    create_topics(kafka.bootstrap, {unique: 1})
    transaction(kafka.bootstrap, f"{unique}-1", commit=True, topic=unique, value=b"committed")
    transaction(kafka.bootstrap, f"{unique}-2", commit=False, topic=unique, value=b"aborted")
    still_open = transaction(kafka.bootstrap, f"{unique}-3", commit=None, topic=unique, value=b"open")
    try:
        assert [record.value for record in read(kafka.bootstrap, unique)] == [b"committed"]
        everything = read(kafka.bootstrap, unique, committed=False)
        assert [record.value for record in everything] == [b"committed", b"aborted", b"open"]
    finally:
        still_open.abort_transaction(30)


def test_a_second_owner_of_a_transactional_id_shuts_the_first_one_out(kafka: Broker, unique: str) -> None:
    """The fence on which the engine stands is really there."""
    create_topics(kafka.bootstrap, {unique: 1})
    first = transaction(kafka.bootstrap, unique, commit=True, topic=unique, value=b"first")
    transaction(kafka.bootstrap, unique, commit=True, topic=unique, value=b"second")
    first.begin_transaction()
    first.produce(unique, b"zombie", b"key", 0)
    with pytest.raises(KafkaException):
        first.commit_transaction(30)
    assert [record.value for record in read(kafka.bootstrap, unique)] == [b"first", b"second"]


def test_a_killed_broker_comes_back_with_its_data(breakable_kafka: Kafka, unique: str) -> None:
    """SIGKILL and a start on the same directory lose no acknowledged record, and the address stays."""
    address = breakable_kafka.bootstrap
    create_topics(address, {unique: 1})
    produce(address, unique, [Record(b"a", b"before")])
    breakable_kafka.kill()
    assert not breakable_kafka.nodes[0].alive()
    breakable_kafka.start()
    assert breakable_kafka.bootstrap == address
    produce(address, unique, [Record(b"a", b"after")])
    assert [record.value for record in read(address, unique)] == [b"before", b"after"]


def test_topics_are_not_made_by_accident(kafka: Broker, unique: str) -> None:
    """A topic that a test forgot to create is an error, not one with another number of partitions."""
    with pytest.raises(KafkaException):
        produce(kafka.bootstrap, unique, [Record(b"a", b"1")], settings={"message.timeout.ms": 1000})
    assert unique not in AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=30).topics


def test_settings_reach_the_topic(kafka: Broker, unique: str) -> None:
    """A topic created with a setting has it."""
    create_topics(
        kafka.bootstrap, {unique: 1}, {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    )
    resource = ConfigResource(ResourceType.TOPIC, unique)
    client = AdminClient({"bootstrap.servers": kafka.bootstrap})
    (answer,) = client.describe_configs([resource]).values()
    found = answer.result(30)
    assert found["cleanup.policy"].value == "compact"
    assert found["message.timestamp.type"].value == "LogAppendTime"


def test_three_nodes_go_on_without_one(kafka_trio: Kafka, unique: str) -> None:
    """With three replicas and one broker killed, acknowledged records are there and new ones are taken."""
    create_topics(kafka_trio.bootstrap, {unique: 3})
    produce(kafka_trio.bootstrap, unique, [Record(b"k%d" % number, b"before") for number in range(30)])
    kafka_trio.nodes[0].kill()
    try:
        produce(kafka_trio.bootstrap, unique, [Record(b"k%d" % number, b"after") for number in range(30)])
        values = [record.value for record in read(kafka_trio.bootstrap, unique)]
        assert values.count(b"before") == 30
        assert values.count(b"after") == 30
    finally:
        kafka_trio.heal()
