"""`tidegate`: what an operator types."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import httpx
import psutil
import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.account import COLUMNS, account, mismatch_lines
from controlplane.commands.alerts import app as alerts_app
from controlplane.commands.audit import app as audit_app
from controlplane.commands.backfill import backfill
from controlplane.commands.credentials import control_plane
from controlplane.commands.gates import app as gate_app
from controlplane.commands.lag import app as lag_app
from controlplane.commands.latency import latency
from controlplane.commands.load import app as load_app
from controlplane.commands.login import login, logout
from controlplane.commands.operations import app as operations_app
from controlplane.commands.quarantine import app as quarantine_app
from controlplane.commands.rollback import rollback
from controlplane.commands.scaling import app as scaling_app
from controlplane.commands.schemas import app as schema_app
from controlplane.commands.send import send
from controlplane.commands.sql import sql
from controlplane.commands.terminal import EXIT_NOT_RUNNING, Data, Output
from controlplane.commands.terminal import fail as _fail
from controlplane.commands.terminal import running_in as _running
from controlplane.commands.trial import app as trial_app
from controlplane.commands.users import address_to_open
from controlplane.commands.users import app as users_app
from controlplane.commands.watch import watch
from controlplane.contract.durations import parse_duration
from controlplane.contract.settings import Settings
from controlplane.up.borrowed import acting_on_folder
from controlplane.up.checks import StartError
from controlplane.up.drained import Drained
from controlplane.up.parts import DEMO_STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.up.platform import Platform

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(schema_app, name="schema")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(alerts_app, name="alerts")
app.add_typer(gate_app, name="gate")
app.add_typer(scaling_app, name="scaling")
app.add_typer(lag_app, name="lag")
app.add_typer(trial_app, name="trial")
app.add_typer(load_app, name="load")
app.add_typer(users_app, name="users")
app.command()(login)
app.command()(logout)
app.add_typer(audit_app, name="audit")
app.add_typer(operations_app, name="operations")
app.command(name="sql")(sql)
app.command()(send)
app.command()(latency)
app.command()(rollback)
app.command()(watch)
app.command()(backfill)
_HERE = Path(__file__).resolve().parents[1]


def _told(text: str) -> None:
    typer.echo(f"  {text}")


@app.command()
def up(  # noqa: PLR0913 (each is an option of the command)
    data: Data = None,
    demo: Annotated[
        str, typer.Option(help="Demo feeds to run: shop, flights, both by a comma, or none.")
    ] = "shop,flights",
    rate: Annotated[float, typer.Option(min=0, help="shop: events a second; 0 is as fast as can be.")] = 500.0,
    faults: Annotated[float, typer.Option(min=0, max=1, help="shop: share of events broken on purpose.")] = 0.01,
    seed: Annotated[int, typer.Option(help="shop: another seed, another shop.")] = 1,
    events: Annotated[int | None, typer.Option(min=0, help="End each feed after so many events.")] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="flights: seconds of event time in a second; 0: no pause.")
    ] = 86_400.0,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="flights: share of events held back and sent after all others.")
    ] = 0.0,
    route_mode: Annotated[str, typer.Option(help="realtime or microbatch.")] = "realtime",
    spark: Annotated[
        str, typer.Option(help="Where lake's tasks run: local, or standalone: a Spark master and worker on loopback.")
    ] = "local",
    run_for: Annotated[str | None, typer.Option("--for", help="Stop after so long, such as 60s.")] = None,
    exit_when_drained: Annotated[
        bool, typer.Option("--exit-when-drained", help="Stop when the feeds have ended and every ledger balances.")
    ] = False,
    console_port: Annotated[
        int | None, typer.Option(help="Port of the console; another free one is not taken.")
    ] = None,
) -> None:
    """Run the whole platform on this machine, until Ctrl-C."""
    from controlplane.up.platform import Platform

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    chosen = [name for name in demo.split(",") if name and name != "none"]
    if unknown := sorted(set(chosen) - set(DEMO_STREAMS)):
        raise typer.BadParameter(
            f"there is no demo feed {', '.join(unknown)}; choose of: {', '.join(DEMO_STREAMS)}, none"
        )
    if route_mode not in ("realtime", "microbatch"):
        raise typer.BadParameter(f"route mode {route_mode!r} is neither realtime nor microbatch")
    if spark not in ("local", "standalone"):
        raise typer.BadParameter(f"spark {spark!r} is neither local nor standalone")
    ending = () if events is None else ("--events", str(events))
    options = {
        "shop": ("--rate", str(rate), "--faults", str(faults), "--seed", str(seed), *ending),
        "flights": ("--speed", str(speed), "--late", str(late), *ending),
    }
    platform = Platform(
        data or Settings().data,
        feeds={name: options[name] for name in chosen},
        console_port=console_port,
        environment={"TIDEGATE_ROUTE_MODE": route_mode},
        spark="standalone" if spark == "standalone" else "local",
        told=_told,
    )
    try:
        seconds = None if run_for is None else parse_duration(run_for).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _run(platform, seconds, exit_when_drained=exit_when_drained)


def _run(platform: Platform, seconds: float | None, *, exit_when_drained: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        with platform:
            typer.echo(f"Starting Tidegate in {platform.data}")
            platform.start()
            typer.echo(f"\nTidegate is up: open {address_to_open(platform.settings)}\nCtrl-C stops it.\n")
            platform.run_until(_done(platform, seconds, exit_when_drained=exit_when_drained))
            typer.echo("Stopping")
    except StartError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        typer.echo("Stopped: what was produced is kept, `tidegate up` goes on from here.")
    else:
        typer.echo("Stopped.")


def _interrupt(*_: object) -> NoReturn:
    """Once is enough: a second signal must not cut the clean stop short."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _done(platform: Platform, seconds: float | None, *, exit_when_drained: bool) -> Callable[[], bool]:
    until = None if seconds is None else time.monotonic() + seconds
    drained = Drained(platform, _told) if exit_when_drained else None

    def done() -> bool:
        return (until is not None and time.monotonic() > until) or (drained is not None and drained.check())

    return done


