"""`tidegate load watch`: a run second by second. What was sent and answered, how soon, how far each query is behind, executors."""

from __future__ import annotations

import sys
import time
from math import floor
from typing import TYPE_CHECKING, NoReturn

import httpx
import typer

from controlplane.commands.credentials import control_plane
from controlplane.commands.operations_client import EXITS, PATIENCE_S, Operations
from controlplane.contract.loads import PATH, LoadSecond

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EVERY_S = 1.0
_TIMEOUT_S = 10.0
_COLUMNS = (
    ("asked", "asked"),
    ("offered", "offered"),
    ("accepted", "accepted"),
    ("429", "refused"),
    ("failed", "failed"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("pixel ms", "pixel_p99_ms"),
    ("executors", "executors"),
    ("waiting", "waiting"),
)
"""Title, field of a second."""
_WIDE = 10


def follow_seconds(data: Path | None, run: str, output: str) -> NoReturn:
    """Print each second once it is over, until the run has ended; the command ends as the operation did."""
    api, told_s = Operations(data), float("-inf")
    operation = api.one(run)
    if output != "json":
        typer.echo(f"{'second':>7}{''.join(f'{title:>{_WIDE}}' for title, _ in _COLUMNS)}  behind")
    while True:
        for each in _over(_seconds(data, run), told_s, has_ended=operation.state.has_ended):
            typer.echo(each.model_dump_json() if output == "json" else line_of(each))
            told_s = each.t_s
        if operation.state.has_ended:
            typer.echo(f"{run}: {operation.state}; `tidegate load show {run}` says what came of it", err=True)
            sys.exit(EXITS[operation.state])
        time.sleep(_EVERY_S)
        operation = api.one(run, patience_s=PATIENCE_S)


def line_of(second: LoadSecond) -> str:
    """As people read it."""
    values = "".join(f"{figure(getattr(second, field)):>{_WIDE}}" for _, field in _COLUMNS)
    behind = ", ".join(f"{name} {'unknown' if lag is None else f'{lag:.1f} s'}" for name, lag in second.lag_s.items())
    return f"{floor(second.t_s):>7}{values}  {behind or 'unknown'}"


def figure(value: float | None, unit: str = "") -> str:
    """With four digits and its unit, or that it is unknown."""
    return "unknown" if value is None else f"{value:,.4g}{unit}"


def _over(seconds: list[LoadSecond], told_s: float, *, has_ended: bool) -> Iterator[LoadSecond]:
    """The last one may still be filled, by whoever tells the other half of it."""
    whole = seconds if has_ended else seconds[:-1]
    return (each for each in whole if each.t_s > told_s)


def _seconds(data: Path | None, run: str) -> list[LoadSecond]:
    """None yet where the run has not begun, or while nobody answers: it is asked again."""
    api, headers = control_plane(data)
    try:
        answer = httpx.get(f"{api}{PATH}/{run}/seconds", headers=headers, timeout=_TIMEOUT_S)
    except httpx.HTTPError:
        return []
    return [] if answer.is_error else [LoadSecond.model_validate(each) for each in answer.json()]
