"""Can the tools that people have read everything, see how fresh it is, and change nothing?

The embedded ClickHouse as a process, asked as `bi` by clickhouse-connect, SQLAlchemy and pandas; Delta tables as Spark writes
them, read by path with deltalake and with ClickHouse's `deltaLakeLocal`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import httpx
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy
from clickhouse_connect.driver.exceptions import DatabaseError
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaProtocolError

from controlplane.contract.folders import load_stream
from controlplane.contract.names import (
    EVENT_DATE,
    events_table,
    lake_entity,
    lake_rollup,
    lake_table,
    rollup_view,
    valid_view,
)
from controlplane.up.checks import free_port
from pipeline.lake.append import table_options
from pipeline.serving import apply
from pipeline.serving.ddl import event_columns
from pipeline.tables.follow import Following

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

SERVE = """
import sys
from pathlib import Path
from pipeline.embedded import serve
serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]), lake=Path(sys.argv[3]))
"""
YAML = """
title: Orders
key: [customer]
event_time: {field: at}
lateness: 30s
rollups:
  minutes:
    title: By minute
    window: {tumbling: 1m}
    dimensions: [kind]
    measures:
      orders: {count: true}
      total: {sum: amount}
entities:
  customer: {key: [customer], ordering: at, deleted_when: {kind: [gone]}}
  vectors: {key: [customer], ordering: at, deletion_vectors: true}
