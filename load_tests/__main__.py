"""`tidegate bench throughput|latency [-o json]`."""

from __future__ import annotations

import json
import logging
import sys
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
Output = Annotated[str, typer.Option("-o", "--output", help="text or json")]


@app.command()
def throughput(
    events: Annotated[
        int, typer.Option(min=10_000, help="Events of the raw topic that every stage reads.")
    ] = 2_000_000,
    output: Output = "text",
) -> None:
    """Events a second and CPU microseconds an event of each stage, on one raw topic, one stage at a time."""
    from load_tests.bench.throughput import measure

    stages = measure(events, _told)
    if output == "json":
        typer.echo(json.dumps(stages, indent=2))
        return
    raw = stages["raw_read"]["events_per_s"]
    for name, each in stages.items():
        typer.echo(
            f"{name:12} {each['events_per_s']:>12,.0f} events/s {each['cpu_us_per_event']:>8.2f} CPU us/event "
            f"{each['events_per_s'] / raw:>6.2f} of raw read"
        )


@app.command()
def latency(
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the shop.")] = 2000.0,
    seconds: Annotated[float, typer.Option(min=5, help="How long to watch.")] = 45.0,
    output: Output = "text",
) -> None:
    """Event time to every hop and to the painted pixel in Chromium, everything on."""
    from load_tests.bench.latency import measure

    hops = measure(rate, seconds, _told)
    if output == "json":
        typer.echo(json.dumps(hops, indent=2))
        return
    for name, each in hops.items():
        typer.echo(f"{name:20} p50 {each['p50']:>8.0f} ms   p99 {each['p99']:>8.0f} ms   {each['samples']} samples")


def _told(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    app()
