"""`tidegate maintain`: what is due, and do it now."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from controlplane.contract.folders import load_streams
from controlplane.contract.priority import give_way
from controlplane.contract.settings import Settings
from pipeline.maintenance.stages import extent_words

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from controlplane.contract.facts import MaintenanceRan
    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.stages import Plan

StreamName = Annotated[str | None, typer.Option("--stream", help="Only this stream.")]
TableName = Annotated[str | None, typer.Option("--table", help="Only this table, such as events.")]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json")]
_EXIT_NOT_DONE = 1


def commands(stopping: Callable[[], threading.Event]) -> typer.Typer:
    """The commands; `stopping` makes the event that a signal sets."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, help="Keep the lake in shape: plan, run.")

    @app.command("plan")
    def plan(stream: StreamName = None, table: TableName = None, output: Output = "text") -> None:
        """What is due now, and what is left and why; changes nothing."""
        from pipeline.maintenance.look import looker

        settings = Settings()
        found = looker(settings).plan(_chosen(settings, stream, table), datetime.now(UTC), table)
        if output == "json":
            typer.echo(found.model_dump_json(indent=2))
        else:
            _print_plan(found)

    @app.command("run")
    def run(stream: StreamName = None, table: TableName = None, output: Output = "text") -> None:
        """Do what is due now, stage by stage. Exit code 1 when a stage failed or was left."""
        settings = Settings()
        streams, event = _chosen(settings, stream, table), stopping()
        give_way()
        sys.exit(_run(settings, streams, table, event, is_text=output != "json"))

    return app


def _chosen(settings: Settings, stream: str | None, table: str | None) -> list[StreamDefinition]:
    from pipeline.maintenance.tables import tables_of

    found = {each.name: each for each in load_streams(settings.stream_roots)}
    if stream is not None and stream not in found:
        raise typer.BadParameter(f"there is no stream {stream!r}; there are: {', '.join(sorted(found))}")
    chosen = list(found.values()) if stream is None else [found[stream]]
    names = {name.name for each in chosen for name in tables_of(each, settings.lake_root)}
    if table is not None and table not in names:
        raise typer.BadParameter(f"there is no table {table!r}; there are: {', '.join(sorted(names))}")
    return chosen


def _run(
    settings: Settings, streams: list[StreamDefinition], table: str | None, stopping: threading.Event, *, is_text: bool
) -> int:
    from pipeline.maintenance.run import StoppedError
    from pipeline.maintenance.work import maintain

    done: list[MaintenanceRan] = []

    def told(ran: MaintenanceRan) -> None:
        done.append(ran)
        if is_text:
            typer.echo(line(ran))

    def waits() -> None:
        typer.echo("tidegate: another run of maintenance has to end first", err=True)

    try:
        left = maintain(settings, streams, told, stopping, table=table, waits=waits)
    except StoppedError:
        typer.echo("tidegate: stopped before it was this run's turn", err=True)
        return _EXIT_NOT_DONE
    if not is_text:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in done], indent=2))
    elif not done:
        typer.echo("Nothing is due.")
    if left:
        typer.echo(f"tidegate: stopped; {left} stages are left", err=True)
    return _EXIT_NOT_DONE if left or any(each.error for each in done) else 0


def _print_plan(plan: Plan) -> None:
    table = Table("stream", "what", "stage", "due now", box=None)
    for stage in plan.stages:
        table.add_row(stage.stream or "-", stage.subject, stage.kind, stage.what)
    if plan.stages:
        Console().print(table)
    else:
        typer.echo("Nothing is due.")
    for note in plan.notes:
        typer.echo(f"{'WARNING ' if note.is_warning else ''}{note.stream} {note.subject}: {note.text}")


def line(ran: MaintenanceRan) -> str:
    """What a stage has done, in one line."""
    where = f"{ran.stream or '-'} {ran.subject}: {ran.stage}: {ran.what}"
    if ran.error is not None:
        return f"{where}; FAILED after {ran.took_s:.1f} s: {ran.error}"
    change = f"; {extent_words(ran.before)} -> {extent_words(ran.after)}" if ran.before and ran.after else ""
    version = "" if ran.version is None else f", version {ran.version}"
    return f"{where}{change}; {ran.took_s:.1f} s{version}"
