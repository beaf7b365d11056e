"""What Spark says of a query: by its listener, batch for batch, and by its REST API, stage for stage."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
from pyspark.sql import functions as sf

from lag_monitor.spark.ask import Application
from pipeline.listener import Listening
from pipeline.progress import progressed
from pipeline.spark import started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.spark import SparkObserved, SparkStarted

BATCHES = 6


def ran(source: DataFrame, name: str, folder: Path, work: Callable[[DataFrame, int], None]) -> StreamingQuery:
    """A query that has taken all that is there, batch by batch."""
    query = (
        source.writeStream.queryName(name)
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(work)
        .start()
    )
    query.awaitTermination(60)
    query.stop()
    return query


def test_no_batch_is_missed_however_late_the_loop_looks(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[int] = []

    def work(batch: DataFrame, number: int) -> None:
        seen.append(number)
        batch.count()

    listening = Listening(spark)
    for number in range(BATCHES):
        spark.range(number + 1).write.mode("append").parquet(str(tmp_path / "in"))
    source = spark.readStream.schema("id long").option("maxFilesPerTrigger", 1).parquet(str(tmp_path / "in"))
    query = ran(source, "lake test", tmp_path, work)
    facts = progressed(listening.close(), "lake", "microbatch", timedelta())
    assert [fact.batch_id for fact in facts] == seen
    assert len(seen) == BATCHES
    assert sum(fact.rows or 0 for fact in facts) > 0
    assert all(fact.phases is not None and fact.phases.work_s for fact in facts)
    assert {fact.run_id for fact in facts} == {query.runId}


def test_a_skewed_stage_is_told_with_its_query_its_batch_and_its_tasks(
    spark: SparkSession, tmp_path: Path, looked: Callable[[Application, SparkStarted], SparkObserved]
) -> None:
    def work(batch: DataFrame, _: int) -> None:
        key = sf.when(batch.id % 20 == 0, batch.id).otherwise(sf.lit(0))
        batch.withColumn("key", key).repartition(4, "key").write.format("noop").mode("overwrite").save()

    fact = started(spark, "lake")
    application = Application(fact.app_id, httpx.Client(trust_env=False))
    looked(application, fact)
    # So many that it takes a while also in a warm JVM: of a shorter stage nobody asks how its tasks differ.
    spark.range(2_000_000).write.parquet(str(tmp_path / "in"))
    ran(spark.readStream.schema("id long").parquet(str(tmp_path / "in")), "lake skewed", tmp_path, work)
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty(5000)  # type: ignore[union-attr]
    found = looked(application, fact)
    assert [each.executor for each in found.executors] == ["driver"]
    skewed = next(each for each in found.stages if each.query == "lake skewed" and each.tasks == 4)
    assert (skewed.batch_id, skewed.state, skewed.completed_tasks) == (0, "complete", 4)
    assert skewed.task_rows is not None
    median, _, longest = skewed.task_rows
    assert longest > 1_900_000
    assert median < 100_000
    assert looked(application, fact).stages == ()
