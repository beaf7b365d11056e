"""`tidegate lag why`: which query is slow, why, and what is to be done?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import Data, Output, fail
from controlplane.contract.lag import LagFrame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.lag import ConsumerState, LagExplained

LAG = "/api/v1/lag"


def why(
    query: Annotated[
        str | None, typer.Argument(help="Such as 'lake shop'.  [default: every query that is slow]")
    ] = None,
    data: Data = None,
    output: Output = "text",
) -> None:
    """Why a query is slow: causes, the one that explains most first, with what speaks for each and what to do."""
    frame = LagFrame.model_validate(asked(data, "GET", LAG))
    queries = [each for each in frame.consumers if each.lag.hop is not None]
    chosen = [each for each in queries if query in (None, each.lag.consumer)]
    if query is not None and not chosen:
        there = ", ".join(sorted(each.lag.consumer for each in queries)) or "none"
        fail(f"there is no query {query!r}; there are: {there}", MISTAKEN)
    if output == "json":
        found = (each.explained for each in chosen if each.explained is not None)
        typer.echo(json.dumps([each.model_dump(mode="json") for each in found], indent=2))
        return
    shown = chosen if query is not None else [each for each in chosen if _is_told(each)]
    for each in shown:
        for line in _lines(each, datetime.now(UTC)):
            typer.echo(line)
    if not shown:
        typer.echo("No query is slow.")


def _is_told(state: ConsumerState) -> bool:
    """One of which nothing is known is told too: it may be slow."""
    return state.explained is None or state.explained.is_slow or state.explained.reason is not None


def _lines(state: ConsumerState, now: datetime) -> Iterator[str]:
    name, explained = state.lag.consumer, state.explained
    if explained is None:
        yield f"{name}: unknown, the lag monitor has not explained it lately"
        return
    age = (now - explained.at).total_seconds()
    yield f"{name}: {_standing(explained)}, as of {max(0.0, age):.0f} s ago"
    for number, suspect in enumerate(explained.suspects, 1):
        yield f"  {number}. {suspect.cause.replace('_', ' ')}, {suspect.share:.0%}: {suspect.evidence}"
        yield f"     {suspect.advice}"
    if explained.reason is not None:
        yield f"  {explained.reason}"


def _standing(explained: LagExplained) -> str:
    if explained.is_slow:
        return "slow"
    return "not known to be slow" if explained.reason is not None else "not slow"
