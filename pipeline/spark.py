"""How is a Spark session of ours set up? One place, because a wrong setting here is a slow or a wrong pipeline."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from pathlib import Path


_JVM = (
    "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=160m -XX:MaxMetaspaceSize=320m "
    # A stream with many rules makes methods that HotSpot would leave to its interpreter: route was 1.6 times slower.
    "-XX:-DontCompileHugeMethods"
)
_TALKATIVE = "org.apache.spark.sql.avro.AvroSerializer"
"""Warns once a task and field that Kafka's timestamp may be null; it never is."""


def build_session(
    name: str, *, slots: int, memory: str, jars: str, scratch: Path, jvm: str = "", **more: str
) -> SparkSession:
    """A local session with Kafka, Avro and Delta.

    Args:
        name: application name, shown in the Spark UI.
        slots: concurrent tasks; real-time mode needs one for every source partition at once.
        memory: heap ceiling, such as `768m`.
        jars: comma-separated jar paths.
        scratch: folder for temporary files and the Derby-free warehouse.
        jvm: further options of the JVM.
        more: further settings of Spark, their dots written as two underscores.
    """
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    scratch.mkdir(parents=True, exist_ok=True)
    options = {
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{_JVM} {jvm}",
        "spark.jars": jars,
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.adaptive.enabled": "false",
        # Constraints inferred from projections multiply: a filter above route's projections filled a heap with them.
        "spark.sql.constraintPropagation.enabled": "false",
        "spark.sql.streaming.noDataMicroBatches.enabled": "false",
        "spark.sql.streaming.numRecentProgressUpdates": "5",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.task.maxFailures": "1",
        "spark.speculation": "false",
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.ui.retainedJobs": "100",
        "spark.ui.retainedStages": "100",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "50",
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    builder = SparkSession.builder.appName(name).master(f"local[{slots}]")
    for key, value in options.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    log4j = session._jvm.org.apache.logging.log4j  # type: ignore[union-attr]  # noqa: SLF001
    log4j.core.config.Configurator.setLevel(_TALKATIVE, log4j.Level.ERROR)
    return session
