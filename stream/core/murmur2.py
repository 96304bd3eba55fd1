"""A customer's home: the partition that Kafka's Java clients and aiokafka choose by default for a key.

It is (murmur2(key) with the sign bit cleared) mod the number of partitions. librdkafka does the same only with
`partitioner=murmur2_random`.
"""

_M = 0x5BD1E995
_SEED = 0x9747B28C
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The hash of `org.apache.kafka.common.utils.Utils.murmur2`, as an unsigned 32-bit number.

    >>> murmur2(b"21") - 2**32  # Kafka's own test vector
    -973932308
    """
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _WORD
        h = h * _M & _WORD ^ (k ^ k >> 24) * _M & _WORD
    if length != whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _WORD
    h = (h ^ h >> 13) * _M & _WORD
    return h ^ h >> 15


def partition_of(key: bytes, count: int) -> int:
    """The partition of a key, 0 to `count` - 1.

    >>> partition_of(b"acme", 16)
    4
    """
    return (murmur2(key) & 0x7FFFFFFF) % count


class Homes(dict[str, int]):
    """Customer -> home partition among `count`; remembers at most `room` customers, then starts afresh.

    >>> Homes(16)["acme"]
    4
    """

    __slots__ = ("count", "room")

    def __init__(self, count: int, room: int = 1 << 17) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"a topic has at least one partition, not {count}")
        self.count, self.room = count, room

    def __missing__(self, customer: str) -> int:
        home = partition_of(customer.encode(), self.count)
        if len(self) >= self.room:
            self.clear()
        self[customer] = home
        return home
