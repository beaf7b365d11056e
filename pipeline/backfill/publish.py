"""Have readers of ClickHouse what the lake has now? Lake's own publisher does it when it goes on; here it is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from controlplane.contract.names import published_table
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK_EVERY_S = 1.0
_WITHIN_S = 900.0


def published(client_of: Callable[[], Mapping[str, int]], wanted: Mapping[str, int]) -> dict[str, int]:
    """Rollups that are behind: name -> version of the lake that readers have (-1: none)."""
    found = client_of()
    return {name: found.get(name, -1) for name, version in wanted.items() if found.get(name, -1) < version}


def versions_read(dsn: str, stream: str) -> dict[str, int]:
    """Rollup -> version of its lake table that readers of ClickHouse see.

    Raises:
        ClickHouseError: if it does not answer.
    """
    client = clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False)
    try:
        rows = client.query(
            f"SELECT rollup, argMax(lake_version, version) FROM {published_table(stream)} GROUP BY rollup"  # noqa: S608 (checked name)
        ).result_rows
    finally:
        client.close()
    return {str(rollup): int(version) for rollup, version in rows}


def await_published(
    dsn: str, stream: str, wanted: Mapping[str, int], check: Callable[[], None], note: Callable[[str], None]
) -> dict[str, int]:
    """Wait until ClickHouse has these versions; what it does not have after a quarter of an hour, as `published` gives it."""
    until, late = time.monotonic() + _WITHIN_S, dict(wanted)
    while late and time.monotonic() < until:
        check()
        try:
            late = published(lambda: versions_read(dsn, stream), wanted)
            if late:
                note(f"lake has not published {', '.join(sorted(late))} yet")
        except (ClickHouseError, OSError) as error:
            note(f"ClickHouse does not answer: {first_line(error)}")
        if late:
            time.sleep(_LOOK_EVERY_S)
    return late
