"""What is due? Pure: tables as they are, what is left over, topics as they are, and `now` in; stages out.

What was hard is to leave alone what is well. Rewriting is dear and reading a few small files is cheap, so:

- A partition is compacted when it has `small_files` files below `small_file_bytes`, and only those are rewritten. The file
  that came out is left alone as soon as it is no longer small, so what the hot partition takes all day is rewritten a few
  times and not every hour.
- Z-order rewrites all files of a partition, so the newest partition of a partitioned table waits until the next one begins.
  Once in order, a partition is put in order again when a quarter of its bytes are newer.
- A table without rows for half of the promise is not rewritten: the newest log entry that names its source's offsets would
  be removed with the old log, and then nobody could say where the lake goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.durations import format_duration
from controlplane.contract.facts import Extent, MaintenanceStage
from pipeline.maintenance.promise import drifted
from pipeline.maintenance.stages import (
    Compact,
    DeleteFolder,
    KeepPromise,
    Note,
    Partition,
    Plan,
    SetTopic,
    Stage,
    Vacuum,
    label_of,
    size,
)
from pipeline.maintenance.tables import DataFile, Table, TableFacts, by_partition, extent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controlplane.contract.streams import Maintenance

_ORDERED_AGAIN_FROM = 0.25
"""Share of a partition's bytes that is newer than its Z-order."""


@dataclass(frozen=True)
class TopicSettings:
    """A topic's configuration: what the definition says and what the broker has."""

    topic: str
    should: Mapping[str, str]
    has: Mapping[str, str | None]


@dataclass(frozen=True)
class Leftover:
    """A folder that may be deleted once it is old enough."""

    kind: MaintenanceStage
    path: str
    extent: Extent
    since: datetime


@dataclass(frozen=True)
class Observed:
    """A stream as it is now."""

    stream: str
    policy: Maintenance
    tables: Sequence[tuple[Table, TableFacts | str]] = ()
    """With facts, or why there are none."""
    ordered_at: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """Table id and partition -> when it was last put in Z-order."""
    leftovers: Sequence[Leftover] = ()
    topics: Sequence[TopicSettings] | str = ()
    """Or why they are not known."""
    raw_retention: timedelta | None = None
    """As the broker has it; None when it is unknown or without end."""
    lag: timedelta | str = timedelta()
    """How far the lake is behind the raw topic, or why that is unknown."""


def plan(observed: Observed, now: datetime) -> Plan:
    """Everything that is due for a stream, in the order in which it is done."""
    stages: list[Stage] = []
    notes: list[Note] = []
    for table, facts in observed.tables:
        if isinstance(facts, str):
            notes.append(Note(stream=observed.stream, subject=table.name, text=facts))
            continue
        of_table = _Table(table, facts, observed, now)
        stages += of_table.stages()
        notes += of_table.notes
    stages += _leftovers(observed, now)
    stages += _topics(observed)
    notes += _kafka_notes(observed)
    return Plan(at=now, stages=tuple(stages), notes=tuple(notes))


