"""How do events come in that the lake does not have: rows of files, and records that were turned away?

They have no place in the raw topic that anybody counts, so each gets one of its own: a negative partition, another one for each
backfill, and an offset that follows from the file and the row, or from the rejected record. So what is built again is the same.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import functions as sf

from controlplane.contract.names import EVENT_DATE, REJECTS, SOURCE_OFFSET, SOURCE_PARTITION, SOURCE_TIME
from controlplane.contract.operations import StagePlanned
from controlplane.contract.rejects import ID
from pipeline.backfill.build import Unit
from pipeline.backfill.files import check_columns, rows_of, sources
from pipeline.backfill.look import partitions_of
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark.sql import Column, DataFrame

    from controlplane.contract.settings import Settings
    from pipeline.backfill.scene import Scene

IDS = "ids"
"""Folder of a unit: ids of the rejected records that come in."""
_FILE_BITS, _PARTITION_BITS = 40, 44
_PIECE_ROWS = 250_000
_MARKED_AT_ONCE = 5_000
_QUALITY_WITHIN_S = 60.0
_BYTES_A_SECOND = 3_000_000
_ROWS_A_SECOND = 30_000


def partition_of(operation: str) -> int:
    """The partition of what a backfill brings: below 0, and hardly that of another one."""
    return -1 - (zlib.crc32(operation.encode()) & 0x7FFFFFFE)


# Files


def file_units(scene: Scene) -> list[StagePlanned]:
    """A stage a file, in the order of their names, or the other way round for `newest`.

    Raises:
        RefusedError: if one may not be read, or has not the stream's columns; names the file and the column.
    """
    found = sources(scene.work.settings.backfill_files, scene.asked.files)
    for each in found:
        check_columns(each, scene.stream)
    numbered = list(enumerate(found))
    return [
        StagePlanned(
            key=f"build:file-{number:05}",
            does="build",
            title=f"Bring in {each.name}",
            partition=each.name,
            given={"unit": f"file-{number:05}", "file": str(each.path), "name": each.name, "number": number},
            rows=each.rows,
            bytes=each.bytes,
            seconds=round(1 + (each.bytes / _BYTES_A_SECOND if each.rows is None else each.rows / _ROWS_A_SECOND), 1),
        )
        for number, each in (reversed(numbered) if scene.asked.order == "newest" else numbered)
    ]


def file_unit(scene: Scene, stage: StagePlanned) -> tuple[Unit, dict[str, int]]:
    """Read a file whole, leave out what the lake has and what lies outside of the days; what is left, and how many are not.

    Raises:
        BadRowError: at the first row that does not fit; nothing has changed.
    """
    given = stage.given
    name, path = str(given["unit"]), Path(str(given["file"]))
    [source] = [each for each in sources(scene.work.settings.backfill_files, [str(path)]) if each.path == path]
    read = _staged(scene, name, int(str(given["number"])), rows_of(source, scene.stream))
    session = scene.work.session()
    if not read:
        return Unit(name, 0, []), {"read": 0, "known": 0, "outside": 0}
    rows = session.read.parquet(scene.shadow.uri(f"{name}/read")).withColumn(
        EVENT_DATE, sf.to_date(scene.stream.event_time.field)
    )
    wanted = rows.where(_is_wanted(scene))
    inside = wanted.count()
    fresh = wanted.join(_known(scene, wanted), [*scene.stream.key, scene.stream.event_time.field], "left_anti")
    fresh.select(*rows.columns).write.mode("overwrite").parquet(scene.shadow.uri(f"{name}/fresh"))
    left = sum(each.rows for each in scene.shadow.files(f"{name}/fresh"))
    counts = {"read": read, "known": inside - left, "outside": read - inside}
    if not left:
        return Unit(name, 0, []), counts
    new = session.read.parquet(scene.shadow.uri(f"{name}/fresh"))
    shares = -(-left // _PIECE_ROWS)
    pieces = [
        (lambda _, share=share: scene.again.of_events(new.where(sf.pmod(SOURCE_OFFSET, sf.lit(shares)) == share)))
        for share in range(shares)
    ]
    return Unit(name, left, pieces), counts


def _staged(scene: Scene, unit: str, number: int, stretches: Iterator[tuple[int, pa.Table]]) -> int:
    """Write a file's rows beside, with where they came from; how many."""
    scene.shadow.forget(f"{unit}/read")
    at = scene.work.operation.at.replace(microsecond=scene.work.operation.at.microsecond // 1000 * 1000)
    partition, count = partition_of(scene.id), 0
    for part, (first, rows) in enumerate(stretches):
        scene.work.check()
        offsets = pa.array(range(first, first + rows.num_rows), pa.int64())
        base = pa.scalar(number << _FILE_BITS, pa.int64())
        added = {
            SOURCE_PARTITION: pa.array([partition] * rows.num_rows, pa.int32()),
            SOURCE_OFFSET: pc.add(offsets, base),
            SOURCE_TIME: pa.array([at] * rows.num_rows, pa.timestamp("us", "UTC")),
        }
        placed = pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **added})
        with scene.shadow.open(f"{unit}/read/{part:06}.parquet") as file:
            pq.write_table(placed, file)
        count += rows.num_rows
        scene.work.progress(count, None, "rows", "reading")
    return count


def _is_wanted(scene: Scene) -> Column:
    found = sf.lit(True)  # noqa: FBT003 (Spark's)
    if scene.asked.since is not None:
        found = found & (sf.col(EVENT_DATE) >= sf.lit(scene.asked.since))
    if scene.asked.until is not None:
        found = found & (sf.col(EVENT_DATE) <= sf.lit(scene.asked.until))
    return found


