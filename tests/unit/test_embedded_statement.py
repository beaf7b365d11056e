from __future__ import annotations

import pytest

from pipeline.embedded.errors import ServerError
from pipeline.embedded.statement import read_statement
from pipeline.embedded.tokens import tokens

STRUCTURE = "'a UInt8, b String'"


@pytest.mark.parametrize(
    ("query", "body", "sql", "form", "data"),
    [
        pytest.param(b"", b"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t ", "CSV", b"1,2\n", id="all-in-the-body"),
        pytest.param(b"INSERT INTO t FORMAT CSV", b"1\n", "INSERT INTO t ", "CSV", b"1\n", id="data-in-the-body"),
        pytest.param(b"INSERT INTO t", b"FORMAT CSV\n1", "INSERT INTO t\n", "CSV", b"1", id="split-anywhere"),
        pytest.param(b"", b"insert into t (a) values (1)", "insert into t (a) ", "Values", b" (1)", id="values"),
        pytest.param(
            b"", b"INSERT INTO format FORMAT TSV\n1", "INSERT INTO format ", "TSV", b"1", id="a-table-named-so"
        ),
        pytest.param(
            b"",
            b"INSERT INTO `t FORMAT CSV` FORMAT TSV\n1",
            "INSERT INTO `t FORMAT CSV` ",
            "TSV",
            b"1",
            id="quoted-name",
        ),
        pytest.param(
            b"", b"/* FORMAT X */ INSERT INTO t -- FORMAT Y\nFORMAT TSV\n1", None, "TSV", b"1", id="in-comments"
        ),
        pytest.param(
            b"",
            b"INSERT INTO t FORMAT Native\n\x00'\xff`\n;",
            "INSERT INTO t ",
            "Native",
            b"\x00'\xff`\n;",
            id="binary",
        ),
        pytest.param(b"", b"INSERT INTO t FORMAT Native\r\n\n", "INSERT INTO t ", "Native", b"\n", id="one-line-end"),
    ],
)
def test_an_insert_is_taken_apart(query: bytes, body: bytes, sql: str | None, form: str, data: bytes) -> None:
    statement = read_statement(query, body)
    assert (statement.input, statement.data) == (form, data)
    assert sql is None or statement.sql == sql


def test_an_insert_with_settings_keeps_them() -> None:
    statement = read_statement(b"INSERT INTO t SETTINGS a=1 FORMAT CSV", b"1")
    assert statement.sql == "INSERT INTO t SETTINGS a=1 "


def test_input_is_found_by_characters_not_bytes() -> None:
    insert = f"INSERT INTO t SELECT 'é', * FROM input({STRUCTURE}) FORMAT CSV"  # noqa: S608 (no statement is run)
    statement = read_statement(insert.encode(), b"1,a")
    assert statement.input_at is not None
    start, end = statement.input_at
    assert statement.sql[start:end] == "input("


def test_an_insert_from_a_select_needs_no_data() -> None:
    statement = read_statement(b"", b"INSERT INTO t SELECT * FROM u WHERE a IN (1, 2)")
    assert (statement.input, statement.data, statement.answers) == (None, b"", False)


@pytest.mark.parametrize(
    ("sql", "output"),
    [
        pytest.param(b"SELECT 1", None, id="none"),
        pytest.param(b"SELECT 1 FORMAT JSON", "JSON", id="at-the-end"),
        pytest.param(b"SELECT 1\n FORMAT Native;", "Native", id="before-a-semicolon"),
        pytest.param(b"SELECT 1 FORMAT JSON SETTINGS max_threads=1", "JSON", id="before-settings"),
        pytest.param(b"SELECT ' FORMAT CSV'", None, id="in-a-string"),
        pytest.param(b"SELECT 'it\\'s FORMAT CSV', ''' FORMAT CSV'", None, id="in-a-string-with-quotes"),
        pytest.param(b"SELECT $a$ FORMAT CSV $a$", None, id="in-a-heredoc"),
    ],
)
def test_the_output_format_is_what_the_statement_says(sql: bytes, output: str | None) -> None:
    assert read_statement(b"", sql).output == output


@pytest.mark.parametrize(
    ("sql", "code", "named"),
    [
        pytest.param(b"  -- nothing", 62, "Empty query", id="empty"),
        pytest.param(b"SELECT 1; SELECT 2", 62, "Multi-statements", id="two-statements"),
        pytest.param(b"INSERT INTO t SELECT 1; DROP TABLE t", 62, "Multi-statements", id="a-second-behind-an-insert"),
        pytest.param(b"INSERT INTO t (a)", 62, "FORMAT", id="an-insert-without-data"),
        pytest.param(b"SELECT '\xff'", 62, "UTF-8", id="not-text"),
        pytest.param(b"CREATE TABLE k (a UInt8) ENGINE = Kafka SETTINGS x=1", 48, "Kafka", id="kafka"),
        pytest.param(b"create table k (a UInt8) engine /* = */ `Kafka`('b')", 48, "Kafka", id="kafka-in-disguise"),
        pytest.param(b"CREATE TABLE k (a UInt8) ENGINE RabbitMQ", 48, "RabbitMQ", id="other-consumers"),
        pytest.param(b"SELECT 1 INTO OUTFILE '/tmp/x'", 227, "OUTFILE", id="writing-files"),
        pytest.param(b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", 78, "INFILE", id="reading-files"),
        pytest.param(b"SELECT * FROM file('/etc/passwd', 'CSV')", 497, "file", id="the-file-function"),
        pytest.param(b"SELECT * FROM executable('x', CSV, 'a String')", 497, "executable", id="running-programs"),
        pytest.param(b"SET max_threads = 1", 48, "session", id="set"),
        pytest.param(b"USE system", 48, "session", id="use"),
        pytest.param(b"CREATE TEMPORARY TABLE t (a UInt8)", 48, "session", id="temporary-tables"),
    ],
)
def test_what_an_embedded_server_must_not_run_is_refused_by_name(sql: bytes, code: int, named: str) -> None:
    with pytest.raises(ServerError, match=named) as refused:
        read_statement(b"", sql)
    assert refused.value.code == code


def test_words_in_strings_are_no_reason_to_refuse() -> None:
    assert read_statement(b"", b"SELECT 'ENGINE = Kafka; SET x', `INTO OUTFILE`").verb == "SELECT"


def test_unended_quotes_are_read_in_linear_time() -> None:
    assert len(list(tokens(b"SELECT '" + b"a" * 200_000))) == 3
