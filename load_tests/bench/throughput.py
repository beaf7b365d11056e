"""How many events a second does each stage carry, and what does one event cost?

One raw topic is filled. Then each stage reads all of it, alone on the machine, in a process of its own as when it runs for
real, first to warm up and then to be measured: streams run for weeks, and the first events of a stage measure the JVM's
compiler.

- `raw_read`: a Spark job reads the topic and does nothing with it, in a JVM set like route's.
- `route`: the query as it runs, in real-time mode, from the first event that lands in an output to the last.
- `lake`: a Spark job decodes `<s>.valid` and writes a Delta table.
- `entities`, `rollups`: that table's events are folded into an entity by MERGE, and added up by windows of a second.
- `publish`: closed windows of a rollup are brought from the lake to ClickHouse; by window.
- `live`: the pump inserts `<s>.valid` into ClickHouse, with every view.
- `python_udf`: a Spark job decodes in a Python function what route decodes in Columns.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, arrivals_table, lake_table, topic
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench import tables
from load_tests.bench.routing import Routing
from load_tests.bench.stage import Bench, Figures
from pipeline.kafka import await_broker, consumer, ensure_topics, partitions_of
from pipeline.lake.append import rows, write_fast
from pipeline.lake.run import SPARK_SETTINGS as LAKE_SETTINGS
from pipeline.live.pump import Pump
from pipeline.registry import await_registry, register_stream
from pipeline.route.query import SPARK_SETTINGS
from pipeline.serving import apply
from pipeline.spark import JVM_OF, build_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from pyspark.sql import DataFrame, SparkSession

_PARTS = ("kafka", "registry", "clickhouse")
_WARM_RUNS = 4
_ROUTE_RUNS = 3
_UDF_SHARE = 10
"""The Python function reads one in so many events: it is that much slower."""
_LAKE = {**LAKE_SETTINGS, "jvm": JVM_OF["lake"]}
"""Settings of the session that lake runs in, and of its JVM."""


def measure(events: int, told: Callable[[str], None]) -> dict[str, Figures]:
    """Run every stage; figures by stage."""
    stream = load_stream(SHIPPED_STREAMS / "shop")
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), only=_PARTS, told=lambda _: None) as platform:
        told("starting a broker, a registry and ClickHouse")
        platform.start()
        settings = platform.settings
        admin = await_broker(settings.kafka)
        ensure_topics(admin, stream)
        register_stream(await_registry(settings.registry), stream)
        partitions = tuple(partitions_of(admin, topic(stream.name, Hop.RAW)))
        bench = Bench(settings, stream, events, partitions, os.getpid())
        told(f"producing {events:,} events")
        bench.fill()
        found: dict[str, Figures] = {}
        for name, stage in _STAGES.items():
            told(name)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
                found[name] = own.submit(stage, bench).result()
    return found


def _raw_read(bench: Bench) -> Figures:
    return _spark(bench, lambda spark: _nowhere(_read(spark, bench, Hop.RAW)), bench.events)


def _route(bench: Bench) -> Figures:
    """On as many events again each time, which the query begins at where it stopped; the last time counts."""
    with _session(bench) as spark, Routing(spark, bench.settings, bench.stream, bench.partitions) as routing:
        for number in range(1, _ROUTE_RUNS):
            routing.run(number * bench.events)
            bench.fill()
        routing.start()
        landed, began = routing.landed(), time.time()
        with bench.timed() as timed:
            routing.await_landed(_ROUTE_RUNS * bench.events)
        timed.seconds = routing.last_landed_s() - began
    return timed.of(_ROUTE_RUNS * bench.events - landed)


def _lake(bench: Bench) -> Figures:
    writers = bench.schemas(Hop.VALID)

    def append(spark: SparkSession) -> None:
        write_fast(spark, bench.stream)
        events = rows(_read(spark, bench, Hop.VALID, 1 / _ROUTE_RUNS), bench.stream, writers)
        tables.write(events, bench, bench.settings.lake_root)

    return _spark(bench, append, bench.count(Hop.VALID) // _ROUTE_RUNS, _LAKE)


def _entities(bench: Bench) -> Figures:
    root = bench.settings.lake_root
    with _session(bench, _LAKE) as spark:
        events = spark.read.format("delta").load(lake_table(root, bench.stream.name))
        return tables.upserts(spark, bench, events, root)


def _rollups(bench: Bench) -> Figures:
    with _session(bench, _LAKE) as spark:
        return tables.windows(spark, bench, bench.settings.lake_root)


def _publish(bench: Bench) -> Figures:
    client = clickhouse_connect.get_client(dsn=bench.settings.clickhouse, autogenerate_session_id=False)
    apply.create(client, bench.stream)
    return tables.published(bench, client, bench.settings.lake_root)


def _live(bench: Bench) -> Figures:
    name, settings, count = bench.stream.name, bench.settings, bench.count(Hop.VALID) // _ROUTE_RUNS
    clickhouse = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
    apply.create(clickhouse, bench.stream)
    client = consumer(settings.kafka, group="tidegate-bench-live")
    reporter = Reporter(settings.api, settings.service_token)
    pump = Pump(name, bench.partitions, client, clickhouse, settings.registry, reporter)
    stopping = threading.Event()
    pump.recover(stopping)
    with bench.timed() as timed:
        while pump.inserted < count:
            pump.beat(stopping)
    arrived = int(clickhouse.query(f"SELECT sum(events) FROM {arrivals_table(name)}").result_rows[0][0])  # noqa: S608
    client.close()
    reporter.close()
    if arrived != pump.inserted:
        raise RuntimeError(f"ClickHouse counts {arrived} events, {pump.inserted} were inserted")
    return timed.of(arrived)


def _python_udf(bench: Bench) -> Figures:
    import fastavro
    from pyspark.sql import functions as sf

    schema: Any = fastavro.parse_schema(bench.stream.avro_schema)

    def decoded(value: bytes) -> str:
        from io import BytesIO

        try:
            return str(fastavro.schemaless_reader(BytesIO(value[5:]), schema))
        except Exception:  # noqa: BLE001 (a dead letter, whatever was wrong with it)
            return "dead"

    def decode(spark: SparkSession) -> None:
        function = sf.udf(decoded, "string")
        _nowhere(_read(spark, bench, Hop.RAW, 1 / (_UDF_SHARE * _ROUTE_RUNS)).select(function("value")))

    return _spark(bench, decode, bench.events // _UDF_SHARE)


_STAGES = {
    "raw_read": _raw_read,
    "route": _route,
    "lake": _lake,
    "entities": _entities,
    "rollups": _rollups,
    "publish": _publish,
    "live": _live,
    "python_udf": _python_udf,
}
"""In an order in which each finds what it reads: route fills `<s>.valid` and the rest of the raw topic, lake its table."""


def _spark(
    bench: Bench, run: Callable[[SparkSession], None], events: int, settings: Mapping[str, str] = SPARK_SETTINGS
) -> Figures:
    with _session(bench, settings) as spark:
        for _ in range(_WARM_RUNS):
            run(spark)
        with bench.timed() as timed:
            run(spark)
    return timed.of(events)


def session_of_route(bench: Bench) -> AbstractContextManager[SparkSession]:
    """The session that route runs in."""
    return _session(bench, {**SPARK_SETTINGS, "jvm": JVM_OF["route"]})


def session_of_lake(bench: Bench) -> AbstractContextManager[SparkSession]:
    """A session as lake runs in."""
    return _session(bench, _LAKE)


@contextmanager
def _session(bench: Bench, spark_settings: Mapping[str, str] = SPARK_SETTINGS) -> Iterator[SparkSession]:
    settings = bench.settings
    spark = build_session(
        "tidegate bench",
        slots=len(bench.partitions),
        memory=settings.spark_memory,
        jars=settings.spark_jars,
        scratch=settings.data / "scratch",
        **spark_settings,
    )
    # What fails is raised here; a query that is stopped writes a page about every task that it interrupts.
    spark.sparkContext.setLogLevel("OFF")
    try:
        yield spark
    finally:
        spark.stop()


def _read(spark: SparkSession, bench: Bench, hop: Hop, until: float = 1.0) -> DataFrame:
    name = topic(bench.stream.name, hop)
    ends = {str(partition): round(high * until) for partition, high in bench.ends(hop).items()}
    return (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", bench.settings.kafka)
        .option("subscribe", name)
        .option("endingOffsets", json.dumps({name: ends}))
        .option("kafka.isolation.level", "read_committed")
        .load()
    )


def _nowhere(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()
