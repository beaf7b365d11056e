"""`python -P -m alerts`: the room as one process; the only place here that wires, reads settings or a clock."""

from __future__ import annotations

import logging
import signal
import socket
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from alerts.api import Beats, create_api
from alerts.observe import ControlPlane
from alerts.outbox import Outbox
from alerts.pagerduty import PagerDuty
from alerts.pages import Writer
from alerts.store import Store
from alerts.watch import Watch
from controlplane.contract.folders import StreamInvalidError, load_streams
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 1.0
_SENT_EVERY_S = 0.2
_log = logging.getLogger("alerts")


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Watch, send and serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for client in ("httpx", "urllib3"):
        logging.getLogger(client).setLevel(logging.ERROR)
    settings = Settings()
    try:
        streams = {stream.name: stream for stream in load_streams(settings.stream_roots)}
    except StreamInvalidError as error:
        sys.exit(str(error))
    key = settings.pagerduty_routing_key
    pages = bool(key.get_secret_value())
    _log.info("incidents are told to %s", settings.pagerduty if pages else "nobody: there is no routing key")
    store = Store(settings.data / "alerts" / "incidents.sqlite")
    outbox = Outbox(store, PagerDuty(settings.pagerduty, key, _now) if pages else None)
    writer = Writer(settings.console, socket.gethostname())
    watch = Watch(
        ControlPlane(settings.api, settings.service_token, _now),
        store,
        writer,
        streams,
        settings.alerts_settle,
        pages=pages,
    )
    watch.catch_up(_now())
    reporter, beats, stopping = Reporter(settings.api, settings.service_token), Beats(), threading.Event()

    def look() -> None:
        beats.at = watch.beat()
        reporter.report(watch.counted(outbox, _now()), watch.listed(_now()))

    loops = [
        _loop("watch", look, _EVERY_S, stopping),
        _loop("outbox", lambda: outbox.beat(_now()), _SENT_EVERY_S, stopping),
    ]
    # uvicorn raises what has ended it once more: what follows must still be done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    address = urlsplit(settings.alerts)
    api = create_api(watch, outbox, beats, _now, settings.service_token)
    try:
        uvicorn.run(api, host=address.hostname or "127.0.0.1", port=address.port or 80, log_level="warning",
                    timeout_graceful_shutdown=2)  # fmt: skip
    finally:
        stopping.set()
        for loop in loops:
            loop.join(3)
        reporter.close()


def _loop(name: str, beat: Callable[[], object], every_s: float, stopping: threading.Event) -> threading.Thread:
    """A thread that beats until it is to stop; that beats fail is told once, and the next one comes."""

    def run() -> None:
        failed: str | None = None
        while not stopping.wait(every_s):
            try:
                beat()
                failed = None
            except Exception as error:  # noqa: BLE001 (a room that watches must not stop)
                said = f"{type(error).__name__}: {error}"
                if said != failed:
                    # A full disk is somebody else's fault and may end; anything else is ours, and where it came from matters.
                    is_ours = not isinstance(error, sqlite3.Error | OSError)
                    _log.log(
                        logging.ERROR if is_ours else logging.WARNING,
                        "%s has failed, and is tried again every %g s: %s", name, every_s, said, exc_info=is_ours,
                    )  # fmt: skip
                failed = said

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    main()
