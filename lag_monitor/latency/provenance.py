"""When did the raw topic take the record that a valid one was made from? Its last bytes say so.

A valid record ends with where it came from: partition, offset and time, three of Avro's variable-length integers. Of these every
byte but the last has its highest bit set, so the time can be read from the end, without a schema, a registry, or reading the event.
The header names partition and offset too, and so what must stand before it: a record that ends otherwise is not route's.
"""

from __future__ import annotations

_MORE = 0x80
_BITS = 7
_LONGEST = 10


def raw_at_ms(value: bytes, source: str) -> int | None:
    """Epoch milliseconds; None for a record that does not end as route writes it.

    Args:
        value: the record's.
        source: its header `tidegate-source`, `partition:offset`.
    """
    partition, _, offset = source.partition(":")
    start = _last_integer(value)
    if start is None or not (partition.isdecimal() and offset.isdecimal()):
        return None
    before = _written(int(partition)) + _written(int(offset))
    return _read(value[start:]) if value.endswith(before, 0, start) else None


def _last_integer(value: bytes) -> int | None:
    """Where it begins; None if no integer is last."""
    start = len(value) - 1
    if start < 0 or value[start] & _MORE:
        return None
    while start > 0 and value[start - 1] & _MORE:
        start -= 1
    return start if len(value) - start <= _LONGEST else None


def _read(written: bytes) -> int:
    number = 0
    for byte in reversed(written):
        number = number << _BITS | (byte & ~_MORE)
    return number >> 1 ^ -(number & 1)


def _written(number: int) -> bytes:
    """Avro's `int` or `long`, of a number that is not negative."""
    left, out = number << 1, bytearray()
    while left >= _MORE:
        out.append(left & ~_MORE & 0xFF | _MORE)
        left >>= _BITS
    out.append(left)
    return bytes(out)
