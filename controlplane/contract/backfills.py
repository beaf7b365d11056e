"""What does a backfill, a rollback, a trial, a promotion or maintenance ask for? `OperationAsked.asked` by kind."""

from __future__ import annotations

from datetime import date  # noqa: TC003 (pydantic reads the annotation)
from enum import StrEnum
from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from controlplane.contract.frozen import Frozen


class BackfillSource(StrEnum):
    """Where a backfill's events come from."""

    HISTORY = "history"
    """The lake's own events, judged and enriched anew by today's definition."""
    REJECTS = "rejects"
    """Records that were turned away and that today's rules let through."""
    FILES = "files"


class BackfillAsked(Frozen):
    """Days of a stream's events anew."""

    stream: str
    source: BackfillSource = BackfillSource.HISTORY
    since: date | None = None
    until: date | None = None
    """Days of event time, both included; None: from the first, to the last."""
    files: tuple[str, ...] = Field((), max_length=10_000)
    """Paths or globs (Parquet, JSON lines, CSV, Avro), below a folder that TIDEGATE_BACKFILL_FILES names."""
    order: Literal["newest", "oldest"] = "newest"
    parallel: int = Field(2, ge=1, le=16)
    """Partitions at once."""
    max_lag_s: float = Field(30.0, gt=0)
    """It waits while a live query of the stream is further behind than this."""

    @model_validator(mode="after")
    def _files_when_files(self) -> Self:
        if (self.source is BackfillSource.FILES) != bool(self.files):
            raise ValueError("files: name them for source `files`, and for no other")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError(f"since {self.since} is after until {self.until}")
        return self


class RollbackAsked(Frozen):
    """A stream's tables, checkpoint, transaction epoch and ClickHouse to one version, together."""

    stream: str
    version: int | None = Field(None, ge=0)
    """Of the events table."""
    to: AwareDatetime | None = None
    """Or as it was at this time."""
    then: Literal["hold", "replay"] = "replay"
    """Whether lake then waits for an operator, or goes on from the offsets that the version's commit named."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.version is None) == (self.to is None):
            raise ValueError("give a version or a time, one of the two")
        return self


class TrialAsked(Frozen):
    """A changed stream folder against today's on the same window of history."""

    stream: str
    folder: str
    """Path of the changed folder; below a root of streams or TIDEGATE_TRIALS."""
    since: AwareDatetime
    until: AwareDatetime
    """Of event time, `[since, until)`."""
    version: int | None = Field(None, ge=0)
    """Of the events table; None: the newest when it is planned."""
    examples: int = Field(20, ge=1, le=200)


class PromotionAsked(Frozen):
    """A trial's folder becomes today's, or what a promotion replaced does again."""

    stream: str
    trial: str | None = None
    """Id of the operation."""
    back: str | None = None
    """Id of a promotion that is to be taken back."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.trial is None) == (self.back is None):
            raise ValueError("give a trial, or a promotion to take back, one of the two")
        return self


class MaintenanceAsked(Frozen):
    """What is due now of a stream's tables, leftovers and topics."""

    stream: str
    table: str | None = Field(None, max_length=100)
    """Only this table, such as `events`, and nothing but tables."""
