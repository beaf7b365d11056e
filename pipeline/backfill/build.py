"""How is a unit of work (a day, a file) built into the shadow? In bounded pieces, so that a pause comes within seconds.

What route would turn away today is not lost: it is written beside, as the table of diverted records has it. It is looked for only
when fewer rows came out than went in, because it means to judge the unit a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf
from pyspark.sql.types import StructType

from controlplane.contract.gates import Stage
from controlplane.contract.names import EVENT_DATE, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME, Hop
from controlplane.contract.rejects import ID, REJECT_COLUMNS
from pipeline.backfill.again import RECORD
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pydantic import JsonValue
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipeline.backfill.again import Again
    from pipeline.backfill.look import DataFile, EventsAt
    from pipeline.backfill.storage import Shadow
    from pipeline.operate.kind import Work

PIECE_ROWS = 250_000
"""Rows of a piece: one file of the events table, two seconds of one core."""
ROWS, REFUSED = "rows", "refused"
"""Folders of a unit: what comes into the lake, and what does not."""


@dataclass(frozen=True)
class Piece:
    """Some files, or a share of the rows of a large one."""

    files: Sequence[DataFile]
    share: int = 0
    of: int = 1

    @property
    def rows(self) -> int:
        """About so many."""
        return sum(each.rows for each in self.files) // self.of


def pieces_of(files: Iterable[DataFile], most: int = PIECE_ROWS) -> Iterator[Piece]:
    """Files as pieces of at most so many rows, about; a file with more is read several times, a share each time."""
    few: list[DataFile] = []
    for file in files:
        if few and sum(each.rows for each in few) + file.rows > most:
            yield Piece(few)
            few = []
        if file.rows > most:
            shares = -(-file.rows // most)
            yield from (Piece([file], share, shares) for share in range(shares))
        else:
            few.append(file)
    if few:
        yield Piece(few)


def read_piece(session: SparkSession, events: EventsAt, piece: Piece) -> DataFrame:
    """Rows of the events table, but for the day; columns that a file does not have are null."""
    schema = StructType.fromJson(events.schema)
    columns = StructType([each for each in schema.fields if each.name != EVENT_DATE])
    found = session.read.schema(columns).parquet(*(events.uri(each) for each in piece.files))
    return found if piece.of == 1 else found.where(sf.pmod(SOURCE_OFFSET, sf.lit(piece.of)) == piece.share)


@dataclass(frozen=True)
class Unit:
    """What is built as one, and from what."""

    name: str
    """Folder in the shadow."""
    rows: int
    """That go in; every one must come out again, here or there."""
    pieces: Sequence[Callable[[SparkSession], DataFrame]]
    """Each reads a piece, and makes it again: frames as `Again` gives them."""
    day: str | None = None
    """Of all its events, where that is known: then they need not be sorted by it."""
    is_parted: bool = False
    """Is what is set aside kept by day as well?"""


def built(work: Work, shadow: Shadow, again: Again, unit: Unit) -> dict[str, JsonValue]:
    """Build a unit, whole or again from its start.

    Raises:
        RefusedError: if a row can be neither kept nor set aside.
        PausedError, CancelledError: as `Work.check`.
    """
    session = work.session()
    session.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    for folder in (ROWS, REFUSED):
        shadow.forget(f"{unit.name}/{folder}")
    kept = 0
    for at, piece in enumerate(unit.pieces):
        work.check()
        name = f"{unit.name}/{ROWS}/{at}"
        _write(again.rows(piece(session)).coalesce(1), shadow.uri(name), unit.day)
        kept += sum(each.rows for each in shadow.files(name))
        work.progress(min(kept, unit.rows), unit.rows, "rows")
    refused = _set_aside(work, shadow, again, unit) if kept < unit.rows else 0
    if kept + refused != unit.rows:
        raise RefusedError(
            f"{unit.name}: {unit.rows:,} rows went in, {kept:,} came out and {refused:,} were turned away; nothing was changed"
        )
    work.progress(unit.rows, unit.rows, "rows")
    size = sum(each.bytes for each in shadow.files(f"{unit.name}/{ROWS}"))
    return {"rows": unit.rows, "kept": kept, "refused": refused, "bytes": size}


def _write(rows: DataFrame, uri: str, day: str | None) -> None:
    """By day, as the events table has them."""
    if day is None:
        rows.write.mode("overwrite").partitionBy(EVENT_DATE).parquet(uri)
    else:
        rows.drop(EVENT_DATE).write.mode("overwrite").parquet(f"{uri}/{EVENT_DATE}={day}")


def _set_aside(work: Work, shadow: Shadow, again: Again, unit: Unit) -> int:
    session, found = work.session(), 0
    for at, piece in enumerate(unit.pieces):
        work.check()
        name = f"{unit.name}/{REFUSED}/{at}"
        made = piece(session).where(sf.col("reason").isNotNull())
        day = (sf.to_date(again.stream.event_time.field).alias(EVENT_DATE),) if unit.is_parted else ()
        written = diverted(made, again, work.operation.id, *day).coalesce(1).write.mode("overwrite")
        (written.partitionBy(EVENT_DATE) if unit.is_parted else written).parquet(shadow.uri(name))
        found += sum(each.rows for each in shadow.files(name))
    lost = session.read.parquet(*(shadow.uri(f"{unit.name}/{REFUSED}/{at}") for at in range(len(unit.pieces))))
    unread = lost.where(sf.col("value").isNull()).select(SOURCE_PARTITION, SOURCE_OFFSET).limit(1).collect()
    if unread:
        raise RefusedError(
            f"{unit.name}: the event of raw record {unread[0][0]}:{unread[0][1]} lacks a field that today's schema requires, so it "
            "could be kept nowhere; give the field a default, or let it be null"
        )
    return found


def batch_of(operation: str) -> str:
    """What the table of diverted records calls those of a backfill; an order to release names it."""
    return f"backfill:{operation}"


def diverted(made: DataFrame, again: Again, operation: str, *more: Column) -> DataFrame:
    """Rows of the table `diverted`, of events that today's rules turn away; with more columns, if any."""
    now = datetime.now(UTC)
    place = (sf.col(SOURCE_PARTITION), sf.col(SOURCE_OFFSET))
    given = {
        ID: sf.concat_ws(":", sf.lit(Hop.LAKE.value), *place),
        "stage": sf.lit(Stage.INGEST.value),
        "reason": sf.col("reason"),
        "rules": sf.coalesce(sf.concat_ws(",", sf.col("broken")), sf.lit("")),
        "suite": sf.lit(again.stream.fingerprint(Stage.INGEST)),
        "partition": place[0],
        "offset": place[1],
        SOURCE_PARTITION: place[0],
        SOURCE_OFFSET: place[1],
        "schema_id": sf.lit(again.valid_id),
        "seen_at": sf.col(SOURCE_TIME),
        "rejected_at": sf.lit(now),
        "key": sf.lit(None),
        "value": sf.col(RECORD),
        "batch": sf.lit(batch_of(operation)),
        "day": sf.lit(now.date()),
    }
    return made.select(*(given[name].cast(kind).alias(name) for name, kind in REJECT_COLUMNS.items()), *more)
