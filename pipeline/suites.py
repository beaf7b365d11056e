"""Which suites do a part's gates follow? Those of `suite.json` as it is now, once a change has settled and is in order.

People edit the file while the part runs. A new version is read when two looks in a row have seen it, checked as the whole
folder is, and taken for every stage at once. One with a mistake is refused: the version before goes on, and the fact
`SuiteFollowed` says why until it is mended.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.folders import SUITE_FILE, StreamInvalidError, load_stream
from controlplane.contract.gates import SuiteFollowed
from controlplane.contract.suites import fingerprint
from pipeline.reason import reason_of
from pipeline.references.settling import Settling, seen_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.gates import Stage
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Suite

_log = logging.getLogger(__name__)


class FollowedSuites:
    """Some stages' suites of one stream; `look` now and then, from one thread."""

    def __init__(self, stream: StreamDefinition, stages: Sequence[Stage]) -> None:
        self.name, self._stream, self._stages = stream.name, stream, tuple(stages)
        self._suites = dict(stream.suites)
        self._settling = Settling(seen_file(self._file))
        self._refused: str | None = None
        self._since = dict.fromkeys(self._stages, datetime.now(UTC))

    def of(self, stage: Stage) -> Suite:
        """A stage's suite; without expectations when it has none."""
        return self._suites.get(stage, {})

    def fingerprint(self, stage: Stage) -> str:
        """Of a stage's suite."""
        return fingerprint(self.of(stage))

    def look(self) -> bool:
        """Look at the file once; True when there is something new to say: other suites, or a refusal."""
        now = seen_file(self._file)
        if not self._settling.has_settled(now):
            return False
        try:
            found = load_stream(self._stream.today)
        except (StreamInvalidError, OSError, ValueError) as error:
            self._refused = _why(error)
            _log.warning("%s: a new version of its suites is refused: %s", self.name, self._refused)
        else:
            self._take(dict(found.suites))
        self._settling.judge(now)
        return True

    def facts(self) -> tuple[SuiteFollowed, ...]:
        """What is followed now; of each stage that has a suite."""
        return tuple(
            SuiteFollowed(
                at=datetime.now(UTC),
                stream=self.name,
                stage=stage,
                suite=self.fingerprint(stage),
                rules=len(self.of(stage).get("expectations", ())),
                since=self._since[stage],
                refused=self._refused,
            )
            for stage in self._stages
            if self.of(stage)
        )

    def _take(self, suites: dict[Stage, Suite]) -> None:
        before, self._suites, self._refused = self._suites, suites, None
        for stage in self._stages:
            if before.get(stage) != suites.get(stage):
                self._since[stage] = datetime.now(UTC)
                _log.info("%s: the gate of %s follows suite %s from now on", self.name, stage, self.fingerprint(stage))

    @property
    def _file(self) -> Path:
        return self._stream.today / SUITE_FILE


def _why(error: Exception) -> str:
    return "; ".join(map(str, error.problems)) if isinstance(error, StreamInvalidError) else reason_of(error)