"""
SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "customer", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "amount", "type": "int"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
BEGAN = datetime.now(UTC).replace(microsecond=0, second=0) - timedelta(hours=1)
"""Of today: single events that are older than the retention go."""
FRESH = BEGAN + timedelta(seconds=3_000)
HALF = 60
"""Events of the first commit; those of the second change some entities and leave others."""
EVENTS = [
    {
        "customer": f"c{number % 7 if number < HALF else number % 3}",
        "kind": ("a", "b", "gone")[number % 3],
        "amount": number,
        "at": BEGAN + timedelta(seconds=10 * number),
        "tg_partition": 0,
        "tg_offset": number,
        "tg_raw_at": FRESH - timedelta(seconds=(99 - number) * 10),
    }
    for number in range(100)
]


class Asked:
    """The server, its lake, and what it serves."""

    def __init__(self, folder: Path) -> None:
        source = folder / "orders"
        source.mkdir()
        (source / "stream.yaml").write_text(YAML)
        (source / "schema.avsc").write_text(json.dumps(SCHEMA))
        (source / "suite.json").write_text("{}")
        self.stream: StreamDefinition = load_stream(source)
        self.lake, self.outside = folder / "lake", folder / "outside"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = (sys.executable, "-P", "-c", SERVE, str(folder / "clickhouse"), str(self.port), str(self.lake))
        self.process = subprocess.Popen(command)

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return httpx.get(f"{self.url}/ping", timeout=1).is_success
        except httpx.HTTPError:
            return False

    def client(self, user: str = "bi") -> Any:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, username=user, autogenerate_session_id=False
        )

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine(f"clickhousedb://bi@127.0.0.1:{self.port}/default")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]) -> Iterator[Asked]:
    one = Asked(tmp_path_factory.mktemp("bi"))
    try:
        eventually(one.answers, "the server answers")
        with one.client("default") as client:
            apply.create(client, one.stream)
            columns = list(event_columns(one.stream))
            rows = [[event[each] for each in columns] for event in EVENTS]
            client.insert(events_table("orders"), rows, column_names=columns)
        yield one
    finally:
        one.process.kill()
        one.process.wait()


VIEWS = (valid_view("orders"), rollup_view("orders", "minutes"))


@pytest.mark.parametrize("view", VIEWS)
def test_every_answer_says_how_fresh_it_is(asked: Asked, view: str) -> None:
    with asked.client() as client:
        found = client.query_df(f"SELECT * FROM {view}")  # noqa: S608
    by_sql = pd.read_sql(f"SELECT * FROM {view}", asked.engine())  # noqa: S608
    for frame in (found, by_sql):
        assert len(frame) > 0
        assert {pd.Timestamp(each, tz=None if each.tzinfo else "UTC") for each in frame["as_of"]} == {FRESH}


def test_pandas_counts_what_was_sent(asked: Asked) -> None:
    sent = pd.DataFrame(EVENTS)
    valid = pd.read_sql("SELECT kind, amount FROM orders_valid", asked.engine())
    minutes = pd.read_sql("SELECT kind, orders, total FROM orders_minutes", asked.engine())
    expected = sent.groupby("kind").amount.agg(["count", "sum"]).to_dict()
    assert valid.groupby("kind").amount.agg(["count", "sum"]).to_dict() == expected
    by_kind = minutes.groupby("kind")[["orders", "total"]].sum()
    assert {"count": by_kind.orders.to_dict(), "sum": by_kind.total.to_dict()} == expected


def test_pandas_reads_a_query_whatever_is_in_it(asked: Asked) -> None:
    """It asks first whether there is a table of that name."""
    found = pd.read_sql("SELECT 'a/b*' AS x, sum(total) / sum(orders) AS mean FROM orders_minutes", asked.engine())
    assert found.to_dict("records") == [{"x": "a/b*", "mean": 49.5}]


def test_sqlalchemy_finds_the_views_and_their_columns(asked: Asked) -> None:
    engine = asked.engine()
    inspected = sqlalchemy.inspect(engine)
    assert set(VIEWS) <= {*inspected.get_table_names(), *inspected.get_view_names()}
    minutes = sqlalchemy.Table("orders_minutes", sqlalchemy.MetaData(), autoload_with=engine)
    assert {"window_start", "window_end", "kind", "orders", "total", "late", "layer", "as_of"} == set(minutes.c.keys())
    with engine.connect() as connection:
        total = sqlalchemy.func.sum(minutes.c.orders)
        found = connection.execute(sqlalchemy.select(minutes.c.kind, total).group_by(minutes.c.kind)).all()
    assert sum(count for _, count in found) == len(EVENTS)


WRITES = (
    "INSERT INTO orders_published (rollup) VALUES ('x')",
    "INSERT INTO orders_published SELECT * FROM orders_published",
    "ALTER TABLE orders_events DELETE WHERE 1",
    "CREATE TABLE mine (a UInt8) ENGINE = Memory",
    "CREATE OR REPLACE VIEW orders_valid AS SELECT 1",
    "DROP TABLE orders_events",
    "TRUNCATE TABLE orders_events",
    "OPTIMIZE TABLE orders_events",
    "SELECT 1 SETTINGS readonly = 0",
)


@pytest.mark.parametrize("sql", WRITES)
def test_a_write_is_refused_with_clickhouses_own_words(asked: Asked, sql: str) -> None:
    with asked.client() as client, pytest.raises(DatabaseError, match=r"164.*READONLY"):
        client.command(sql)
    with asked.engine().connect() as connection, pytest.raises(sqlalchemy.exc.DatabaseError, match="READONLY"):
        connection.execute(sqlalchemy.text(sql))
    with asked.client("default") as client:
        assert client.command("SELECT count() FROM orders_events") == len(EVENTS)


def test_rows_of_a_client_or_of_pandas_are_refused_too(asked: Asked) -> None:
    with asked.client() as client, pytest.raises(DatabaseError, match="READONLY"):
        client.insert("orders_published", [["x"]], column_names=["rollup"])
    with pytest.raises(sqlalchemy.exc.DatabaseError, match="READONLY"):
        pd.DataFrame({"rollup": ["x"]}).to_sql("orders_published", asked.engine(), if_exists="append", index=False)


@pytest.mark.parametrize(
    "how", [{"auth": ("bi", "")}, {"headers": {"X-ClickHouse-User": "bi"}}, {"params": {"user": "bi"}}]
)
def test_a_reader_may_be_named_in_each_of_clickhouses_ways(asked: Asked, how: dict[str, Any]) -> None:
    with httpx.Client(base_url=asked.url, **how) as client:
        refused = client.post("/", content=b"DROP TABLE orders_events")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "164"
        assert client.post("/", content=b"SELECT count() FROM orders_valid SETTINGS max_threads = 1").text == "100\n"
        for sql in (b"SHOW TABLES", b"DESCRIBE TABLE orders_valid", b"EXPLAIN SELECT * FROM orders_minutes"):
            assert client.post("/", content=sql).is_success


def test_a_user_that_does_not_exist_is_refused(asked: Asked) -> None:
    assert httpx.post(asked.url, content=b"SELECT 1", auth=("grafana", "")).status_code == 403


def test_a_query_that_takes_too_much_is_stopped(asked: Asked) -> None:
    slow = (
        "SELECT count() FROM numbers(1000) WHERE sleepEachRow(0.01) SETTINGS max_block_size = 10, max_execution_time = "
    )
    with asked.client() as client, pytest.raises(DatabaseError, match="TIMEOUT_EXCEEDED"):
        client.command(f"{slow} 1")
    with asked.client() as client:
        assert int(client.command("SELECT getSetting('max_execution_time')")) == 60
    with asked.client() as client, pytest.raises(DatabaseError, match="MEMORY_LIMIT_EXCEEDED"):
        client.command("SELECT length(groupArray(number)) FROM numbers(100000000)")


@pytest.mark.parametrize(
    "source", ["file('/etc/hostname')", "url('http://127.0.0.1:1/', CSV)", "'/etc/hostname'", "default.`/etc/hostname`"]
)
def test_files_and_networks_are_out_of_reach(asked: Asked, source: str) -> None:
    with asked.client() as client, pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        client.command(f"SELECT * FROM {source}")  # noqa: S608


def test_a_view_follows_when_a_field_is_added(asked: Asked) -> None:
    fields = [*SCHEMA["fields"], {"name": "note", "type": ["null", "string"], "default": None}]  # type: ignore[misc]
    grown = asked.stream.model_copy(update={"avro_schema": {**SCHEMA, "fields": fields}})
    with asked.client("default") as client:
        apply.create(client, grown)
        made = client.command("SELECT create_table_query FROM system.tables WHERE name = 'orders_valid'")
        apply.create(client, grown)
        assert client.command("SELECT create_table_query FROM system.tables WHERE name = 'orders_valid'") == made
    with asked.client() as client:
        assert {"note", "as_of"} <= set(client.query("SELECT * FROM orders_valid LIMIT 1").column_names)
        assert client.command("SELECT count() FROM orders_valid WHERE note IS NULL") == len(EVENTS)


@pytest.fixture(scope="module")
def written(asked: Asked, spark: SparkSession) -> Asked:
    """The lake with the events in two commits, and what follows them; a copy of the events outside of it."""
    following = Following(spark, asked.stream, str(asked.lake))
    for half in (EVENTS[:HALF], EVENTS[HALF:]):
        frame = spark.createDataFrame(pa.Table.from_pylist(half)).selectExpr("*", f"to_date(at) AS {EVENT_DATE}")
        for root in (asked.lake, asked.outside):
            writer = frame.write.format("delta").mode("append").partitionBy(EVENT_DATE)
            writer.options(**table_options(asked.stream)).save(lake_table(str(root), "orders"))
        list(following.beat())
    return asked


TABLES = ("events", lake_entity("customer"), lake_entity("vectors"), lake_rollup("minutes"))


@pytest.mark.parametrize("table", TABLES)
def test_any_delta_reader_finds_the_same_by_path(written: Asked, table: str) -> None:
    path = lake_table(str(written.lake), "orders", table)
    query = f"SELECT count(*) AS n FROM {table}"  # noqa: S608
    counted = pa.table(QueryBuilder().register(table, DeltaTable(path)).execute(query)).to_pylist()[0]["n"]
    with written.client() as client:
        found = client.command(f"SELECT count() FROM deltaLakeLocal('{path}')")  # noqa: S608
        assert int(found) == counted > 0
        first = f"SELECT count() FROM deltaLakeLocal('{path}') SETTINGS delta_lake_snapshot_version = 0"  # noqa: S608
        before = pa.table(QueryBuilder().register(table, DeltaTable(path, version=0)).execute(query)).to_pylist()[0][
            "n"
        ]
        assert int(client.command(first)) == before


def test_deletion_vectors_are_read_by_sql_and_refused_by_to_pyarrow_table(written: Asked) -> None:
    path = lake_table(str(written.lake), "orders", lake_entity("vectors"))
    log = "".join(
        file.read_text() for file in sorted((written.lake / "orders" / "entity_vectors" / "_delta_log").glob("*.json"))
    )
    assert '"deletionVector":{' in log
    with pytest.raises(DeltaProtocolError, match="deletionVectors"):
        DeltaTable(path).to_pyarrow_table()
    newest = {event["customer"]: event["tg_offset"] for event in EVENTS}
    query = "SELECT customer, tg_offset FROM vectors"
    rows = pa.table(QueryBuilder().register("vectors", DeltaTable(path)).execute(query)).to_pylist()
    with written.client() as client:
        found = client.query(f"SELECT customer, tg_offset FROM deltaLakeLocal('{path}')").result_rows  # noqa: S608
    assert dict(found) == {row["customer"]: row["tg_offset"] for row in rows} == newest
    assert len(found) == len(rows) == len(newest)


def test_what_is_outside_of_the_lake_is_refused(written: Asked) -> None:
    outside = lake_table(str(written.outside), "orders")
    assert len(DeltaTable(outside).to_pyarrow_table()) == len(EVENTS)
    for path in (outside, f"{written.lake}/../outside/orders/events"):
        with written.client() as client, pytest.raises(DatabaseError, match="PATH_ACCESS_DENIED"):
            client.command(f"SELECT count() FROM deltaLakeLocal('{path}')")  # noqa: S608
