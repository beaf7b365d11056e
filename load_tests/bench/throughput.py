"""How many events a second does each stage carry, and what does one event cost?

One raw topic is filled once. Then each stage reads all of it, alone on the machine, several times; the last,
warm one counts.
`raw_read` is Spark reading the topic and doing nothing: the limit. `python_udf` decodes in a Python function what route
decodes in Columns.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect
import psutil

from controlplane.contract.folders import load_stream
from controlplane.contract.names import Hop, arrivals_table, subject, topic
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.fill import fill
from pipeline.kafka import await_broker, consumer, ensure_topics, partitions_of, watermarks
from pipeline.lake.append import rows
from pipeline.live.pump import Pump
from pipeline.registry import await_registry, register_stream, schemas_of
from pipeline.route.decode import Schemas
from pipeline.route.frame import route
from pipeline.route.query import SINK_OPTIONS
from pipeline.route.references import references_of
from pipeline.serving import apply
from pipeline.spark import build_session
from quality.compile import broken_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_PARTS = ("kafka", "registry", "clickhouse")
_WARM_RUNS = 4
"""Streams run for weeks: the first runs of a stage measure the JVM's compiler."""
_UDF_SHARE = 10
"""The Python function reads one in so many events: it is that much slower."""


@dataclass
class Timed:
    """What a stage took."""

    seconds: float = 0.0
    cpu_s: float = 0.0

    def of(self, events: int) -> dict[str, float]:
        """Rates."""
        return {
            "events_per_s": round(events / self.seconds),
            "cpu_us_per_event": round(self.cpu_s / events * 1e6, 3),
        }


def measure(events: int, told: Callable[[str], None]) -> dict[str, dict[str, float]]:
    """Run every stage; figures by stage."""
    stream = load_stream(SHIPPED_STREAMS / "shop")
    with tempfile.TemporaryDirectory() as folder, Platform(Path(folder), only=_PARTS, told=lambda _: None) as platform:
        told("starting a broker, a registry and ClickHouse")
        platform.start()
        settings = platform.settings
        admin = await_broker(settings.kafka)
        ensure_topics(admin, stream)
        registry = await_registry(settings.registry)
        register_stream(registry, stream)
        told(f"producing {events:,} events")
        fill(settings, stream, events)
        bench = Bench(platform, stream, events, partitions_of(admin, topic(stream.name, Hop.RAW)), told)
        return bench.stages(registry_of=lambda hop: schemas_of(registry, subject(stream.name, hop)))


