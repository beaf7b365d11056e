"""`tidegate operations`: what was asked for, how far it is, and what may be said to it.

Exit codes: 0 done, 1 it has failed, 2 asked for wrongly, 3 no platform, 4 refused (no right, conflict, stale plan), 5 cancelled.
"""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import urlencode
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Column, Table

from controlplane.commands.operating import confirm_and_follow, follow, print_plan
from controlplane.commands.operations_client import Operations
from controlplane.commands.progress import doing
from controlplane.commands.schedules import app as schedule_app
from controlplane.commands.terminal import Data  # noqa: TC001 (typer reads the annotation)
from controlplane.contract.operations import Kind, Operation, OperationState

app = typer.Typer(no_args_is_help=True, help=__doc__)
app.add_typer(schedule_app, name="schedule")
Output = Annotated[str, typer.Option("-o", "--output", help="table or json")]
Id = Annotated[str, typer.Argument(help="Of the operation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Confirm with the plan's own word.")]


@app.command()
def ls(  # noqa: PLR0913 (each is an option of the command)
    state: Annotated[list[OperationState] | None, typer.Option(help="Only in this state; several times.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only of this kind.")] = None,
    stream: Annotated[str | None, typer.Option(help="Only of this stream.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="So many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="`next` of the page before.")] = None,
    data: Data = None,
    output: Output = "table",
) -> None:
    """The newest operations."""
    given = {"kind": kind, "stream": stream, "cursor": cursor}
    query = {"limit": limit, "state": state or [], **{name: said for name, said in given.items() if said is not None}}
    page = Operations(data).ask("GET", f"?{urlencode(query, doseq=True)}")
    if output == "json":
        typer.echo(json.dumps(page, indent=2))
        return
    table = Table(*(Column(name, no_wrap=True) for name in ("id", "kind", "stream", "state", "stages")), box=None)
    for name in ("by", "asked", "now"):
        table.add_column(name)
    for each in map(Operation.model_validate, page["items"]):
        done = sum(stage.state == "done" for stage in each.stages)
        stages = f"{done}/{len(each.stages)}" if each.stages else "-"
        said = each.reason or ("" if each.state.has_ended else doing(each))
        table.add_row(
            each.id, each.kind, each.stream, each.state, stages, each.by, f"{each.at:%Y-%m-%d %H:%M:%S}", said
        )
    Console().print(table)
    if page["next"] is not None:
        typer.echo(f"--cursor {page['next']} shows those before")


@app.command()
def show(number: Id, data: Data = None, output: Output = "table") -> None:
    """One operation: its plan, its stages, its result."""
    operation = Operations(data).one(number)
    if output == "json":
        typer.echo(operation.model_dump_json(indent=2))
        return
    typer.echo(f"{operation.id}: {operation.kind} of {operation.stream} by {operation.by}, {operation.state}")
    for name, said in (("why", operation.why), ("reason", operation.reason), ("waits for", operation.waits_for)):
        if said:
            typer.echo(f"  {name}: {said}")
    typer.echo(f"  the same again: {operation.cli}")
    print_plan(operation)
    table = Table("stage", "state", "done", "note", box=None)
    for stage in operation.stages:
        done = "-" if stage.done is None else f"{stage.done:,}{'' if stage.total is None else f' of {stage.total:,}'}"
        table.add_row(stage.key, stage.state, f"{done} {stage.unit}".strip(), stage.note)
    Console().print(table)
    if operation.result:
        typer.echo(json.dumps(operation.result, indent=2))


@app.command()
def log(number: Id, data: Data = None, output: Output = "table") -> None:
    """What was said of it, oldest first."""
    for line in Operations(data).log(number):
        typer.echo(line.model_dump_json() if output == "json" else f"{line.at:%Y-%m-%d %H:%M:%S}  {line.text}")


@app.command()
def confirm(number: Id, yes: Yes = False, data: Data = None, output: Output = "table") -> None:
    """Read a plan, type its word, and follow what is done."""
    api = Operations(data)
    confirm_and_follow(api, api.one(number), yes=yes, output=output)


@app.command()
def watch(number: Id, data: Data = None, output: Output = "table") -> None:
    """Follow an operation until it has ended; the exit code says how."""
    api = Operations(data)
    follow(api, api.one(number), output=output)


@app.command()
def undo(
    number: Id,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only plan.")] = False,
    data: Data = None,
    output: Output = "table",
) -> None:
    """Plan what undoes it, and have it done once confirmed."""
    api = Operations(data)
    made = api.ask("POST", f"/{number}/undo?dry_run={str(dry_run).lower()}", headers={"Idempotency-Key": uuid4().hex})
    confirm_and_follow(api, Operation.model_validate(made), yes=yes, output=output)


@app.command()
def pause(number: Id, data: Data = None, output: Output = "table") -> None:
    """Have it rest between two pieces of work; its memory is freed."""
    _step(number, "pause", data, output)


@app.command()
def resume(number: Id, data: Data = None, output: Output = "table") -> None:
    """Have it go on where it was."""
    _step(number, "resume", data, output)


@app.command()
def cancel(number: Id, data: Data = None, output: Output = "table") -> None:
    """Have it end; what it has left is taken back."""
    _step(number, "cancel", data, output)


def _step(number: str, name: str, data: Data, output: str) -> None:
    operation = Operation.model_validate(Operations(data).ask("POST", f"/{number}/{name}"))
    if output == "json":
        typer.echo(operation.model_dump_json(indent=2))
        return
    is_done = operation.wish == "run" or operation.state in ("paused", "cancelled")
    typer.echo(f"{operation.id}: {operation.state}{'' if is_done else f', to {operation.wish}'}")
