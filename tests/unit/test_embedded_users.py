from __future__ import annotations

import base64

import pytest

from pipeline.embedded.asked import read_request
from pipeline.embedded.errors import ServerError
from pipeline.embedded.users import LIMITS, read_only, refuse_reach, user_of

FUNCTIONS = frozenset({"url", "s3", "remote", "merge", "loop", "numbers", "deltalakelocal", "format"})
REFUSED = FUNCTIONS - {"numbers", "deltalakelocal", "format"}


def basic(said: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "address", "user"),
    [
        ({}, "", "default"),
        ({"x-clickhouse-user": "bi"}, "", "bi"),
        (basic("bi:"), "", "bi"),
        (basic("default:x:y"), "", "default"),
        ({}, "user=bi&query=SELECT+1", "bi"),
        (basic("bi:"), "user=bi", "bi"),
    ],
)
def test_a_user_is_named_in_any_of_clickhouses_ways(headers: dict[str, str], address: str, user: str) -> None:
    assert user_of(headers, address) == user


@pytest.mark.parametrize(
    ("headers", "address"), [(basic("BI:"), ""), ({"x-clickhouse-user": "bi"}, "user=default"), ({}, "user=root")]
)
def test_a_name_that_is_no_users_does_not_pass_for_one(headers: dict[str, str], address: str) -> None:
    with pytest.raises(ServerError) as refused:
        user_of(headers, address)
    assert (refused.value.code, refused.value.status) == (516, 403)


def test_a_reader_has_limits_that_a_query_may_change_and_readonly_that_it_may_not() -> None:
    request = read_only(read_request("POST", "max_execution_time=5", {}, b"SELECT 1"), FUNCTIONS)
    assert request.settings == {**LIMITS, "max_execution_time": "5", "readonly": "2"}
    with pytest.raises(ServerError) as refused:
        read_only(read_request("POST", "readonly=0", {}, b"SELECT 1"), FUNCTIONS)
    assert refused.value.code == 164


@pytest.mark.parametrize("name", ["SELECT * FROM t", "SELECT a / b", "/etc/passwd", "a\\\\b"])
def test_a_query_is_no_table_that_exists(name: str) -> None:
    """pandas.read_sql asks so, and chDB would look for files."""
    asked = read_request("POST", "", {}, f"EXISTS TABLE `{name}` FORMAT Native".encode())
    request = read_only(asked, FUNCTIONS)
    assert (request.statement.sql, request.output) == ("SELECT toUInt8(0) AS result", "Native")
    kept = read_only(read_request("POST", "", {}, b"EXISTS TABLE `default`.`shop_valid`"), FUNCTIONS)
    assert kept.statement.sql == "EXISTS TABLE `default`.`shop_valid`"


def test_a_reader_stops_nobodys_query() -> None:
    with pytest.raises(ServerError, match="ACCESS_DENIED"):
        read_only(read_request("POST", "", {}, b"KILL QUERY WHERE 1"), FUNCTIONS)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM url('http://x', CSV)",
        "SELECT * FROM URL /* */ ('http://x', CSV)",
        "SELECT * FROM `url`('http://x', CSV)",
        "SELECT * FROM \u201curl\u201d('http://x', CSV)",
        "DESCRIBE url('http://x')",
        "EXPLAIN SELECT 1 IN (SELECT * FROM s3('b'))",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        'SELECT * FROM default."/etc/passwd"',
        "SELECT * FROM `\\x2fetc`",
        "SELECT * FROM t, '/etc/passwd'",
        "SELECT * FROM t AS where, '/etc/passwd'",
        "SELECT * FROM t JOIN '/etc/passwd' ON 1",
        "SELECT * FROM ('/etc/passwd')",
        "SELECT (SELECT * FROM '../clickhouse/x')",
        "FROM '/etc/passwd' SELECT *",
        "DESCRIBE TABLE `/etc/passwd`",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/passwd'",
        "SELECT 1 FORMAT Protobuf SETTINGS `format_schema` = '/x:y'",
    ],
)
def test_a_reader_does_not_reach_beyond_tables_and_lake(sql: str) -> None:
    with pytest.raises(ServerError):
        refuse_reach(sql.encode(), REFUSED)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM deltaLakeLocal('/data/lake/shop/events')",
        "SELECT 'url(', '/a/b' AS `revenue/order`, url FROM t WHERE page = '/basket' AND x IN ('/a', '..')",
        "SELECT t.`a/b` FROM (SELECT 1 AS `a/b`) AS t JOIN u ON t.x = '/x' ORDER BY `a/b`",
        "SELECT format('{}/{}', a, b) FROM numbers(3) LIMIT 1",
        "SELECT toStartOfInterval(window_start, INTERVAL 60 second) AS time FROM v WHERE a >= '2026/01/01' -- größer",
    ],
)
def test_a_readers_ordinary_statements_pass(sql: str) -> None:
    refuse_reach(sql.encode(), REFUSED)
