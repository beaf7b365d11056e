"""Does chDB behind our HTTP front look like a ClickHouse server to the clients that people use?"""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

import clickhouse_connect
import httpx
import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from clickhouse_connect.driver.exceptions import DatabaseError

from controlplane.up.checks import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

WITHIN_S = 60.0
SERVE = """
import sys
from pathlib import Path
from pipeline.embedded import serve
serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
"""
COMMAND = (sys.executable, "-P", "-c", SERVE)
FOREIGN = "import sys, chdb; held = chdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.02)


class Server:
    """The embedded server as a process on a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([*COMMAND, str(folder), str(self.port)])

    def __enter__(self) -> Self:
        until(self.answers, "the server answers /ping")
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}"
        try:
            return httpx.get(f"{self.url}/ping", timeout=1).text == "Ok.\n"
        except httpx.HTTPError:
            return False

    def client(self, **options: Any) -> Client:
        return clickhouse_connect.get_client(dsn=self.url, autogenerate_session_id=False, **options)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(WITHIN_S)

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WITHIN_S)


def refused(folder: Path, port: int) -> str:
    tried = subprocess.run(
        [*COMMAND, str(folder), str(port)], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert tried.returncode == 1
    return tried.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("clickhouse")) as one:
        yield one


@pytest.fixture
def table(server: Server, request: pytest.FixtureRequest) -> str:
    name = f"t{abs(hash(request.node.nodeid))}"
    with server.client() as client:
        client.command(
            f"CREATE TABLE {name} (a UInt32, b Nullable(String)) ENGINE = MergeTree ORDER BY a "
            "SETTINGS non_replicated_deduplication_window = 100"
        )
    return name


def count(server: Server, table: str) -> int:
    with server.client() as client:
        return int(client.command(f"SELECT count() FROM {table}"))  # noqa: S608 (a test's own table)


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_rows_come_back_as_they_went_in(server: Server, compress: Any) -> None:
    rows = [[n, None if n % 3 else "é" * (n % 20), datetime.fromtimestamp(n, UTC), [n, n]] for n in range(200_000)]
    with server.client(compress=compress) as client:
        client.command("DROP TABLE IF EXISTS typed")
        client.command(
            "CREATE TABLE typed (a UInt32, b Nullable(String), t DateTime('UTC'), l Array(UInt64)) "
            "ENGINE = MergeTree ORDER BY a"
        )
        client.insert("typed", rows, column_names=["a", "b", "t", "l"])
        found = client.query("SELECT * FROM typed ORDER BY a", query_tz="UTC", tz_mode="aware").result_rows
        assert [list(row) for row in found] == rows


@pytest.mark.parametrize("value", ["it's", "a\\b", "tab\tline\n", "\\N", "{x}", "' OR 1 = 1 --", ""])
def test_a_parameter_is_a_value_and_never_sql(server: Server, value: str) -> None:
    with server.client() as client:
        found = client.query("SELECT {x:String}, {l:Array(String)}", parameters={"x": value, "l": [value]})
        assert found.first_row == (value, [value])


@pytest.mark.parametrize(
    ("form", "block"),
    [
        ("JSONEachRow", b'{"a": 1, "b": "x"}\n{"a": 2, "b": null}\n'),
        ("RowBinary", b"\x01\0\0\0\x00\x01x\x02\0\0\0\x01"),
        ("CSV", b"1,x\n2,\\N\n"),
    ],
)
def test_raw_blocks_of_any_format_are_taken(server: Server, table: str, form: str, block: bytes) -> None:
    with server.client() as client:
        done = client.raw_insert(table, ["a", "b"], block, fmt=form)
        assert done.written_rows == 2
        assert client.query(f"SELECT * FROM {table} ORDER BY a").result_rows == [(1, "x"), (2, None)]  # noqa: S608


@pytest.mark.parametrize(
    ("encoding", "pack"), [("lz4", lz4.frame.compress), ("zstd", zstd.compress), ("gzip", gzip.compress)]
)
def test_every_frame_of_a_packed_body_is_read(
    server: Server, table: str, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = b"".join(pack(f"{n},x\n".encode()) for n in range(50))
    sent = {"query": f"INSERT INTO {table} FORMAT CSV"}
    answer = httpx.post(server.url, params=sent, content=body, headers={"Content-Encoding": encoding})
    assert answer.is_success, answer.text
    assert count(server, table) == 50


def test_settings_hold_for_their_request_only(server: Server) -> None:
    with server.client() as client:
        assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == 1
        assert client.command("SELECT getSetting('max_block_size')", settings={"max_block_size": 77}) == 77
        assert client.command("SELECT getSetting('max_block_size')") != 77


def test_an_error_has_clickhouses_code_and_words(server: Server) -> None:
    answer = httpx.post(server.url, content=b"SELECT nope FROM nowhere")
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (404, "60")
    assert answer.text.startswith("Code: 60. DB::Exception: ")
    with server.client() as client, pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):
        client.command("SELECT 1", settings={"no_such_setting": "1"})


def test_a_get_changes_nothing(server: Server, table: str) -> None:
    answer = httpx.get(server.url, params={"query": f"DROP TABLE {table}"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert count(server, table) == 0


def test_requests_run_side_by_side(server: Server) -> None:
    slow = "SELECT sleepEachRow(0.05) FROM numbers(400) SETTINGS max_block_size = 1"
    with ThreadPoolExecutor(4) as threads, server.client() as client:
        running = [threads.submit(server.client().command, slow) for _ in range(4)]
        seen = (
            "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.05)%' AND query NOT LIKE '%LIKE%'"
        )
        until(lambda: int(client.command(seen)) == 4, "four queries run at once")
        client.command("KILL QUERY WHERE query LIKE '%sleepEachRow(0.05)%' AND query NOT LIKE '%LIKE%' ASYNC")
        for each in running:
            with pytest.raises(DatabaseError, match="QUERY_WAS_CANCELLED"):
                each.result(WITHIN_S)


def test_a_small_answer_is_not_held_back(server: Server) -> None:
    """Without TCP_NODELAY every one of them takes the 40 ms of a delayed acknowledgement."""
    took = []
    with server.client() as client:
        for _ in range(20):
            began = time.perf_counter()
            client.command("SELECT 1")
            took.append(time.perf_counter() - began)
    assert min(took) < 0.03


def test_a_page_in_a_browser_is_not_answered(server: Server) -> None:
    answer = httpx.post(server.url, content=b"SELECT 1", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "497")


def test_a_kafka_engine_is_refused_before_it_spoils_the_folder(tmp_path: Path) -> None:
    with Server(tmp_path) as one, one.client() as client:
        with pytest.raises(DatabaseError, match="ENGINE = Kafka is not supported"):
            client.command("CREATE TABLE k (a UInt8) ENGINE = Kafka('b:1', 't', 'g', 'CSV')")
        assert one.end(signal.SIGTERM) == 0
    with Server(tmp_path) as again, again.client() as client:
        assert client.command("EXISTS k") == 0


def test_a_folder_in_use_and_a_port_in_use_are_refused_by_name(server: Server, tmp_path: Path) -> None:
    with Server(tmp_path) as one:
        assert f"process {one.process.pid} serves this folder already" in refused(tmp_path, free_port())
    assert f"127.0.0.1:{server.port}: cannot listen there" in refused(tmp_path / "other", server.port)


def test_a_folder_that_another_program_has_open_is_not_called_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "held"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", FOREIGN, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert "a process that is not this server has the folder open" in refused(folder, free_port())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_answered_is_there_after_the_end(tmp_path: Path, how: signal.Signals) -> None:
    with Server(tmp_path) as one, one.client() as client:
        client.command("CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
        client.raw_insert("t", ["a"], b"1\n2\n3\n", fmt="CSV")
        assert one.end(how) == (0 if how is signal.SIGTERM else -signal.SIGKILL)
    with Server(tmp_path) as again:
        assert count(again, "t") == 3


@pytest.mark.parametrize(
    ("statement", "trouble"),
    [
        ("ALTER TABLE {} ADD CONSTRAINT below CHECK a < 100", "VIOLATED_CONSTRAINT"),
        ("CREATE MATERIALIZED VIEW {}_mv ENGINE = Memory AS SELECT throwIf(a = 500) FROM {}", "FUNCTION_THROW_IF"),
    ],
    ids=["the-table-refuses", "a-view-throws"],
)
def test_an_insert_that_fails_after_its_data_were_read_is_not_called_done(
    server: Server, table: str, statement: str, trouble: str
) -> None:
    with server.client() as client:
        client.command(statement.replace("{}", table))
        with pytest.raises(DatabaseError, match=trouble):
            client.raw_insert(table, ["a"], b"500\n", fmt="CSV")


def test_a_column_that_the_data_lack_takes_its_default(server: Server, table: str) -> None:
    with server.client() as client:
        client.command(f"ALTER TABLE {table} ADD COLUMN c String DEFAULT concat('of ', toString(a))")
        client.raw_insert(table, insert_block=b'{"a": 1}\n{"a": 2, "c": "its own"}\n', fmt="JSONEachRow")
        client.raw_insert(table, insert_block=parquet({"a": [3]}), fmt="Parquet")
        found = client.query(f"SELECT a, b, c FROM {table} ORDER BY a").result_rows  # noqa: S608 (a test's own table)
        assert found == [(1, None, "of 1"), (2, None, "its own"), (3, None, "of 3")]


def parquet(columns: dict[str, list[int]]) -> bytes:
    written = BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


INSERT = {"insert_deduplication_token": "one", "deduplicate_blocks_in_dependent_materialized_views": 1}


def make_counted(client: Client) -> None:
    """A table, and one that a view fills from it; a second insert under a token is dropped in both."""
    kept = "SETTINGS non_replicated_deduplication_window = 100"
    client.command(f"CREATE TABLE t (a UInt32) ENGINE = MergeTree PARTITION BY a % 2 ORDER BY a {kept}")
    client.command(f"CREATE TABLE sums (n UInt64) ENGINE = SummingMergeTree ORDER BY () {kept}")
    client.command("CREATE MATERIALIZED VIEW mv TO sums AS SELECT count() AS n FROM t")


def insert_and_count(client: Client) -> tuple[int, int]:
    client.raw_insert("t", ["a"], b"1\n2\n3\n", fmt="CSV", settings=INSERT)
    row = client.query("SELECT (SELECT count() FROM t), (SELECT sum(n) FROM sums)").first_row
    return int(row[0]), int(row[1])


def table_folder(client: Client, folder: Path, table: str) -> Path:
    path = client.command("SELECT data_paths[1] FROM system.tables WHERE name = {t:String}", parameters={"t": table})
    return folder / "store" / str(path).rstrip("/").split("/store/")[-1]


@pytest.mark.parametrize(("table", "part"), [("t", "0_2_2_0"), ("t", "1_1_1_0"), ("sums", "all_1_1_1")])
def test_an_insert_that_was_killed_before_its_part_had_a_name_is_taken_when_made_again(
    tmp_path: Path, table: str, part: str
) -> None:
    """The engine notes the token, then gives the part its name: killed between the two, it would drop what it does not have."""
    with Server(tmp_path) as one, one.client() as client:
        make_counted(client)
        assert insert_and_count(client) == (3, 3)
        parts = table_folder(client, tmp_path, table)
        one.end(signal.SIGKILL)
    (parts / part).rename(parts / f"tmp_insert_{part}")
    with Server(tmp_path) as again, again.client() as client:
        assert insert_and_count(client) == (3, 3)
        assert insert_and_count(client) == (3, 3)


def test_a_server_whose_insert_failed_after_it_was_noted_ends_and_the_next_one_takes_it(tmp_path: Path) -> None:
    with Server(tmp_path) as one, one.client() as client:
        make_counted(client)
        in_the_way = table_folder(client, tmp_path, "sums") / "all_1_1_1"
        in_the_way.touch()
        with pytest.raises(DatabaseError):
            insert_and_count(client)
        assert one.process.wait(WITHIN_S) == 1
    in_the_way.unlink()
    with Server(tmp_path) as again, again.client() as client:
        assert insert_and_count(client) == (3, 3)
