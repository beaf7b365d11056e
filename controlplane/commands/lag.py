"""`tidegate lag`: which consumer does not keep up, since when, and when will it have caught up?"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import Data, Output, fail
from controlplane.commands.why import LAG, why

app = typer.Typer(help="Lag of every query and consumer group, in events and seconds, with a verdict.")
app.command()(why)
_STANDS = ("stall", "stop")
_SHORT_S = 10.0
_MINUTES_FROM_S = 120


@app.callback(invoke_without_command=True)
def ls(context: typer.Context, data: Data = None, output: Output = "text") -> None:
    """Every consumer, the worst first. Exit code 1 when one of our queries stands still."""
    if context.invoked_subcommand is not None:
        return
    frame = asked(data, "GET", LAG)
    if output == "json":
        typer.echo(json.dumps(frame, indent=2))
    else:
        now = datetime.fromisoformat(frame["at"])
        table = _table("consumer", "topic", "events", "seconds", "verdict", "since", "caught up in", "reason")
        for state in frame["consumers"]:
            lag = state["lag"]
            table.add_row(
                lag["consumer"], lag["topic"], events(lag), seconds(lag), verdict(state), since(lag, now),
                caught_up_in(lag), lag["reason"] or "",
            )  # fmt: skip
        Console().print(
            table if frame["consumers"] else f"No consumer is known: {frame['reason'] or 'nobody says why'}."
        )
    sys.exit(1 if any(_stands(state) for state in frame["consumers"]) else 0)


@app.command()
def show(
    consumer: Annotated[str, typer.Argument(help='As `tidegate lag` gives it, such as "lake shop".')],
    data: Data = None,
    output: Output = "text",
) -> None:
    """One consumer, partition by partition."""
    frame = asked(data, "GET", LAG)
    found = [state for state in frame["consumers"] if state["lag"]["consumer"] == consumer]
    if not found:
        names = ", ".join(sorted({state["lag"]["consumer"] for state in frame["consumers"]})) or "none"
        fail(f"there is no consumer {consumer!r}; known are: {names}", MISTAKEN)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for state in found:
        _show(state, datetime.fromisoformat(frame["at"]))


def _show(state: dict[str, Any], now: datetime) -> None:
    lag = state["lag"]
    typer.echo(f"{lag['consumer']} on {lag['topic']}: {verdict(state)} since {since(lag, now)}: {lag['reason'] or ''}")
    hot = "" if lag["hot_partition"] is None else f"; partition {lag['hot_partition']} is hot"
    shadow = "" if lag["shadow"] is None else f"; any Kafka tool reads it as group {lag['shadow']}"
    typer.echo(f"{events(lag)} events, {seconds(lag)} s, caught up in {caught_up_in(lag)}{hot}{shadow}")
    table = _table(
        "partition", "position", "end", "events", "seconds", "had by", "taken/s", "arriving/s", "verdict", "reason"
    )
    for each in lag["partitions"]:
        table.add_row(
            str(each["partition"]), _whole(each["position"]), _whole(each["end"]), events(each), seconds(each),
            each["source"] or "?", _rate(each["taken_per_s"]), _rate(each["arriving_per_s"]),
            "idle" if each["is_idle"] else each["verdict"], each["reason"] or "",
        )  # fmt: skip
    Console().print(table)


def events(lag: dict[str, Any]) -> str:
    """How many it has not taken; `?` when that is not known."""
    return _whole(lag["lag_events"])


def seconds(lag: dict[str, Any]) -> str:
    """How old the oldest of them is, with the error where there is one; `?` when that is not known."""
    if lag["lag_s"] is None:
        return "?"
    error = lag["error_s"] or 0.0
    return f"{lag['lag_s']:.1f}" if error < 0.05 else f"{lag['lag_s']:.1f} ± {error:.1f}"  # noqa: PLR2004 (not seen)


def verdict(state: dict[str, Any]) -> str:
    """What is to be thought of it; what nobody has confirmed lately is unknown."""
    if state["is_stale"]:
        return "unknown (stale)"
    return "idle" if state["lag"]["is_idle"] else str(state["lag"]["verdict"])


def since(lag: dict[str, Any], now: datetime) -> str:
    """When the verdict became what it is, local time, and how long before `now`, which is the control plane's."""
    if lag["since"] is None:
        return "?"
    at = datetime.fromisoformat(lag["since"])
    return f"{at.astimezone():%H:%M:%S} ({_for(now - at)})"


def caught_up_in(lag: dict[str, Any]) -> str:
    """`now`, a time, or `?`: never at these rates, or not known."""
    wait = lag["catch_up_s"]
    if wait is None:
        return "?" if lag["verdict"] == "unknown" else "never at these rates"
    if wait == 0:
        return "now"
    return f"{wait:.0f} s" if wait >= _SHORT_S else f"{wait:.1f} s"


def _for(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    return f"{seconds} s" if seconds < _MINUTES_FROM_S else f"{seconds // 60} min"


def _whole(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _rate(rate: float | None) -> str:
    return "?" if rate is None else f"{rate:,.0f}"


def _stands(state: dict[str, Any]) -> bool:
    lag = state["lag"]
    return not state["is_stale"] and lag["consumer_kind"] == "query" and lag["verdict"] in _STANDS


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
