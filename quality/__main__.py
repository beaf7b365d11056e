"""`python -P -m quality`: the room as one process; the only place here that wires and reads settings."""

from __future__ import annotations

import logging
import signal
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from controlplane.contract.folders import StreamInvalidError, load_streams
from controlplane.contract.reporting import Reporter
from controlplane.contract.settings import Settings
from quality.api import create_api
from quality.docs.serve import add_docs
from quality.docs.site import Site
from quality.gx import judge
from quality.inbox.inbox import Inbox
from quality.inbox.markers import Markers
from quality.quarantine import add_quarantine
from quality.rejects.keep import Keeper
from quality.rejects.table import RejectsTable
from quality.replay.kept import WorkFiles
from quality.replay.revalidate import broken_rules
from quality.replay.work import Desk
from quality.replay.writer import ReplayWriter
from quality.results import Results
from quality.sampled.rows import Decoder
from quality.sampled.suite import FollowedByRoute
from quality.sampled.topics import RouteTopics
from quality.sampled.watch import IngestLook, IngestWatch
from quality.schemas import Schemas

if TYPE_CHECKING:
    from controlplane.contract.streams import StreamDefinition


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    settings = Settings()
    try:
        streams = load_streams(settings.stream_roots)
    except StreamInvalidError as error:
        sys.exit(str(error))
    reporter = Reporter(settings.api, settings.service_token)
    files = WorkFiles(settings.data / "quality" / "replays")
    schemas = Schemas(settings.registry)
    desks = {stream.name: _desk(settings, stream, schemas, files) for stream in streams}
    keeper = Keeper(settings.kafka, [desk.inbox for desk in desks.values()], reporter.report)
    keeper.start()
    works = files.load()
    for name, desk in desks.items():
        desk.start([each for each in works if each.stream == name])
    results = Results(settings.data / "quality" / "results")
    site = Site(settings.data / "quality" / "results", settings.data / "quality" / "docs")
    looks = [_look(settings, stream, schemas) for stream in streams]
    watch = IngestWatch(looks, FollowedByRoute(settings.api, settings.service_token), reporter.report, results)
    site.start()
    watch.start()
    api = create_api(settings.service_token)
    add_quarantine(api, desks)
    add_docs(api, site)
    # uvicorn raises what has ended it once more: what follows must still be done.
    signal.signal(signal.SIGTERM, lambda *_: None)
    address = urlsplit(settings.quality)
    uvicorn.run(
        api,
        host=address.hostname or "127.0.0.1",
        port=address.port or 80,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    site.close()
    watch.close()
    results.close()
    for desk in desks.values():
        desk.close()
    keeper.close()
    reporter.close()


def _desk(settings: Settings, stream: StreamDefinition, schemas: Schemas, files: WorkFiles) -> Desk:
    markers = Markers()
    inbox = Inbox(stream, RejectsTable(settings.lake_root, stream.name), markers, schemas)
    return Desk(inbox, ReplayWriter(settings.kafka, stream, markers), files, broken_rules)


def _look(settings: Settings, stream: StreamDefinition, schemas: Schemas) -> IngestLook:
    return IngestLook(stream, RouteTopics(settings.kafka, stream.name), Decoder(schemas.of_id), judge)


if __name__ == "__main__":
    main()