@app.command()
def down(data: Data = None) -> None:
    """Stop the platform of a data folder."""
    running = _running(data)
    process = psutil.Process(running.pid)
    process.terminate()
    try:
        process.wait(120)
    except psutil.TimeoutExpired:
        _fail(f"process {running.pid} has not stopped after 120 s; see the logs in {running.data / 'logs'}", 1)
    typer.echo("Stopped.")


@app.command()
def status(data: Data = None, output: Output = "text") -> None:
    """Each part: state, process, address, uptime, memory, and why something is unknown."""
    running = _running(data)
    parts = running.parts()
    if output == "json":
        typer.echo(json.dumps(parts, indent=2))
        return
    table = Table("part", "state", "pid", "address", "up", "memory", "restarts", "reason", box=None)
    for part in parts:
        memory = part["memory_bytes"]
        cells = (part["part"], part["state"], part["pid"], part["address"], part["uptime_s"],
                 None if memory is None else f"{memory / 2**20:.0f} MiB", part["restarts"], part["reason"])  # fmt: skip
        table.add_row(*("-" if cell is None else str(cell) for cell in cells))
    Console().print(table)
    typer.echo(f"console: {running.environment['TIDEGATE_CONSOLE']}")
    typer.echo(
        f"collector: {running.environment['TIDEGATE_COLLECTOR']} (events over HTTP; `tidegate users key` makes a key)"
    )
    typer.echo(f"queries: {running.environment['TIDEGATE_CLICKHOUSE']} (ClickHouse over HTTP; user bi, no password)")
    typer.echo(f"lake: {Settings(data=running.data).lake_root}")
    for folder, older in running.newer_folders().items():
        typer.echo(
            f"streams: {folder} is newer than these parts, which read it when they start: "
            f"`tidegate streams validate {folder}`, then `tidegate restart {' '.join(older)}`"
        )


