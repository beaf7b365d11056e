from __future__ import annotations

from urllib.parse import urlencode

import pytest

from pipeline.embedded.asked import Request, read_request
from pipeline.embedded.errors import ServerError, from_engine

FORM = "multipart/form-data; boundary=xx"


def asked(
    method: str = "POST", body: bytes = b"SELECT 1", headers: dict[str, str] | None = None, **fields: str
) -> Request:
    return read_request(method, urlencode(fields), headers or {}, body)


def test_settings_are_told_from_parameters_and_from_what_only_steers_http() -> None:
    request = asked(
        max_threads="2",
        param_x="it's",
        database="d",
        session_id="s",
        wait_end_of_query="1",
        client_protocol_version="54468",
        http_headers_progress_interval_ms="10000",
        send_progress_in_http_headers="1",
    )
    assert (request.settings, request.parameters) == ({"max_threads": "2"}, {"x": "it's"})
    assert (request.database, request.is_whole) == ("d", True)


def test_a_delta_table_is_counted_by_rows_and_not_by_files() -> None:
    by_path = b"SELECT count() FROM deltaLakeLocal('/lake/shop/events')"
    assert asked(body=by_path).settings == {"optimize_trivial_count_query": "0"}
    assert asked(body=by_path, optimize_trivial_count_query="1").settings == {"optimize_trivial_count_query": "1"}


def test_a_get_reads_only() -> None:
    assert asked("GET").settings == {"readonly": "2"}
    assert asked("GET", readonly="1").settings == {"readonly": "1"}
    assert asked("POST").settings == {}


@pytest.mark.parametrize("name", ["a b", "x=1, readonly", "a'b", "1a", "a;b"])
def test_a_setting_that_could_carry_sql_is_refused(name: str) -> None:
    with pytest.raises(ServerError, match="is not the name of a setting"):
        asked(**{name: "1"})


def test_the_statement_has_the_last_word_on_its_format() -> None:
    assert asked(body=b"SELECT 1 FORMAT JSON", default_format="CSV").output == "JSON"
    assert asked(default_format="CSV").output == "CSV"
    assert asked(headers={"x-clickhouse-format": "TSV"}).output == "TSV"
    assert asked().output == "TabSeparated"


def test_a_query_has_an_id_either_way() -> None:
    assert asked(query_id="mine").query_id == "mine"
    assert asked().query_id != asked().query_id


def test_an_answer_is_packed_only_when_it_is_asked_for() -> None:
    assert asked(headers={"accept-encoding": "lz4"}).packing is None
    assert asked(headers={"accept-encoding": "lz4"}, enable_http_compression="1").packing == "lz4"


def test_native_blocks_are_refused_and_not_misread() -> None:
    with pytest.raises(ServerError, match="decompress=1"):
        asked(decompress="1")
    assert asked(compress="0").settings == {}


def test_a_form_holds_the_statement_its_parameters_and_tables() -> None:
    body = (
        b'--xx\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {x:String} FROM u\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="param_x"\r\n\r\n\xc3\xa9\r\n'
        b'--xx\r\nContent-Disposition: form-data; name="u"; filename="u.csv"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\x001\r\n\xff\n\r\n--xx--\r\n"
    )
    request = asked(body=body, headers={"content-type": FORM}, u_structure="a UInt8", u_format="CSV")
    assert (request.statement.sql, request.parameters, request.settings) == ("SELECT {x:String} FROM u", {"x": "é"}, {})
    assert [(each.name, each.structure, each.data) for each in request.externals] == [
        ("u", "a UInt8", b"\x001\r\n\xff\n")
    ]


def test_a_table_without_columns_is_refused() -> None:
    body = b'--xx\r\nContent-Disposition: form-data; name="u"; filename="u"\r\n\r\n1\r\n--xx--\r\n'
    with pytest.raises(ServerError, match="u_structure"):
        asked(body=body, headers={"content-type": FORM})


@pytest.mark.parametrize(("code", "status"), [(60, 404), (62, 400), (115, 404), (241, 500), (48, 501), (159, 504)])
def test_the_engines_error_keeps_its_code_and_gets_clickhouses_status(code: int, status: int) -> None:
    error = from_engine(RuntimeError(f"Streaming query failed: Code: {code}. DB::Exception: why. (NAME)"))
    assert (error.code, error.status, error.text) == (code, status, f"Code: {code}. DB::Exception: why. (NAME)")


def test_an_error_without_a_code_is_still_told() -> None:
    assert "odd" in from_engine(RuntimeError("odd")).text
