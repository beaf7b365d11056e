"""Are the rollups of real flights what pandas makes of the whole data set?

First from live alone: no lake runs, so no window is published. Then the lake runs on the same topics, in many small
micro-batches, so that windows close while events still come, and what was held back comes late for windows that have closed.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pandas as pd

from controlplane.contract.folders import load_stream
from controlplane.contract.names import arrivals_table, lake_rollup, lake_table, published_table, rollup_view
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.up import Platform
from load_tests.bench.until import until
from pipeline.feed import flights
from pipeline.lake.held import held_in
from pipeline.tables.cursor import commits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.settings import Settings

STREAM = "flights"
_SPEED = ("kafka", "registry", "clickhouse", "control")
_WITHIN_S = 600.0
_BATCHES = 40
"""Micro-batches in which lake takes all events: windows close between them."""
_GAP = pd.Timedelta("3h")
Report = dict[str, Any]


def measure(events: int | None, late: float, told: Callable[[str], None]) -> Report:
    """Both comparisons.

    Args:
        events: only the first flights of the feed; None for all 336,776.
        late: share that is held back and sent when all others have been.
        told: takes progress.
    """
    expected = _expected(events, late)
    ending = () if events is None else ("--events", str(events))
    feed = {STREAM: ("--speed", "0", "--late", str(late), *ending)}
    found: Report = {"events": len(expected["by_carrier"][1]), "late_share": late}
    with tempfile.TemporaryDirectory() as folder:
        told("live alone")
        with _platform(folder, (*_SPEED, "route", "live", f"feed-{STREAM}"), feed) as (platform, client):
            _await(
                platform, lambda: _arrived(client) == len(expected["by_carrier"][1]), "every flight is in ClickHouse"
            )
            found["live"] = _compared(client, expected)
        told("with the lake")
        with _platform(folder, (*_SPEED, "lake"), {}, max(500, found["events"] // _BATCHES)) as (platform, client):
            settings = platform.settings
            _await(platform, lambda: _is_published(settings, client), "everything is published")
            found["published"] = _compared(client, expected)
            found["late"] = _late(client)
    return found


@contextmanager
def _platform(
    folder: str, parts: tuple[str, ...], feeds: dict[str, Any], batch: int = 1_000_000
) -> Iterator[tuple[Platform, Client]]:
    environment = {"TIDEGATE_LAKE_TRIGGER": "1s", "TIDEGATE_LAKE_BATCH": str(batch), "TIDEGATE_TABLES_TRIGGER": "1s"}
    with Platform(Path(folder), only=parts, feeds=feeds, environment=environment, told=lambda _: None) as platform:
        platform.start()
        yield platform, clickhouse_connect.get_client(dsn=platform.settings.clickhouse, autogenerate_session_id=False)


def _await(platform: Platform, look: Callable[[], bool], what: str) -> None:
    platform.run_until(until(look, what, _WITHIN_S))


def _arrived(client: Client) -> int:
    return int(client.query(f"SELECT sum(events) FROM {arrivals_table(STREAM)}").result_rows[0][0] or 0)  # noqa: S608


def _is_published(settings: Settings, client: Client) -> bool:
    """The lake has what live has, and each rollup has followed it and is what readers see."""
    events = lake_table(settings.lake_root, STREAM)
    has_table, _ = held_in(events)
    if not has_table or _in_lake(events) != _arrived(client):
        return False
    sql = f"SELECT rollup, argMax(lake_version, version) FROM {published_table(STREAM)} GROUP BY 1"  # noqa: S608
    read = {str(name): int(version) for name, version in client.query(sql).result_rows}
    stream = load_stream(SHIPPED_STREAMS / STREAM)
    for name in stream.rollups:
        commits = commits_of(lake_table(settings.lake_root, STREAM, lake_rollup(name)))
        if commits is None or read.get(name) != commits.version:
            return False
        if sum(each.offset + 1 for each in commits.cursor.seen.values()) < _offsets(client):
            return False
    return True


def _in_lake(path: str) -> int:
    from deltalake import DeltaTable

    return int(DeltaTable(path).count())


def _offsets(client: Client) -> int:
    sql = f"SELECT sum(top + 1) FROM (SELECT max(max_offset) AS top FROM {arrivals_table(STREAM)} GROUP BY partition)"  # noqa: S608
    return int(client.query(sql).result_rows[0][0])


def _expected(events: int | None, late: float) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """Rollup -> what pandas makes of the flights, and the flights."""
    table = flights.ordered(flights.table(), late).iloc[:events]
    return {name: (make(table), table) for name, make in _MADE.items()}


def _by_carrier(table: pd.DataFrame) -> pd.DataFrame:
    days = table.assign(window_start=table.scheduled_at.dt.floor("D"), delays=table.dep_delay.astype("float64"))
    return days.groupby(["window_start", "carrier"], as_index=False).agg(
        flights=("id", "size"),
        delay=("delays", lambda delays: delays.quantile(0.9)),
        mean_delay=("delays", "mean"),
        miles=("distance", "sum"),
    )


def _by_origin(table: pd.DataFrame) -> pd.DataFrame:
    hours = table.assign(window_start=table.scheduled_at.dt.floor("h"), delays=table.arr_delay.astype("float64"))
    return hours.groupby(["window_start", "origin"], as_index=False).agg(
        departures=("id", "size"), planes=("tailnum", "nunique"), arrival_delay=("delays", "median")
    )


def _operating(table: pd.DataFrame) -> pd.DataFrame:
    ordered = table.sort_values(["origin", "scheduled_at"])
    since = ordered.groupby("origin").scheduled_at.diff()
    days = ordered.assign(day=(since.isna() | (since >= _GAP)).cumsum(), delays=ordered.dep_delay.astype("float64"))
    found = days.groupby(["origin", "day"], as_index=False).agg(
        window_start=("scheduled_at", "min"), departures=("id", "size"), longest_delay=("delays", "max")
    )
    return found.drop(columns="day")


_MADE = {"by_carrier": _by_carrier, "by_origin": _by_origin, "operating": _operating}


def _compared(client: Client, expected: dict[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Report:
    """By rollup: windows, how many of them are closed ones, and the first difference; None where there is none."""
    return {name: _difference(client, name, rows) for name, (rows, _) in expected.items()}


def _difference(client: Client, name: str, expected: pd.DataFrame) -> Report:
    found = client.query_df(f"SELECT * FROM {rollup_view(STREAM, name)}")  # noqa: S608
    keys = [each for each in expected.columns if each in ("window_start", "carrier", "origin")]
    columns = list(expected.columns)
    one = found[columns].sort_values(keys, ignore_index=True)
    other = expected.sort_values(keys, ignore_index=True)
    for each in (one, other):
        each["window_start"] = pd.to_datetime(each["window_start"], utc=True).astype("datetime64[us, UTC]")
        for column in set(columns) - set(keys):
            each[column] = each[column].astype("float64")
    try:
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-9)
    except AssertionError as error:
        difference: str | None = " ".join(str(error).split())[:300]
    else:
        difference = None
    return {"windows": len(found), "closed": int((found.layer == "batch").sum()), "difference": difference}


def _late(client: Client) -> dict[str, int]:
    """Rollup -> events that came after their window had closed."""
    return {
        name: int(client.query(f"SELECT sum(late) FROM {rollup_view(STREAM, name)}").result_rows[0][0])  # noqa: S608
        for name in _MADE
    }
