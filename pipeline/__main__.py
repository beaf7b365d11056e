"""`python -P -m pipeline <part>`: the way of an event, one process a part. The only place here that wires and reads settings."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from controlplane.contract.folders import StreamInvalidError, load_streams, load_with_probe
from controlplane.contract.metrics import table
from controlplane.contract.metrics.serve import serve_metrics
from controlplane.contract.priority import give_way
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from pipeline.maintenance.cli import commands as maintain_commands
from pipeline.reason import reason_of
from pipeline.validate import with_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from controlplane.contract.folders import Problem
    from controlplane.contract.operations import Kind
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.operate.kind import OperationKind
    from pipeline.route.frame import RuleCompiler


def _refused_expectations(stream: StreamDefinition) -> Iterable[Problem]:
    """Great Expectations is imported only by who asks it."""
    from quality.suite_check import refused_expectations

    return refused_expectations(stream)


app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(with_check(_refused_expectations), name="streams")


def _stopping() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


app.add_typer(maintain_commands(_stopping), name="maintain")


@app.command()
def archive() -> None:
    """Keep what Spark's JVM loads at its start, so that it starts faster."""
    from pipeline.archive import make

    make(Settings())


@app.command()
def clickhouse() -> None:
    """ClickHouse, embedded, behind its own HTTP protocol."""
    from pipeline.embedded import CannotOpenError, serve

    settings = Settings()
    address = urlsplit(settings.clickhouse)
    lake = None if "://" in settings.lake_root else Path(settings.lake_root)
    try:
        serve(settings.data / "clickhouse", address.hostname or "127.0.0.1", address.port or 8123, lake=lake)
    except CannotOpenError as error:
        sys.exit(str(error))


@app.command()
def route() -> None:
    """Raw events to valid, dead and quarantined ones."""
    from pipeline.spark import session_options, start_jvm

    settings, stopping = Settings(), _stopping()
    serve_metrics(settings.metrics, table.ROUTE)
    start_jvm(**session_options(settings, "route"))
    from pipeline.route.run import run
    from quality.compile import broken_rules

    run(settings, load_with_probe(settings), broken_rules, stopping)


@app.command()
def lake() -> None:
    """Valid events to Delta."""
    from pipeline.spark import session_options, start_jvm

    settings, stopping = Settings(), _stopping()
    serve_metrics(settings.metrics, table.LAKE)
    start_jvm(**session_options(settings, "lake"))
    from pipeline.lake.run import run
    from quality.gate import ExpectationsGate
    from quality.results import Results

    results = Results(settings.data / "quality" / "results")
    try:
        run(settings, load_streams(settings.stream_roots), ExpectationsGate(results), stopping)
    finally:
        results.close()


