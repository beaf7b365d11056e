"""`tidegate rollback`: a stream's tables, checkpoint and ClickHouse back to one version, together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from controlplane.commands.operating import run_operation
from controlplane.commands.operations_client import MISTAKEN
from controlplane.commands.terminal import Data, fail
from controlplane.contract.backfills import RollbackAsked
from controlplane.contract.operations import Kind, OperationAsked


def rollback(  # noqa: PLR0913 (each is an option of the command)
    stream: Annotated[str, typer.Argument(help="A stream's name.")],
    version: Annotated[
        int | None, typer.Option("--to-version", min=0, help="Of the events table; `tidegate lake history` lists them.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Or as it was at this time: ISO 8601; UTC when it names no other zone.")
    ] = None,
    then: Annotated[
        str, typer.Option(help="replay: lake goes on from there at once; hold: when the operation is resumed.")
    ] = "replay",
    why: Annotated[str, typer.Option(help="Kept with the operation.")] = "",
    data: Data = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json")] = "table",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Roll a stream of the lake back, all of it together; exit codes as of `tidegate operations`.

    Undo it by rolling back to the version before: `tidegate operations undo ID`.
    """
    try:
        given = RollbackAsked.model_validate({"stream": stream, "version": version, "to": _moment(to), "then": then})
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors()
        )
        fail(said, MISTAKEN)
    asked = OperationAsked(kind=Kind.ROLLBACK, asked=given.model_dump(mode="json"), why=why)
    run_operation(data, asked, yes=yes, dry_run=dry_run, output=output)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--to {text!r} is no ISO 8601 time, such as 2026-03-01T12:00:00", MISTAKEN)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
