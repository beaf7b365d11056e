"""Up to where has route come? What it has written says so.

Its real-time checkpoint is made anew at each start and written only at the end of a batch, minutes apart. But each output record
goes to the partition of its source and names its source's offset: the last record of the three outputs, whichever is the furthest,
is what it has taken. (It writes the three side by side, so an earlier one may be on its way for a moment.) Only tails that
have moved are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.names import HEADER_SOURCE, Hop, topic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lag_monitor.kafka.records import Found, Place

OUTPUTS = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)


class RouteTails:
    """Every stream's."""

    def __init__(self) -> None:
        self._read: dict[Place, tuple[int, int]] = {}
        """Output partition -> the end that was read before, and the source offset of the last record there."""

    def wanted(self, stream: str, ends: Mapping[Place, int], lows: Mapping[Place, int]) -> dict[Place, tuple[int, int]]:
        """What is to be read of a stream's outputs: the last record of those that have moved."""
        moved = {
            place: end
            for place, end in ends.items()
            if place[0] in _names(stream) and end > lows.get(place, 0) and self._read.get(place, (0, 0))[0] != end
        }
        return {place: (end - 1, end) for place, end in moved.items()}

    def take(self, wanted: Mapping[Place, tuple[int, int]], found: Mapping[Place, Found]) -> None:
        """What was found there. A record that route has not written says nothing."""
        for place, (_, end) in wanted.items():
            record = found.get(place)
            if record is None:
                continue
            source = source_offset(record, place[1])
            known = self._read.get(place)
            if source is not None:
                self._read[place] = (end, source)
            elif known is not None:
                self._read[place] = (end, known[1])

    def is_known(self, stream: str, partition: int, ends: Mapping[Place, int], lows: Mapping[Place, int]) -> bool:
        """Every output of that partition has been read, or has nothing in it."""
        places = [(name, partition) for name in _names(stream)]
        return all(place in self._read or ends.get(place, 0) <= lows.get(place, 0) for place in places)

    def position(self, stream: str, partition: int, low: int) -> int:
        """Of a partition of the raw topic: one past the furthest that any output names; its beginning when none has one."""
        tails = [self._read[name, partition][1] + 1 for name in _names(stream) if (name, partition) in self._read]
        return max(tails, default=low)


def _names(stream: str) -> tuple[str, ...]:
    return tuple(topic(stream, hop) for hop in OUTPUTS)


def source_offset(record: Found, partition: int) -> int | None:
    """What an output record says of its source; None for one that route has not written."""
    written = dict(record.headers).get(HEADER_SOURCE, b"").decode("ascii", "replace")
    number, _, offset = written.partition(":")
    return int(offset) if number == str(partition) and offset.isdigit() else None
