"""What Spark says of a query: by its listener, batch for batch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.listener import Listening
from pipeline.progress import progressed

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

BATCHES = 6


def test_no_batch_is_missed_however_late_the_loop_looks(spark: SparkSession, tmp_path: Path) -> None:
    seen: list[int] = []

    def work(batch: DataFrame, number: int) -> None:
        seen.append(number)
        batch.count()

    listening = Listening(spark)
    for number in range(BATCHES):
        spark.range(number + 1).write.mode("append").parquet(str(tmp_path / "in"))
    source = spark.readStream.schema("id long").option("maxFilesPerTrigger", 1).parquet(str(tmp_path / "in"))
    query = (
        source.writeStream.queryName("lake test")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(work)
        .start()
    )
    query.awaitTermination(60)
    query.stop()
    facts = progressed(listening.close(), "lake", "microbatch", timedelta())
    assert [fact.batch_id for fact in facts] == seen
    assert len(seen) == BATCHES
    assert sum(fact.rows or 0 for fact in facts) > 0
    assert all(fact.phases is not None and fact.phases.work_s for fact in facts)
    assert {fact.run_id for fact in facts} == {query.runId}
