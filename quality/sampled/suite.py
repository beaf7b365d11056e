"""Which ingest suite does route follow now?

Route says its fingerprint; the text is in the stream's folder, which people edit. So every version that was seen there is
remembered by its fingerprint, and the one that route names is taken: not one that it has refused, or has not taken yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.contract.folders import SUITE_FILE
from controlplane.contract.gates import Stage
from controlplane.contract.suites import fingerprint

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.contract.gates import SuiteFollowed
    from controlplane.contract.streams import StreamDefinition

Json = dict[str, Any]
_REMEMBERED = 50


@dataclass(frozen=True)
class InUse:
    """A suite, and since when route goes by it; None while nobody says."""

    suite: Json
    fingerprint: str
    since: datetime | None


class IngestSuites:
    """The versions of one stream's ingest suite."""

    def __init__(self, stream: StreamDefinition) -> None:
        self._file = stream.folder / SUITE_FILE
        self._seen: dict[str, Json] = {}
        self._newest = self._remember(stream.suites.get(Stage.INGEST, {}))

    def in_use(self, followed: SuiteFollowed | None) -> InUse | None:
        """The suite that route follows; None when its text is not known. While route says nothing, the newest."""
        self._look()
        wanted = self._newest if followed is None else followed.suite
        found = self._seen.get(wanted)
        return None if found is None else InUse(found, wanted, None if followed is None else followed.since)

    def _look(self) -> None:
        """Remember what is there now; a file that can't be read is being written, or is refused by route."""
        try:
            written = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return
        suite = written.get(Stage.INGEST.value) if isinstance(written, dict) else None
        if isinstance(suite, dict):
            self._newest = self._remember(suite)

    def _remember(self, suite: Json) -> str:
        name = fingerprint(suite)
        self._seen[name] = suite
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return name
