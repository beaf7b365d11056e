"""The hub as it is in production, in a process of its own; only ClickHouse is made up: it always has something new.

python -P -m load_tests.bench.hub.serving FOLDER PORT RATE
"""

from __future__ import annotations

import itertools
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.access import Access, Terms
from controlplane.service.api import create_api
from controlplane.service.database import engine_of
from controlplane.service.hub import Most
from controlplane.service.service import Service
from controlplane.service.wire import UVICORN, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.service.frames import Row

STREAM = "shop"
TOPIC = f"live/{STREAM}/traffic"
TOKEN = "bench"  # noqa: S105 (of a hub on loopback that ends with the bench)
_KINDS = ("view", "cart", "purchase", "refund")
_ENOUGH = 100_000


def clickhouse() -> Callable[..., Sequence[Row]]:
    """Answers for ClickHouse: each time it is asked there are more events, up to now."""
    looks = itertools.count(1)

    def query(sql: str, **bounds: int | str) -> Sequence[Row]:
        now_ms = int(time.time() * 1000)
        if "GROUP BY partition" in sql:
            return [(0, next(looks), now_ms, now_ms)]
        if "fresh" not in bounds:
            return []  # what is kept of earlier days: nothing
        seconds = range(int(bounds["fresh"]), int(bounds["until"]))
        rows = [(0, at, kind, at % 97 + number, at % 53, 812.5) for at in seconds for number, kind in enumerate(_KINDS)]
        return [*rows, (1, 0, "", 48_000, 9_500, 812.5)]

    return query


def main(folder: Path, port: int, rate: float) -> None:
    """Serve until SIGTERM."""
    streams = [load_stream(SHIPPED_STREAMS / STREAM)]
    access = Access(
        engine_of(f"sqlite:///{folder / 'access.sqlite'}"), Terms(), lambda: datetime.now(UTC), TOKEN, local_token=""
    )
    most = Most(in_all=_ENOUGH, each=_ENOUGH)
    service = Service(streams, clickhouse(), "http://127.0.0.1:8050", 1 / rate, watchers=most)
    api = create_api(service, access=access)
    uvicorn.run(api, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=1, ws=Wire, **UVICORN)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