class _Table:
    """What is due for one table."""

    def __init__(self, table: Table, facts: TableFacts, observed: Observed, now: datetime) -> None:
        self.table, self.facts, self.policy, self.now = table, facts, observed.policy, now
        self._ordered_at = observed.ordered_at
        self.notes: list[Note] = []

    def stages(self) -> list[Stage]:
        """In order: the promise first, because vacuum deletes by it; vacuum last."""
        found: list[Stage] = []
        if properties := drifted(self.facts.properties, self.policy, self.table.cluster_by):
            found.append(KeepPromise(**self._of(), properties=properties))
        if (idle := self._idle()) is None:
            found += self._rewrites()
        elif rewrites := self._rewrites():
            self._note(f"{len(rewrites)} partitions are left as they are: {idle}")
        return [*found, *self._vacuum()]

    def _idle(self) -> str | None:
        """Why the table is not rewritten; None when it may be."""
        at = self.facts.written_at
        if at is None:
            return "its log does not say when rows came last"
        if self.now - at > self.policy.time_travel / 2:
            return f"no row has come since {at:%Y-%m-%d %H:%M}, and the log must not forget where it came from"
        return None

    def _rewrites(self) -> list[Stage]:
        partitions = by_partition(self.facts.files)
        newest = next(reversed(partitions), ())
        found = (self._rewrite(each, files, is_hot=bool(each) and each == newest) for each, files in partitions.items())
        return [each for each in found if each is not None]

    def _rewrite(self, partition: Partition, files: Sequence[DataFile], *, is_hot: bool) -> Compact | None:
        small = [each for each in files if each.bytes < self.policy.small_file_bytes]
        is_due = len(small) >= self.policy.small_files
        if self.table.cluster_by and not is_hot and len(files) > 1 and (is_due or partition):
            newer = extent_of(each for each in files if self._is_newer(partition, each)).bytes
            if newer and newer >= _ORDERED_AGAIN_FROM * extent_of(files).bytes:
                return self._compact(MaintenanceStage.CLUSTER, partition, files, self.table.cluster_by)
        if not is_due:
            return None
        if self.table.cluster_by and is_hot:
            self._note(f"{label_of(partition)} is put in order once the next partition has begun")
        return self._compact(MaintenanceStage.COMPACT, partition, small)

    def _is_newer(self, partition: Partition, file: DataFile) -> bool:
        at = self._ordered_at.get((self.facts.id, label_of(partition)))
        return at is None or file.at > at

    def _compact(
        self, kind: MaintenanceStage, partition: Partition, files: Iterable[DataFile], cluster_by: tuple[str, ...] = ()
    ) -> Compact:
        before = extent_of(files)
        return Compact(
            kind=kind,
            **self._of(),
            partition=partition,
            before=before,
            into=max(1, -(-before.bytes // self.policy.target_file_bytes)),
            small_file_bytes=self.policy.small_file_bytes,
            target_file_bytes=self.policy.target_file_bytes,
            cluster_by=cluster_by,
        )

    def _vacuum(self) -> list[Stage]:
        dead = self.facts.dead
        if dead.files >= self.policy.small_files:
            return [Vacuum(**self._of(), before=dead, promise=self.policy.time_travel)]
        if dead.files:
            self._note(
                f"{dead.files} files of {size(dead.bytes)} wait to be deleted until they are {self.policy.small_files}"
            )
        return []

    def _of(self) -> dict[str, str]:
        return {"stream": self.table.stream, "table": self.table.name, "path": self.table.path}

    def _note(self, text: str) -> None:
        self.notes.append(Note(stream=self.table.stream, subject=self.table.name, text=text))


def _leftovers(observed: Observed, now: datetime) -> list[Stage]:
    """A checkpoint is kept as long as a version: it may be wanted back. Temporary files are of no use to anyone."""
    return [
        DeleteFolder(
            kind=each.kind,
            stream=None if each.kind is MaintenanceStage.SCRATCH else observed.stream,
            path=each.path,
            before=each.extent,
            since=each.since,
        )
        for each in observed.leftovers
        if each.kind is MaintenanceStage.SCRATCH or now - each.since > observed.policy.time_travel
    ]


def _topics(observed: Observed) -> list[Stage]:
    if isinstance(observed.topics, str):
        return []
    found: list[Stage] = []
    for each in observed.topics:
        wrong = {key: value for key, value in each.should.items() if each.has.get(key) != value}
        if wrong:
            was = {key: each.has.get(key) for key in wrong}
            found.append(SetTopic(stream=observed.stream, topic=each.topic, was=was, should=wrong))
    return found


def _kafka_notes(observed: Observed) -> Iterable[Note]:
    if isinstance(observed.topics, str):
        yield Note(stream=observed.stream, subject="topics", text=observed.topics)
        return
    if isinstance(observed.lag, str):
        yield Note(stream=observed.stream, subject="raw retention", text=f"the lake's lag is unknown: {observed.lag}")
    elif observed.raw_retention is not None and observed.raw_retention < observed.lag:
        text = (
            f"raw keeps events for {format_duration(observed.raw_retention)}, and the lake is "
            f"{format_duration(timedelta(seconds=round(observed.lag.total_seconds())))} behind: events will be lost"
        )
        yield Note(stream=observed.stream, subject="raw retention", text=text, is_warning=True)
