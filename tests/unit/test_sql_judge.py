"""Which statements are run? Those that only read, and only what may be read; all others are refused with the reason."""

from __future__ import annotations

import pytest

from controlplane.contract.queries import Engine
from pipeline.sql.judge import judged
from pipeline.sql.refused import QueryRefusedError

READS = (
    "SELECT 1",
    "SELECT 1;",
    "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "SELECT 'INSERT INTO t', '; DROP TABLE t', 'file(' AS said",
    "SELECT * FROM (SELECT 1 AS a) AS t WHERE a IN (1, 2) -- DROP TABLE t; ",
)
CLICKHOUSE = (
    "SELECT quantiles(0.5, 0.9)(took) FROM shop_revenue FINAL GROUP BY ALL WITH TOTALS",
    "SELECT * EXCEPT (a) FROM shop_events ANY LEFT JOIN x USING (k) LIMIT 1 BY k",
    "FROM shop_events SELECT count()",
    "SELECT number FROM numbers(10) ARRAY JOIN [1, 2] AS a",
    "SELECT name FROM system.tables",
    "SHOW CREATE TABLE shop_events",
    "SHOW COLUMNS FROM shop_events",
    "DESCRIBE TABLE shop_events",
    "DESC (SELECT 1)",
    "EXPLAIN PIPELINE SELECT 1",
    "WITH 1 AS x SELECT x",
    "SELECT * FROM view(SELECT 1)",
)
LAKE = (
    "SELECT count(*) FROM flights.events AS e JOIN shop.events USING (k)",
    "DESCRIBE flights.events",
    "EXPLAIN ANALYZE SELECT * FROM flights.events",
    "SELECT * FROM generate_series(1, 3), unnest(array[1])",
    "SELECT date_bin(interval '1 hour', scheduled_at) FROM flights.events",
)


@pytest.mark.parametrize(
    ("engine", "sql"),
    [
        *((engine, sql) for engine in Engine for sql in READS),
        *((Engine.CLICKHOUSE, sql) for sql in CLICKHOUSE),
        *((Engine.LAKE, sql) for sql in LAKE),
    ],
)
def test_what_only_reads_is_run(engine: Engine, sql: str) -> None:
    judged(sql, engine)


WRITES = (
    ("INSERT INTO t VALUES (1)", "only reads"),
    ("INSERT INTO t SELECT 1", "only reads"),
    ("UPDATE t SET a = 1", "only reads"),
    ("DELETE FROM t", "only reads"),
    ("CREATE TABLE t AS SELECT 1", "only reads"),
    ("DROP TABLE t", "only reads"),
    ("ALTER TABLE t ADD COLUMN a INT", "only reads"),
    ("TRUNCATE TABLE t", "only reads"),
    ("GRANT ALL ON t TO x", "only reads"),
    ("SET a = 1", "only reads"),
    ("COPY (SELECT 1) TO '/tmp/x'", ""),
    ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", ""),
    ("EXPLAIN INSERT INTO t SELECT 1", "only a query"),
    ("SELECT 1; DROP TABLE t", "one statement"),
    ("SELECT 1; SELECT 2", "one statement"),
    ("/* SELECT 1 */ DROP TABLE t", "only reads"),
    ("/* /* */ COPY (SELECT 1) TO '/tmp/x' -- */ */ SELECT 1", ""),
    ("", "no statement"),
    (" ; ", "no statement"),
    ("-- nothing", "no statement"),
    ("SELECT 'a", "no SQL"),
    ("SELECT FROM WHERE", "can't be parsed"),
    ("SELECT $$x$$", "plain strings"),
    ("SELECT * FROM a.b.c", "two names"),
    ('SELECT * FROM "/etc/passwd"', "not a table"),
    ("SHOW GRANTS", "SHOW GRANTS is refused"),
    ("SHOW", "SHOW ... is refused"),
    ("DESCRIBE", "name a table"),
    ("SELECT sleep(3)", "sleep"),
)
ONLY_CLICKHOUSE = (
    ("SELECT * FROM file('/etc/passwd')", "file"),
    ("SELECT file('/etc/passwd')", "file"),
    ("SELECT (SELECT count() FROM FILE ('x'))", "FILE"),
    ("DESCRIBE file('x')", "file"),
    ("SELECT `file`('x')", "file"),
    ("SELECT * FROM url('http://127.0.0.1/', CSV)", "url"),
    ("SELECT * FROM urlCluster('c', 'http://127.0.0.1/', CSV)", "urlCluster"),
    ("SELECT * FROM s3('http://127.0.0.1/x')", "s3"),
    ("SELECT * FROM remote('127.0.0.1', system.users)", "remote"),
    ("SELECT * FROM mysql('127.0.0.1', 'a', 'b', 'c', 'd')", "mysql"),
    ("SELECT * FROM deltaLakeLocal('/x')", "deltaLakeLocal"),
    ("SELECT * FROM icebergLocal('/x')", "icebergLocal"),
    ("SELECT * FROM executable('x.sh', CSV, 'a Int')", "executable"),
    ("SELECT * FROM merge('system', '^users$')", "merge"),
    ("SELECT * FROM somethingNew('x')", "somethingnew"),
    ("SELECT * FROM system.users", "system.users"),
    ("SELECT * FROM system.settings", "system.settings"),
    ("SELECT * FROM `system`.`query_log`", "system.query_log"),
    ("SELECT 1 IN system.users", "system.users"),
    ("SELECT * FROM view(SELECT * FROM system.grants)", "system.grants"),
    ("DESCRIBE TABLE system.named_collections", "system.named_collections"),
    ("SHOW CREATE TABLE system.users", "system.users"),
    ("SHOW SETTINGS LIKE 'x'", "SHOW SETTINGS"),
    ("SHOW PROCESSLIST", "SHOW PROCESSLIST"),
    ("SHOW CREATE USER default", "users and roles"),
    ("SHOW TABLES FORMAT Null", "refused"),
    ("SELECT 1 SETTINGS max_execution_time = 0", "SETTINGS"),
    ("SELECT * FROM (SELECT 1 SETTINGS max_threads = 64)", "SETTINGS"),
    ("SELECT 1 FORMAT Null", "FORMAT"),
    ("SELECT 1 INTO OUTFILE '/tmp/x'", ""),
    ("SELECT {a:Identifier}", "no parameters"),
    ("SYSTEM SHUTDOWN", "only reads"),
    ("OPTIMIZE TABLE t", "only reads"),
    ("ATTACH TABLE t", "only reads"),
    ("KILL QUERY WHERE 1", ""),
    ("USE system", "only reads"),
    ("EXPLAIN settings = 1 SELECT 1", "without settings"),
    ("SELECT getSetting('max_threads')", "getSetting"),
)
ONLY_LAKE = (
    ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "only reads"),
    ("SELECT 1 INTO t", "only reads"),
    ("SELECT E'\\''", "plain strings"),
    ("SELECT * FROM read_csv('/etc/passwd')", "read_csv"),
    ("SELECT * FROM parquet_scan('/x')", "parquet_scan"),
    ("SELECT * FROM anything(1)", "refused as a table"),
    ("SHOW ALL", "SHOW ALL"),
)


