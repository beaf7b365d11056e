"""Which offsets does the next insert cover, and what does the group remember of it?

The intent is in the offset commit. Before `[s, e)` of a partition is inserted, offset `s` is committed with metadata `e`;
the commit before the next insert closes it, or one for itself when nothing more comes. All partitions go in one commit, so a
crash leaves one insert open at most, and it is made again with the same token: ClickHouse drops it if it had landed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from confluent_kafka import Message


@dataclass(frozen=True, order=True)
class Range:
    """Offsets `[start, until)` of a partition."""

    partition: int
    start: int
    until: int


@dataclass(frozen=True)
class Remembered:
    """What the group knows of one partition."""

    offset: int
    intended_until: int | None
    """End of an insert that was begun; None when none is open."""


def ranges_of(messages: Sequence[Message], positions: Mapping[int, int]) -> tuple[Range, ...]:
    """What an insert of these messages covers, from each partition's position on."""
    until = {message.partition(): message.offset() + 1 for message in messages}
    return tuple(sorted(Range(partition, positions[partition], end) for partition, end in until.items()))


def token(topic: str, ranges: Sequence[Range]) -> str:
    """What ClickHouse knows an insert by."""
    return ";".join(f"{topic}:{each.partition}:{each.start}:{each.until}" for each in sorted(ranges))


def remembered(offset: int, metadata: str | None) -> Remembered:
    """Read a committed offset."""
    return Remembered(offset, int(metadata) if metadata else None)


def open_ranges(group: Mapping[int, Remembered]) -> tuple[Range, ...]:
    """The insert that a crash left open; empty when there is none."""
    return tuple(
        sorted(
            Range(partition, each.offset, each.intended_until)
            for partition, each in group.items()
            if each.intended_until is not None
        )
    )
