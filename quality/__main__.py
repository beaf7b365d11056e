"""`python -P -m quality`: the room as one process; the only place here that wires and reads settings."""

from __future__ import annotations

import logging
import sys
from urllib.parse import urlsplit

import uvicorn

from controlplane.contract.settings import Settings
from quality.api import create_api


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    address = urlsplit(Settings().quality)
    uvicorn.run(
        create_api(),
        host=address.hostname or "127.0.0.1",
        port=address.port or 80,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
