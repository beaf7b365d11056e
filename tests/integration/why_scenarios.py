"""A Spark of its own for `test_why.py`: two slots, a small heap, and one slow query after another. Run as a program.

Writes a JSON line for each: which it was, what the listener said of its batches, and where its REST API can be asked; then it
waits until its input ends, because the API ends with it.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as sf

from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from pipeline.listener import Listening
from pipeline.spark import build_session, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

SLOTS = 2
_BATCHES = 3
_DEADLINE_S = 60.0
_LONG = "concat('a text that takes some room in the heap ', repeat(cast(value AS string), 6)) AS text"


def source(session: SparkSession, rows: int, partitions: int) -> DataFrame:
    rate = session.readStream.format("rate-micro-batch").option("rowsPerBatch", rows)
    return rate.option("numPartitions", partitions).load()


def busy(steps: int) -> str:
    """An expression that takes its time and no memory."""
    return f"aggregate(sequence(1, {steps}), 0L, (sum, step) -> sum + step * value)"


def written(frame: DataFrame) -> None:
    frame.write.format("noop").mode("append").save()


def too_few_slots(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    return source(session, 400, 8), lambda batch, _: written(batch.selectExpr(busy(60_000)))


def skewed_partition(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    """All but every fiftieth row have the same key."""

    def work(batch: DataFrame, _: int) -> None:
        keyed = batch.selectExpr("CASE WHEN value % 50 > 0 THEN 0 ELSE value END AS key", "value")
        written(keyed.repartition(2, "key").selectExpr(busy(7_000)))

    return source(session, 8000, 1), work


def garbage_collection(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    """Lists of long texts of each key nearly fill the heap."""

    def work(batch: DataFrame, _: int) -> None:
        texts = batch.selectExpr("value % 20000 AS key", _LONG).groupBy("key").agg(sf.collect_list("text").alias("all"))
        written(texts.selectExpr("size(all)"))

    return source(session, 400_000, 1), work


def sink(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    """What it writes to takes a second to confirm."""

    def work(batch: DataFrame, _: int) -> None:
        written(batch)
        time.sleep(1.0)

    return source(session, 100, 2), work


def slow_planning(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    """Six hundred columns for ten rows."""
    wide = source(session, 10, 1)
    for layer in range(2):
        columns = ((sf.col("value") * n + sf.when(sf.col("value") > n, n)).alias(f"of_{layer}_{n}") for n in range(300))
        wide = wide.select("*", *columns)
    return wide, lambda batch, _: written(batch)


def quiet(session: SparkSession) -> tuple[DataFrame, Callable[[DataFrame, int], None]]:
    return source(session, 100, 2), lambda batch, _: written(batch)


SCENARIOS = (too_few_slots, skewed_partition, sink, slow_planning, garbage_collection, quiet)
TRIGGER_S = {"quiet": 2.0}
"""The others begin a batch whenever the one before has ended, and should every 100 ms."""


def main() -> None:
    scratch = Path(sys.argv[1])
    jars = ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))
    # Spark keeps 300 MiB of any heap for itself, and refuses a smaller one.
    small = {"spark__testing__reservedMemory": "1"}
    session = build_session("why", slots=SLOTS, memory="200m", jars=jars, scratch=scratch / "spark", **small)
    application = started(session, "lake").model_dump(mode="json")
    written(
        session.range(9).selectExpr("id AS value").selectExpr(busy(9))
    )  # what is loaded once is no part of the first scenario
    for scenario in SCENARIOS:
        name, listening = scenario.__name__, Listening(session)
        frame, work = scenario(session)
        trigger_s = TRIGGER_S.get(name, 0.1)
        query = (
            frame.writeStream.queryName(f"lake {name}")
            .option("checkpointLocation", str(scratch / name))
            .trigger(processingTime=f"{round(trigger_s * 1000)} milliseconds")
            .foreachBatch(work)
            .start()
        )
        said: list[str] = []
        deadline = time.monotonic() + _DEADLINE_S
        while len(said) < _BATCHES and query.isActive and time.monotonic() < deadline:
            threading.Event().wait(0.05)
            said += listening.take()
        query.stop()
        said += listening.close()
        told = {
            "scenario": name, "trigger_s": trigger_s, "said": said, "application": application,
            "error": str(query.exception() or ""),
        }  # fmt: skip
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    sys.stdin.read()
    session.stop()


if __name__ == "__main__":
    main()
