"""`tidegate scaling`: how many executors are there and should be, why, and what may an operator say to it?"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, REFUSED, asked
from controlplane.commands.policy_options import (
    CatchUp,
    EventsPerS,
    InCoolDown,
    InStep,
    Least,
    Most,
    OutCoolDown,
    OutStep,
    Utilisation,
    changed_policy,
    given_options,
)
from controlplane.commands.scaling_client import target_of
from controlplane.commands.simulate import simulate
from controlplane.commands.terminal import Data, Output, fail
from controlplane.contract.durations import format_duration, parse_duration
from controlplane.contract.scaling import ScalePlanned, ScalingFrame, ScalingPoint, ScalingPolicy
from controlplane.contract.wants import PATH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.scaling import ScalingDecided, ScalingTarget

app = typer.Typer(no_args_is_help=True, help="Executors: how many, why, by which policy; scale by hand; simulate.")
app.command()(simulate)
Target = Annotated[str, typer.Argument(help="Part whose executors they are.")]


@app.command()
def ls(data: Data = None, output: Output = "text") -> None:
    """Each target: executors, what is wanted, by whom, and why."""
    answer = asked(data, "GET", PATH)
    if output == "json":
        typer.echo(json.dumps(answer, indent=2))
        return
    table = Table("target", "has", "wanted", "bounds", "autoscaler", "port", "rule", box=None)
    targets = ScalingFrame.model_validate(answer).targets
    for each in targets:
        there = each.executors
        table.add_row(
            each.name,
            "unknown" if there is None else str(there.have),
            _count(each.wanted.executors),
            f"{each.policy.least}-{each.policy.most}",
            _state(each),
            "unknown" if there is None else there.port,
            "none yet" if each.decided is None else str(each.decided.rule),
        )
    Console().print(table)
    for each in targets:
        for line in _said(each):
            typer.echo(f"{each.name}: {line}")


@app.command()
def show(target: Target, data: Data = None, output: Output = "text") -> None:
    """One target: policy, order, the last decision with what it rests on, the last changes."""
    found = target_of(data, target)
    if output == "json":
        typer.echo(found.model_dump_json(indent=2))
        return
    typer.echo(f"{found.name}: {_state(found)}, {_count(found.wanted.executors)} wanted")
    for line in _said(found):
        typer.echo(f"  {line}")
    typer.echo("policy")
    for name, value in found.policy.model_dump(mode="json").items():
        typer.echo(f"  {name}: {value}")
    if found.decided is not None:
        typer.echo(f"looked at, {found.decided.at:%H:%M:%S} UTC")
        for name, number in found.decided.inputs.items():
            typer.echo(f"  {name}: {'unknown' if number is None else f'{number:,.2f}'}")
    _print_changes(found.changes[:5])


@app.command()
def history(
    target: Target,
    lasts: Annotated[str, typer.Option("--for", help="How far back, such as 6h.")] = "6h",
    data: Data = None,
    output: Output = "text",
) -> None:
    """How what is wanted has changed, the newest first; from ClickHouse, so also of before a restart."""
    target_of(data, target)
    try:
        minutes = parse_duration(lasts).total_seconds() / 60
    except ValueError as error:
        fail(str(error), MISTAKEN)
    query = urlencode({"target": target, "minutes": minutes})
    told = [ScalingPoint.model_validate(each) for each in asked(data, "GET", f"{PATH}/history?{query}")]
    found = changes_of(told)
    if output == "json":
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
    else:
        _print_changes(found)


def changes_of(told: Sequence[ScalingPoint]) -> list[ScalingPoint]:
    """Of decisions, oldest first, those for another number than the one before; the newest first."""
    decided = [each for each in told if each.kind == "decided" and each.want is not None]
    return [each for before, each in pairwise(decided) if each.want != before.want][::-1]


@app.command(name="set")
def set_policy(  # noqa: PLR0913 (each is an option of the command)
    target: Target,
    least: Least = None,
    most: Most = None,
    utilisation: Utilisation = None,
    catch_up: CatchUp = None,
    out_cool_down: OutCoolDown = None,
    in_cool_down: InCoolDown = None,
    out_step: OutStep = None,
    in_step: InStep = None,
    events_per_s: EventsPerS = None,
    data: Data = None,
) -> None:
    """Change what the autoscaler may do; what is not named stays as it is."""
    options = given_options(
        least, most, utilisation, catch_up, out_cool_down, in_cool_down, out_step, in_step, events_per_s
    )
    if not options:
        fail("say what is to be set, such as --most 20; `tidegate scaling set --help` lists all", MISTAKEN)
    policy = _put(data, target, options)
    typer.echo(
        f"{target}: {policy.least} to {policy.most} executors, "
        f"{policy.utilisation[0]:.0%} to {policy.utilisation[1]:.0%} busy, "
        f"a backlog is gone after {format_duration(policy.catch_up)}."
    )


@app.command()
def on(target: Target, data: Data = None) -> None:
    """Let the autoscaler decide, and act on it."""
    _put(data, target, {"is_on": True, "is_dry_run": False})
    typer.echo(f"The autoscaler has {target}; `tidegate scaling show {target}` shows what it decides.")


@app.command()
def off(target: Target, data: Data = None) -> None:
    """Leave executors as they are, whatever the load."""
    _put(data, target, {"is_on": False})
    typer.echo(f"Executors of {target} stay as they are; `tidegate scaling on {target}` takes that back.")


@app.command(name="dry-run")
def dry_run(target: Target, data: Data = None) -> None:
    """Let the autoscaler say what it would do, and do nothing."""
    _put(data, target, {"is_on": True, "is_dry_run": True})
    typer.echo(f"What would be done with {target} is said and not done; `tidegate scaling show {target}` shows it.")


@app.command()
def scale(  # noqa: PLR0913 (each is an option of the command)
    target: Target,
    executors: Annotated[int, typer.Argument(min=1, max=1000, help="So many.")],
    lasts: Annotated[str | None, typer.Option("--for", help="How long, such as 30m.  [default: until release]")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would change.")] = False,  # noqa: FBT002 (a flag)
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002 (a flag)
    data: Data = None,
) -> None:
    """Order a number of executors; the autoscaler leaves the target alone meanwhile."""
    said = {"executors": executors, **({} if lasts is None else {"for": lasts})}
    path = f"{PATH}/{target}/scale"
    planned = ScalePlanned.model_validate(asked(data, "POST", f"{path}?dry_run=true", said))
    typer.echo(f"{planned.changes}.")
    for each in planned.against:
        typer.echo(f"  but: {each}")
    if plan:
        return
    if not yes and not typer.confirm("Order it?"):
        fail("nothing was ordered", REFUSED)
    asked(data, "POST", path, said)
    typer.echo(f"Ordered; `tidegate scaling release {target}` gives it back.")


@app.command()
def release(target: Target, data: Data = None) -> None:
    """Give a target back to the autoscaler."""
    asked(data, "DELETE", f"{PATH}/{target}/scale")
    typer.echo(f"The autoscaler has {target} again.")


def _put(data: Path | None, target: str, options: dict[str, Any]) -> ScalingPolicy:
    policy = changed_policy(target_of(data, target).policy, options)
    return ScalingPolicy.model_validate(asked(data, "PUT", f"{PATH}/{target}/policy", policy))


def _state(target: ScalingTarget) -> str:
    if target.ordered is not None:
        return f"ordered by {target.ordered.by}"
    if not target.policy.is_on:
        return "off"
    return "dry run" if target.policy.is_dry_run else "on"


def _count(executors: int | None) -> str:
    return "as it is" if executors is None else str(executors)


def _said(target: ScalingTarget) -> list[str]:
    """What does not fit into a table, each once."""
    waits = None if target.executors is None else target.executors.waits_for
    return [each for each in dict.fromkeys((target.reason, target.wanted.reason, waits)) if each]


def _print_changes(changes: Sequence[ScalingDecided | ScalingPoint]) -> None:
    if not changes:
        typer.echo("No change yet.")
        return
    table = Table("at", "has", "wanted", "rule", "by", "done", "reason", box=None)
    for each in changes:
        cells = (f"{each.at:%Y-%m-%d %H:%M:%S}", each.have, each.want, each.rule, each.by)
        done = "no: dry run" if each.is_dry_run else "yes"
        table.add_row(*("-" if cell is None else str(cell) for cell in cells), done, each.reason)
    Console().print(table)
