"""`tidegate latency`: how old are events at every hop, and what is left of what was promised?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import Data, Output, fail
from controlplane.contract.latency import PROBE, WINDOWS, LatencyFrame, Since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.latency import BurnJudged, HopLatency, ProbeState, StreamLatency

PATH = "/api/v1/latency"


def latency(
    stream: Annotated[str | None, typer.Option(help="Such as shop; or probes.  [default: all]")] = None,
    window: Annotated[str, typer.Option(help=f"One of {', '.join(WINDOWS)}.")] = "5m",
    data: Data = None,
    output: Output = "text",
) -> None:
    """How old events are at every hop up to the pixel, and how fast the error budgets of latency and freshness go."""
    if window not in WINDOWS:
        fail(f"there is no window {window!r}; there are: {', '.join(WINDOWS)}", MISTAKEN)
    frame = LatencyFrame.model_validate(asked(data, "GET", PATH))
    every = [*frame.streams, *([] if frame.probes is None else [frame.probes])]
    chosen = [each for each in every if stream in (None, _called(each))]
    if not chosen:
        fail(f"there is no stream {stream!r}; there are: {', '.join(map(_called, every))}", MISTAKEN)
    if output == "json":
        typer.echo(json.dumps([each.model_dump(mode="json") for each in chosen], indent=2))
        return
    for each in chosen:
        for line in (*_lines(each, window), *(_probe(frame.probe) if each.name == PROBE else ())):
            typer.echo(line)
    if frame.probes is None and stream is None:
        typer.echo(f"probes: {frame.probe.reason}")


def _called(stream: StreamLatency) -> str:
    return "probes" if stream.name == PROBE else stream.name


def _lines(stream: StreamLatency, window: str) -> Iterator[str]:
    since = "the raw topic took them" if stream.since is Since.RAW else "the event"
    yield f"{_called(stream)}: age of events since {since}, of the last {window}"
    for hop in stream.windows[window]:
        yield f"  {hop.hop:9} {_figures(hop)}"
    for burn in stream.burns:
        yield f"  {_burn(burn)}"


def _figures(hop: HopLatency) -> str:
    if hop.p50_ms is None or hop.p99_ms is None or hop.max_ms is None:
        return f"unknown: {hop.reason or 'not measured'}"
    figures = (
        f"{name} {milliseconds(ms):>8}" for name, ms in (("p50", hop.p50_ms), ("p99", hop.p99_ms), ("max", hop.max_ms))
    )
    return f"{'   '.join(figures)}   {hop.samples:,} samples"


def _burn(burn: BurnJudged) -> str:
    what = f"{burn.level}{'' if burn.hop is None else f' of {burn.hop}'}, {burn.promised_s:g} s in {burn.objective:.0%} of the time"
    rates = ", ".join(
        f"{'unknown' if rate is None else f'{rate:.1f}x'} over {name}" for name, rate in burn.rates.items()
    )
    left = "unknown" if burn.budget_left is None else f"{burn.budget_left:.1%} of 30 days"
    gone = "" if burn.gone_in_s is None else f", gone in {burn.gone_in_s / 3600:,.0f} h at this rate"
    by = "" if burn.by is None else f" (by {burn.by})"
    reason = "" if burn.reason is None else f": {burn.reason}"
    return f"{what}: {burn.verdict.replace('_', ' ')}{reason}{by}; burns {rates}; left {left}{gone}"


def _probe(probe: ProbeState) -> Iterator[str]:
    if probe.reason is not None:
        yield f"  probes do not arrive: {probe.reason}"
    elif probe.waits_s is not None:
        yield f"  one is on its way, for {probe.waits_s:.1f} s"


def milliseconds(ms: float) -> str:
    """As people read it: `250 ms`, `1.5 s`."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004 (a second)