@app.command()
def restart(
    parts: Annotated[list[str], typer.Argument(metavar="PART...", help="Parts by name.")], data: Data = None
) -> None:
    """Start parts again: one that runs is stopped first, one that is held gets another chance."""
    running = _running(data)
    try:
        running.ask_restart(*parts)
    except KeyError as error:
        _fail(str(error.args[0]), 2)
    typer.echo(f"Asked for; `tidegate status` shows {', '.join(parts)}.")


@app.command()
def ledger(
    data: Data = None,
    output: Output = "text",
    stream: Annotated[str | None, typer.Option(help="Only this stream.")] = None,
) -> None:
    """Does every event add up, from produced to the lake and ClickHouse? Exit code 1 when one does not."""
    reported = [account(each) for each in _ask(data, "/api/v1/ledger")]
    taken = [each for each in reported if stream in (None, each["stream"])]
    if stream is not None and not taken:
        there = ", ".join(each["stream"] for each in reported) or "none"
        _fail(f"there is no ledger of {stream!r}; there are: {there}", 2)
    if output == "json":
        typer.echo(json.dumps(taken, indent=2))
    else:
        table = Table("stream", *COLUMNS, "verdict", "reason", box=None)
        for each in taken:
            cells = (each[column] for column in ("stream", *COLUMNS, "verdict", "reason"))
            table.add_row(*("unknown" if cell is None else str(cell) for cell in cells))
        Console().print(table)
        for each in taken:
            typer.echo("".join(f"\n{line}" for line in mismatch_lines(each)), nl=bool(each["mismatches"]))
    sys.exit(1 if any(each["verdict"] == "unbalanced" for each in taken) else 0)


@app.command()
def logs(part: Annotated[str, typer.Argument(help="A part's name.")], data: Data = None) -> None:
    """The end of a part's log."""
    from controlplane.up.checks import last_lines

    folder = (data or Settings().data) / "logs"
    file = folder / f"{part}.log"
    if not file.exists():
        there = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none"
        _fail(f"{folder} has no log of {part!r}; there are: {there}", 2)
    typer.echo(last_lines(file))


def _ask(data: Path | None, path: str) -> list[dict[str, Any]]:
    api, headers = control_plane(data)
    url = f"{api}{path}"
    try:
        answer: list[dict[str, Any]] = httpx.get(url, headers=headers, timeout=5).raise_for_status().json()
    except httpx.HTTPError as error:
        _fail(f"the control plane at {url} does not answer: {error}", EXIT_NOT_RUNNING)
    return answer


_PASSED_ON = {
    "streams": ("pipeline", "streams"),
    "lake": ("pipeline.travel",),
    "maintain": ("pipeline", "maintain"),
    "bench": ("load_tests",),
}


def main() -> None:
    """Entry point; commands of other rooms run as those rooms, because the control plane imports none."""
    if len(sys.argv) > 1 and (room := _PASSED_ON.get(sys.argv[1])):
        environment, arguments = dict(os.environ), sys.argv[2:]
        if sys.argv[1] == "maintain":
            environment, arguments = acting_on_folder(environment, arguments)
        os.execve(sys.executable, [sys.executable, "-P", "-m", *room, *arguments], environment)  # noqa: S606 (our own interpreter)
    app()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def streams() -> None:
    """Check, list and show streams: validate, ls, show, references."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def maintain() -> None:
    """Keep the lake in shape: plan, run; of a platform that runs, or of a folder (`--data`)."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def lake() -> None:
    """The Delta tables as they are and as they were: history, read."""


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench() -> None:
    """Measure on this machine: throughput, latency, faults, rollups, maintenance, alerts."""


if __name__ == "__main__":
    main()
