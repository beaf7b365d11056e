"""Are the rollups of real flights what pandas makes of the whole data set?

First come the flights that are on time, and their windows close and are published. Then what was held back comes late, for
windows that have closed. At last what is published is forgotten, and live alone has to answer for all of them.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pandas as pd
from deltalake import DeltaTable

from controlplane.contract.names import (
    arrivals_table,
    lake_table,
    published_table,
    rollup_view,
)
from controlplane.up import Platform
from load_tests.bench.followed import A_BEAT_S, is_followed, is_published
from load_tests.bench.until import steady, until
from pipeline.feed import flights
from pipeline.lake.held import held_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.settings import Settings

STREAM = "flights"
_STORES = ("kafka", "registry", "clickhouse", "control")
_ENTITY = "plane"
_WITHIN_S = 600.0
_GAP = pd.Timedelta("3h")
Report = dict[str, Any]


def measure(events: int | None, late: float, told: Callable[[str], None]) -> Report:
    """All three comparisons.

    Args:
        events: only the earliest flights; None for all 336,776.
        late: share that is held back and sent when all others have been.
        told: takes progress.
    """
    table = flights.ordered(flights.table().iloc[:events], late)
    on_time = int((table["id"].diff().fillna(1) > 0).cumprod().sum())
    options = ("--speed", "0", "--late", str(late), *(() if events is None else ("--first", str(events))))
    parts = (*_STORES, "route", "lake", "live", f"feed-{STREAM}")
    found: Report = {"events": len(table), "held_back": len(table) - on_time}
    with tempfile.TemporaryDirectory() as folder:
        told(f"{on_time:,} flights on time")
        with _platform(folder, parts, {STREAM: (*options, "--events", str(on_time))}) as (platform, client):
            _await(platform, _settled(platform.settings, client, on_time), "those on time are published")
            found["published_on_time"] = _compared(client, table.iloc[:on_time])
        told(f"{len(table) - on_time:,} late ones")
        with _platform(folder, parts, {STREAM: options}) as (platform, client):
            _await(platform, _settled(platform.settings, client, len(table)), "all are published")
            found["published"] = _compared(client, table)
            found["late"] = _late(client)
        told("live alone")
        with _platform(folder, ("clickhouse",), {}) as (_, client):
            client.command(f"TRUNCATE TABLE {published_table(STREAM)}")
            found["live"] = _compared(client, table)
    return found


@contextmanager
def _platform(folder: str, parts: tuple[str, ...], feeds: dict[str, Any]) -> Iterator[tuple[Platform, Client]]:
    environment = {"TIDEGATE_LAKE_TRIGGER": "1s", "TIDEGATE_TABLES_TRIGGER": "1s"}
    with Platform(Path(folder), only=parts, feeds=feeds, environment=environment, told=lambda _: None) as platform:
        platform.start()
        yield platform, clickhouse_connect.get_client(dsn=platform.settings.clickhouse, autogenerate_session_id=False)


def _await(platform: Platform, look: Callable[[], bool], what: str) -> None:
    platform.run_until(until(look, what, _WITHIN_S))


def _settled(settings: Settings, client: Client, events: int) -> Callable[[], bool]:
    """Have ClickHouse and the lake so many events, and do readers see all that follows from them?"""

    def look() -> bool:
        return (
            held_in(lake_table(settings.lake_root, STREAM))[0]
            and _arrived(client) == events == int(DeltaTable(lake_table(settings.lake_root, STREAM)).count())
            and is_followed(settings, STREAM, _ENTITY)
            and is_published(client, settings, STREAM, MADE)
        )

    return steady(look, A_BEAT_S)


def _arrived(client: Client) -> int:
    return int(client.query(f"SELECT sum(events) FROM {arrivals_table(STREAM)}").result_rows[0][0] or 0)  # noqa: S608


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


MADE = {"by_carrier": _by_carrier, "by_origin": _by_origin, "operating": _operating}


def _compared(client: Client, table: pd.DataFrame) -> Report:
    """By rollup: windows, how many of them are closed ones, and the first difference; None where there is none."""
    return {name: _difference(client, name, make(table)) for name, make in MADE.items()}


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
        for name in MADE
    }
