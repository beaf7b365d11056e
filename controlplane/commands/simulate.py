"""`tidegate scaling simulate`: what would the autoscaler do with a load and a policy? No platform is needed, nothing is done."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN
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
from controlplane.commands.terminal import Data, Output, fail
from controlplane.contract.durations import parse_duration
from controlplane.contract.scaling import ScalingPolicy
from controlplane.service.scaling.profile import parse_profile
from controlplane.service.scaling.simulated import Cluster
from controlplane.service.scaling.simulator import simulate as simulated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.service.scaling.simulator import Moment

_BEAT_S = 2.0


def simulate(  # noqa: PLR0913 (each is an option of the command)
    load: Annotated[
        str, typer.Option(help="Events a second over time, such as 5m:2000,10m:8000,5m:8000>2000.")
    ] = "4m:1300,8m:5200,10m:1300",
    per_executor: Annotated[
        float, typer.Option(min=0.001, help="What a busy executor does, events a second.")
    ] = 1000.0,
    executors: Annotated[int, typer.Option(min=1, max=1000, help="So many at the beginning.")] = 2,
    partitions: Annotated[int, typer.Option(min=1, help="Of the topic.")] = 64,
    trigger: Annotated[str, typer.Option(help="How often a micro-batch begins.")] = "10s",
    overhead: Annotated[str, typer.Option(help="Of each micro-batch, however many executors there are.")] = "1500ms",
    start_up: Annotated[str, typer.Option(help="Until an executor that was asked for is there.")] = "8s",
    mean_life: Annotated[str | None, typer.Option(help="Of an executor, such as 10m.  [default: none dies]")] = None,
    noise: Annotated[float, typer.Option(min=0, max=0.9, help="Of rate and executors.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Another one, other noise and other deaths.")] = 1,
    least: Least = None,
    most: Most = None,
    utilisation: Utilisation = None,
    catch_up: CatchUp = None,
    out_cool_down: OutCoolDown = None,
    in_cool_down: InCoolDown = None,
    out_step: OutStep = None,
    in_step: InStep = None,
    events_per_s: EventsPerS = None,
    of: Annotated[
        str | None,
        typer.Option(help="Begin with this target's policy, of the platform that runs.  [default: the default]"),
    ] = None,
    data: Data = None,
    output: Output = "text",
) -> None:
    """What the autoscaler would do with a load and a policy: on a simulated cluster, in simulated time; nothing is done."""
    options = given_options(
        least, most, utilisation, catch_up, out_cool_down, in_cool_down, out_step, in_step, events_per_s
    )
    try:
        before = ScalingPolicy() if of is None else target_of(data, of).policy
        policy = ScalingPolicy.model_validate(changed_policy(before, options))
        cluster = Cluster(
            per_s=per_executor,
            overhead_s=parse_duration(overhead).total_seconds(),
            trigger_s=parse_duration(trigger).total_seconds(),
            partitions=partitions,
            start_up=parse_duration(start_up),
            starts_with=executors,
            mean_life=None if mean_life is None else parse_duration(mean_life),
            noise=noise,
        )
        moments = list(simulated(parse_profile(load), policy, cluster, seed=seed))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fail(": ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")]), MISTAKEN)
    except ValueError as error:
        fail(str(error), MISTAKEN)
    if output == "json":
        typer.echo(json.dumps([_as_json(each) for each in moments], indent=2))
    else:
        _print(moments)


def _as_json(moment: Moment) -> dict[str, object]:
    return {
        "elapsed_s": moment.elapsed_s,
        "events_per_s": moment.events_per_s,
        "lag_events": moment.lag_events,
        "have": moment.have,
        "is_change": moment.is_change,
        "decided": moment.decided.model_dump(mode="json", exclude={"id", "kind", "at"}),
    }


def _print(moments: Sequence[Moment]) -> None:
    table = Table("after", "events/s", "waiting", "has", "wanted", "rule", "reason", box=None)
    for each in moments:
        if each.is_change:
            numbers = (f"{each.events_per_s:,.0f}", f"{each.lag_events:,}", str(each.have), str(each.decided.want))
            table.add_row(_minutes(each.elapsed_s), *numbers, str(each.decided.rule), each.decided.reason)
    Console().print(table)
    if not moments:
        return
    changes, last = sum(each.is_change for each in moments), moments[-1]
    hours = sum(each.have for each in moments) * _BEAT_S / 3600
    typer.echo(
        f"{changes} changes in {_minutes(last.elapsed_s)}, {max(each.have for each in moments)} executors at most, "
        f"{hours:.1f} executor hours, {max(each.lag_events for each in moments):,} events waited at most, "
        f"{last.lag_events:,} at the end; after the last change: {last.decided.reason}"
    )


def _minutes(elapsed_s: float) -> str:
    return f"{int(elapsed_s) // 60}m{int(elapsed_s) % 60:02}s"