@pytest.mark.parametrize(
    ("engine", "sql", "reason"),
    [
        *((engine, *each) for engine in Engine for each in WRITES),
        *((Engine.CLICKHOUSE, *each) for each in ONLY_CLICKHOUSE),
        *((Engine.LAKE, *each) for each in ONLY_LAKE),
    ],
)
def test_what_writes_or_reaches_beyond_is_refused_with_the_reason(engine: Engine, sql: str, reason: str) -> None:
    with pytest.raises(QueryRefusedError) as refused:
        judged(sql, engine)
    assert reason in str(refused.value)


@pytest.mark.parametrize("engine", Engine)
def test_what_is_nested_without_end_is_refused_and_takes_no_time(engine: Engine) -> None:
    with pytest.raises(QueryRefusedError, match="nested too deeply"):
        judged(f"SELECT {'(' * 5000}1{')' * 5000}", engine)


def test_what_is_run_has_no_comments_and_everything_stands_where_it_stood() -> None:
    sql = "SELECT 1 /* a\n b */, 'x -- y' -- z\n FROM shop.events;"
    found = judged(sql, Engine.LAKE)
    assert found.sql == "SELECT 1     \n     , 'x -- y'     \n FROM shop.events"


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM flights.events", [("flights", "events", "flights.events", False)]),
        (
            'EXPLAIN ANALYZE SELECT * FROM Flights."Events" AS e, shop.events x',
            [("flights", "Events", 'Flights."Events"', True), ("shop", "events", "shop.events", True)],
        ),
        ("DESCRIBE TABLE shop.events", [("shop", "events", "shop.events", False)]),
        (
            "WITH a AS (SELECT * FROM shop.events) SELECT * FROM a WHERE x IN (SELECT y FROM flights.rollup_r)",
            [("shop", "events", "shop.events", False), ("flights", "rollup_r", "flights.rollup_r", False)],
        ),
        ("SELECT * FROM nowhere", [("", "nowhere", "nowhere", False)]),
    ],
)
def test_the_tables_of_a_statement_are_found_where_they_stand(sql: str, tables: list[tuple[str, ...]]) -> None:
    found = judged(sql, Engine.LAKE)
    named = [(each.database, each.name, found.sql[each.start : each.end], each.is_aliased) for each in found.tables]
    assert sorted(named) == sorted(tables)
