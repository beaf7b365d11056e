"""`tidegate streams`: is a stream's folder right, which streams are there, and what is in one?"""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 (typer reads the annotation)
from typing import Annotated

import typer
import yaml
from rich.console import Console
from rich.table import Table

from controlplane.contract.folders import StreamInvalidError, load_stream, load_streams
from controlplane.contract.settings import Settings
from controlplane.contract.valid import valid_schema

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Streams are folders: check, list, show.")


@app.command()
def validate(folders: Annotated[list[Path], typer.Argument(help="Stream folders.")]) -> None:
    """Check folders whole and name every mistake; exit code 1 if there is one."""
    invalid = False
    for folder in folders:
        try:
            stream = load_stream(folder)
        except StreamInvalidError as error:
            invalid = True
            typer.echo(str(error), err=True)
        else:
            typer.echo(
                f"{folder}: valid; {len(stream.avro_schema['fields'])} fields, {len(stream.row_rules)} row rules, "
                f"{len(stream.enrich)} joins, {len(stream.rollups)} rollups"
            )
    sys.exit(1 if invalid else 0)


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
    shown = stream.model_dump(mode="json", exclude={"avro_schema"}, exclude_defaults=True)
    shown["valid_event"] = {field["name"]: field["type"] for field in valid_schema(stream)["fields"]}
    typer.echo(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True))
