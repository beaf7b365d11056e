"""`python -P -m dash_app`: the console as one process."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import uvicorn

from controlplane.contract.access import session_cookie
from controlplane.contract.folders import StreamInvalidError, load_streams
from controlplane.contract.settings import Settings
from dash_app.app import create_app
from dash_app.data import ConsoleData, push_port
from dash_app.door.known import AskedSessions


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = Settings()
    try:
        streams = {stream.name: stream for stream in load_streams(settings.stream_roots)}
    except StreamInvalidError as error:
        sys.exit(str(error))
    data = ConsoleData(dict(sorted(streams.items(), reverse=True)), push_port(settings.api))
    app = create_app(data, AskedSessions(settings.api, session_cookie(settings.api)))
    address = urlsplit(settings.console)
    uvicorn.run(
        app.server,
        host=address.hostname or "127.0.0.1",
        port=address.port or 8050,
        log_level="warning",
        timeout_graceful_shutdown=2,
        access_log=False,
    )


if __name__ == "__main__":
    main()
