"""How is a scaling policy written on a command line? The same options change one, and try one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from controlplane.contract.scaling import ScalingPolicy

Least = Annotated[int | None, typer.Option(min=1, help="Never fewer executors.")]
Most = Annotated[int | None, typer.Option(min=1, help="Never more executors.")]
Utilisation = Annotated[
    str | None, typer.Option(help="Band of the share of time that they work, such as 0.5-0.8.", metavar="LOW-HIGH")
]
CatchUp = Annotated[str | None, typer.Option(help="A backlog is to be gone after so long, such as 5m.")]
OutCoolDown = Annotated[str | None, typer.Option(help="Between a change and a step out.")]
InCoolDown = Annotated[str | None, typer.Option(help="So long there must have been too many before a step in.")]
OutStep = Annotated[int | None, typer.Option(min=1, help="Executors that are added at once, at most.")]
InStep = Annotated[int | None, typer.Option(min=1, help="Executors that are taken away at once, at most.")]
EventsPerS = Annotated[
    float | None, typer.Option(min=0, help="What one executor does, events a second; 0: it is measured.")
]


def given_options(  # noqa: PLR0913 (each is an option of the command)
    least: int | None,
    most: int | None,
    utilisation: str | None,
    catch_up: str | None,
    out_cool_down: str | None,
    in_cool_down: str | None,
    out_step: int | None,
    in_step: int | None,
    events_per_s: float | None,
) -> dict[str, Any]:
    """Those that were given, as fields of a policy."""
    options = {
        "least": least,
        "most": most,
        "utilisation": None if utilisation is None else utilisation.replace("-", " ").split(),
        "catch_up": catch_up,
        "out_cool_down": out_cool_down,
        "in_cool_down": in_cool_down,
        "out_step": out_step,
        "in_step": in_step,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return given if events_per_s is None else {**given, "events_per_s": events_per_s or None}


def changed_policy(policy: ScalingPolicy, options: dict[str, Any]) -> dict[str, Any]:
    """A policy with some fields in the place of its own, as JSON; not yet checked."""
    return {**policy.model_dump(mode="json"), **options}
