"""How is a stage carried out? Delta's own commands through Spark, which is started for the first stage that needs it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from deltalake import DeltaTable

from controlplane.contract.facts import Extent, MaintenanceStage
from pipeline.maintenance.folders import delete, extent
from pipeline.maintenance.promise import FILES, length_of
from pipeline.maintenance.stages import Compact, DeleteFolder, KeepPromise, SetTopic, Vacuum, label_of
from pipeline.maintenance.tables import dead, extent_of, files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from pipeline.maintenance.kept import Kept
    from pipeline.maintenance.stages import Partition, Stage
    from pipeline.maintenance.topics import Topics

_LISTING_TASKS = 4


class ChangedMeanwhileError(Exception):
    """Somebody else's commit made this one impossible; trying again may do."""


class RefusedError(Exception):
    """The stage would break a promise; says which."""


@dataclass(frozen=True)
class Done:
    """What a stage has done."""

    before: Extent | None = None
    after: Extent | None = None
    version: int | None = None


class Acts(Protocol):
    """Carries stages out."""

    def perform(self, stage: Stage) -> Done:
        """Carry one out.

        Raises:
            ChangedMeanwhileError: if it may do when tried again.
            Exception: whatever else went wrong; the next stage can still be tried.
        """


class FakeActs:
    """Notes what it is asked for; raises what it is told to, once each."""

    def __init__(self, *raises: Exception) -> None:
        self.performed: list[Stage] = []
        self._raises = list(raises)

    def perform(self, stage: Stage) -> Done:
        """See `Acts`."""
        self.performed.append(stage)
        if self._raises:
            raise self._raises.pop(0)
        return Done(Extent(files=2, bytes=20), Extent(files=1, bytes=19), 7)


class SparkActs:
    """The real thing. `stop` ends the session, if one was needed."""

    def __init__(self, session: Callable[[], SparkSession], topics: Topics, kept: Kept) -> None:
        self._open = session
        self._session: SparkSession | None = None
        self._topics = topics
        self._kept = kept

    def perform(self, stage: Stage) -> Done:
        """See `Acts`."""
        match stage:
            case KeepPromise():
                return self._keep_promise(stage)
            case Compact():
                return self._compact(stage)
            case Vacuum():
                return self._vacuum(stage)
            case DeleteFolder():
                return _delete(stage)
            case SetTopic():
                self._topics.change(stage.topic, stage.should)
                return Done()

    def stop(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.stop()

    def _spark(self) -> SparkSession:
        self._session = self._session or self._open()
        return self._session

    def _keep_promise(self, stage: KeepPromise) -> Done:
        properties = ", ".join(f"'{key}' = '{value}'" for key, value in stage.properties.items())
        with _as_ours():
            self._spark().sql(f"ALTER TABLE delta.`{stage.path}` SET TBLPROPERTIES ({properties})")
        return Done(version=DeltaTable(stage.path).version())

    def _compact(self, stage: Compact) -> Done:
        from delta.tables import DeltaTable as SparkTable

        before = _active(stage.path, stage.partition)
        spark = self._spark()
        spark.conf.set("spark.databricks.delta.optimize.minFileSize", str(stage.small_file_bytes))
        spark.conf.set("spark.databricks.delta.optimize.maxFileSize", str(stage.target_file_bytes))
        optimize = SparkTable.forPath(spark, stage.path).optimize()
        optimize = optimize.where(_predicate(stage.partition)) if stage.partition else optimize
        with _as_ours():
            if stage.cluster_by:
                # Else rows are near each other by file only, and a file's row groups can't be left out.
                spark.conf.set("spark.databricks.io.skipping.mdc.sortWithinFiles", "true")
                optimize.executeZOrderBy(list(stage.cluster_by))
            else:
                optimize.executeCompaction()
        table = DeltaTable(stage.path)
        if stage.kind is MaintenanceStage.CLUSTER:
            self._kept.note_order(str(table.metadata().id), label_of(stage.partition), datetime.now(UTC))
        return Done(before, _active(stage.path, stage.partition), table.version())

    def _vacuum(self, stage: Vacuum) -> Done:
        """By the table's own property, which is exact to the second; a retention in the command is rounded to hours."""
        table = DeltaTable(stage.path)
        kept = length_of(table.metadata().configuration.get(FILES))
        if kept is None or kept < stage.promise:
            raise RefusedError(f"the table's {FILES} is {kept or 'not set'}: shorter than what is promised")
        before = dead(table, stage.promise)
        spark = self._spark()
        # Its entries in the log would push out the lake's own, which say where it goes on.
        spark.conf.set("spark.databricks.delta.vacuum.logging.enabled", "false")
        # How many tasks list the folders, and look for what is deleted: by default thousands, most of them with nothing to do.
        spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", str(_LISTING_TASKS))
        with _as_ours():
            spark.sql(f"VACUUM delta.`{stage.path}`")
        table = DeltaTable(stage.path)
        return Done(before, dead(table, stage.promise), table.version())


def _delete(stage: DeleteFolder) -> Done:
    before = extent(Path(stage.path))
    delete(stage.path)
    return Done(before, extent(Path(stage.path)))


def _active(path: str, partition: Partition) -> Extent:
    return extent_of(each for each in files_of(DeltaTable(path)) if each.partition == partition)


def _predicate(partition: Partition) -> str:
    return " AND ".join(
        f"`{column}` " + ("IS NULL" if value is None else f"= {_quoted(value)}") for column, value in partition
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def _as_ours() -> Iterator[None]:
    """Delta's errors of concurrent writers as `ChangedMeanwhileError`."""
    from delta import exceptions

    theirs: Any = (
        exceptions.ConcurrentAppendException,
        exceptions.ConcurrentDeleteDeleteException,
        exceptions.ConcurrentDeleteReadException,
        exceptions.ConcurrentTransactionException,
        exceptions.ConcurrentWriteException,
        exceptions.DeltaConcurrentModificationException,
        exceptions.MetadataChangedException,
        exceptions.ProtocolChangedException,
    )
    try:
        yield
    except theirs as error:
        raise ChangedMeanwhileError(str(error).splitlines()[0]) from error
