"""How is a Spark session of ours set up? One place, because a wrong setting here is a slow or a wrong pipeline."""

from __future__ import annotations

import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil
from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from controlplane.contract.spark import SparkStarted

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.settings import Settings


_DECODES = (
    # A stream with many rules makes methods that HotSpot would leave to its interpreter: route was 1.6 times slower.
    "-XX:-DontCompileHugeMethods "
    # A damaged record may claim a string of a gigabyte: Avro would make room for it before it reads on, and the heap is gone.
    "-Dorg.apache.avro.limits.string.maxLength=16777216 -Dorg.apache.avro.limits.bytes.maxLength=16777216 "
    "-Dorg.apache.avro.limits.collectionItems.maxLength=1000000"
)
_JVM = f"-XX:+UseSerialGC -XX:ReservedCodeCacheSize=160m -XX:MaxMetaspaceSize=320m {_DECODES}"
EXECUTOR_JVM = f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=96m {_DECODES}"
"""An executor has one core, and is to be there soon: compiling what it runs a second time, and better, comes too late."""
_FORKED_S = 0.005
JVM_OF = {
    # Half of the heap for the young: what Kafka's client holds for a batch was moved to the old generation only to die there.
    "route": "-XX:NewRatio=1",
    # Two cores collect what a batch of a million rows leaves behind; a tenth faster than one.
    "lake": "-XX:-UseSerialGC -XX:+UseParallelGC -XX:ParallelGCThreads=2",
    # It lives for a minute: optimizing what runs a few thousand times cost it more than the work (14.9 CPU seconds for 18.2, of
    # 20 small files). Ten times HotSpot's own thresholds; what a large table runs is over them soon (29.4 for 36.0).
    "maintenance": (
        "-XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 -XX:Tier4CompileThreshold=150000 "
        "-XX:Tier4BackEdgeThreshold=400000"
    ),
}
"""Part -> further options of its JVM."""
_QUIET = {
    # Warns once a task and field that Kafka's timestamp may be null; it never is.
    "org.apache.spark.sql.avro.AvroSerializer": "ERROR",
    # A failed or stopped query is raised in Python, with its cause, and logged there once. These would say it again
    # for every task, in pages, also when route stops a query on purpose.
    "org.apache.spark.util.Utils": "OFF",
    "org.apache.spark.executor.Executor": "OFF",
    "org.apache.spark.scheduler.TaskSetManager": "OFF",
    "org.apache.spark.sql.delta.files.DeltaFileFormatWriter": "OFF",
    "org.apache.spark.sql.delta.commands.MergeIntoCommand": "OFF",
    "org.apache.spark.sql.execution.datasources.v2.DataWritingSparkTask": "OFF",
    "org.apache.spark.sql.execution.datasources.v2.WriteToDataSourceV2Exec": "OFF",
    "org.apache.spark.sql.execution.streaming.runtime.MicroBatchExecution": "OFF",
}
"""Logger -> level."""


_QUIET_CLUSTER = {
    # An executor that was let go is still told to forget what it held.
    "org.apache.spark.network.client.TransportClient": "OFF",
    "org.apache.spark.storage.BlockManagerMasterEndpoint": "ERROR",
}
"""The same of a session on a cluster."""


def session_options(settings: Settings, part: str) -> dict[str, Any]:
    """What `start_jvm` and `build_session` take, for a part by its name."""
    return {
        "memory": settings.spark_memory,
        "jars": settings.spark_jars,
        "scratch": settings.data.resolve() / "scratch" / f"{part}-process",
        "jvm": " ".join(filter(None, (JVM_OF.get(part), from_archive(settings)))),
    }


def from_archive(settings: Settings) -> str:
    """Options of a JVM that takes Spark's classes from the archive; one that has another class path ignores it by itself."""
    archive = settings.spark_archive
    return f"-XX:SharedArchiveFile={archive} -Xshare:auto -Xlog:cds*=off" if archive.exists() else ""


