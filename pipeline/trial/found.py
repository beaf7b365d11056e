"""What has a trial found? From the tables that both sides have written to one result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.differences import differences as schema_differences
from controlplane.contract.gates import Policy, Stage
from controlplane.contract.names import lake_entity, lake_rollup
from controlplane.contract.rollups import WINDOW_START
from controlplane.contract.trials import (
    CHANGED,
    TODAY,
    Definition,
    GateCompared,
    GateSaid,
    RowsCompared,
    SchemaDiffers,
)
from controlplane.contract.valid import valid_schema
from pipeline.lake.sample import columns_read, frame_of
from pipeline.references.fingerprint import fingerprint_of
from pipeline.route.definition import digest_of
from pipeline.tables.entities import EntityTable
from pipeline.tables.windows import added_up, as_rows, counted, in_windows
from pipeline.trial.rows import (
    PLACE,
    columns_compared,
    columns_of_one,
    compared_columns,
    counts,
    differences,
    joined,
    row_examples,
    rule_counts,
)
from pipeline.trial.turns import EVENTS, TURNED_AWAY
from pipeline.trial.windows import entity_compared, rollup_compared

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.rules import RowRule
    from controlplane.contract.streams import StreamDefinition
    from controlplane.contract.trials import ColumnCompared, ColumnOfOne, EntityCompared, RollupCompared
    from pipeline.gate import Gate, Suite
    from pipeline.trial.turns import Side

DIFFERENCES = "differences"
"""Delta table of every value that differs, below the trial's folder."""
_WINDOWS_JUDGED = 50_000


def definition(stream: StreamDefinition) -> Definition:
    """A side in short."""
    return Definition(
        digest=digest_of(stream.folder),
        suites={stage: stream.fingerprint(stage) for stage in stream.suites},
        references=fingerprint_of(stream) if stream.enrich else None,
    )


def schemas_compared(today: StreamDefinition, changed: StreamDefinition) -> tuple[SchemaDiffers, ...]:
    """Of what route writes."""
    return tuple(
        SchemaDiffers(field=each.field, change=each.change, sentence=each.sentence, breaks=tuple(each.breaks))
        for each in schema_differences(valid_schema(today), valid_schema(changed))
    )


def rows_compared(
    session: SparkSession, today: Side, changed: Side, folder: Path, examples: int
) -> tuple[RowsCompared, tuple[ColumnCompared, ...], tuple[ColumnOfOne, ...]]:
    """Rows and columns; every value that differs is kept in `DIFFERENCES`."""
    tables = {side.name: _table(session, side, EVENTS) for side in (today, changed)}
    away = {side.name: _table(session, side, TURNED_AWAY) for side in (today, changed)}
    stream, other = today.again.stream, changed.again.stream
    key = [each for each in stream.key if each in tables[CHANGED].columns]
    at = stream.event_time.field
    both = joined(tables[TODAY], tables[CHANGED]).persist()
    try:
        found = counts(both)
        columns = compared_columns(tables[TODAY].columns, tables[CHANGED].columns)
        kept = str(folder / DIFFERENCES)
        differences(both, columns, key, at).write.format("delta").mode("overwrite").save(kept)
        rules = tuple(frozenset(rule.name for rule in _judged_by(each)) for each in (stream, other))
        rows = RowsCompared(
            history=0,
            rejects=None,
            today=found.today,
            changed=found.changed,
            both=found.both,
            only_today=found.today - found.both,
            only_changed=found.changed - found.both,
            rules=rule_counts(away[TODAY], away[CHANGED], (rules[0], rules[1])),
            examples=row_examples(both, found, away, key, at, examples),
        )
        values = session.read.format("delta").load(kept)
        return rows, columns_compared(values, columns, found.both, examples), columns_of_one(*tables.values())
    finally:
        both.unpersist()


def _judged_by(stream: StreamDefinition) -> tuple[RowRule, ...]:
    return () if stream.gates.ingest.policy is Policy.PASS else stream.row_rules


def tried(session: SparkSession, today: Side, changed: Side) -> DataFrame:
    """Places that either side has met."""
    frames = [_table(session, side, name).select(*PLACE) for side in (today, changed) for name in (EVENTS, TURNED_AWAY)]
    found = frames[0]
    for each in frames[1:]:
        found = found.union(each)
    return found.distinct()


