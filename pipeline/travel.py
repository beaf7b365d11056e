"""`tidegate lake`: what does a Delta table hold, now or at an earlier version or time?

Without Spark, and also when the platform is stopped. A time before the table began is refused: deltalake would answer with the
first version, which nobody asked for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from deltalake.exceptions import DeltaError
from rich.console import Console
from rich.table import Table

from controlplane.contract.names import lake_table
from controlplane.contract.settings import Settings
from pipeline.lakeview.log import Logs
from pipeline.lakeview.refused import LakeRefusedError
from pipeline.lakeview.rows import moment_of, plain, rows_of, version_of
from pipeline.lakeview.rows import read as read_rows
from pipeline.lakeview.tables import LakeView, told

if TYPE_CHECKING:
    from pipeline.lakeview.log import Log

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The Delta tables as they are and as they were.")
_BAD_REQUEST = 2
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
        names = _tables(_root(data, stream), stream)
        rows = [{"table": each, **told(_open(data, stream, each, 1).versions[0])} for each in names]
    else:
        rows = [told(each) for each in _open(data, stream, table).versions]
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
    log, called = _open(data, stream, table), f"{stream} {table}"
    try:
        found = version_of(log, called, version, None if at is None else moment_of(at))
        rows = read_rows(f"{_root(data, stream)}{table}", found.commit.version, where, limit)
    except LakeRefusedError as error:
        _refuse(f"{called}: {error}")
    _show(rows_of(rows), output)


@app.command()
def diff(  # noqa: PLR0913 (each is an option of the command)
    stream: Stream,
    table: Annotated[str, typer.Argument(help="events, entity_<name> or rollup_<name>.")],
    before: Annotated[int, typer.Option("--from", min=0, help="One version.")],
    after: Annotated[int, typer.Option("--to", min=0, help="The other version.")],
    data: Data = None,
    output: Output = "text",
) -> None:
    """What one version has that another has not: rows by key, columns, windows, with examples."""
    view = LakeView(Settings() if data is None else Settings(data=data))
    try:
        found = view.difference(stream, table, before, after)
    except LakeRefusedError as error:
        _refuse(str(error))
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    counts, looked = found["rows"], found["looked_at"]
    if not looked["is_whole"]:
        nth = f", each {looked['each_nth_key']}th key" if looked["each_nth_key"] > 1 else ""
        typer.echo(f"looked at {looked['partitions']} of {looked['of']} partitions that differ{nth}")
    typer.echo(", ".join(f"{count:,} {what}" for what, count in counts.items() if what != "same"))
    if found["columns"]:
        _show(found["columns"], output)
    for each in found["examples"]["changed"]:
        typer.echo(f"{each['key']}: {each['columns']}")


def _told(version: dict[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in version.items() if key in ("table", "version", "at", "operation")}
    return {**shown, "can be read": "yes" if version["is_readable"] else "no", "rows": _changed(version["changed"])}


def _changed(counts: dict[str, int]) -> str:
    """What a commit did to rows."""
    return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "none"


def _root(data: Path | None, stream: str) -> str:
    settings = Settings() if data is None else Settings(data=data)
    return lake_table(settings.lake_root, stream, "")


def _open(data: Path | None, stream: str, table: str, limit: int | None = None) -> Log:
    root = _root(data, stream)
    try:
        return Logs().read(f"{root}{table}", limit)
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
    return plain(value)


def _refuse(why: str) -> NoReturn:
    typer.echo(f"tidegate: {why}", err=True)
    sys.exit(_BAD_REQUEST)


if __name__ == "__main__":
    app()
