"""The partition that Kafka's own clients choose."""

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2 as of_aiokafka
from hypothesis import given, strategies as st

from stream.core.murmur2 import Homes, murmur2, partition_of


@pytest.mark.parametrize(
    "key, signed",
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafka_s_java_clients(key: bytes, signed: int) -> None:
    """The vectors of Kafka's own UtilsTest come out."""
    assert murmur2(key) == signed % 2**32


@given(st.binary(max_size=40), st.integers(1, 300))
def test_the_partition_is_aiokafka_s(key: bytes, count: int) -> None:
    """For any key and number of partitions, hash and choice equal aiokafka's default."""
    assert murmur2(key) == of_aiokafka(key)
    assert partition_of(key, count) == DefaultPartitioner()(key, list(range(count)), list(range(count)))


def test_homes_are_remembered_within_bounds() -> None:
    """A customer's home is that of its UTF-8, and no more customers are held than there is room for."""
    homes = Homes(7, room=3)
    names = ["acme", "b", "c", "Zo\u00eb", "acme"]
    assert [homes[name] for name in names] == [partition_of(name.encode(), 7) for name in names]
    assert len(homes) <= 3


def test_a_topic_without_partitions_is_an_error() -> None:
    """No partition can be chosen among none."""
    with pytest.raises(ValueError, match="at least one"):
        Homes(0)
