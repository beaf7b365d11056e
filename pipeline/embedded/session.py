"""How does one chDB connection run many people's queries?

A connection keeps its database and its settings from one query to the next, and ClickHouse's HTTP interface promises
the opposite. Setting everything and unsetting it again would double the cost of a small query, so a session remembers
what it is set to and states only the difference. Mostly there is none.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chdb.state import connect

from pipeline.embedded.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.embedded.asked import External

DEFAULTS = {
    "async_insert": "0",  # an insert that was answered is on disk
    "implicit_select": "0",  # `1 + 1` is no statement, as in any server
    "allow_introspection_functions": "0",
    "use_cache_for_count_from_files": "0",  # the "files" here are bodies, and their names come again
    "max_memory_usage": str(768 * 1024 * 1024),  # one query's share of the server's ceiling
    "readonly": "0",
}
"""Where chDB's own defaults differ from what this server promises."""
# These formats are the same bytes whether they are made in one piece or block by block; others repeat their header.
_STREAMING = frozenset(
    {"Native", "RowBinary", "TabSeparated", "TSV", "CSV", "JSONEachRow", "TabSeparatedRaw", "TSVRaw", "Null"}
)


class Piece:
    """A piece of a result, and what it cost."""

    def __init__(self, data: bytes, read_rows: int = 0, read_bytes: int = 0, wrote: tuple[int, int] = (0, 0)) -> None:
        self.data = data
        self.read_rows = read_rows
        self.read_bytes = read_bytes
        self.written_rows, self.written_bytes = wrote


class Session:
    """One connection to the engine; used by one thread at a time."""

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self.must_end = False
        """Its state is not known any more, or not fit for others."""
        self._connection = connect(address)
        self._defaults = {**DEFAULTS, "log_comment": name}
        self._settings: dict[str, str] = {}
        self._database = "default"
        self.adopt({}, "default")

    @property
    def readonly(self) -> str:
        """Level of the `readonly` setting: it can't be taken back."""
        return self._settings["readonly"]

    def is_set_to(self, settings: Mapping[str, str], database: str) -> bool:
        """Would `adopt` have nothing to do?"""
        return self._database == database and self._settings == {**self._defaults, **settings}

    def adopt(self, settings: Mapping[str, str], database: str) -> None:
        """Become set to exactly these settings and this database.

        Raises:
            RuntimeError: the engine's, if a setting or the database does not exist; the session must end then.
        """
        wanted = {**self._defaults, **settings}
        self.must_end = True
        if self._database != database:
            self._connection.query(f"USE {_quoted(database, '`')}")
        stated = [f"{name}=DEFAULT" for name in self._settings if name not in wanted]
        changed = [name for name in wanted if self._settings.get(name) != wanted[name]]
        stated += [f"{name}={_quoted(wanted[name])}" for name in sorted(changed, key="readonly".__eq__)]
        if stated:
            self._connection.query(f"SET {', '.join(stated)}")
        self._settings, self._database, self.must_end = wanted, database, False

    def take(self, external: External) -> None:
        """Make a table that lives as long as this session, which then must end."""
        self.must_end = True
        self._connection.query(f"CREATE TEMPORARY TABLE {external.name} ({external.structure}) ENGINE = Memory")
        self._take_data(Statement(f"INSERT INTO {external.name}", "INSERT", data=external.data), external.format, {})

    def run(self, statement: Statement, output: str, parameters: Mapping[str, str]) -> Iterator[Piece]:
        """Run a statement; its result comes in pieces.

        Raises:
            RuntimeError: the engine's own; maybe after some pieces.
        """
        if statement.input is not None:
            yield self._take_data(statement, statement.input, parameters)
        elif statement.verb in ("SELECT", "WITH") and output in _STREAMING:
            with self._connection.send_query(statement.sql, output, params=dict(parameters)) as pieces:
                for piece in pieces:
                    yield Piece(piece.bytes(), piece.storage_rows_read(), piece.storage_bytes_read())
        else:
            done = self._connection.query(statement.sql, output, params=dict(parameters))
            wrote = (done.rows_written(), done.bytes_written())
            yield Piece(done.bytes(), done.storage_rows_read(), done.storage_bytes_read(), wrote)

    def _take_data(self, statement: Statement, form: str, parameters: Mapping[str, str]) -> Piece:
        """Not by chDB's insert stream: as of 4.4 it says "written" when a view throws, a part is refused or the disk is full."""
        with _memory_file(statement.data) as path:
            source = f"file({_quoted(path)}, {_quoted(form)}"
            if statement.input_at is None:
                sql = f"{statement.sql}\nSELECT * FROM {source})"
            else:
                start, end = statement.input_at
                sql = f"{statement.sql[:start]}{source}, {statement.sql[end:]}"
            done = self._connection.query(sql, params=dict(parameters))
        return Piece(b"", wrote=(done.rows_written(), done.bytes_written()))

    def stop(self, other: str) -> None:
        """Stop what another session is running."""
        self._connection.query(f"KILL QUERY WHERE Settings['log_comment'] = {_quoted(other)} ASYNC")

    def ask(self, sql: str) -> str:
        """A single value."""
        return str(self._connection.query(sql, "TabSeparatedRaw").bytes().decode().rstrip("\n"))

    def close(self) -> None:
        """Give the connection back to the engine; the last one to close closes the engine."""
        self._connection.close()


@contextmanager
def _memory_file(data: bytes) -> Iterator[str]:
    """Show bytes to the engine as a file, without a disk."""
    descriptor = os.memfd_create("body")
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _quoted(value: str, mark: str = "'") -> str:
    return mark + value.replace("\\", "\\\\").replace(mark, "\\" + mark) + mark
