"""
Choose a record's partition as Java's default partitioner does, whatever the client.

murmur2 as in Apache Kafka's ``Utils.murmur2`` (seed 0x9747b28c, 32 bit), then the positive remainder.
"""

from functools import lru_cache

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SMALL_BYTES = 256  # a task's id has 36; whoever writes a record may make its key as large as that


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 of *data*, unsigned."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _MASK
        k ^= k >> 24
        h = ((h * _M) & _MASK) ^ ((k * _M) & _MASK)
    tail = data[whole:]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of *key* in a topic of *partitions* partitions."""
    number = _remembered(key) if len(key) <= _SMALL_BYTES else murmur2(key)
    return (number & 0x7FFFFFFF) % partitions


_remembered = lru_cache(maxsize=8192)(murmur2)  # a task's records come close together, and all have its key
