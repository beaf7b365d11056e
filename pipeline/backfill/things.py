"""Which entities does a backfill change? Of each thing the event that is its latest then.

A thing whose latest event lies outside of the replaced days keeps it, unless a newer one has come. One whose latest event was
replaced has the replacement, if that is no older: it was the greatest of all before. Only where it is gone or older has the thing
to be looked for among all events: those are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import Column, DataFrame

    from pipeline.tables.entities import EntityTable

_IS_GONE = "tg_gone"


@dataclass(frozen=True)
class TouchedThings:
    """An entity, and the days whose events are replaced."""

    table: EntityTable
    days: Collection[str]
    """None of them when events are only added."""

    def changes(self, current: DataFrame, fresh: DataFrame, remaining: DataFrame) -> DataFrame:
        """Rows of the entity's table that have to be written, with `tg_gone` for those that have to go.

        Args:
            current: the table as it is.
            fresh: the latest event of each thing among those that are new, as `EntityTable.latest` gives them.
            remaining: all events, as they will be.
        """
        columns = [each for each in fresh.columns if each in current.columns]
        columns += [each for each in fresh.columns if each not in columns]
        old = _with_all(current, fresh).select(sf.struct(*columns).alias("o"), *self._keys(current, "o_key"))
        new = fresh.select(sf.struct(*columns).alias("n"), *self._keys(fresh, "n_key"))
        both = old.join(new, self._same_keys(), "full_outer")
        is_replaced = sf.coalesce(sf.col(f"o.{EVENT_DATE}").cast("string").isin(*sorted(self.days)), sf.lit(False))  # noqa: FBT003
        is_newer = self._order("n") > self._order("o")
        is_as_new = self._order("n") >= self._order("o")
        takes = sf.col("o").isNull() | sf.when(is_replaced, is_as_new).otherwise(is_newer)
        is_lost = sf.col("o").isNotNull() & is_replaced & ~sf.coalesce(is_as_new, sf.lit(False))  # noqa: FBT003
        differs = ~sf.col("n").eqNullSafe(sf.col("o"))
        taken = both.where(sf.col("n").isNotNull() & takes & differs).select("n.*")
        lost = both.where(is_lost).select(*(sf.col(f"o.{each}").alias(each) for each in self.table.entity.key))
        lost = lost.persist()
        if lost.isEmpty():
            return taken.withColumn(_IS_GONE, sf.lit(False))  # noqa: FBT003
        keys = list(self.table.entity.key)
        found = self.table.latest(remaining.join(sf.broadcast(lost), keys, "left_semi")).persist()
        gone = lost.join(found.select(*keys), keys, "left_anti")
        names = [*taken.columns]
        dead = current.join(sf.broadcast(gone), keys, "left_semi")
        return (
            taken.unionByName(found.select(*names), allowMissingColumns=True)
            .withColumn(_IS_GONE, sf.lit(False))  # noqa: FBT003
            .unionByName(dead.withColumn(_IS_GONE, sf.lit(True)), allowMissingColumns=True)  # noqa: FBT003
        )

    def write(self, changes: DataFrame) -> None:
        """Merge them into the entity's table."""
        same = [sf.expr(f"t.`{key}` = s.`{key}`") for key in self.table.entity.key]
        columns = [each for each in changes.columns if each != _IS_GONE]
        values: dict[str, str | Column] = {each: sf.col(f"s.`{each}`") for each in columns}
        (
            DeltaTable.forPath(self.table.session, self.table.path)
            .alias("t")
            .merge(changes.alias("s"), reduce(and_, same))
            .withSchemaEvolution()
            .whenMatchedDelete(sf.col(f"s.{_IS_GONE}"))
            .whenMatchedUpdate(set=values)
            .whenNotMatchedInsert(~sf.col(f"s.{_IS_GONE}"), values=values)
            .execute()
        )

    def _keys(self, frame: DataFrame, prefix: str) -> list[Column]:
        return [frame[key].alias(f"{prefix}_{at}") for at, key in enumerate(self.table.entity.key)]

    def _same_keys(self) -> Column:
        pairs = (sf.col(f"o_key_{at}") == sf.col(f"n_key_{at}") for at in range(len(self.table.entity.key)))
        return reduce(and_, pairs)

    def _order(self, side: str) -> Column:
        names = (self.table.entity.ordering, SOURCE_TIME, SOURCE_PARTITION, SOURCE_OFFSET)
        return sf.struct(*(sf.col(f"{side}.{each}") for each in names))


def _with_all(current: DataFrame, fresh: DataFrame) -> DataFrame:
    """The table with columns that it does not have yet."""
    frame = current
    for each in fresh.schema.fields:
        if each.name not in frame.columns:
            frame = frame.withColumn(each.name, sf.lit(None).cast(each.dataType))
    return frame
