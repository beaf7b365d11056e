"""What does a trial find? The result of a changed stream folder against today's, on the same events.

Counts are of all rows; examples are some of them, and never more than were asked for. A number that could not be had is None, and
`notes` says why. All of it fits into an operation's result; every row that differs is in the trial's own tables.
"""

from __future__ import annotations

import re
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from controlplane.contract.frozen import Frozen
from controlplane.contract.gates import Outcome, Stage

TRIALS = "trials"
"""Folder in the data folder: what each trial keeps, by the operation's id."""
FOLDERS = "folders"
"""Below it: stream folders that were sent for a trial, unless TIDEGATE_TRIALS names another place."""
TODAY, CHANGED = "today", "changed"
"""The two sides, and what their tables are called by."""
FOLDERS_PATH = "/api/v1/trials/folders"
FILE_OF_A_FOLDER = re.compile(
    r"stream\.yaml|schema\.avsc|suite\.json|README\.md|reference/[A-Za-z0-9_][A-Za-z0-9_.-]*\.(csv|parquet|md)"
)
"""Paths that a stream folder is made of."""
MOST_FILES = 64
MOST_BYTES = 8 * 2**20
"""Of a folder that is sent, all of its files together."""


class FileSent(Frozen):
    """A file of a folder that is sent for a trial; one of the two."""

    text: str | None = None
    base64: str | None = None
    """For what is no text, such as Parquet."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.text is None) == (self.base64 is None):
            raise ValueError("give text or base64, one of the two")
        return self


class FolderSent(Frozen):
    """A changed stream folder."""

    stream: str
    files: dict[str, FileSent]
    """By their paths: `stream.yaml`, `schema.avsc`, `suite.json`, `reference/<name>.csv` or `.parquet`."""


class FolderTaken(Frozen):
    """Where it is; `TrialAsked.folder`."""

    folder: str
    digest: str
    """Of all that is in it."""


class Mistake(Frozen):
    """One mistake in a stream folder."""

    file: str
    field: str
    what: str
    fix: str


class Definition(Frozen):
    """One side."""

    digest: str
    """Of every file in the folder."""
    suites: dict[Stage, str]
    """Fingerprints."""
    references: str | None = None
    """Fingerprint of the reference tables; None where there are none."""


class SchemaDiffers(Frozen):
    """A difference between the schemas of valid events."""

    field: str
    change: str
    sentence: str
    breaks: tuple[str, ...] = ()
    """In which ways a registry would refuse it."""


class RuleCounts(Frozen):
    """What a rule turned away; None: that side has no such rule."""

    rule: str
    today: int | None
    changed: int | None


class RowExample(Frozen):
    """A row that one side lets through and the other does not."""

    key: dict[str, str | None]
    at: AwareDatetime
    """Event time."""
    accepted_by: str
    because: str
    """Why the other side turned it away."""


class RowsCompared(Frozen):
    """Rows of the window."""

    history: int
    """Of the lake's events."""
    rejects: int | None
    """Records that were turned away once and whose event time is in the window by one of the sides; None: not looked at."""
    today: int
    changed: int
    """Accepted."""
    both: int
    only_today: int
    only_changed: int
    rules: tuple[RuleCounts, ...] = ()
    examples: tuple[RowExample, ...] = ()


class ValueExample(Frozen):
    """A value on both sides; None is null."""

    key: dict[str, str | None]
    at: AwareDatetime | None = None
    today: str | None
    changed: str | None


class ColumnCompared(Frozen):
    """A column that both sides have."""

    column: str
    differ: int
    of: int
    """Rows that both sides let through."""
    examples: tuple[ValueExample, ...] = ()


class ColumnOfOne(Frozen):
    """A column that only one side has."""

    column: str
    side: str
    filled: int
    """Rows in which it is not null."""


class MeasureCompared(Frozen):
    """A measure of the windows that both sides have."""

    measure: str
    differ: int
    of: int
    largest: float | None = None
    """Largest absolute difference; None where nothing differs by a number."""
    examples: tuple[ValueExample, ...] = ()
    """The largest differences first."""


class ChartPoint(Frozen):
    """All dimensions of one stretch of time together: the sum of the rollup's first measure that can be added."""

    at: AwareDatetime
    today: float | None
    changed: float | None


class RollupCompared(Frozen):
    """A rollup's windows by dimensions; None: that side has no such rollup."""

    rollup: str
    today: int | None
    changed: int | None
    both: int = 0
    only_today: int = 0
    only_changed: int = 0
    measures: tuple[MeasureCompared, ...] = ()
    charted: str | None = None
    """Which measure `chart` is of."""
    chart: tuple[ChartPoint, ...] = ()
    note: str | None = None
    """Why windows were not compared one by one."""


class EntityCompared(Frozen):
    """An entity's rows; None: that side has no such entity."""

    entity: str
    today: int | None
    changed: int | None
    both: int = 0
    only_today: int = 0
    only_changed: int = 0
    differ: int = 0
    columns: dict[str, int] = Field(default_factory=dict)
    """Column -> entities in which it differs."""
    examples: tuple[ValueExample, ...] = ()
    note: str | None = None


class GateSaid(Frozen):
    """What one side's suite says of its own rows."""

    outcome: Outcome
    rows: int
    judged: int
    broken: dict[str, int | None] = Field(default_factory=dict)
    """Rule -> rows that break it; None where a rule is not about rows."""
    reason: str | None = None


class GateCompared(Frozen):
    """A stage's gate; None: that side has no suite for it."""

    stage: Stage
    table: str | None = None
    today: GateSaid | None
    changed: GateSaid | None


class SideCost(Frozen):
    """What one side cost, over all turns."""

    events: int
    """Of the lake, that went in; each turn counted."""
    cpu_s: float
    """Of the process and its JVM, while it was that side's turn."""
    took_s: float
    files: int
    bytes: int
    """Written, each turn counted."""

    @property
    def us_per_event(self) -> float | None:
        """CPU microseconds an event; None of no events."""
        return None if not self.events else 1e6 * self.cpu_s / self.events


class CostCompared(Frozen):
    """In turns, the order swapped from piece to piece."""

    turns: int
    today: SideCost
    changed: SideCost


class TrialFound(Frozen):
    """All that a trial found."""

    stream: str
    since: AwareDatetime
    until: AwareDatetime
    version: int
    """Of the events table."""
    rejects_version: int | None
    today: Definition
    changed: Definition
    schemas: tuple[SchemaDiffers, ...]
    rows: RowsCompared
    columns: tuple[ColumnCompared, ...]
    columns_of_one: tuple[ColumnOfOne, ...] = ()
    rollups: tuple[RollupCompared, ...] = ()
    entities: tuple[EntityCompared, ...] = ()
    gates: tuple[GateCompared, ...] = ()
    cost: CostCompared
    tables: dict[str, str] = Field(default_factory=dict)
    """Name -> path of the Delta tables that were kept."""
    notes: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    """What is different, a sentence each; empty: nothing is."""
