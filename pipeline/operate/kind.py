"""What does a kind of operation have to know? To plan, to do each stage once or again, to clean up, and what undoes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue
    from pyspark.sql import SparkSession

    from controlplane.contract.facts import Fact
    from controlplane.contract.operations import Operation, OperationAsked, Plan, StagePlanned, StageProgress
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition


class RefusedError(Exception):
    """It can't be done as asked; says what, where, and what to do. Ends the operation as failed, and nothing has changed."""


class StaleError(RefusedError):
    """What the plan rested on is no longer so; says what. It has to be planned again."""


class PausedError(Exception):
    """An operator wants a pause: raised by `check`, between two pieces of work."""


class RestsError(PausedError):
    """The stage is done, and the operation rests until an operator resumes it: raised by a stage, with what it has found.

    The two are said in one breath, so that a crash can't make the one of the other: it is paused, and goes on with the next stage.
    """

    def __init__(self, why: str, result: Mapping[str, JsonValue] | None = None) -> None:
        super().__init__(why)
        self.result: Mapping[str, JsonValue] = result or {}
        self.stage: StageProgress | None = None
        """What is to be said of the stage; whoever runs it fills it in."""


class CancelledError(Exception):
    """An operator wants it to end: raised by `check`, between two pieces of work."""


class Work(Protocol):
    """What a stage works with. One thread's own."""

    operation: Operation
    settings: Settings

    def stream(self) -> StreamDefinition:
        """Today's definition of the operation's stream, with what the registry knows.

        Raises:
            RefusedError: if there is no such stream, or its folder has mistakes.
        """

    def session(self) -> SparkSession:
        """The operation's own Spark, started when it is first asked for."""

    def check(self) -> None:
        """Between two pieces of work: go on, wait while live is behind, or end.

        Raises:
            PausedError, CancelledError: if an operator wants that.
        """

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None:
        """How far this stage is; told at most once a second."""

    def log(self, text: str) -> None:
        """A line of the operation's log."""

    def result_of(self, key: str) -> Mapping[str, JsonValue]:
        """What an earlier stage has found; empty when it found nothing."""

    def report(self, *facts: Fact) -> None:
        """Tell the control plane."""


class OperationKind(Protocol):
    """One kind of operation. Stages are run in order; a stage that was begun before a crash is run again from its start."""

    @property
    def does(self) -> Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]]:
        """`StagePlanned.does` -> what does it: once, or again after a crash, with the same end. Returns what it found.

        What stages without a `partition` have found is the operation's result; a later one's word counts.
        """

    @property
    def parallel(self) -> Callable[[StagePlanned], bool]:
        """May it run beside its neighbours for which this is true as well?"""

    def plan(self, work: Work) -> Plan:
        """What will change, from what is there now; changes nothing and starts no Spark unless it must.

        Raises:
            RefusedError: if it cannot be done as asked.
        """

    def confirm_basis(self, work: Work) -> None:
        """Does what the plan rests on still hold? Asked before the first stage, not when it is gone on with.

        Raises:
            StaleError: if not.
        """

    def clean_up(self, work: Work) -> None:
        """Take back what a cancelled or failed run has left: shadow tables, holds. Again after a crash, with the same end."""

    def undo(self, work: Work) -> OperationAsked | None:
        """What undoes it, when it is done; None when nothing can."""
