"""How is the lake asked? By DataFusion, in a process of its own for each query, over the versions that are meant.

Tables are named `stream.table`. A version is decided before the query begins, so that all of it sees one; one whose files are gone
is refused with what is still there.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from controlplane.contract.folders import load_streams
from controlplane.contract.queries import WITHIN_S, QueryAnswer, QueryColumn, QueryTable
from pipeline.lakeview.log import Logs
from pipeline.lakeview.refused import GoneError, LakeRefusedError
from pipeline.lakeview.rows import moment_of, version_of
from pipeline.maintenance.tables import tables_of
from pipeline.sql.refused import AwayError, NoLongerThereError, NotYoursError, QueryRefusedError, TooMuchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from controlplane.contract.queries import QueryAsked
    from controlplane.contract.settings import Settings
    from pipeline.maintenance.tables import Table
    from pipeline.sql.judge import Judged, TableNamed

ANSWER_AT_MOST = 8 * 2**20
_MEMORY = 768 * 2**20
LIMITS = {
    "seconds": f"{WITHIN_S:g}",
    "of memory": f"{_MEMORY // 2**20} MiB",
    "for the answer": f"{ANSWER_AT_MOST // 2**20} MiB",
}
_CHILD = (sys.executable, "-P", "-m", "pipeline.sql.child")


@dataclass(frozen=True)
class Lake:
    """The Delta tables of every stream."""

    settings: Settings
    logs: Logs = field(default_factory=Logs)

    async def run(self, asked: QueryAsked, judged: Judged, may_read: Callable[[str], bool]) -> QueryAnswer:
        """The answer.

        Args:
            asked: what.
            judged: the same, looked through.
            may_read: of a stream, whether who asks may.

        Raises:
            QueryRefusedError: if it can't be asked so, or DataFusion refuses it, or it is too much.
        """
        began = time.monotonic()
        if judged.verb == "SHOW":
            return _shown(await asyncio.to_thread(self.tables, may_read), time.monotonic() - began)
        named = {f"{each.database}.{each.name}": each for each in judged.tables}
        tables = await asyncio.to_thread(self._tables, named, asked.as_of, may_read)
        said = await _asked_of_child(
            {
                "sql": _sql(judged),
                "tables": tables,
                "limit": asked.limit,
                "memory": _MEMORY,
                "bytes": ANSWER_AT_MOST,
            }
        )
        return QueryAnswer(
            columns=tuple(QueryColumn(name=name, type=kind) for name, kind in said["columns"]),
            rows=tuple(map(tuple, said["rows"])),
            elapsed_s=time.monotonic() - began,
            truncated=said["truncated"],
            versions={name: table["version"] for name, table in tables.items()},
        )

    def tables(self, may_read: Callable[[str], bool]) -> tuple[QueryTable, ...]:
        """Every table that is there, with its columns."""
        found = []
        for table in self._known().values():
            if not may_read(table.stream):
                continue
            with contextlib.suppress(DeltaError, OSError):
                schema = DeltaTable(table.path).schema()
                columns = tuple(QueryColumn(name=each.name, type=_type(each.type)) for each in schema.fields)
                found.append(QueryTable(name=f"{table.stream}.{table.name}", columns=columns))
        return tuple(found)

    def _known(self) -> dict[str, Table]:
        root = self.settings.lake_root
        known = (each for stream in load_streams(self.settings.stream_roots) for each in tables_of(stream, root))
        return {f"{each.stream}.{each.name}": each for each in known}

    def _tables(
        self, named: Mapping[str, TableNamed], as_of: Mapping[str, int | str], may_read: Callable[[str], bool]
    ) -> dict[str, dict[str, Any]]:
        """Address and version of each."""
        known = self._known()
        if strange := sorted(set(as_of) - set(named)):
            raise QueryRefusedError(f"as_of names {', '.join(strange)}, which the query does not read")
        for name, table in named.items():
            if name not in known:
                there = ", ".join(known) or "none"
                raise QueryRefusedError(f"there is no table {name.strip('.')!r}; name it stream.table, of: {there}")
            if not may_read(table.database):
                raise NotYoursError(f"{name}: you may not read the stream {table.database!r}")
        return {
            name: {"uri": known[name].path, "version": self._version(name, known[name].path, as_of.get(name))}
            for name in named
        }

    def _version(self, name: str, uri: str, wanted: int | str | None) -> int:
        try:
            if wanted is None:
                return int(DeltaTable(uri).version())
            log = self.logs.read(uri)
            version, at = (wanted, None) if isinstance(wanted, int) else (None, moment_of(wanted))
            return version_of(log, name, version, at).commit.version
        except TableNotFoundError as error:
            raise QueryRefusedError(f"{name} is not in the lake yet: nothing was written to it") from error
        except GoneError as error:
            raise NoLongerThereError(str(error)) from error
        except LakeRefusedError as error:
            raise QueryRefusedError(str(error)) from error
        except (DeltaError, OSError) as error:
            raise AwayError(f"{name} can't be read now: {error}") from error


def _sql(judged: Judged) -> str:
    """With each table called as it is registered: by one name in quotes, which stands for its own without the stream."""
    sql = judged.sql
    for table in sorted(judged.tables, key=lambda each: each.start, reverse=True):
        is_described = judged.verb == "DESCRIBE"
        alias = "" if table.is_aliased or is_described else f' AS "{table.name}"'
        sql = f'{sql[: table.start]}"{table.database}.{table.name}"{alias}{sql[table.end :]}'
    return f"({sql})" if judged.verb == "SELECT" else sql


async def _asked_of_child(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the child answers; it is killed when it takes too long, and when nobody waits any more."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*_CHILD, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(WITHIN_S):
            out, err = await child.communicate(json.dumps(asked).encode())
    except TimeoutError as error:
        raise TooMuchError(f"the query took longer than {WITHIN_S:g} s and was stopped; ask for less") from error
    finally:
        if child.returncode is None:
            child.kill()
            await asyncio.shield(child.wait())
    said: dict[str, Any] = json.loads(out) if child.returncode == 0 else {"died": err.decode("utf-8", "replace")}
    if "refused" in said:
        raise QueryRefusedError(f"DataFusion says: {str(said['refused'])[:1000]}")
    if said.get("too_much") or child.returncode in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGKILL):
        raise TooMuchError(f"the query needs more memory than {_MEMORY // 2**20} MiB; ask for less")
    if "died" in said:
        last = said["died"].strip().rpartition("\n")[2]
        raise QueryRefusedError(f"the query failed (exit code {child.returncode}): {last[:300]}")
    return said


def _shown(tables: tuple[QueryTable, ...], elapsed_s: float) -> QueryAnswer:
    columns = (QueryColumn(name="table", type="string"), QueryColumn(name="columns", type="int64"))
    rows = tuple((each.name, len(each.columns)) for each in tables)
    return QueryAnswer(columns=columns, rows=rows, elapsed_s=elapsed_s)


def _type(kind: Any) -> str:  # noqa: ANN401 (deltalake has no types)
    written = str(getattr(kind, "type", kind))
    return (
        written
        if isinstance(getattr(kind, "type", None), str) and written not in ("struct", "array", "map")
        else str(kind)
    )
