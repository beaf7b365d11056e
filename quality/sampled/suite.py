"""Which ingest suite does route follow now?

Route says its fingerprint; the text is in the stream's folder, which people edit. So every version that was seen there is
remembered by its fingerprint, and the one that route names is taken: not one that it has refused, or has not taken yet.
"""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.contract.access import authorization
from controlplane.contract.folders import SUITE_FILE
from controlplane.contract.gates import Stage, SuiteFollowed
from controlplane.contract.suites import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from controlplane.contract.streams import StreamDefinition

Json = dict[str, Any]
_REMEMBERED = 50
_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class InUse:
    """The suite that route goes by."""

    suite: Json | None
    """None when its text was never seen here: it had been replaced by a refused one before this part started."""
    fingerprint: str
    since: datetime | None
    """None while nobody says."""


class IngestSuites:
    """The versions of one stream's ingest suite."""

    def __init__(self, stream: StreamDefinition) -> None:
        self._stream = stream
        self._seen: dict[str, Json] = {}
        self._newest = self._remember(stream.suites.get(Stage.INGEST, {}))

    def in_use(self, followed: SuiteFollowed | None) -> InUse:
        """The suite that route follows; while route says nothing, the newest."""
        self._look()
        wanted = self._newest if followed is None else followed.suite
        return InUse(self._seen.get(wanted), wanted, None if followed is None else followed.since)

    def _look(self) -> None:
        """Remember what is there now; a file that can't be read is being written, or is refused by route."""
        try:
            written = json.loads((self._stream.today / SUITE_FILE).read_bytes())
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


class FollowedByRoute:
    """Asks the control plane which ingest suite each stream's route follows; while it is away the last answer counts."""

    def __init__(self, api: str, token: str) -> None:
        self._url = f"{api.rstrip('/')}/api/v1/gates"
        self._asked = urllib.request.Request(self._url, headers=authorization(token))  # noqa: S310 (our own address)
        self._known: dict[str, SuiteFollowed | None] = {}

    def __call__(self, stream: str) -> SuiteFollowed | None:
        """None when nobody has said."""
        try:
            with urllib.request.urlopen(self._asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the same)
                self._known[stream] = followed_in(json.loads(answer.read()), stream)
        except (OSError, ValueError):
            pass
        return self._known.get(stream)


def followed_in(gates: Mapping[str, Any], stream: str) -> SuiteFollowed | None:
    """What `GET /api/v1/gates` says of a stream's ingest suite."""
    for each in gates.get("streams", ()):
        for gate in each["gates"] if each["name"] == stream else ():
            if gate["stage"] == Stage.INGEST and gate["followed"] is not None:
                return SuiteFollowed.model_validate(gate["followed"])
    return None