def start_jvm(*, memory: str, jars: str, scratch: Path, jvm: str = "") -> threading.Thread:
    """Start the JVM, and return as soon as its process is there: it takes seconds, in which the rest can be imported.

    `build_session` with the same options waits for it.
    """
    conf = SparkConf(loadDefaults=False).setAll(list(_jvm_options(memory, jars, scratch, jvm).items()))
    thread = threading.Thread(target=lambda: SparkContext._ensure_initialized(conf=conf), name="start-jvm")  # noqa: SLF001
    thread.start()
    me = psutil.Process()
    # A fork while another thread imports would leave the child with an import lock that nobody holds.
    while thread.is_alive() and not me.children():
        time.sleep(_FORKED_S)
    return thread


def _jvm_options(memory: str, jars: str, scratch: Path, jvm: str) -> dict[str, str]:
    """What the JVM must be started with; later it can't be changed."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    scratch.mkdir(parents=True, exist_ok=True)
    return {
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": f"{_JVM} {jvm}",
        "spark.jars": jars,
        "spark.local.dir": str(scratch),
    }


def build_session(
    name: str, *, slots: int, memory: str, jars: str, scratch: Path, jvm: str = "", **more: str
) -> SparkSession:
    """A session with Kafka, Avro and Delta, local unless `more` names a master.

    Args:
        name: application name, shown in the Spark UI.
        slots: concurrent tasks of a local session; real-time mode needs one for every source partition at once.
        memory: heap ceiling, such as `768m`.
        jars: comma-separated jar paths.
        scratch: folder for temporary files and the Derby-free warehouse.
        jvm: further options of the JVM.
        more: further settings of Spark, their dots written as two underscores.
    """
    options = {
        **_jvm_options(memory, jars, scratch, jvm),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
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
        # The REST API is asked every few seconds for stages; what it keeps longer is only in the way.
        "spark.ui.retainedJobs": "60",
        "spark.ui.retainedStages": "60",
        "spark.ui.retainedTasks": "1000",
        "spark.ui.dagGraph.retainedRootRDDs": "10",
        "spark.ui.liveUpdate.period": "1s",
        "spark.sql.ui.retainedExecutions": "20",
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    builder = SparkSession.builder.appName(name).master(f"local[{slots}]")
    for key, value in options.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("WARN")
    log4j = session._jvm.org.apache.logging.log4j  # type: ignore[union-attr]  # noqa: SLF001
    for logger, level in {**_QUIET, **(_QUIET_CLUSTER if "spark__master" in more else {})}.items():
        log4j.core.config.Configurator.setLevel(logger, log4j.Level.getLevel(level))
    return session


def started(session: SparkSession, part: str) -> SparkStarted:
    """That a part's application runs, and where it can be asked about itself."""
    context = session.sparkContext
    return SparkStarted(
        at=datetime.now(UTC),
        part=part,
        app_id=context.applicationId,
        ui=context.uiWebUrl,
        master=context.master,
        slots=context.defaultParallelism,
        began_at=datetime.fromtimestamp((context.startTime or 0) / 1000, UTC),
    )


class Application:
    """A part's application, as it says of itself."""

    def __init__(self, session: SparkSession, part: str) -> None:
        self._session = session
        self._said = started(session, part)

    def fact(self) -> SparkStarted:
        """The same fact, until executors have come or gone."""
        if self._session.sparkContext.defaultParallelism != self._said.slots:
            self._said = started(self._session, self._said.part)
        return self._said


class QueryFailedError(Exception):
    """A streaming query has ended by an error; the text is Java's own, with every cause and stack."""


def failure_of(query: StreamingQuery) -> QueryFailedError | None:
    """Why a query has ended; None while it runs, or when it was stopped."""
    found: Any = query._jsq.exception()  # noqa: SLF001
    if not found.isDefined():
        return None
    jvm: Any = SparkContext._jvm  # noqa: SLF001
    return QueryFailedError(f"query {query.name}: {jvm.org.apache.spark.util.Utils.exceptionString(found.get())}")
