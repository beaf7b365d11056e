"""Lake's side of a hold: what has to rest for it, and when is it answered?

`decide` says what is to be done with a stream from what is wanted, what was answered and what still works. The order is what
matters: the answer goes before anything is written again, and comes after the last thing was written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from controlplane.contract.facts import StreamHeld
from pipeline.lake.holds import HoldKind
from pipeline.reason import first_line

if TYPE_CHECKING:
    from pipeline.lake.holds import Hold, Holds

_log = logging.getLogger(__name__)


class Step(StrEnum):
    """What lake does with a stream."""

    RUN = "run"
    """Nothing is held."""
    STOP = "stop"
    """Let what is under way end, begin nothing new."""
    ANSWER = "answer"
    REST = "rest"
    """It is held, and has been answered."""
    GO_ON = "go_on"
    """Take the answer back, then begin anew what has rested."""


@dataclass(frozen=True)
class Works:
    """What of a stream could still write."""

    appends: bool
    """Its query runs."""
    tables: bool
    """Its tables follow, are published or released right now."""


def decide(wanted: Hold | None, answered: Hold | None, works: Works) -> Step:
    """What is to be done.

    Args:
        wanted: the hold that is there.
        answered: what this lake has answered, and not taken back.
        works: what could write.
    """
    if wanted is None:
        return Step.RUN if answered is None else Step.GO_ON
    if works.tables or (works.appends and wanted.kind is HoldKind.APPENDS):
        return Step.STOP
    return Step.REST if wanted == answered else Step.ANSWER


class StreamHolding:
    """One stream's hold, as lake knows it.

    Args:
        stream: its name.
        holds: the files.
        process: who answers.
    """

    def __init__(self, stream: str, holds: Holds, process: str) -> None:
        self._stream, self._holds, self._process = stream, holds, process
        self._answered: Hold | None = None
        self.wanted: Hold | None = None
        """What is wanted, at the last look."""
        self._fact: tuple[Hold | None, StreamHeld] | None = None

    def look(self) -> Hold | None:
        """What is wanted; while the storage does not answer what it was, and while the file is being written also."""
        try:
            self.wanted = self._holds.hold()
        except (OSError, ValueError) as error:
            _log.warning("%s: is it held? %s", self._stream, first_line(error))
        return self.wanted

    def begin(self) -> None:
        """Before the stream is started: what is wanted must be known.

        Raises:
            OSError, ValueError: if it cannot be; lake must not write then.
        """
        self.wanted = wanted = self._holds.hold()
        held = self._holds.held()
        # What is left of an answer to more than is wanted now would answer who wants more again.
        if held is not None and (wanted is None or (held.operation, held.kind) != (wanted.operation, wanted.kind)):
            self._holds.withdraw()

    def holds_appends(self) -> bool:
        """Must no query of it run?"""
        return self.wanted is not None and self.wanted.kind is HoldKind.APPENDS

    def step(self, works: Works) -> Step:
        """What is to be done now; the answer is given, or taken back, here."""
        step = decide(self.wanted, self._answered, works)
        if step is Step.ANSWER and self.wanted is not None:
            self._holds.answer(self.wanted, self._process)
            self._answered = self.wanted
            _log.info("%s is held by operation %s (%s)", self._stream, self.wanted.operation, self.wanted.kind)
        if step is Step.GO_ON:
            self._holds.withdraw()
            self._answered = None
            _log.info("%s goes on", self._stream)
        return step

    def fact(self) -> StreamHeld:
        """As it is now; the same one while nothing changes."""
        held = self.wanted
        if self._fact is None or self._fact[0] != held:
            said = StreamHeld(
                at=datetime.now(UTC),
                stream=self._stream,
                operation=held.operation if held else None,
                holds=held.kind.value if held else None,
                since=held.at if held else None,
            )
            self._fact = (held, said)
        return self._fact[1]
