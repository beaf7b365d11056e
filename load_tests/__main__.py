"""`tidegate bench throughput|collector|gates|observing|flood|latency|faults|rollups|rollback|backfill|walk|hub|alerts|scaling`."""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path  # noqa: TC003 (typer reads it)
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
_SIDES = ("published_on_time", "published", "live")
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
        for figure in sorted(each.keys() - {"events_per_s", "cpu_us_per_event"}):
            typer.echo(f"{'':12} {each[figure]:>12,} {figure.replace('_', ' ')}")


@app.command()
def gates(
    events: Annotated[int, typer.Option(min=10_000, help="Events of the raw topic that each turn reads.")] = 400_000,
    only: Annotated[str | None, typer.Option(help="route: not lake's, which reads what route has written.")] = None,
    output: Output = "text",
) -> None:
    """What the gates cost: each stage with its gate and without, in turns."""
    from load_tests.bench.gates import measure

    found = measure(events, _told, only)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for name, figures in found.items():
        for figure, value in figures.items():
            typer.echo(f"{name:12} {value:>12,} {figure.replace('_', ' ')}")


@app.command()
def observing(
    rate: Annotated[float, typer.Option(min=100, help="Events a second of the shop.")] = 3000.0,
    pairs: Annotated[int, typer.Option(min=1, help="Turns of each kind, 20 s each.")] = 5,
    output: Output = "text",
) -> None:
    """What observing costs: route and lake with the lag monitor and with it stopped, in turns."""
    from load_tests.bench.observing import Plan, measure

    found = measure(Plan(rate=rate, pairs=pairs), _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for figure, value in found.items():
        typer.echo(f"{value:>12,} {figure.replace('_', ' ')}")


@app.command()
def flood(
    rate: Annotated[float, typer.Option(min=10, help="Events a second of the shop.")] = 2000.0,
    output: Output = "text",
) -> None:
    """How soon the flood breaker opens, and how much is quarantined until then."""
    from load_tests.bench.flood import measure

    found = measure(rate, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for name, each in found.items():
        typer.echo(f"{name:16} open after {each['open_s']:.1f} s, {each['quarantined']:,.0f} records quarantined")


@app.command()
def latency(
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the shop.")] = 2000.0,
    seconds: Annotated[float, typer.Option(min=5, help="How long to watch.")] = 45.0,
    maintain: Annotated[bool, typer.Option(help="Watch once more, while maintenance runs.")] = False,  # noqa: FBT002
    probes: Annotated[bool, typer.Option(help="Send probes besides, and print their hops too.")] = True,  # noqa: FBT002
    output: Output = "text",
) -> None:
    """How old events are at every hop, up to the painted pixel in Chromium, everything on."""
    from load_tests.bench.latency import measure

    found = measure(rate, seconds, _told, maintains=maintain, probes=probes)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for when, hops in found.items():
        for name, each in hops.items():
            figures = f"p50 {each['p50']:>8.0f} ms   p99 {each['p99']:>8.0f} ms   {each['samples']} samples"
            typer.echo(f"{when:12} {name:10} {figures}")


@app.command()
def backfill(  # noqa: PLR0913 (each is an option of the command)
    rows: Annotated[int, typer.Option(min=1000, help="Events of the shop that are made again.")] = 20_000_000,
    days: Annotated[int, typer.Option(min=1, help="Days that they lie in.")] = 20,
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the shop, live.")] = 2000.0,
    seconds: Annotated[float, typer.Option(min=5, help="How long to watch with nothing else running.")] = 60.0,
    flights: Annotated[bool, typer.Option(help="Make the whole year of flights again, too.")] = True,  # noqa: FBT002
    parallel: Annotated[int, typer.Option(min=1, help="Days at once.")] = 1,
    within: Annotated[float, typer.Option(min=70, help="Seconds of each backfill that are watched at most.")] = 7200.0,
    turn: Annotated[
        float,
        typer.Option(min=10, help="Seconds until it is frozen, then let go, and so on; as long as `within`: never."),
    ] = 30.0,
    output: Output = "text",
) -> None:
    """Event to pixel with and without a backfill, in one run: while it runs, it is frozen every other turn."""
    from load_tests.bench.backfilling import measure

    found = measure(
        rows, days, rate, seconds, _told, has_flights=flights, parallel=parallel, within_s=within, turn_s=turn
    )
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for when, each in found.items():
        done = "cut short" if each.get("rows") is None else f"{each['rows']:,} events"
        what = "" if "took_s" not in each else f"   {done} in {each['took_s']:.0f} s"
        _tell_pixel(when, each["hops"], what)
        if "frozen" in each:
            _tell_pixel(f"{when}, frozen", each["frozen"], "")


def _tell_pixel(when: str, hops: dict[str, dict[str, float]], what: str) -> None:
    pixel = hops["painted"]
    typer.echo(
        f"{when:16} p50 {pixel['p50']:>8.0f} ms   p99 {pixel['p99']:>8.0f} ms   {pixel['samples']} pictures{what}"
    )


@app.command()
def faults(  # noqa: PLR0913 (each is an option of the command)
    rounds: Annotated[int, typer.Option(min=1, help="One fault each.")] = 30,
    seed: Annotated[int, typer.Option(help="Another seed, another order.")] = 1,
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the shop.")] = 500.0,
    only: Annotated[
        list[str] | None, typer.Option(help="Only faults whose name has this in it; may be repeated.")
    ] = None,
    logs: Annotated[Path | None, typer.Option(help="Folder to leave the parts' logs in.")] = None,
    output: Output = "text",
) -> None:
    """Kill, stop, fill, poison and stretch the platform under load; then compare every row with what was produced."""
    from load_tests.bench.faults.fault import chosen, every
    from load_tests.bench.faults.run import measure

    among = [fault for fault in every() if not only or any(part in str(fault) for part in only)]
    if not among:
        raise typer.BadParameter(f"no fault is called so; there are: {', '.join(map(str, every()))}")
    found = measure(chosen(rounds, seed, among), rate, _told, logs)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(f"{name:22} {value}")
    bad = ("lost", "duplicated", "unexpected_errors", "unsaid", "not_recovered", "not_balanced", "examples")
    sys.exit(1 if any(found[name] for name in bad) else 0)


@app.command()
def rollups(
    events: Annotated[int | None, typer.Option(min=1, help="Only the first flights.  [default: all 336,776]")] = None,
    late: Annotated[float, typer.Option(min=0, max=1, help="Share held back and sent late.")] = 0.1,
    output: Output = "text",
) -> None:
    """Rollups of real flights, live and published, compared with pandas'; exit code 1 when one differs."""
    from load_tests.bench.rollups import measure

    found = measure(events, late, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for side in _SIDES:
            for name, each in found[side].items():
                typer.echo(
                    f"{side:18} {name:12} {each['windows']:>7,} windows, {each['closed']:>7,} closed: ", nl=False
                )
                typer.echo(each["difference"] or "equal to pandas'")
        typer.echo(f"late events that were applied: {found['late']}")
    sys.exit(1 if any(each["difference"] for side in _SIDES for each in found[side].values()) else 0)


@app.command()
def rollback(
    flights: Annotated[int, typer.Option(min=1000, help="How many; rolled back to half of them.")] = 4000,
    output: Output = "text",
) -> None:
    """Real flights rolled back, undone, held and cancelled, killed at every stage; exit code 1 when something differs."""
    from load_tests.bench.rollback import measure

    found = measure(flights, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for each in found["rounds"]:
            said = each["difference"] or "equal to pandas'"
            typer.echo(f"{each['what']:12} {each['took_s']:>6} s, killed {len(each['killed_at'])} times: {said}")
        typer.echo(f"route, live and ledger were {'left alone' if found['left_alone'] else 'started anew'}")
    sys.exit(0 if found["left_alone"] and not any(each["difference"] for each in found["rounds"]) else 1)


@app.command()
def hub(
    clients: Annotated[int, typer.Option(min=1, help="Watchers, each with a socket and a session of its own.")] = 1000,
    rate: Annotated[float, typer.Option(min=0.1, max=50, help="Updates a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long each turn is.")] = 30.0,
    slow: Annotated[int, typer.Option(min=0, help="Watchers that never read, in a second turn; 0: no such turn.")] = 1,
    output: Output = "text",
) -> None:
    """How long an update takes to many watchers, what that costs, and what watchers that never read cost the others."""
    from load_tests.bench.hub.measure import Plan, measure

    found = measure(Plan(clients, rate, seconds, slow), _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for turn, figures in found.items():
        typer.echo(turn)
        for figure, value in figures.items():
            typer.echo(f"  {figure.replace('_', ' '):26} {value:>12,}")


@app.command()
def walk(
    pictures: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for what was seen at the end of each step.")
    ] = None,
    output: Output = "text",
) -> None:
    """Two things go wrong on a platform; somebody who has read nothing finds, mends and takes them back: in how many clicks?"""
    from load_tests.bench.walk import measure

    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    found = measure(_told, pictures)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    for each in found["steps"]:
        typer.echo(f"{each['wanted']:36} {each['clicks']} clicks  {each['typed']} typed  {each['seconds']:>6.1f} s")
    typer.echo(f"{'in all':36} {found['clicks']} clicks  {found['typed']} typed  {found['seconds']:>6.1f} s")


@app.command()
def maintenance(
    events: Annotated[int, typer.Option(min=100_000, help="Events of the week.")] = 3_000_000,
    output: Output = "text",
) -> None:
    """A week of the shop in small commits: files, bytes and query times before and after maintenance."""
    from load_tests.bench.maintenance import measure

    found = measure(events, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"{found['events']:,} events in {found['commits']:,} commits of {found['seconds_a_commit']} s")
    for table, before in found["before"].items():
        for figure, value in before.items():
            typer.echo(f"{table:16} {figure:18} {value:>16,} -> {found['after'][table][figure]:>16,}")
    typer.echo(f"maintenance took {found['maintenance']['took_s']} s")
    for stage in found["maintenance"]["stages"]:
        typer.echo(f"  {stage}")


@app.command()
def alerts(
    short: Annotated[bool, typer.Option(help="The same in half a minute, as the tests have it.")] = False,  # noqa: FBT002
    output: Output = "text",
) -> None:
    """A gate fails for 5 minutes, PagerDuty is away for 2, alerts is killed: exit code 1 unless it is one incident."""
    from load_tests.bench.alerts import FULL, SHORT, is_as_promised, measure

    found = measure(SHORT if short else FULL, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, each in found.items():
            typer.echo(name)
            for figure, value in each.items():
                typer.echo(f"  {figure:24} {value}")
    sys.exit(0 if all(map(is_as_promised, found.values())) else 1)


@app.command()
def quarantine(
    rate: Annotated[float, typer.Option(min=1, help="Events a second of the shop.")] = 500.0,
    minutes: Annotated[float, typer.Option(min=0.1, help="For how long they are produced.")] = 10.0,
    faults: Annotated[float, typer.Option(min=0.001, max=0.2, help="Share of faulty ones, of every kind.")] = 0.01,
    output: Output = "text",
) -> None:
    """Faulty events: each under its own reason, replayed with fixes into the lake and ClickHouse once; exit code 1 when not."""
    from dataclasses import asdict

    from load_tests.bench.quarantine import measure

    found = asdict(measure(rate, minutes * 60, faults, _told))
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(f"{name:12} {value}")
    sys.exit(1 if found["wrong"] else 0)


@app.command()
def collector(
    seconds: Annotated[float, typer.Option(min=1, help="Of each way to send.")] = 15.0,
    kills: Annotated[int, typer.Option(min=0, help="SIGKILLs of the collector under load.")] = 5,
    output: Output = "text",
) -> None:
    """Events over HTTP: what each way to send costs, then floods and kills; exit code 1 when an event is not where it was said."""
    from load_tests.bench.collector import measure

    found = measure(seconds, kills, _told)
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(f"{name:16} {value}")
    sys.exit(1 if found["wrong"] else 0)


@app.command()
def scaling(
    executors: Annotated[
        int | None, typer.Option(min=2, help="So many real executors, without a platform, and back.")
    ] = None,
    few: Annotated[int | None, typer.Option(min=1, help="From so many.  [default: a quarter of them]")] = None,
    within: Annotated[float, typer.Option(min=1, help="Seconds in which they should be there.")] = 120.0,
    on: Annotated[
        str, typer.Option(help="standalone, or kubernetes: a stand-in of its API that runs pods as processes.")
    ] = ("standalone"),
    short: Annotated[bool, typer.Option(help="Under load: 2, 3 and 2 executors, one of which is killed.")] = False,  # noqa: FBT002
    output: Output = "text",
) -> None:
    """Four times the load on 2 executors: 8 come and go. Or how soon many executors come; exit code 1 when not as promised."""
    from dataclasses import asdict

    if executors is None:
        from load_tests.bench.scaling import FULL, SHORT
        from load_tests.bench.scaling import measure as under_load

        found = asdict(under_load(SHORT if short else FULL, _told))
    else:
        from load_tests.bench.executors import measure as come_and_go

        if on not in ("standalone", "kubernetes"):
            raise typer.BadParameter(f"{on!r} is neither standalone nor kubernetes")
        found = asdict(come_and_go(few or max(1, executors // 4), executors, within, _told, on))
    if output == "json":
        typer.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            typer.echo(f"{name:16} {value}")
    sys.exit(1 if found["wrong"] else 0)


def _told(text: str) -> None:
    typer.echo(text, err=True)


def _end(*_: object) -> None:
    """A benchmark that is asked to end stops all that it started."""
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    app()
