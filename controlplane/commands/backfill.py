"""`tidegate backfill`: days of a stream's events anew, from the lake's history, from what was turned away, or from files."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from controlplane.commands.operating import run_operation
from controlplane.commands.operations_client import MISTAKEN
from controlplane.commands.terminal import Data, fail
from controlplane.contract.backfills import BackfillAsked
from controlplane.contract.operations import Kind, OperationAsked


def backfill(  # noqa: PLR0913 (each is an option of the command)
    stream: Annotated[str, typer.Argument(help="A stream's name.")],
    since: Annotated[str | None, typer.Option(help="First day of event time, such as 2013-01-01.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, included.")] = None,
    source: Annotated[
        str | None, typer.Option(help="history, rejects or files.  [default: history; files where files are named]")
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            "--file", help="Parquet, JSON lines, CSV or Avro below TIDEGATE_BACKFILL_FILES; a glob; repeatable."
        ),
    ] = None,
    order: Annotated[str, typer.Option(help="newest or oldest day first")] = "newest",
    parallel: Annotated[int, typer.Option(help="Days at once.")] = 2,
    max_lag: Annotated[float, typer.Option("--max-lag", help="Waits while live is further behind, in seconds.")] = 30.0,
    why: Annotated[str, typer.Option(help="Kept with the operation.")] = "",
    data: Data = None,
    output: Annotated[str, typer.Option("-o", "--output", help="table or json")] = "table",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Make days of a stream's events again by today's definition; exit codes as of `tidegate operations`."""
    given = {
        "stream": stream,
        "source": source or ("files" if file else "history"),
        "since": since,
        "until": until,
        "files": tuple(file or ()),
        "order": order,
        "parallel": parallel,
        "max_lag_s": max_lag,
    }
    try:
        asked = BackfillAsked.model_validate(given)
    except ValidationError as error:
        said = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors())
        fail("; ".join(said), MISTAKEN)
    wanted = OperationAsked(kind=Kind.BACKFILL, asked=asked.model_dump(mode="json"), why=why)
    run_operation(data, wanted, yes=yes, dry_run=dry_run, output=output)