@app.command()
def operations() -> None:
    """The worker of operations: plans and runs what operators ask for, and reads the lake for them."""
    import uvicorn

    from pipeline.operate.client import ControlPlane
    from pipeline.operate.serve import create_api
    from pipeline.operate.worker import Worker

    settings, stopping = Settings(), threading.Event()
    reporter = Reporter(settings.api, settings.service_token)
    plane = ControlPlane(settings.api, settings.authorization)
    worker = Worker(settings, _kinds(), plane, reporter, lambda leased: [
        sys.executable, "-P", "-m", "pipeline", "operate", leased.operation.id, leased.lease, leased.does,
    ])  # fmt: skip
    working = threading.Thread(target=worker.run, args=(stopping,), name="worker")
    working.start()
    # uvicorn raises what has ended it once more: what follows must still be done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    address = urlsplit(settings.operations)
    uvicorn.run(
        create_api(settings, _refused_expectations),
        host=address.hostname or "127.0.0.1",
        port=address.port or 8093,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    stopping.set()
    working.join()
    reporter.close()


@app.command(hidden=True)
def operate(number: str, lease: str, does: str) -> None:
    """One operation, in a process that the worker has started for it."""
    from controlplane.contract.operations import Does
    from pipeline.operate.run import run_leased

    run_leased(Settings(), _kinds(), number, lease, Does(does))


def _kinds() -> Mapping[Kind, Callable[[], OperationKind]]:
    """Every kind of operation, with what only this file may join."""
    from pipeline.operate.kinds import KINDS, Ports

    ports = Ports(_broken_rules, _gate, _refused_expectations)
    return {kind: partial(make, ports) for kind, make in KINDS.items()}


def _broken_rules() -> RuleCompiler:
    from quality.compile import broken_rules

    return broken_rules


def _gate() -> Gate:
    from quality.gate import ExpectationsGate
    from quality.results import Results

    return ExpectationsGate(Results(Settings().data / "quality" / "results"))


@app.command()
def live() -> None:
    """Valid events to ClickHouse."""
    from pipeline.live.run import run

    settings = Settings()
    serve_metrics(settings.metrics, table.LIVE)
    run(settings, load_with_probe(settings), _stopping())


@app.command()
def collector() -> None:
    """Events over HTTP to raw ones."""
    from pipeline.collector.run import run

    settings = Settings()
    streams = _read_elsewhere(settings)
    # uvicorn raises what has ended it once more: what follows must still be done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    run(settings, streams)


def _read_elsewhere(settings: Settings) -> list[StreamDefinition]:
    """The streams, by a process that ends: checking them takes libraries for reference tables, 40 MiB, which are of no use here."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, get_context("fork")) as other:
        return other.submit(load_streams, settings.stream_roots).result()


@app.command()
def ledger() -> None:
    """Count every event at every hop."""
    from pipeline.ledger.run import run

    settings = Settings()
    serve_metrics(settings.metrics, table.LEDGER)
    run(settings, load_streams(settings.stream_roots), _stopping())


@app.command()
def maintenance() -> None:
    """Keep the lake's tables in shape, by each stream's policy."""
    from pipeline.maintenance.part import run

    give_way()
    settings = Settings()
    serve_metrics(settings.metrics, table.MAINTENANCE)
    run(settings, load_streams(settings.stream_roots), _stopping())


@app.command()
def grafana() -> None:
    """The platform's live numbers to Grafana Live."""
    from pipeline.grafana.run import run

    settings = Settings()
    streams = _read_elsewhere(settings) if "live/" in settings.grafana_topics else []
    serve_metrics(settings.metrics, table.GRAFANA)
    run(settings, streams, _stopping())


@app.command()
def feed(  # noqa: PLR0913 (each is an option of the command)
    stream: Annotated[str, typer.Argument(help="shop or flights")],
    rate: Annotated[float, typer.Option(min=0, help="shop: events a second; 0 is as fast as can be")] = 500.0,
    faults: Annotated[float, typer.Option(min=0, max=1, help="shop: share of events broken on purpose")] = 0.01,
    seed: Annotated[int, typer.Option(help="shop: another seed, another shop")] = 1,
    events: Annotated[int | None, typer.Option(min=0, help="end after so many events")] = None,
    speed: Annotated[
        float, typer.Option(min=0, help="flights: seconds of event time in a second; 0: no pause")
    ] = 86_400.0,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="flights: share of events held back and sent after all others")
    ] = 0.0,
    first: Annotated[int | None, typer.Option(min=1, help="flights: only so many, the earliest ones")] = None,
) -> None:
    """A demo feed: real flights, or a made-up shop."""
    from pipeline.feed.run import FEEDS, FeedOptions, run

    settings = Settings()
    definition = next((each for each in load_streams(settings.stream_roots) if each.name == stream), None)
    if definition is None or stream not in FEEDS:
        raise typer.BadParameter(f"there is no feed {stream!r}; choose one of: {', '.join(FEEDS)}")
    options = FeedOptions(rate=rate, faults=faults, seed=seed, events=events, speed=speed, late=late, first=first)
    serve_metrics(settings.metrics, table.FEED)
    reporter = Reporter(settings.api, settings.service_token)
    try:
        run(settings, definition, options, reporter, _stopping())
    finally:
        reporter.close()


def main() -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    # What fails in a batch is raised, and logged once.
    logging.getLogger("py4j.clientserver").setLevel(logging.CRITICAL)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        app()
    except StreamInvalidError as error:
        sys.exit(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("this part ends")
        # The last line of the log is what the supervisor shows as the reason.
        sys.exit(reason_of(error))


if __name__ == "__main__":
    main()
