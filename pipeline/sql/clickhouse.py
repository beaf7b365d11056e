"""How is ClickHouse asked? As a user who may only read, within limits, and no longer than somebody waits.

The answer comes line by line, so that no more of it is held than is shown. When whoever asked goes away the task is cancelled, the
connection closes, and ClickHouse stops the query.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from controlplane.contract.queries import WITHIN_S, QueryAnswer, QueryColumn, QueryTable
from pipeline.sql.refused import AwayError, QueryRefusedError, TooMuchError
from pipeline.sql.values import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from controlplane.contract.queries import QueryAsked
    from pipeline.sql.judge import Judged

ANSWER_AT_MOST = 8 * 2**20
"""Bytes."""
_READ_AT_MOST = 8 * 2**30
_MEMORY = 256 * 2**20
LIMITS = {
    "seconds": f"{WITHIN_S:g}",
    "to read": f"{_READ_AT_MOST // 2**30} GiB",
    "of memory": f"{_MEMORY // 2**20} MiB",
    "for the answer": f"{ANSWER_AT_MOST // 2**20} MiB",
}
_GRACE_S = 5.0
_TOO_MUCH = {
    "159": "took longer than",
    "160": "would take longer than",
    "241": "needs more memory than",
    "307": "reads more than",
}
_FORMAT = "JSONCompactEachRowWithNamesAndTypes"


class ClickHouse:
    """A server, as its reader."""

    def __init__(self, url: str, user: str, password: str = "") -> None:
        headers = {"X-ClickHouse-User": user, **({"X-ClickHouse-Key": password} if password else {})}
        timeout = httpx.Timeout(WITHIN_S + _GRACE_S, connect=_GRACE_S)
        self._client = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def run(self, asked: QueryAsked, judged: Judged) -> QueryAnswer:
        """The answer.

        Raises:
            QueryRefusedError: with ClickHouse's words, if it refuses; if it does not answer; if it is too much.
        """
        began = time.monotonic()
        try:
            async with self._client.stream("POST", "/", params=_settings(asked.limit), content=judged.sql) as answer:
                if answer.is_error:
                    raise _refused((await answer.aread()).decode("utf-8", "replace"), answer.headers)
                names, types, rows, truncated = await _read(answer.aiter_lines(), asked.limit)
                summary = json.loads(answer.headers.get("X-ClickHouse-Summary", "{}"))
        except httpx.TimeoutException as error:
            raise TooMuchError(
                f"ClickHouse has not answered within {WITHIN_S + _GRACE_S:.0f} s; ask for less"
            ) from error
        except httpx.HTTPError as error:
            raise AwayError(f"ClickHouse does not answer ({type(error).__name__}); see Overview") from error
        return QueryAnswer(
            columns=tuple(QueryColumn(name=name, type=kind) for name, kind in zip(names, types, strict=True)),
            rows=tuple(rows),
            elapsed_s=time.monotonic() - began,
            rows_read=_figure(summary, "read_rows"),
            bytes_read=_figure(summary, "read_bytes"),
            truncated=truncated,
        )

    async def tables(self) -> tuple[QueryTable, ...]:
        """Every table and view of the database, by name, with its columns.

        Raises:
            QueryRefusedError: if it does not answer.
        """
        sql = (
            "SELECT table, groupArray((name, type)), any(engine) FROM (SELECT c.table AS table, c.name AS name, c.type AS type, "
            "t.engine AS engine FROM system.columns AS c INNER JOIN system.tables AS t ON t.database = c.database AND "
            "t.name = c.table WHERE c.database = currentDatabase() AND NOT startsWith(c.table, '.inner') ORDER BY c.table, "
            "c.position) GROUP BY table ORDER BY table FORMAT JSONCompact"
        )
        try:
            answer = await self._client.post("/", params={"readonly": "2"}, content=sql)
        except httpx.HTTPError as error:
            raise AwayError(f"ClickHouse does not answer ({type(error).__name__}); see Overview") from error
        if answer.is_error:
            raise _refused(answer.text, answer.headers)
        return tuple(
            QueryTable(
                name=name, columns=tuple(QueryColumn(name=each[0], type=each[1]) for each in columns), comment=engine
            )
            for name, columns, engine in answer.json()["data"]
        )


def _settings(limit: int) -> dict[str, str]:
    """All of them settings of ClickHouse. It answers whole, so that the summary of what was read is right."""
    return {
        "default_format": _FORMAT,
        "wait_end_of_query": "1",
        "readonly": "2",
        "max_execution_time": f"{WITHIN_S:g}",
        "max_result_rows": str(limit + 1),
        "max_result_bytes": str(2 * ANSWER_AT_MOST),
        "result_overflow_mode": "break",
        "max_bytes_to_read": str(_READ_AT_MOST),
        "max_memory_usage": str(_MEMORY),
        "cancel_http_readonly_queries_on_client_close": "1",
        "output_format_json_quote_denormals": "1",
        "output_format_json_quote_64bit_integers": "0",
        "output_format_json_quote_decimals": "1",
        "date_time_output_format": "iso",
    }


async def _read(
    lines: AsyncIterator[str], limit: int
) -> tuple[list[str], list[str], list[tuple[Any, ...]], str | None]:
    names: list[str] = json.loads(await anext(lines, "[]"))
    types: list[str] = json.loads(await anext(lines, "[]"))
    rows: list[tuple[Any, ...]] = []
    size = 0
    async for line in lines:
        if not line:
            continue
        size += len(line)
        if len(rows) >= limit:
            return names, types, rows, f"only the first {limit:,} rows were asked for"
        if size > ANSWER_AT_MOST:
            return names, types, rows, f"these rows are {ANSWER_AT_MOST // 2**20} MiB, and more are not sent"
        rows.append(tuple(map(plain, json.loads(line))))
    return names, types, rows, None


def _refused(text: str, headers: Mapping[str, str]) -> QueryRefusedError:
    code = headers.get("X-ClickHouse-Exception-Code", "")
    said = text.strip().split("\n")[0][:1000]
    if code in _TOO_MUCH:
        return TooMuchError(f"the query {_TOO_MUCH[code]} a query may; ask for less. ClickHouse says: {said}")
    return QueryRefusedError(f"ClickHouse says: {said}")


def _figure(summary: Mapping[str, str], name: str) -> int | None:
    return int(summary[name]) if name in summary else None
