"""What does a feed hand to the producer, and how is a record spoiled on purpose?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

UNREGISTERED_ID = 987_654_321
"""A schema id that no registry hands out soon."""
_FRAME_BYTES = 5
_GIGABYTE = b"\x80\x80\x80\x80\x08"
"""2^30 as Avro writes a length: zigzag, seven bits a byte."""


class Fault(StrEnum):
    """A byte-level fault; faults of content are in the value itself."""

    NOT_AVRO = "not_avro"
    UNKNOWN_SCHEMA_ID = "unknown_schema_id"
    TRUNCATED = "truncated"
    BLOATED = "bloated"
    """Its first string claims to be a gigabyte long: whoever makes room for it before reading dies of it."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One event of a feed."""

    position: int
    """Number in the feed, from 0; a feed started again goes on at the next one."""
    value: dict[str, Any]
    fault: Fault | None = None


def spoil(encoded: bytes, fault: Fault) -> bytes:
    """Framed Avro bytes with a fault in them."""
    match fault:
        case Fault.NOT_AVRO:
            return b'{"this": "is JSON, not Avro"}'
        case Fault.UNKNOWN_SCHEMA_ID:
            return b"\x00" + UNREGISTERED_ID.to_bytes(4, "big") + encoded[_FRAME_BYTES:]
        case Fault.TRUNCATED:
            return encoded[: _FRAME_BYTES + (len(encoded) - _FRAME_BYTES) // 2]
        case Fault.BLOATED:
            return encoded[:_FRAME_BYTES] + _GIGABYTE + encoded[_FRAME_BYTES:]
