"""What is the latest state of a thing? Upserts by MERGE, right whatever order the events come in.

Each thing keeps the event that is greatest by its ordering field, then by its place in the raw topic. That is a fold in which
order and repetition do not matter, so late, doubled and reordered events change nothing that they should not, and a batch
done twice is a batch done once. A thing that is gone stays as a tombstone: a late event must not revive it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME
from pipeline.maintenance.promise import STATS, promised, with_stats
from pipeline.tables.commit import committed, fingerprint, last_metrics
from pipeline.tables.windows import has_values

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from controlplane.contract.streams import Entity, StreamDefinition
    from pipeline.tables.cursor import Cursor
    from pipeline.tables.news import News

IS_DELETED = "tg_deleted"
"""Column of an entity's table: the thing is gone, this is its last event."""
_KEYS_NAMED = 200
"""So many keys are named in the condition, so that files that hold none of them are not read."""


def definition_of(entity: Entity) -> str:
    """Fingerprint of what an entity's rows are computed by."""
    return fingerprint({"entity": entity.model_dump(mode="json", include={"key", "ordering", "deleted_when"})})


@dataclass(frozen=True)
class Upserts:
    """What one MERGE did."""

    version: int
    cursor: Cursor
    events: int
    figures: dict[str, int]
    """Delta's operation metrics: rows and files updated, inserted, copied, added, removed; bytes."""
    took_s: float


@dataclass(frozen=True)
class EntityTable:
    """One entity of a stream."""

    session: SparkSession
    stream: StreamDefinition
    entity: Entity
    path: str

    @property
    def definition(self) -> str:
        """Fingerprint of what the rows are computed by."""
        return definition_of(self.entity)

    def follow(self, cursor: Cursor, news: News) -> Upserts | None:
        """Fold the new events in; None when there are none."""
        if not news.rows:
            return None
        began = time.monotonic()
        after = replace(cursor, events_version=news.version, seen=dict(news.seen))
        latest = self.latest(news.added)
        with committed(self.session, after):
            if cursor.events_version < 0:
                self._begin(latest)
            else:
                self._merge(latest)
        version, figures = last_metrics(self.session, self.path)
        return Upserts(version, after, news.rows, figures, time.monotonic() - began)

    def latest(self, events: DataFrame) -> DataFrame:
        """The greatest event of each key that has no null in it."""
        keys = [sf.col(each) for each in self.entity.key]
        has_key = reduce(and_, (key.isNotNull() for key in keys))
        order = sf.struct(*(sf.col(each) for each in self._order()))
        whole = sf.struct(*(sf.col(each) for each in events.columns))
        greatest = events.where(has_key).groupBy(*keys).agg(sf.max_by(whole, order).alias("tg_event"))
        return greatest.select("tg_event.*").withColumn(IS_DELETED, self._is_deleted())

    def _order(self) -> tuple[str, ...]:
        return (self.entity.ordering, SOURCE_TIME, SOURCE_PARTITION, SOURCE_OFFSET)

    def _is_deleted(self) -> Column:
        return has_values(self.stream, self.entity.deleted_when) if self.entity.deleted_when else sf.expr("false")

    def _begin(self, latest: DataFrame) -> None:
        (
            latest.coalesce(1)
            .write.format("delta")
            .mode("overwrite")
            .option("overwriteSchema", "true")
            .option("delta.enableDeletionVectors", str(self.entity.deletion_vectors).lower())
            .option(STATS, with_stats(self.entity.key, self.entity.cluster_by))
            .options(**promised(self.stream.maintenance))
            .save(self.path)
        )

    def _merge(self, latest: DataFrame) -> None:
        source = latest.persist()
        try:
            same = [sf.expr(f"t.`{key}` = s.`{key}`") for key in self.entity.key]
            is_newer = sf.expr(f"struct({self._columns('s')}) > struct({self._columns('t')})")
            (
                DeltaTable.forPath(self.session, self.path)
                .alias("t")
                .merge(source.alias("s"), reduce(and_, [*same, *self._named(source)]))
                .withSchemaEvolution()
                .whenMatchedUpdateAll(is_newer)
                .whenNotMatchedInsertAll()
                .execute()
            )
        finally:
            source.unpersist()

    def _columns(self, alias: str) -> str:
        return ", ".join(f"{alias}.`{each}`" for each in self._order())

    def _named(self, source: DataFrame) -> list[Column]:
        """A condition on the table alone, by which Delta leaves files out."""
        first = self.entity.key[0]
        found = source.select(first).distinct().limit(_KEYS_NAMED + 1).collect()
        return [sf.col(f"t.{first}").isin(*(row[0] for row in found))] if len(found) <= _KEYS_NAMED else []
