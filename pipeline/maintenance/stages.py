"""What can maintenance do? Plain records: the plan lists them, `tidegate maintain plan` prints them, the run walks them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from controlplane.contract.durations import Duration, format_duration
from controlplane.contract.facts import Extent, MaintenanceStage
from controlplane.contract.frozen import Frozen

Partition = tuple[tuple[str, str | None], ...]
"""Column and value of each partition column; empty for a table without partitions."""


def label_of(partition: Partition) -> str:
    """As Delta names its folder: `event_date=2026-01-01`; empty for a table without partitions."""
    return "/".join(f"{column}={value}" for column, value in partition)


class _OfTable(Frozen):
    stream: str
    table: str
    path: str
    """Of the Delta table."""

    @property
    def subject(self) -> str:
        """What the stage is about."""
        return self.table


class KeepPromise(_OfTable):
    """Set the table properties that keep files and log of every version in the promise."""

    kind: Literal[MaintenanceStage.PROMISE] = MaintenanceStage.PROMISE
    properties: dict[str, str]

    @property
    def what(self) -> str:
        """One sentence."""
        return f"set {', '.join(f'{key} to {value}' for key, value in self.properties.items())}"


class Compact(_OfTable):
    """Rewrite a partition's small files as few large ones; with `cluster_by`, all of its files, in Z-order."""

    kind: Literal[MaintenanceStage.COMPACT, MaintenanceStage.CLUSTER]
    partition: Partition
    before: Extent
    """What is rewritten."""
    into: int
    """About how many files will come out."""
    small_file_bytes: int
    target_file_bytes: int
    cluster_by: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """One sentence."""
        where = f"{label_of(self.partition)}: " if self.partition else ""
        small = "small files" if self.kind is MaintenanceStage.COMPACT else "files"
        order = f", near in {', '.join(self.cluster_by)}" if self.cluster_by else ""
        return f"{where}{self.before.files:,} {small} of {size(self.before.bytes)} to about {self.into:,}{order}"


class Vacuum(_OfTable):
    """Delete the files that no version in the promise needs."""

    kind: Literal[MaintenanceStage.VACUUM] = MaintenanceStage.VACUUM
    before: Extent
    """Files that are on disk and needed by no version in the promise."""
    promise: Duration

    @property
    def what(self) -> str:
        """One sentence."""
        return (
            f"delete {self.before.files:,} files of {size(self.before.bytes)} that no version of the last "
            f"{format_duration(self.promise)} needs"
        )


class DeleteFolder(Frozen):
    """Delete a checkpoint that was set aside, or temporary files of a process that is gone."""

    kind: Literal[MaintenanceStage.CHECKPOINT, MaintenanceStage.SCRATCH]
    stream: str | None
    path: str
    before: Extent
    since: AwareDatetime
    """When it was set aside, or last written."""

    @property
    def subject(self) -> str:
        """What the stage is about."""
        return self.path.rstrip("/").rpartition("/")[2]

    @property
    def what(self) -> str:
        """One sentence."""
        why = "set aside" if self.kind is MaintenanceStage.CHECKPOINT else "left by a process that is gone"
        return (
            f"delete {self.before.files:,} files of {size(self.before.bytes)}, {why} since {self.since:%Y-%m-%d %H:%M}"
        )


class SetTopic(Frozen):
    """Set a topic's configuration as the stream's definition says."""

    kind: Literal[MaintenanceStage.TOPIC] = MaintenanceStage.TOPIC
    stream: str
    topic: str
    was: dict[str, str | None]
    should: dict[str, str]

    @property
    def subject(self) -> str:
        """What the stage is about."""
        return self.topic

    @property
    def what(self) -> str:
        """One sentence."""
        return ", ".join(
            f"{key} from {self.was.get(key) or 'nothing'} to {value}" for key, value in self.should.items()
        )


Stage = Annotated[KeepPromise | Compact | Vacuum | DeleteFolder | SetTopic, Field(discriminator="kind")]


class Note(Frozen):
    """Something that a reader of the plan should know and that no stage mends."""

    stream: str
    subject: str
    text: str
    is_warning: bool = False


class Plan(Frozen):
    """What is due now, in the order in which it is done."""

    at: AwareDatetime
    stages: tuple[Stage, ...] = ()
    notes: tuple[Note, ...] = ()


def size(count: float) -> str:
    """Bytes as people read them: `12.3 MiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 (a binary unit)
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def extent_words(extent: Extent) -> str:
    """Such as `144 files of 17.0 MiB`."""
    return f"{extent.files:,} file{'' if extent.files == 1 else 's'} of {size(extent.bytes)}"