class Bench:
    """One filled platform and one Spark session."""

    def __init__(
        self,
        platform: Platform,
        stream: StreamDefinition,
        events: int,
        partitions: list[int],
        told: Callable[[str], None],
    ) -> None:
        self._platform, self._stream, self._events = platform, stream, events
        self._partitions, self._told = partitions, told
        self._settings: Settings = platform.settings
        self._session: SparkSession = build_session(
            "tidegate bench",
            slots=len(partitions),
            memory="2g",
            jars=self._settings.spark_jars,
            scratch=self._settings.data / "scratch",
            spark__sql__optimizer__excludedRules="org.apache.spark.sql.catalyst.optimizer.PushDownPredicates",
        )

    def stages(self, registry_of: Callable[[Hop], dict[int, str]]) -> dict[str, dict[str, float]]:
        """Every stage's figures; route fills the valid topic that lake and live then read."""
        writers, valid = registry_of(Hop.RAW), registry_of(Hop.VALID)
        try:
            found = {"raw_read": self._spark("raw_read", lambda: _nowhere(self._read(Hop.RAW)))}
            found["route"] = self._spark("route", lambda: self._route(writers, valid))
            count = self._count(Hop.VALID)
            found["lake"] = self._spark("lake", lambda: self._lake(valid), events=count)
            found["python_udf"] = self._spark("python_udf", self._python, events=self._events // _UDF_SHARE)
        finally:
            self._session.stop()
        found["live"] = self._live(count)
        order = ("raw_read", "route", "lake", "live", "python_udf")
        return {name: found[name] for name in order}

    def _read(self, hop: Hop, until: float | None = None) -> DataFrame:
        name = topic(self._stream.name, hop)
        reader = (
            self._session.read.format("kafka")
            .option("kafka.bootstrap.servers", self._settings.kafka)
            .option("subscribe", name)
            .option("kafka.isolation.level", "read_committed")
        )
        if until is not None:
            ends = {partition: round(high * until) for partition, (_, high) in self._ends(hop).items()}
            reader = reader.option("endingOffsets", json.dumps({name: ends}))
        return reader.load()

    def _route(self, writers: dict[int, str], valid: dict[int, str]) -> None:
        schemas = Schemas(writers=writers, valid_id=max(valid), stop_at_unknown=False)
        frame = route(
            self._read(Hop.RAW), self._stream, schemas, references_of(self._session, self._stream), broken_rules, {}
        )
        sink = frame.write.format("kafka").options(**SINK_OPTIONS)
        sink.option("kafka.bootstrap.servers", self._settings.kafka).save()

    def _lake(self, valid: dict[int, str]) -> None:
        frame = rows(self._read(Hop.VALID), self._stream, valid).coalesce(2)
        frame.write.format("delta").mode("overwrite").partitionBy("event_date").save(
            str(self._settings.data / "lake" / "bench")
        )

    def _python(self) -> None:
        import fastavro
        from pyspark.sql import functions as sf

        schema = fastavro.parse_schema(self._stream.avro_schema)

        @sf.udf("string")
        def decoded(value: bytes) -> str:
            from io import BytesIO

            try:
                return str(fastavro.schemaless_reader(BytesIO(value[5:]), schema))
            except Exception:  # noqa: BLE001 (a dead letter, whatever was wrong with it)
                return "dead"

        _nowhere(self._read(Hop.RAW, 1 / _UDF_SHARE).select(decoded("value")))

    def _live(self, count: int) -> dict[str, float]:
        self._told("live")
        settings = self._settings
        clickhouse = clickhouse_connect.get_client(dsn=settings.clickhouse, autogenerate_session_id=False)
        apply.create(clickhouse, self._stream)
        client = consumer(settings.kafka, group="tidegate-bench-live")
        reporter = Reporter(settings.api)
        pump = Pump(self._stream.name, self._partitions, client, clickhouse, settings.registry, reporter)
        stopping = threading.Event()
        pump.recover(stopping)
        with self._timed() as timed:
            while pump.inserted < count:
                pump.beat(stopping)
        arrived = clickhouse.query(f"SELECT sum(events) FROM {arrivals_table(self._stream.name)}").result_rows[0][0]  # noqa: S608
        client.close()
        reporter.close()
        if int(arrived) != count:
            raise RuntimeError(f"ClickHouse counts {arrived} events, {count} were inserted")
        return timed.of(count)

    def _spark(self, name: str, run: Callable[[], None], events: int | None = None) -> dict[str, float]:
        self._told(name)
        for _ in range(_WARM_RUNS):
            run()
        with self._timed() as timed:
            run()
        return timed.of(events or self._events)

    def _ends(self, hop: Hop) -> dict[int, tuple[int, int]]:
        client = consumer(self._settings.kafka, group="tidegate-bench")
        try:
            return watermarks(client, topic(self._stream.name, hop), self._partitions)
        finally:
            client.close()

    def _count(self, hop: Hop) -> int:
        return sum(high for _, high in self._ends(hop).values())

    @contextmanager
    def _timed(self) -> Iterator[Timed]:
        """Wall clock, and the CPU time of this process, its Spark and the parts."""
        timed = Timed()
        began, cpu = time.monotonic(), self._cpu_s()
        yield timed
        timed.seconds, timed.cpu_s = time.monotonic() - began, self._cpu_s() - cpu

    def _cpu_s(self) -> float:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return sum(_cpu_of(process) for process in family)


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _nowhere(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()
