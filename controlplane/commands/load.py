"""`tidegate load`: load a stream, the console or the hub; what it did to the platform; two runs beside one another."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 (typer reads the annotation)
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.credentials import control_plane
from controlplane.commands.load_seconds import figure, follow_seconds
from controlplane.commands.operating import run_operation
from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, fail
from controlplane.contract.loads import PATH, LoadAsked, LoadCompared, LoadReport, LoadShape, LoadTarget
from controlplane.contract.operations import Kind, OperationAsked

app = typer.Typer(no_args_is_help=True, help=__doc__)
Output = Annotated[str, typer.Option("-o", "--output", help="table or json")]
Run = Annotated[str, typer.Argument(help="Id of a run: its operation's.")]
_WATCHED = (LoadTarget.CONSOLE, LoadTarget.HUB)
_TIMEOUT_S = 30.0


@app.command()
def start(  # noqa: PLR0913 (each is an option of the command)
    what: Annotated[str, typer.Argument(help="A stream, `console` or `hub`.")],
    target: Annotated[LoadTarget | None, typer.Option(help="How it is loaded.  [default: a stream by kafka]")] = None,
    shape: Annotated[LoadShape, typer.Option(help="How the load goes over time.")] = LoadShape.STEADY,
    rate: Annotated[float, typer.Option(help="At the peak: events, or requests, a second.")] = 200.0,
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 2m.")] = "1m",
    users: Annotated[int, typer.Option(help="Who sends or asks at once; clients of the hub at the peak.")] = 4,
    stream: Annotated[str | None, typer.Option(help="Of console and hub: whose pages.  [default: the first]")] = None,
    why: Annotated[str, typer.Option(help="Kept with the operation.")] = "",
    data: Data = None,
    output: Output = "table",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Plan a load test, and have it run once confirmed; exit codes as of `tidegate operations`.

    Events that are sent into a stream are real and stay. Only this machine is loaded, unless TIDEGATE_LOAD_TARGETS names others.
    """
    if what in _WATCHED:
        target = LoadTarget(what)
        what = stream or str(asked(data, "GET", "/api/v1/streams")[0]["name"])
    given = {"stream": what, "shape": shape, "rate": rate, "lasts": lasts, "users": users}
    try:
        wanted = LoadAsked.model_validate({**given, **({} if target is None else {"target": target})})
    except ValidationError as error:
        said = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors())
        fail("; ".join(said), MISTAKEN)
    body = OperationAsked(kind=Kind.LOAD_TEST, asked=wanted.model_dump(mode="json"), why=why)
    run_operation(data, body, yes=yes, dry_run=dry_run, output=output)


@app.command()
def watch(run: Run, data: Data = None, output: Output = "table") -> None:
    """A run second by second until it has ended; the exit code says how. `tidegate operations cancel` or `pause` stops it."""
    follow_seconds(data, run, output)


@app.command()
def ls(data: Data = None, output: Output = "table") -> None:
    """Runs that have a report, the newest first; `tidegate operations ls --kind load_test` shows those under way."""
    found = asked(data, "GET", PATH)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    columns = ("run", "stream", "target", "shape", "at", "sent", "accepted/s", "p99 ms", "recovery s", "verdict")
    table = Table(*columns, box=None)
    for each in found:
        given = each["asked"]
        table.add_row(
            each["id"], given["stream"], given["target"], given["shape"], str(each["at"])[:19], f"{each['offered']:,}",
            figure(each["accepted_per_s"]), figure(each["p99_ms"]), figure(each["recovery_s"]), each["verdict"],
        )  # fmt: skip
    Console().print(table if found else "No run has a report yet; `tidegate load start` makes one.")


@app.command()
def show(run: Run, data: Data = None, output: Output = "table") -> None:
    """What a run found."""
    said = asked(data, "GET", f"{PATH}/{run}", timeout_s=_TIMEOUT_S)
    if output == "json":
        typer.echo(json.dumps(said, indent=2))
        return
    report = LoadReport.model_validate(said)
    typer.echo(f"{report.id}: {report.asked.shape} on {report.asked.stream} by {report.asked.target}, {report.ended}")
    table = Table(box=None, show_header=False)
    for name, value in (
        ("sent", f"{report.offered:,}"),
        ("answers", ", ".join(f"{status}: {count:,}" for status, count in report.statuses.items())),
        ("accepted at the peak", figure(report.accepted_per_s, " a second")),
        ("response at the peak", f"p50 {figure(report.p50_ms, ' ms')}, p99 {figure(report.p99_ms, ' ms')}"),
        ("event to pixel, worst p99", figure(report.pixel_p99_ms, " ms")),
    ):
        table.add_row(name, value)
    for each in report.recoveries:
        back = each.reason if each.seconds is None else f"back after {each.seconds:g} s"
        table.add_row(each.consumer, f"{figure(each.worst_s, ' s')} behind at the worst, {back}")
    Console().print(table)
    for judgement in report.judgements:
        typer.echo(f"{judgement.state:8} {judgement.about}: {judgement.text}")


@app.command()
def report(
    run: Run,
    html: Annotated[
        Path | None, typer.Option(help="Write it there as one HTML file; without it: JSON to stdout.")
    ] = None,
    data: Data = None,
) -> None:
    """A run's report, to keep or to hand on."""
    if html is None:
        typer.echo(json.dumps(asked(data, "GET", f"{PATH}/{run}", timeout_s=_TIMEOUT_S), indent=2))
        return
    _keep_page(data, f"{run}/report", html)


def _keep_page(data: Path | None, path: str, html: Path) -> None:
    api, headers = control_plane(data)
    try:
        answer = httpx.get(f"{api}{PATH}/{path}", headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError as error:
        fail(f"the control plane at {api} does not answer: {error}", EXIT_NOT_RUNNING)
    if answer.is_error:
        fail(str(answer.json().get("detail", answer.text)), MISTAKEN)
    html.write_bytes(answer.content)
    typer.echo(f"{html}: {len(answer.content):,} bytes")


@app.command()
def compare(
    before: Run,
    after: Annotated[str, typer.Argument(help="Id of the run that is measured against it.")],
    html: Annotated[Path | None, typer.Option(help="Write it there as one HTML file.")] = None,
    data: Data = None,
    output: Output = "table",
) -> None:
    """Two runs beside one another: which is better in what, and which differences are noise."""
    query = f"before={before}&after={after}"
    if html is not None:
        _keep_page(data, f"compare/report?{query}", html)
        return
    said = asked(data, "GET", f"{PATH}/compare?{query}", timeout_s=_TIMEOUT_S)
    if output == "json":
        typer.echo(json.dumps(said, indent=2))
        return
    found = LoadCompared.model_validate(said)
    table = Table("median second at the peak", f"before: {before}", f"after: {after}", "", "n", box=None)
    for each in found.differences:
        figures = (figure(value, f" {each.unit}") for value in (each.before, each.after))
        table.add_row(each.figure, *figures, each.text, f"{each.n[0]} and {each.n[1]}")
    Console().print(table)
    for why in found.incomparable:
        typer.echo(f"not comparable because {why}")
    for note in found.notes:
        typer.echo(f"note: {note}")
