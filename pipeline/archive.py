"""How does Spark's JVM start in two thirds of the time? From an archive of its loaded classes (JEP 350, AppCDS).

A part that died is back when its JVM has loaded some twelve thousand classes. `make setup` runs a small query once and
keeps what it loaded; a JVM of another version or classpath ignores the archive by itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import SparkContext
from pyspark.sql import functions as sf
from pyspark.sql.avro.functions import from_avro, to_avro

from pipeline.spark import build_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from controlplane.contract.settings import Settings


def make(settings: Settings) -> Path:
    """Make the archive where it is missing; where it is."""
    archive = settings.spark_archive
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(".part")
    with tempfile.TemporaryDirectory() as folder:
        _run(settings, Path(folder), f"-XX:ArchiveClassesAtExit={partial} -Xlog:cds*=off")
    partial.replace(archive)
    return archive


def _run(settings: Settings, folder: Path, jvm: str) -> None:
    """What route and lake do, on nothing: Avro, a stream, a Delta table; then wait for the JVM's end, when it writes."""
    session = build_session(
        "tidegate archive", slots=2, memory="768m", jars=settings.spark_jars, scratch=folder / "scratch", jvm=jvm
    )
    table = str(folder / "table")

    def append(batch: DataFrame, _: int) -> None:
        batch.write.format("delta").mode("append").option("txnAppId", "one").option("txnVersion", "1").save(table)

    frames = session.readStream.format("rate").load().withColumn("avro", to_avro(sf.col("value")))
    decoded = frames.select(from_avro("avro", '["long", "null"]').alias("value"))
    query = decoded.writeStream.option("checkpointLocation", str(folder / "checkpoint")).foreachBatch(append).start()
    query.processAllAvailable()
    query.stop()
    session.stop()
    gateway = SparkContext._gateway  # noqa: SLF001
    if gateway is not None:
        gateway.proc.stdin.close()
        gateway.proc.wait()
