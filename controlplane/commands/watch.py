"""`tidegate watch`: what the console sees, for scripts and for programs without Kafka."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controlplane.commands.asking import MISTAKEN
from controlplane.commands.credentials import control_plane
from controlplane.commands.terminal import Data, Output, fail

if TYPE_CHECKING:
    from controlplane.client.held import Told
    from controlplane.client.push import State, Watch


def watch(
    topics: Annotated[
        list[str],
        typer.Argument(
            help="overview, ledger, lake, quality, lag, spark, scaling, operations, latency, incidents, live/STREAM/ROLLUP."
        ),
    ],
    data: Data = None,
    output: Output = "text",
    count: Annotated[int | None, typer.Option(min=1, help="End after so many updates.  [default: never]")] = None,
) -> None:
    """Print each update as it is pushed; goes on by itself after a lost connection. With -o json a line is an update."""
    from controlplane.client.push import RefusedError, Watch

    api, headers = control_plane(data)
    url = f"{api.replace('http', 'ws', 1)}/api/v1/push"
    try:
        asyncio.run(_print(Watch(url, topics, headers, _say), output, count))
    except RefusedError as error:
        fail(f"{error}; see `tidegate watch --help` for topics", MISTAKEN)
    except KeyboardInterrupt:
        return


async def _print(watch: Watch, output: str, count: int | None) -> None:
    async with watch:
        left = count
        async for told in watch:
            typer.echo(json.dumps(asdict(told)) if output == "json" else line(told, watch.hub_now_ms()))
            left = None if left is None else left - 1
            if left == 0:
                return


def line(told: Told, hub_now_ms: float) -> str:
    """An update in one line, with its age."""
    at = datetime.fromtimestamp(told.sent_at_ms / 1000, UTC).astimezone()
    age_ms = max(0.0, hub_now_ms - told.sent_at_ms)
    return f"{at:%H:%M:%S}  {told.topic} #{told.seq}, {age_ms:.0f} ms old: {summary(told.data)}"


def summary(data: dict[str, Any]) -> str:
    """What an update says, in a few words: why it is unknown, a rollup's totals, or how many there are of what."""
    if "totals" in data and data["reason"] is not None:
        return f"unknown: {data['reason']}"
    if "totals" in data:
        return ", ".join(
            f"{name} {'?' if value is None else f'{value:,.10g}'}" for name, value in data["totals"].items()
        )
    counts = [f"{len(value)} {name}" for name, value in data.items() if isinstance(value, list)]
    return ", ".join(counts) or "nothing"


def _say(state: State) -> None:
    reason = "" if state.reason is None else f": {state.reason}"
    typer.echo(f"tidegate: {state.connection}{reason}", err=True)
