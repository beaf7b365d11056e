"""How does a command have something done? It shows the plan, has its word typed, follows, and ends as it ended.

`tidegate backfill`, `rollback` and `trial` are asked for by `run_operation`; an undo and a `watch` join it halfway.
"""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.operations_client import DONE, EXITS, MISTAKEN, REFUSED, Operations
from controlplane.commands.progress import follow_to_the_end
from controlplane.commands.terminal import fail
from controlplane.contract.durations import format_duration
from controlplane.contract.operations import Operation, OperationState

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.operations import OperationAsked, Plan

_STAGES_SHOWN = 40
_SAY_AFTER_S = 10.0


def run_operation(
    data: Path | None, asked: OperationAsked, *, yes: bool = False, dry_run: bool = False, output: str = "table"
) -> NoReturn:
    """Plan, show, have it confirmed, follow; ends the command with the exit codes of `operations_client`.

    Args:
        data: folder of the platform; None: the default.
        asked: what.
        yes: confirm with the plan's own word.
        dry_run: only plan.
        output: `json`: nothing but the operation, at its end, on stdout; else words and tables.
    """
    api = Operations(data)
    body = asked.model_dump(mode="json")
    made = api.ask("POST", f"?dry_run={str(dry_run).lower()}", body, {"Idempotency-Key": uuid4().hex})
    confirm_and_follow(api, Operation.model_validate(made), yes=yes, output=output)


def confirm_and_follow(api: Operations, operation: Operation, *, yes: bool, output: str) -> NoReturn:
    """From an operation that was asked for to its end."""
    planned = _planned(api, operation)
    if planned.state is not OperationState.PLANNED or planned.plan is None:
        said = planned.reason or f"the operation is {planned.state}"
        _show(planned, output)
        fail(said, REFUSED)
    if output != "json":
        print_plan(planned)
    if planned.dry_run:
        _show(planned, output)
        sys.exit(DONE)
    follow(api, _confirmed(api, planned, planned.plan, yes=yes), output=output)


def follow(api: Operations, operation: Operation, *, output: str) -> NoReturn:
    """Until it has ended; then the command ends as the operation did."""
    try:
        ended = follow_to_the_end(api, operation, quiet=output == "json")
    except KeyboardInterrupt:
        typer.echo(f"\n{operation.id} goes on; `tidegate operations watch {operation.id}` follows it again.", err=True)
        sys.exit(130)
    _show(ended, output)
    sys.exit(EXITS[ended.state])


def print_plan(operation: Operation) -> None:
    """What will change, as the plan has it."""
    plan = operation.plan
    if plan is None:
        typer.echo("There is no plan yet.")
        return
    table = Table("stage", "rows", "bytes", "about", box=None)
    for stage in plan.stages[:_STAGES_SHOWN]:
        table.add_row(stage.title, _number(stage.rows), _number(stage.bytes), _seconds(stage.seconds))
    if len(plan.stages) > _STAGES_SHOWN:
        table.add_row(f"... and {len(plan.stages) - _STAGES_SHOWN} more", "", "", "")
    Console().print(table)
    facts = {
        "rows": _number(plan.rows),
        "bytes": _number(plan.bytes),
        "partitions": _number(plan.partitions),
        "about": _seconds(plan.seconds),
    }
    typer.echo(f"{operation.id}: {', '.join(f'{name} {said}' for name, said in facts.items())}")
    for touch in plan.touches:
        does = "writes" if touch.writes else "reads"
        parts = "all of it" if "*" in touch.partitions else f"{len(touch.partitions)} partitions"
        typer.echo(f"  {does} {touch.stream}.{touch.table}: {parts}")
    for note in plan.notes:
        typer.echo(f"  note: {note}")


def _planned(api: Operations, operation: Operation) -> Operation:
    if operation.state is not OperationState.PLANNING:
        return operation
    begun = time.monotonic()
    for each in api.follow(operation):
        if each.state is not OperationState.PLANNING:
            return each
        if each.attempts == 0 and time.monotonic() - begun > _SAY_AFTER_S:
            begun = float("inf")
            typer.echo("no worker has taken it yet: `tidegate status` shows whether the part operations runs", err=True)
    raise AssertionError("following has no end")


def _confirmed(api: Operations, operation: Operation, plan: Plan, *, yes: bool) -> Operation:
    typed = plan.confirmation
    if not yes:
        if not sys.stdin.isatty():
            fail(f"nobody is here to confirm {operation.id}: give --yes, or --dry-run for its plan only", MISTAKEN)
        typed = typer.prompt(f"Type {plan.confirmation!r} to have this done", default="", show_default=False, err=True)
        if typed != plan.confirmation:
            api.ask("POST", f"/{operation.id}/cancel")
            fail("that is not the word: nothing was done", REFUSED)
    body = {"fingerprint": plan.fingerprint, "confirmation": typed}
    return Operation.model_validate(api.ask("POST", f"/{operation.id}/confirm", body))


def _show(operation: Operation, output: str) -> None:
    if output == "json":
        typer.echo(operation.model_dump_json(indent=2))
        return
    if not operation.state.has_ended:
        return
    typer.echo(f"{operation.id}: {operation.state}")
    if operation.reason:
        typer.echo(f"  {operation.reason}")
    for name, value in operation.result.items():
        if isinstance(value, str | int | float | bool):
            typer.echo(f"  {name}: {value}")
    if operation.undo is not None:
        typer.echo(f"  `tidegate operations undo {operation.id}` takes it back")


def _number(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else format_duration(timedelta(seconds=max(1, round(value))))