def write_tables(session: SparkSession, side: Side) -> None:
    """A side's entities and rollups of the whole window; all windows, also those that live would leave open."""
    events, stream = _table(session, side, EVENTS), side.again.stream
    for name, rollup in stream.rollups.items():
        found = added_up(in_windows(counted(events, stream, rollup, {}), rollup), stream, rollup, None)
        _write(as_rows(found, rollup), side.table(lake_rollup(name)))
    for name, entity in stream.entities.items():
        path = side.table(lake_entity(name))
        _write(EntityTable(session, stream, entity, path).latest(events), path)


def _write(rows: DataFrame, path: str) -> None:
    writer = rows.coalesce(1).write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.save(path)


def rollups_compared(session: SparkSession, today: Side, changed: Side, examples: int) -> tuple[RollupCompared, ...]:
    """Every rollup that a side has."""
    mine, other = today.again.stream.rollups, changed.again.stream.rollups
    return tuple(
        rollup_compared(
            name,
            (mine.get(name), other.get(name)),
            (
                _table(session, today, lake_rollup(name)) if name in mine else None,
                _table(session, changed, lake_rollup(name)) if name in other else None,
            ),
            examples,
        )
        for name in dict.fromkeys((*mine, *other))
    )


def entities_compared(session: SparkSession, today: Side, changed: Side, examples: int) -> tuple[EntityCompared, ...]:
    """Every entity that a side has."""
    mine, other = today.again.stream.entities, changed.again.stream.entities
    return tuple(
        entity_compared(
            name,
            (mine.get(name), other.get(name)),
            (
                _table(session, today, lake_entity(name)) if name in mine else None,
                _table(session, changed, lake_entity(name)) if name in other else None,
            ),
            examples,
        )
        for name in dict.fromkeys((*mine, *other))
    )


def gates_compared(session: SparkSession, today: Side, changed: Side, gate: Gate) -> tuple[GateCompared, ...]:
    """What the suites of lake and rollups would have said; each side's of its own rows."""
    gate.prepare()
    gate.await_ready()
    rollups = dict.fromkeys((*today.again.stream.rollups, *changed.again.stream.rollups))
    asked = [(Stage.LAKE, None), *((Stage.ROLLUP, name) for name in rollups)]
    found = [
        GateCompared(
            stage=stage,
            table=table,
            today=_said(session, today, stage, table, gate),
            changed=_said(session, changed, stage, table, gate),
        )
        for stage, table in asked
    ]
    return tuple(each for each in found if each.today is not None or each.changed is not None)


def _said(session: SparkSession, side: Side, stage: Stage, table: str | None, gate: Gate) -> GateSaid | None:
    stream = side.again.stream
    suite = stream.suites.get(stage)
    if not suite or (table is not None and table not in stream.rollups):
        return None
    rows, sample = _looked_at(session, side, table, suite)
    policy = stream.gates.lake.policy if stage is Stage.LAKE else stream.gates.rollup.policy
    found = gate.judge(suite, policy, sample, rows=rows, table=table)
    return GateSaid(
        outcome=found.outcome,
        rows=rows,
        judged=len(sample),
        broken={each.rule: each.unexpected for each in found.rules if each.kept is False},
        reason=found.reason,
    )


def _looked_at(session: SparkSession, side: Side, table: str | None, suite: Suite) -> tuple[int, pd.DataFrame]:
    """All of few rows, of many a share that follows from where each is from; of windows the newest."""
    stream = side.again.stream
    if table is not None:
        windows = _table(session, side, lake_rollup(table))
        return windows.count(), frame_of(windows.orderBy(WINDOW_START, ascending=False).limit(_WINDOWS_JUDGED), None)
    events, most = _table(session, side, EVENTS), stream.gates.lake.sample
    rows = events.count()
    if rows > most:
        events = events.where(sf.pmod(sf.xxhash64(*PLACE), sf.lit(-(-rows // most))) == 0).limit(most)
    return rows, frame_of(events, columns_read(suite))


def _table(session: SparkSession, side: Side, name: str) -> DataFrame:
    return session.read.format("delta").load(side.table(name))
