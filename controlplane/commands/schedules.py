"""`tidegate operations schedule`: what is asked for again and again, by a crontab's five fields in UTC."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.table import Column, Table

from controlplane.commands.operations_client import MISTAKEN, Operations
from controlplane.commands.terminal import Data, fail
from controlplane.contract.operations import Kind, OperationAsked, Schedule, ScheduleAsked

app = typer.Typer(no_args_is_help=True, help=__doc__)
Output = Annotated[str, typer.Option("-o", "--output", help="table or json")]
Name = Annotated[str, typer.Argument(help="Of the schedule.")]


@app.command()
def ls(data: Data = None, output: Output = "table") -> None:
    """Every schedule, with its next run and what its last one asked for."""
    found = Operations(data).ask("GET", "/schedules")
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table(
        *(Column(name, no_wrap=True) for name in ("name", "cron", "kind", "stream", "next", "last")), box=None
    )
    for name in ("confirms", "by", "said"):
        table.add_column(name)
    for each in map(Schedule.model_validate, found):
        coming = "off" if each.next_at is None else f"{each.next_at:%Y-%m-%d %H:%M}"
        last = each.last_operation or ("-" if each.last_at is None else f"{each.last_at:%Y-%m-%d %H:%M}")
        stream = str(each.ask.asked.get("stream", "-"))
        confirms = "itself" if each.confirm else "you"
        table.add_row(each.name, each.cron, each.ask.kind, stream, coming, last, confirms, each.by, each.reason or "")
    Console().print(table)


@app.command(name="set")
def set_schedule(  # noqa: PLR0913 (each is an option of the command)
    name: Name,
    cron: Annotated[str, typer.Option(help="Five fields of a crontab, UTC, such as '30 3 * * 1'.")],
    kind: Annotated[Kind, typer.Option(help="What is asked for.")],
    asked: Annotated[str, typer.Option(help='With what, as JSON, such as \'{"stream": "flights"}\'.')],
    why: Annotated[str, typer.Option(help="Kept with each operation.")] = "",
    confirm: Annotated[bool, typer.Option("--confirm", help="Run without anybody's confirmation.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Keep it, and run nothing.")] = False,
    data: Data = None,
) -> None:
    """Make a schedule, or change one."""
    try:
        given = OperationAsked(kind=kind, asked=json.loads(asked), why=why)
    except ValueError as error:
        fail(f"--asked: {error}", MISTAKEN)
    body = ScheduleAsked(cron=cron, ask=given, confirm=confirm, is_on=not off).model_dump(mode="json")
    found = Schedule.model_validate(Operations(data).ask("PUT", f"/schedules/{quote(name, safe='')}", body))
    typer.echo(f"{name}: {'off' if found.next_at is None else f'next at {found.next_at:%Y-%m-%d %H:%M} UTC'}")


@app.command()
def rm(name: Name, data: Data = None) -> None:
    """Forget a schedule; what it has asked for goes on."""
    Operations(data).ask("DELETE", f"/schedules/{quote(name, safe='')}")
    typer.echo(f"{name} is forgotten.")
