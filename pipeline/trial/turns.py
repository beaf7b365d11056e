"""What does a definition make of a piece of history, and what does it cost?

Both are run in one process, in turns, and who begins alternates: a JVM that has grown warm, or a file that the kernel has kept,
helps the second one. What is measured is the way of a valid event: read, join, judge, encode, decode, write. What was turned
away is written after that and not counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
from delta.tables import DeltaTable
from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION
from controlplane.contract.trials import CHANGED, TODAY, SideCost
from pipeline.lake.append import write_events
from pipeline.trial.rows import REASON, RULES
from pipeline.trial.source import days_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from pydantic import JsonValue
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipeline.backfill.again import Again
    from pipeline.trial.source import Piece

EVENTS, TURNED_AWAY = "events", "turned_away"
"""Tables of a side, below its folder."""
_FILES = 2
_WARM_ROWS = 2000


@dataclass(frozen=True)
class Window:
    """What both sides read."""

    session: SparkSession
    events: str
    """Path of the lake's table."""
    version: int
    records: DataFrame | None
    """Records that were turned away, as Spark's Kafka source has them; None: there is no such table."""
    writers: Mapping[int, str]
    """Schema id -> Avro JSON of what producers write."""
    event_time: str
    """The field of both sides."""
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Side:
    """One definition, and where what it makes is kept."""

    name: str
    again: Again
    folder: Path

    def table(self, name: str) -> str:
        """Path of one of its tables."""
        return str(self.folder / name)


def warmed(window: Window, side: Side, piece: Piece) -> None:
    """Let the JVM meet a side's code once, on few rows, before anything is measured."""
    few = _history(window, piece).limit(_WARM_ROWS)
    side.again.rows(side.again.of_events(few)).write.format("noop").mode("overwrite").save()


def turn(window: Window, side: Side, piece: Piece, events: int) -> SideCost:
    """Write what a side makes of a piece, in place of what it has made of it before.

    Args:
        window: what is read.
        side: whose turn it is.
        piece: which days.
        events: how many the lake has in them.
    """
    made = _made(window, side, piece)
    began, cpu = time.monotonic(), cpu_s()
    where = f"{EVENT_DATE} >= DATE'{piece.first}' AND {EVENT_DATE} <= DATE'{piece.last}'"
    rows = side.again.rows(made)
    replaced = {"replaceWhere": where} if DeltaTable.isDeltaTable(window.session, side.table(EVENTS)) else {}
    write_events(rows, side.again.stream, side.table(EVENTS), files=_FILES, mode="overwrite", **replaced)
    took_s, cpu = time.monotonic() - began, cpu_s() - cpu
    files, size = _last_write(window.session, side.table(EVENTS))
    _turned_away(made, side, where if DeltaTable.isDeltaTable(window.session, side.table(TURNED_AWAY)) else None)
    return SideCost(events=events, cpu_s=cpu, took_s=took_s, files=files, bytes=size)


def in_order(number: int, sides: Mapping[str, Side]) -> tuple[Side, Side]:
    """Who begins in the piece of this number."""
    first, second = (TODAY, CHANGED) if number % 2 == 0 else (CHANGED, TODAY)
    return sides[first], sides[second]


def added(costs: list[Mapping[str, JsonValue]]) -> SideCost:
    """All turns of a side."""
    each = [SideCost.model_validate(cost) for cost in costs]
    return SideCost(
        events=sum(cost.events for cost in each),
        cpu_s=sum(cost.cpu_s for cost in each),
        took_s=sum(cost.took_s for cost in each),
        files=sum(cost.files for cost in each),
        bytes=sum(cost.bytes for cost in each),
    )


def cpu_s() -> float:
    """Seconds of CPU that this process and those it has started have used."""
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


def history_rows(window: Window, piece: Piece | None = None) -> int:
    """Events of the lake in the window, or in a piece of it."""
    return (_at(window) if piece is None else _history(window, piece)).count()


def _at(window: Window) -> DataFrame:
    events = window.session.read.format("delta").option("versionAsOf", window.version).load(window.events)
    first, last = days_of(window.since, window.until)
    inside = (sf.col(window.event_time) >= sf.lit(window.since)) & (sf.col(window.event_time) < sf.lit(window.until))
    return events.where(sf.col(EVENT_DATE).between(sf.lit(first), sf.lit(last)) & inside)


def _history(window: Window, piece: Piece) -> DataFrame:
    return _at(window).where(sf.col(EVENT_DATE).between(sf.lit(piece.first), sf.lit(piece.last)))


def _made(window: Window, side: Side, piece: Piece) -> DataFrame:
    at = side.again.stream.event_time.field
    made = side.again.of_events(_history(window, piece))
    if window.records is not None:
        made = made.unionByName(side.again.of_records(window.records, window.writers))
    return made.where(_inside(at, window) & sf.to_date(at).between(sf.lit(piece.first), sf.lit(piece.last)))


def _inside(at: str, window: Window) -> Column:
    return (sf.col(at) >= sf.lit(window.since)) & (sf.col(at) < sf.lit(window.until))


def _turned_away(made: DataFrame, side: Side, replaced: str | None) -> None:
    stream = side.again.stream
    at = stream.event_time.field
    kept = dict.fromkeys((SOURCE_PARTITION, SOURCE_OFFSET, *stream.key, at))
    rows = made.where(sf.col("reason").isNotNull()).select(
        *kept,
        sf.col("reason").alias(REASON),
        sf.coalesce("broken", sf.array().cast("array<string>")).alias(RULES),
        sf.to_date(at).alias(EVENT_DATE),
    )
    writer = rows.coalesce(1).write.format("delta").mode("overwrite").partitionBy(EVENT_DATE)
    writer.options(**({"replaceWhere": replaced} if replaced else {})).save(side.table(TURNED_AWAY))


def _last_write(session: SparkSession, path: str) -> tuple[int, int]:
    """Files and bytes of a table's newest commit."""
    [last] = DeltaTable.forPath(session, path).history(1).select("operationMetrics").collect()
    return int(last[0].get("numFiles", 0)), int(last[0].get("numOutputBytes", 0))
