"""`tidegate streams`: is a stream's folder right, which streams are there, what is in one, and what enriched its events?"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 (typer reads the annotation)
from typing import TYPE_CHECKING, Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from controlplane.contract.folders import StreamInvalidError, load_stream, load_streams
from controlplane.contract.settings import Settings
from controlplane.contract.suite_misfits import suite_problems
from controlplane.contract.valid import valid_schema
from pipeline.references.differences import Differences, differences, rows_of
from pipeline.references.versions import FOLDER, Version, before, table_of, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from controlplane.contract.folders import Problem
    from controlplane.contract.streams import StreamDefinition

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Streams are folders: check, list, show.")
_SHOWN = 20


def with_check(check: Callable[[StreamDefinition], Iterable[Problem]]) -> typer.Typer:
    """All commands, `validate` with a check of the suites that another room knows."""

    @app.command()
    def validate(folders: Annotated[list[Path], typer.Argument(help="Stream folders.")]) -> None:
        """Check folders whole, the suites of every stage too, and name every mistake; exit code 1 if there is one."""
        valid = [_validated(folder, check) for folder in folders]
        sys.exit(0 if all(valid) else 1)

    return app


def _validated(folder: Path, check: Callable[[StreamDefinition], Iterable[Problem]]) -> bool:
    try:
        stream = load_stream(folder)
        if problems := [*suite_problems(stream), *check(stream)]:
            raise StreamInvalidError(folder, problems)  # noqa: TRY301 (said as one that is not read at all)
    except StreamInvalidError as error:
        typer.echo(str(error), err=True)
        return False
    rules = ", ".join(f"{len(suite.get('expectations', []))} {stage}" for stage, suite in stream.suites.items())
    typer.echo(
        f"{folder}: valid; {len(stream.avro_schema['fields'])} fields, rules: {rules or 'none'}, "
        f"{len(stream.enrich)} joins, {len(stream.rollups)} rollups"
    )
    return True


@app.command()
def ls() -> None:
    """Every stream of this platform."""
    table = Table("stream", "title", "partitions", "rules", "rollups", "folder", box=None)
    for stream in load_streams(Settings().stream_roots):
        counts = (stream.topics.partitions, len(stream.row_rules), len(stream.rollups))
        table.add_row(stream.name, stream.title, *map(str, counts), str(stream.folder))
    Console().print(table)


@app.command()
def show(name: Annotated[str, typer.Argument(help="A stream's name.")]) -> None:
    """One stream: its definition, its rules, and the schema of its valid events."""
    found = {stream.name: stream for stream in load_streams(Settings().stream_roots)}
    if name not in found:
        raise typer.BadParameter(f"there is no stream {name!r}; there are: {', '.join(sorted(found))}")
    stream = found[name]
    shown = stream.model_dump(mode="json", exclude={"avro_schema", "home"}, exclude_defaults=True)
    shown["valid_event"] = {field["name"]: field["type"] for field in valid_schema(stream)["fields"]}
    typer.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))


@app.command()
def references(
    name: Annotated[str, typer.Argument(help="A stream's name.")],
    version: Annotated[str | None, typer.Option(help="A fingerprint: what it changed.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the platform.  [default: .tidegate]")] = None,
) -> None:
    """Which reference tables have enriched a stream's events, and what each version changed."""
    root = (data or Settings().data) / FOLDER
    found = versions(root, name)
    if not found:
        sys.exit(f"tidegate: no reference tables of {name!r} in {root}: route keeps them there when it starts")
    if version is None:
        Console().print(_listed(found))
        return
    chosen = next((each for each in found if each.fingerprint == version), None)
    if chosen is None:
        known = ", ".join(each.fingerprint for each in found)
        raise typer.BadParameter(f"there is no version {version!r} of {name}; there are: {known}")
    for line in _changes(root, name, chosen, before(chosen, found)):
        typer.echo(line)


def _listed(found: list[Version]) -> Table:
    table = Table("version", "since (UTC)", "tables (rows)", box=None)
    for each in found:
        rows = ", ".join(f"{kept.file} ({kept.rows:,})" for kept in each.tables.values())
        table.add_row(each.fingerprint, f"{each.since:%Y-%m-%d %H:%M:%S}", rows)
    return table


def _changes(root: Path, stream: str, version: Version, earlier: Version | None) -> Iterator[str]:
    if earlier is None:
        yield f"{version.fingerprint} is the first version of {stream}; its files are in {root / stream}"
        return
    yield f"{version.fingerprint} against {earlier.fingerprint}, the one before"
    for name, kept in version.tables.items():
        old = rows_of(table_of(root, stream, earlier, name)) if name in earlier.tables else []
        found = differences(old, rows_of(table_of(root, stream, version, name)), kept.key)
        yield f"{name}: {len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed"
        lines = list(_rows(found))
        yield from lines[:_SHOWN]
        if len(lines) > _SHOWN:
            yield f"  ... and {len(lines) - _SHOWN:,} more"


def _rows(found: Differences) -> Iterator[str]:
    for sign, rows in (("+", found.added), ("-", found.removed)):
        for key, row in rows.items():
            yield f"  {sign} {', '.join(key)}: {', '.join(f'{name}={cell}' for name, cell in row.items())}"
    for key, cells in found.changed.items():
        yield f"  ~ {', '.join(key)}: {', '.join(f'{name} {old} -> {new}' for name, (old, new) in cells.items())}"
