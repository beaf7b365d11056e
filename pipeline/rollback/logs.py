"""What does a table's log say of its versions? Read without Spark, as plain values that choices are made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pipeline.lake.commits import history_of
from pipeline.lake.lineage import Said, said_in
from pipeline.lake.offsets import ranges_in
from pipeline.tables.cursor import read as cursor_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pipeline.lake.offsets import Ranges
    from pipeline.tables.cursor import Cursor

_BRINGS_NOTHING = frozenset(("OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "ADD COLUMNS"))


@dataclass(frozen=True)
class Commit:
    """One version."""

    version: int
    at: datetime
    operation: str
    metadata: str | None = None
    """Its `userMetadata`."""

    @property
    def keeps_rows(self) -> bool:
        """Has it the rows of the version before?"""
        return self.operation in _BRINGS_NOTHING


@dataclass(frozen=True)
class Done:
    """A table before an operation has rolled it back, and since."""

    before: int
    version: int


@dataclass(frozen=True)
class Log:
    """A table's versions, as far back as its log goes."""

    commits: Mapping[int, Commit]

    @property
    def newest(self) -> int:
        """The highest version."""
        return max(self.commits)

    @cached_property
    def said(self) -> dict[int, Said]:
        """What each commit is besides what it changes."""
        return {at: said_in(commit.metadata) for at, commit in self.commits.items()}

    @cached_property
    def cursors(self) -> dict[int, Cursor]:
        """Of a table that follows: the versions that say how far it was."""
        found = {at: cursor_in(commit.metadata) for at, commit in self.commits.items()}
        return {at: cursor for at, cursor in found.items() if cursor is not None}

    def version_at(self, moment: datetime) -> int | None:
        """The newest one that had been committed by then; None if the log begins later."""
        return max((at for at, commit in self.commits.items() if commit.at <= moment), default=None)

    def cursor_at(self, version: int) -> Cursor | None:
        """How far a version of a table that follows was; None before its first."""
        at = max((each for each in self.cursors if each <= version), default=None)
        return None if at is None else self.cursors[at]

    def ranges_at(self, version: int) -> Ranges | None:
        """The source offsets that the newest commit names which names any; a rollback's names those of its version."""
        for at in sorted((each for each in self.commits if each <= version), reverse=True):
            if (found := ranges_in(self.commits[at].metadata)) is not None:
                return found
        return None

    def done_by(self, operation: str) -> Done | None:
        """What an operation has rolled the table back with; None when it has not.

        A process that was killed may have had its JVM commit a moment later, while the next one did the same.
        """
        said = {at: each.rollback for at, each in self.said.items()}
        mine = [at for at, rollback in said.items() if rollback is not None and rollback.operation == operation]
        return Done(min(mine) - 1, max(mine)) if mine else None


def log_of(history: Iterable[Mapping[str, Any]]) -> Log:
    """Of a history as deltalake gives it."""
    return Log(
        {
            int(each["version"]): Commit(
                int(each["version"]),
                datetime.fromtimestamp((each.get("timestamp") or 0) / 1000, UTC),
                str(each.get("operation")),
                each.get("userMetadata"),
            )
            for each in history
        }
    )


def read_log(path: str) -> Log | None:
    """A table's; None when there is no table.

    Raises:
        DeltaError: if it cannot be read.
    """
    try:
        return log_of(history_of(DeltaTable(path)))
    except TableNotFoundError:
        return None
