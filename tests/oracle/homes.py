"""Which partition is a customer's home: Kafka's murmur2, written from its definition.

Part of the independent judge.
"""

MASK = 0xFFFF_FFFF
MULTIPLIER = 0x5BD1_E995


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 of some bytes.

    >>> hex(murmur2(b"foobar"))
    '0xd0e47bbe'
    """
    value = 0x9747_B28C ^ len(data)
    whole = len(data) // 4 * 4
    for place in range(0, whole, 4):
        part = int.from_bytes(data[place : place + 4], "little") * MULTIPLIER & MASK
        part = (part ^ part >> 24) * MULTIPLIER & MASK
        value = value * MULTIPLIER & MASK ^ part
    rest = data[whole:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * MULTIPLIER & MASK
    value = (value ^ value >> 13) * MULTIPLIER & MASK
    return value ^ value >> 15


def home(customer: str, partitions: int) -> int:
    """The partition of a canonical customer id."""
    return (murmur2(customer.encode()) & 0x7FFF_FFFF) % partitions
