"""`tidegate lake`: what does a Delta table hold, now or at an earlier version or time?

Without Spark, and also when the platform is stopped. A time before the table began is refused: deltalake would answer with the
first version, which nobody asked for.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import pyarrow as pa
import typer
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError
from rich.console import Console
from rich.table import Table

from controlplane.contract.names import lake_table
from controlplane.contract.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The Delta tables as they are and as they were.")
_BAD_REQUEST = 2
_CHANGES = {
    "numTargetRowsInserted": "inserted",
    "numTargetRowsUpdated": "updated",
    "numTargetRowsDeleted": "deleted",
    "numTargetRowsCopied": "copied along",
}
_WRITES = ("numOutputRows", "num_added_rows")
Stream = Annotated[str, typer.Argument(help="A stream's name.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the platform.  [default: .tidegate]")]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json")]


@app.command()
def history(
    stream: Stream,
    table: Annotated[
        str | None, typer.Argument(help="events, entity_<name> or rollup_<name>; none lists them.")
    ] = None,
    data: Data = None,
    output: Output = "text",
) -> None:
    """A stream's tables with their newest commit; of one table, every commit that its log still has."""
    if table is None:
        rows = [
            {"table": each, **_commits(_open(data, stream, each), 1)[0]}
            for each in _tables(_root(data, stream), stream)
        ]
    else:
        rows = _commits(_open(data, stream, table), None)
    _show(rows if output == "json" else [_told(each) for each in rows], output)


@app.command()
def read(  # noqa: PLR0913 (each is an option of the command)
    stream: Stream,
    table: Annotated[str, typer.Argument(help="events, entity_<name> or rollup_<name>.")],
    version: Annotated[int | None, typer.Option(min=0, help="As of this version.")] = None,
    at: Annotated[str | None, typer.Option(help="As of this time: ISO 8601; UTC when it names no other zone.")] = None,
    where: Annotated[str | None, typer.Option(help="Which rows: an SQL condition.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100,
    data: Data = None,
    output: Output = "text",
) -> None:
    """Rows of a table as it is, or as it was at a version or a time."""
    if version is not None and at is not None:
        _refuse("give --version or --at, not both")
    found = _open(data, stream, table)
    try:
        if at is not None:
            version = _version_at(found, at)
        if version is not None:
            found.load_as_version(version)
        condition = f" WHERE {where}" if where else ""
        sql = f"SELECT * FROM {table}{condition} LIMIT {limit}"  # noqa: S608 (an operator's own condition)
        rows = pa.table(QueryBuilder().register(table, found).execute(sql)).to_pylist()
    except (DeltaError, ValueError) as error:
        _refuse(f"{stream} {table}: {error}")
    _show(rows, output)


def _version_at(table: DeltaTable, at: str) -> int:
    moment = datetime.fromisoformat(at)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    commits = _commits(table, None)
    before = [each["version"] for each in commits if datetime.fromisoformat(each["at"]) <= moment]
    if not before:
        raise ValueError(f"its log begins at {commits[-1]['at']}, after {moment.isoformat()}")
    return int(max(before))


def _commits(table: DeltaTable, limit: int | None) -> list[dict[str, Any]]:
    """The newest first."""
    return [
        {
            "version": entry["version"],
            "at": datetime.fromtimestamp(entry["timestamp"] / 1000, UTC).isoformat(timespec="milliseconds"),
            "operation": entry.get("operation"),
            "metrics": {name: value for name, value in entry.get("operationMetrics", {}).items() if "ow" in name},
        }
        for entry in table.history(limit)
    ]


def _told(commit: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in commit.items() if key != "metrics"}, "rows": _rows(commit["metrics"])}


def _rows(metrics: dict[str, Any]) -> str:
    """What a commit did to rows; a MERGE counts what it wrote as well, which is the sum."""
    counts = {name: int(value) for name, value in metrics.items()}
    changed = [f"{counts[name]:,} {word}" for name, word in _CHANGES.items() if counts.get(name)]
    written = [f"{counts[name]:,} written" for name in _WRITES if counts.get(name)]
    return ", ".join(changed or written) or "none"


def _root(data: Path | None, stream: str) -> str:
    settings = Settings() if data is None else Settings(data=data)
    return lake_table(settings.lake_root, stream, "")


def _open(data: Path | None, stream: str, table: str) -> DeltaTable:
    root = _root(data, stream)
    try:
        return DeltaTable(f"{root}{table}")
    except DeltaError as error:
        there = ", ".join(_tables(root, stream))
        _refuse(f"{root}{table} is not a Delta table ({error}); {stream} has: {there}")


def _tables(root: str, stream: str) -> list[str]:
    """Names of a stream's tables in the lake, if it is a folder."""
    if "://" in root:
        _refuse(
            f"{root} is not a folder, so its tables cannot be listed; name one: events, entity_<name>, rollup_<name>"
        )
    found = sorted(log.parent.name for log in Path(root).glob("*/_delta_log"))
    return found or _refuse(f"{root} has no tables; is {stream!r} a stream of this platform, and --data its folder?")


def _show(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        typer.echo(json.dumps(rows, indent=2, default=_written))
        return
    table = Table(*(rows[0] if rows else ["no rows"]), box=None)
    for row in rows:
        table.add_row(*("-" if each is None else str(_written(each)) for each in row.values()))
    Console().print(table)


def _written(value: Any) -> Any:  # noqa: ANN401 (whatever a table holds)
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _refuse(why: str) -> NoReturn:
    typer.echo(f"tidegate: {why}", err=True)
    sys.exit(_BAD_REQUEST)
