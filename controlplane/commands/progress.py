"""What does an operator see while an operation runs? A bar, and what it waits for; else lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controlplane.contract.operations import OperationState, StageState

if TYPE_CHECKING:
    from controlplane.commands.operations_client import Operations
    from controlplane.contract.operations import Operation, StageProgress


def follow_to_the_end(api: Operations, operation: Operation, *, quiet: bool) -> Operation:
    """Show each change; the operation as it has ended."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return _lines(api, operation, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[doing]}"), console=console) as bar:
        task = bar.add_task(operation.id, total=_stages(operation), doing="")
        while not operation.state.has_ended:
            bar.update(task, completed=_done(operation), total=_stages(operation), doing=doing(operation))
            operation = next(api.follow(operation))
        bar.update(task, completed=_done(operation), doing=str(operation.state))
    return operation


def doing(operation: Operation) -> str:
    """What it does or waits for right now, in one line."""
    if operation.state is OperationState.PAUSED:
        return f"paused; `tidegate operations resume {operation.id}` goes on"
    if operation.waits_for:
        return f"waits for {operation.waits_for}"
    titles = {} if operation.plan is None else {stage.key: stage.title for stage in operation.plan.stages}
    running = [each for each in operation.stages if each.state is StageState.RUNNING]
    return "; ".join(f"{titles.get(each.key, each.key)}{_far(each)}" for each in running) or str(operation.state)


def _far(stage: StageProgress) -> str:
    if stage.done is None:
        return f" ({stage.note})" if stage.note else ""
    of = "" if stage.total is None else f" of {stage.total:,}"
    return f" ({stage.done:,}{of}{f' {stage.unit}' if stage.unit else ''}{f', {stage.note}' if stage.note else ''})"


def _lines(api: Operations, operation: Operation, *, quiet: bool) -> Operation:
    said = ""
    while not operation.state.has_ended:
        line = f"{operation.id}: {_done(operation)} of {_stages(operation)} stages, {doing(operation)}"
        if not quiet and line != said:
            typer.echo(line, err=True)
            said = line
        operation = next(api.follow(operation))
    return operation


def _done(operation: Operation) -> int:
    return sum(each.state is StageState.DONE for each in operation.stages)


def _stages(operation: Operation) -> int:
    return len(operation.stages)
