"""What was done with which record? The fold of a stream's compacted topic of markers.

The newest marker of a record counts, by its offset: so it does not matter in which order or how often they come in, and a
topic that was compacted meanwhile says the same.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pydantic import ValidationError

from controlplane.contract.replays import Marker, Status

if TYPE_CHECKING:
    from collections.abc import Iterable


class Markers:
    """Markers of one stream by the record's id; safe to be read and folded from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, tuple[int, Marker]] = {}
        self._by_raw: dict[str, str] = {}
        self.version = 0
        """Grows with each change."""
        self.next_offset = 0
        """What has been folded so far ends before it."""

    def fold(self, offset: int, record: str, marker: Marker) -> None:
        """Take a marker in; one that is not newer than what is known changes nothing."""
        with self._lock:
            self.next_offset = max(self.next_offset, offset + 1)
            known = self._by_id.get(record)
            if known is not None and known[0] >= offset:
                return
            self._by_id[record] = (offset, marker)
            if known is not None and known[1].raw is not None:
                self._by_raw.pop(known[1].raw, None)
            if marker.raw is not None:
                self._by_raw[marker.raw] = record
            self.version += 1

    def fold_message(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take a record of the topic in; one that is no marker of ours is passed over."""
        try:
            marker = Marker.model_validate_json(value or b"")
        except ValidationError:
            with self._lock:
                self.next_offset = max(self.next_offset, offset + 1)
            return
        self.fold(offset, (key or b"").decode("utf-8", "replace"), marker)

    def of(self, record: str) -> Marker | None:
        """What was done with a record; None while it waits."""
        known = self._by_id.get(record)
        return None if known is None else known[1]

    def parent(self, raw: str) -> str | None:
        """Which record was replayed as this raw one (`partition:offset`)."""
        return self._by_raw.get(raw)

    def ids(self) -> dict[Status, list[str]]:
        """Ids of all records that something was done with."""
        with self._lock:
            found: dict[Status, list[str]] = {Status.REPLAYED: [], Status.DISCARDED: []}
            for record, (_, marker) in self._by_id.items():
                found[marker.action].append(record)
            return found

    def waiting(self, records: Iterable[str]) -> list[str]:
        """Those of the records that nothing was done with."""
        return [each for each in records if each not in self._by_id]

    def done_by(self, replay: str) -> int:
        """How many records a piece of work has dealt with."""
        with self._lock:
            return sum(marker.replay == replay for _, marker in self._by_id.values())