def _known(scene: Scene, rows: DataFrame) -> DataFrame:
    """Keys and times that the lake has, of the days that the rows are of."""
    [(first, last)] = rows.agg(sf.min(EVENT_DATE), sf.max(EVENT_DATE)).collect()
    there = scene.events_now(scene.events.version)
    if first is not None:
        there = there.where((sf.col(EVENT_DATE) >= sf.lit(first)) & (sf.col(EVENT_DATE) <= sf.lit(last)))
    return there.select(*scene.stream.key, scene.stream.event_time.field)


# Rejected records


def reject_units(scene: Scene) -> list[StagePlanned]:
    """A stage a day of the table `rejects`: of when the records were turned away, which says nothing of their own time.

    Raises:
        RefusedError: if nothing was ever turned away.
    """
    days = partitions_of(f"{scene.folder}/{REJECTS}", "day")
    if not days:
        raise RefusedError(f"{scene.asked.stream}: no record was ever turned away")
    return [
        StagePlanned(
            key=f"build:rejects-{day}",
            does="build",
            title=f"Bring in what was turned away on {day} and is let through today",
            partition=day,
            given={"unit": f"rejects-{day}", "day": day},
            rows=rows,
            bytes=size,
            seconds=round(2 + rows / _ROWS_A_SECOND, 1),
        )
        for day, (rows, size) in sorted(days.items(), reverse=scene.asked.order == "newest")
    ]


def reject_unit(scene: Scene, stage: StagePlanned) -> tuple[Unit, dict[str, int]]:
    """Records of a day that wait, and that today's definition lets through."""
    name, day = str(stage.given["unit"]), str(stage.given["day"])
    session = scene.work.session()
    version = int(scene.basis["rejects_version"])
    kept = session.read.format("delta").option("versionAsOf", version).load(f"{scene.folder}/{REJECTS}")
    mine = kept.where(sf.col("day") == sf.lit(day).cast("date"))
    settled = settled_of(scene.work.settings, scene.stream.name)
    if settled:
        mine = mine.where(~sf.col(ID).isin(*sorted(settled)))
    place = sf.shiftleft(sf.col(SOURCE_PARTITION).cast("bigint"), _PARTITION_BITS) + sf.col(SOURCE_OFFSET)
    records = mine.select(
        ID,
        "key",
        "value",
        sf.lit(partition_of(scene.id)).alias("partition"),
        place.alias("offset"),
        sf.col("seen_at").alias("timestamp"),
    ).persist()
    try:
        waiting = records.count()
        made = scene.again.of_records(records.drop(ID), scene.known.writers).where(sf.col("reason").isNull())
        made = made.withColumn(EVENT_DATE, sf.to_date(scene.stream.event_time.field)).where(_is_wanted(scene))
        made.drop("broken").write.mode("overwrite").parquet(scene.shadow.uri(f"{name}/fresh"))
        left = sum(each.rows for each in scene.shadow.files(f"{name}/fresh"))
        counts = {"waiting": waiting, "known": 0}
        if not left:
            return Unit(name, 0, []), counts
        fresh = session.read.parquet(scene.shadow.uri(f"{name}/fresh"))
        ids = records.select(ID, sf.col("offset").alias(SOURCE_OFFSET))
        fresh.join(ids, SOURCE_OFFSET).select(ID).write.mode("overwrite").parquet(scene.shadow.uri(f"{name}/{IDS}"))
    finally:
        records.unpersist()
    return Unit(name, left, [lambda _: fresh]), counts


def ids_of(scene: Scene) -> list[str]:
    """Ids of all rejected records that come in."""
    files = [each for unit in scene.units() for each in scene.shadow.files(f"{unit}/{IDS}")]
    return [str(one) for each in files for one in scene.shadow.read(each.path, [ID])[ID].to_pylist()]


def require_waiting(scene: Scene) -> None:
    """None of the records was replayed or discarded since they were built.

    Raises:
        RefusedError: if one was: it would come in twice.
    """
    settled = settled_of(scene.work.settings, scene.stream.name)
    done = [each for each in ids_of(scene) if each in settled]
    if done:
        raise RefusedError(
            f"{len(done):,} of the records were replayed or discarded meanwhile, such as {done[0]}; "
            "nothing was changed, plan it again"
        )


def mark(scene: Scene) -> int:
    """Tell quality that the records came in, so that nobody replays them; again changes nothing."""
    ids = ids_of(scene)
    for at in range(0, len(ids), _MARKED_AT_ONCE):
        body = {"operation": scene.id, "by": scene.work.operation.by, "ids": ids[at : at + _MARKED_AT_ONCE]}
        _ask(scene.work.settings, "POST", f"{scene.stream.name}/settled", body)
        scene.work.progress(min(at + _MARKED_AT_ONCE, len(ids)), len(ids), "records")
    return len(ids)


def settled_of(settings: Settings, stream: str) -> frozenset[str]:
    """Ids of rejected records that were replayed or discarded, as quality says.

    Raises:
        RefusedError: if it does not answer: a record that was replayed would come in twice.
    """
    return frozenset(map(str, _ask(settings, "GET", f"{stream}/settled", None)))


def _ask(settings: Settings, method: str, path: str, body: object) -> Sequence[object]:
    url = f"{settings.quality}/api/v1/quarantine/streams/{path}"
    try:
        answer = httpx.request(
            method, url, json=body, headers=settings.authorization, timeout=_QUALITY_WITHIN_S
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise RefusedError(
            f"quality at {settings.quality} does not answer for rejected records ({error}); resume, or plan it again, when it runs"
        ) from error
    found: Sequence[object] = answer.json()
    return found
