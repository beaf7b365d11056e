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
    until = _ends(read(f"offsets/{batch_id}"))
    since = _ends(read(f"offsets/{batch_id - 1}")) if batch_id else _ends(read("sources/0/0"))
    if until is None or since is None:
        raise ValueError(f"the checkpoint does not name the offsets of micro-batch {batch_id}")
    return {partition: (since.get(partition, 0), end) for partition, end in until.items()}


def _ends(text: str | None) -> dict[int, int] | None:
    """The last line is the source's offset: `{"shop.valid":{"0":12}}`."""
    if not text:
        return None
    line = text.strip().splitlines()[-1]
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
