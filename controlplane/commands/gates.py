"""`tidegate gate`: how do the gates stand, and what may an operator say to one that has stopped its stage?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import asked
from controlplane.commands.terminal import Data, Output  # noqa: TC001 (typer reads them)
from controlplane.contract.gates import Order, Stage
from controlplane.contract.orders import PATH
from controlplane.contract.verdicts import QualityFrame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlplane.contract.gates import GateDecided
    from controlplane.contract.verdicts import GateState

app = typer.Typer(no_args_is_help=True, help="Gates: how each stands, and orders to one that has stopped its stage.")
Stream = Annotated[str, typer.Argument(help="A stream's name.")]
At = Annotated[Stage, typer.Argument(help="Where the gate stands.")]


@app.command()
def ls(data: Data = None, output: Output = "text") -> None:
    """Each stage's gate: policy, suite, last verdict, breaker, and its share of the stage's time."""
    answer = asked(data, "GET", "/api/v1/gates")
    if output == "json":
        typer.echo(json.dumps(answer, indent=2))
        return
    frame = QualityFrame.model_validate(answer)
    table = Table("stream", "stage", "table", "policy", "suite", "last verdict", "breaker", "of its time", box=None)
    for stream in frame.streams:
        for gate in stream.gates:
            table.add_row(stream.name, gate.stage, gate.table or "", gate.policy, *_cells(gate))
    Console().print(table)
    for line in (line for stream in frame.streams for line in _said(stream.name, stream.gates)):
        typer.echo(line)


@app.command()
def resume(stream: Stream, stage: At, data: Data = None) -> None:
    """Try again: a breaker probes at once, what is held is judged once more."""
    _order(data, stream, stage, Order.RESUME)


@app.command(name="pass")
def let_through(stream: Stream, stage: At, data: Data = None) -> None:
    """Let what is held through, as it is."""
    _order(data, stream, stage, Order.PASS)


@app.command()
def divert(stream: Stream, stage: At, data: Data = None) -> None:
    """Quarantine what is held, and go on."""
    _order(data, stream, stage, Order.DIVERT)


@app.command()
def release(
    stream: Stream,
    stage: At,
    batch: Annotated[str, typer.Argument(help="Which micro-batch: `batch` of its rejects.")],
    data: Data = None,
) -> None:
    """Put a diverted micro-batch into the lake after all."""
    _order(data, stream, stage, Order.RELEASE, batch)


def _order(data: Path | None, stream: str, stage: Stage, order: Order, subject: str | None = None) -> None:
    given = {"stream": stream, "stage": stage, "order": order, "subject": subject}
    found = asked(data, "POST", PATH, given)
    typer.echo(f"{order} is ordered at {stage} of {stream}, {found['at']}; `tidegate gate ls` shows what came of it.")


def _cells(gate: GateState) -> tuple[str, str, str, str]:
    suite = "unknown" if gate.followed is None else f"{gate.followed.suite} ({gate.followed.rules} rules)"
    breaker = "unknown" if gate.breaker_reason else "" if gate.breaker is None else str(gate.breaker.state)
    share = "unknown" if gate.share is None else f"{gate.share:.1%}"
    return suite, _verdict(gate.last, is_stale=gate.is_stale), breaker, share


def _verdict(last: GateDecided | None, *, is_stale: bool) -> str:
    if last is None:
        return "none yet"
    return f"{last.outcome} {last.at:%H:%M:%S} UTC{', stale' if is_stale else ''}"


def _said(stream: str, gates: tuple[GateState, ...]) -> Iterator[str]:
    """What does not fit into a table: why something is unknown, refused or stopped."""
    for gate in gates:
        where = f"{gate.stage} of {stream}" + (f", {gate.table}" if gate.table else "")
        reasons = (
            gate.reason,
            None if gate.followed is None or gate.followed.refused is None else f"refused: {gate.followed.refused}",
            gate.breaker_reason,
            None if gate.breaker is None else gate.breaker.reason,
            None if gate.last is None else gate.last.reason,
        )
        yield from (f"{where}: {reason}" for reason in dict.fromkeys(reasons) if reason)
