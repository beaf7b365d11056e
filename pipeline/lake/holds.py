"""How does an operation get a stream's tables to itself, while everything else goes on?

By a file beside the checkpoints. Who wants to change tables that lake writes puts a hold there and waits for lake's answer: from
then on lake writes nothing of that stream until the hold is gone. Neither of the two has to live: a lake that starts and finds a
hold does not begin that stream, and answers; an operation that goes on after a crash finds the hold that it had put there.
Other streams, route and live go on all the time.

- `appends`: the query has ended between two micro-batches, no table follows, nothing is published or released;
- `tables`: appends go on, only the rest of it stands.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, ValidationError

from controlplane.contract.frozen import Frozen
from pipeline.lake.texts import texts_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from pyspark.sql import SparkSession

    from controlplane.contract.settings import Settings
    from pipeline.lake.texts import Texts

_LOOK_EVERY_S = 0.2


class HoldKind(StrEnum):
    """What is held; each holds all that the one before it holds."""

    TABLES = "tables"
    APPENDS = "appends"


class Hold(Frozen):
    """What an operation wants; the file `<checkpoints>/lake/<stream>.hold`."""

    operation: str
    kind: HoldKind
    at: AwareDatetime


class Held(Hold):
    """Lake's answer; the file `<checkpoints>/lake/<stream>.held`. What it names is held, whatever becomes of that process."""

    process: str
    """Who answered."""

    def answers(self, hold: Hold) -> bool:
        """Is it what was asked for? The same operation may ask for more later."""
        return self.operation == hold.operation and (self.kind is hold.kind or self.kind is HoldKind.APPENDS)


class HeldByOtherError(Exception):
    """Another operation holds the stream; says which."""


class NotHeldError(Exception):
    """Lake has not answered in time; says what to look at."""


class Holds:
    """Those of one stream, for both sides."""

    def __init__(self, texts: Texts, stream: str) -> None:
        self._texts, self._stream = texts, stream
        self._hold, self._held = f"{stream}.hold", f"{stream}.held"

    def hold(self) -> Hold | None:
        """What is wanted now; None when nothing is.

        Raises:
            OSError: if the storage does not answer.
            ValueError: if the file is not whole, as one that is being written: look again.
        """
        text = self._texts.read(self._hold)
        return None if text is None else Hold.model_validate_json(text)

    def held(self) -> Held | None:
        """What lake has answered; None when it has not, or not yet in full.

        Raises:
            OSError: if the storage does not answer.
        """
        text = self._texts.read(self._held)
        try:
            return None if text is None else Held.model_validate_json(text)
        except ValidationError:
            return None

    def place(self, operation: str, kind: HoldKind) -> Hold:
        """Hold the stream; again, or more than before, changes only what is needed.

        Raises:
            HeldByOtherError: if another operation holds it.
            OSError: if the storage does not answer.
        """
        there = self.hold()
        if there is not None and there.operation != operation:
            raise HeldByOtherError(
                f"{self._stream} is held by operation {there.operation} since {there.at:%Y-%m-%d %H:%M:%S} UTC: "
                "let it end, or cancel it"
            )
        if there is not None and there.kind is kind:
            return there
        wanted = Hold(operation=operation, kind=kind, at=datetime.now(UTC))
        self._texts.write(self._hold, wanted.model_dump_json())
        return wanted

    def wait(self, hold: Hold, within: timedelta, check: Callable[[], None] = lambda: None) -> Held:
        """Until lake has answered.

        Args:
            hold: what was placed.
            within: for so long at most.
            check: called while it waits; what it raises ends the wait.

        Raises:
            NotHeldError: if it has not.
            OSError: if the storage does not answer.
        """
        until = time.monotonic() + within.total_seconds()
        while True:
            found = self.held()
            if found is not None and found.answers(hold):
                return found
            if time.monotonic() > until:
                raise NotHeldError(
                    f"lake has not let go of {self._stream} within {within.total_seconds():.0f} s: is the part `lake` up, "
                    "and is its micro-batch of that stream still running?"
                )
            check()
            time.sleep(_LOOK_EVERY_S)

    def release(self, operation: str) -> bool:
        """Let lake go on, if it is held by this operation; was it?

        Raises:
            OSError: if the storage does not answer.
        """
        there = self.hold()
        if there is None or there.operation != operation:
            return False
        self._texts.delete(self._hold)
        return True

    def answer(self, hold: Hold, process: str) -> None:
        """Lake's side: it is held."""
        held = Held(operation=hold.operation, kind=hold.kind, at=datetime.now(UTC), process=process)
        self._texts.write(self._held, held.model_dump_json())

    def withdraw(self) -> None:
        """Lake's side, before it writes anything again."""
        self._texts.delete(self._held)


def holds_of(
    settings: Settings, stream: str, session: SparkSession | Callable[[], SparkSession] | None = None
) -> Holds:
    """A stream's.

    Args:
        settings: where the checkpoints are.
        stream: whose.
        session: needed where the checkpoints are no folder of this machine; or what makes one, called only then.

    Raises:
        ValueError: if it is needed, and there is none.
    """
    root = f"{settings.checkpoint_root.rstrip('/')}/lake"

    def needed() -> SparkSession:
        if session is None:
            raise ValueError(f"{root} is no folder of this machine: it is reached through a Spark session")
        return session() if callable(session) else session

    return Holds(texts_at(root, needed), stream)
