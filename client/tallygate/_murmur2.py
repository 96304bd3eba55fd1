"""Kafka's hash of a key: murmur2 with the seed that its Java clients use."""


def murmur2(data: bytes) -> int:
    """The hash as an unsigned 32-bit number.

    >>> murmur2(b"21") - (1 << 32)  # org.apache.kafka.common.utils.UtilsTest
    -973932308
    """
    length = len(data)
    m = 0x5BD1E995
    h = 0x9747B28C ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = h * m & 0xFFFFFFFF ^ k
    if length > whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15
