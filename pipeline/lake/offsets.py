"""Which source offsets does a micro-batch hold? Read from the checkpoint, where Spark wrote them before it began."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Ranges = dict[int, tuple[int, int]]
"""Partition -> first offset and end offset (exclusive)."""


def ranges_of_batch(read: Callable[[str], str | None], batch_id: int) -> Ranges:
    """The ranges of a micro-batch.

    Args:
        read: text of a file of the checkpoint by its path in it; None when there is none.
        batch_id: which.

    Raises:
        ValueError: if the checkpoint does not say.
    """
    until = ends_in(read(f"offsets/{batch_id}"))
    since = ends_in(read(f"offsets/{batch_id - 1}" if batch_id else "sources/0/0"))
    return {partition: (since.get(partition, 0), end) for partition, end in until.items()}


def last_line(text: str | None) -> str:
    """Where each of Spark's files has what it is about, after its version; empty when there is none."""
    return next(reversed((text or "").strip().splitlines()), "")


def ends_in(text: str | None) -> dict[int, int]:
    """Partition -> offset in a file of the checkpoint: its last line is the source's offset, `{"shop.valid":{"0":12}}`.

    Raises:
        ValueError: if there is none.
    """
    line = last_line(text)
    if "{" not in line:
        raise ValueError(f"the checkpoint does not name offsets where it should: {(text or '')[:80]!r}")
    [partitions] = json.loads(line[line.index("{") :]).values()
    return {int(partition): int(offset) for partition, offset in partitions.items()}


def user_metadata(stream: str, topic: str, ranges: Ranges) -> str:
    """What a Delta commit says of where its rows came from."""
    return json.dumps(
        {"stream": stream, "topic": topic, "offsets": {str(key): list(ends) for key, ends in ranges.items()}}
    )


def ranges_in(metadata: str | None) -> Ranges | None:
    """Read `user_metadata`; None when a commit says nothing of the kind."""
    try:
        written = json.loads(metadata or "")["offsets"]
    except (ValueError, KeyError, TypeError):
        return None
    return {int(key): (int(ends[0]), int(ends[1])) for key, ends in written.items()}


def releases_in(metadata: str | None) -> str | None:
    """Which micro-batch a commit of either table releases; None when it releases none."""
    try:
        found = json.loads(metadata or "")["releases"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)
