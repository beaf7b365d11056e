"""How long does Spark wait for the listener? A query of many small batches, in a process of its own, each call timed."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from pipeline.listener import Listener, Listening
from pipeline.spark import build_session

if TYPE_CHECKING:
    from load_tests.bench.stage import Figures

_BATCHES = 60
_WARM = 10
_WITHIN_S = 120


def listener_ms() -> Figures:
    """Milliseconds a micro-batch, the first ones left out."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
        return own.submit(_measured).result()


def _measured() -> Figures:
    taken: list[float] = []

    class Timed(Listener):
        def onQueryProgress(self, event: Any) -> None:  # noqa: N802, ANN401 (Java's)
            began = time.perf_counter()
            super().onQueryProgress(event)
            taken.append(1000 * (time.perf_counter() - began))

    with tempfile.TemporaryDirectory() as folder:
        jars = ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))
        spark = build_session("tidegate bench", slots=1, memory="512m", jars=jars, scratch=Path(folder) / "scratch")
        for number in range(_BATCHES):
            spark.range(number + 1).coalesce(1).write.mode("append").parquet(f"{folder}/in")
        listening = Listening(spark, Timed())
        query = (
            spark.readStream.schema("id long")
            .option("maxFilesPerTrigger", 1)
            .parquet(f"{folder}/in")
            .writeStream.format("noop")
            .option("checkpointLocation", f"{folder}/checkpoint")
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination(_WITHIN_S)
        heard = len(list(listening.close()))
        spark.stop()
    if heard < _BATCHES:
        raise RuntimeError(f"{heard} of {_BATCHES} batches were heard of")
    warm = taken[_WARM:]
    return {"listener_ms_a_batch": round(median(warm), 3), "listener_ms_a_batch_longest": round(max(warm), 3)}
