"""`tidegate sql`: one query that only reads, over ClickHouse or the lake, now or as it was."""

from __future__ import annotations

import csv
import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import Data, fail
from controlplane.contract.queries import PATH, ROWS_AT_MOST, WITHIN_S, Engine, QueryAnswer

_PATIENCE_S = WITHIN_S + 10


class Form(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def sql(
    query: Annotated[
        str, typer.Argument(metavar="QUERY", help="SELECT, WITH, EXPLAIN, SHOW or DESCRIBE; `-` reads it from stdin.")
    ],
    engine: Annotated[
        Engine, typer.Option(help="What runs it; the lake's tables are named stream.table.")
    ] = Engine.CLICKHOUSE,
    as_of: Annotated[
        list[str] | None,
        typer.Option(
            "--as-of", help="Lake: a table as it was, such as flights.events=12 or flights.events=2026-03-01T12:00:00."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=ROWS_AT_MOST, help="Rows at most.")] = 1000,
    data: Data = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="How rows are written.")] = Form.TABLE,
) -> None:
    """Ask ClickHouse or the lake; nothing can be changed by it. Every query is on the audit record."""
    text = sys.stdin.read() if query == "-" else query
    body = {"engine": engine, "sql": text, "as_of": dict(map(_version, as_of or ())), "limit": limit}
    answer = QueryAnswer.model_validate(asked(data, "POST", PATH, body, timeout_s=_PATIENCE_S))
    names = [each.name for each in answer.columns]
    match output:
        case Form.JSON:
            typer.echo(answer.model_dump_json(indent=2))
        case Form.CSV:
            writer = csv.writer(sys.stdout)
            writer.writerow(names)
            writer.writerows([_cell(each, "") for each in row] for row in answer.rows)
        case Form.TABLE:
            table = Table(*names, box=None)
            for row in answer.rows:
                table.add_row(*(_cell(each, "null") for each in row))
            Console().print(table, markup=False)
    typer.echo(_cost(answer), err=True)


def _version(given: str) -> tuple[str, int | str]:
    table, _, version = given.partition("=")
    if not table or not version:
        fail(f"--as-of {given!r}: give it as stream.table=12 or stream.table=2026-03-01T12:00:00", MISTAKEN)
    return table.strip(), int(version) if version.strip().isdigit() else version.strip()


def _cell(value: Any, nothing: str) -> str:  # noqa: ANN401 (JSON)
    if value is None:
        return nothing
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _cost(answer: QueryAnswer) -> str:
    said = [f"{len(answer.rows):,} rows", f"{answer.elapsed_s:.2f} s"]
    if answer.rows_read is not None:
        said.append(f"{answer.rows_read:,} rows read")
    said += [f"{name} at version {version}" for name, version in answer.versions.items()]
    return ", ".join(said) + (f"; {answer.truncated}" if answer.truncated else "")
