"""`tidegate trial`: what would a changed stream folder do? Send it, try it, look at what differs, promote or discard it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.operating import run_operation
from controlplane.commands.terminal import Data, fail
from controlplane.contract.backfills import PromotionAsked, TrialAsked
from controlplane.contract.operations import PATH, Kind, OperationAsked
from controlplane.contract.trials import FILE_OF_A_FOLDER, FOLDERS_PATH, MOST_BYTES, TrialFound

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(no_args_is_help=True, help="A changed stream folder against today's, on the same history.")
Output = Annotated[str, typer.Option("-o", "--output", help="table or json")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Plan only.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Why = Annotated[str, typer.Option(help="Kept with the operation.")]
Trial = Annotated[str, typer.Argument(help="Id of a trial.")]
_SHOWN = 5


@app.command()
def start(  # noqa: PLR0913 (each is an option of the command)
    stream: Annotated[str, typer.Argument(help="A stream's name.")],
    folder: Annotated[
        str, typer.Argument(help="The changed folder: one here is sent; else a path below TIDEGATE_TRIALS.")
    ],
    since: Annotated[str, typer.Option(help="First moment of event time: ISO 8601; UTC when it names no other zone.")],
    until: Annotated[str, typer.Option(help="End of it, exclusive.")],
    version: Annotated[
        int | None, typer.Option("--version", "--to-version", min=0, help="Of the lake's events; none: the newest.")
    ] = None,
    examples: Annotated[int, typer.Option(min=1, max=200, help="Of each difference, at most.")] = 20,
    why: Why = "",
    data: Data = None,
    output: Output = "table",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Try a changed folder; exit codes as of `tidegate operations`."""
    window = {"since": _moment(since), "until": _moment(until)}
    where = sent(data, stream, Path(folder)) if Path(folder).is_dir() else folder
    given = TrialAsked(stream=stream, folder=where, version=version, examples=examples, **window)
    body = OperationAsked(kind=Kind.TRIAL, asked=given.model_dump(mode="json"), why=why)
    run_operation(data, body, yes=yes, dry_run=dry_run, output=output)


@app.command()
def promote(  # noqa: PLR0913 (each is an option of the command)
    trial: Annotated[str | None, typer.Argument(help="Id of a trial that has ended.")] = None,
    stream: Annotated[str | None, typer.Option(help="Its stream.  [default: as the trial says]")] = None,
    back: Annotated[str | None, typer.Option(help="Take this promotion back, instead.")] = None,
    why: Why = "",
    data: Data = None,
    output: Output = "table",
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Make a trial's folder today's; `tidegate operations undo` puts back what it replaced."""
    if (trial is None) == (back is None):
        fail("name a trial, or a promotion to take back by --back", MISTAKEN)
    name = stream or str(asked(data, "GET", f"{PATH}/{trial or back}")["stream"])
    given = PromotionAsked(stream=name, trial=trial, back=back)
    body = OperationAsked(kind=Kind.PROMOTION, asked=given.model_dump(mode="json"), why=why)
    run_operation(data, body, yes=yes, dry_run=dry_run, output=output)


@app.command()
def show(trial: Trial, data: Data = None, output: Output = "table") -> None:
    """What a trial found."""
    result = asked(data, "GET", f"/api/v1/trials/{trial}")
    if output == "json":
        typer.echo(json.dumps(result, indent=2))
        return
    found = TrialFound.model_validate(result)
    typer.echo(
        f"{found.stream}, {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M}, events at version {found.version}"
    )
    for sentence in found.differs or ("nothing differs",):
        typer.echo(f"  {sentence}")
    Console().print(_figures(found))
    for line in _examples(found):
        typer.echo(f"  {line}")


@app.command()
def discard(trial: Trial, data: Data = None) -> None:
    """Remove the tables that a trial keeps; its result stays with the operation."""
    asked(data, "DELETE", f"/api/v1/trials/{trial}")
    typer.echo(f"{trial}: discarded")


def sent(data: Path | None, stream: str, folder: Path) -> str:
    """Send a folder of this machine; where trials find it. Ends the command where it is refused, with every mistake."""
    files = dict(_files(folder))
    size = sum(len(each) for each in files.values())
    if size > MOST_BYTES:
        fail(f"{folder} has {size:,} bytes, and {MOST_BYTES:,} may be sent; put it below TIDEGATE_TRIALS", MISTAKEN)
    body = {"stream": stream, "files": {name: _written(content) for name, content in files.items()}}
    return str(asked(data, "POST", FOLDERS_PATH, body)["folder"])


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = file.relative_to(folder).as_posix()
        if FILE_OF_A_FOLDER.fullmatch(name):
            yield name, file.read_bytes()
        else:
            typer.echo(f"{name} is no file of a stream folder; it is not sent", err=True)


def _written(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time in ISO 8601, such as 2013-01-07 or 2013-01-07T12:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _figures(found: TrialFound) -> Table:
    table = Table("", "today", "changed", box=None)
    rows = found.rows
    table.add_row("rows let through", f"{rows.today:,}", f"{rows.changed:,}")
    table.add_row("of them alone", f"{rows.only_today:,}", f"{rows.only_changed:,}")
    for each in rows.rules:
        if each.today != each.changed:
            table.add_row(f"turned away by {each.rule}", _count(each.today), _count(each.changed))
    for rollup in found.rollups:
        table.add_row(f"windows of {rollup.rollup}", _count(rollup.today), _count(rollup.changed))
    for entity in found.entities:
        table.add_row(f"entities {entity.entity}", _count(entity.today), _count(entity.changed))
    for side in ("cpu_s", "bytes", "files"):
        values = [getattr(each, side) for each in (found.cost.today, found.cost.changed)]
        table.add_row(f"cost: {side}", *(f"{value:,.1f}" if side == "cpu_s" else f"{value:,}" for value in values))
    return table


def _count(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _examples(found: TrialFound) -> Iterator[str]:
    for column in found.columns:
        for each in column.examples[:_SHOWN]:
            yield f"{column.column} of {_key(each.key)}: {each.today} -> {each.changed}"
    for row in found.rows.examples[:_SHOWN]:
        yield f"{_key(row.key)} at {row.at:%Y-%m-%d %H:%M}: only {row.accepted_by} lets it through ({row.because})"


def _key(key: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in key.items())
