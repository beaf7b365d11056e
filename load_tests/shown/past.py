"""What would ClickHouse answer? Events that have come until now, and how consumers, batches and executors were before."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.lag import LagVerdict
from controlplane.contract.names import arrivals_table, live_table
from controlplane.contract.spark import QueryPhases
from load_tests.shown.ages import ages, promises
from load_tests.shown.moment import AT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.streams import Rollup, StreamDefinition

Rows = list[tuple[object, ...]]
_NEWEST_MS = int(AT.timestamp() * 1000) - 140
_VALUES = {
    "event_type": ("view", "cart", "purchase", "refund"),
    "region": ("Europe", "North America", "Asia", "Oceania"),
    "category": ("Kitchen", "Garden", "Books", "Toys", "Sport"),
    "carrier": ("UA", "B6", "EV", "DL", "AA"),
    "origin": ("EWR", "JFK", "LGA"),
}
_MINUTES = 60


def clickhouse(streams: Sequence[StreamDefinition]) -> Callable[..., Rows]:
    """What runs a query of the control plane."""
    rollups = {live_table(stream.name, name): each for stream in streams for name, each in stream.rollups.items()}
    arrivals = [arrivals_table(stream.name) for stream in streams]

    def query(sql: str, **asked: int | str) -> Rows:
        if any(f"FROM {name} " in sql for name in arrivals):
            return [(number, 410_000 + number, _NEWEST_MS - number, _NEWEST_MS - number) for number in range(4)]
        for name, rollup in rollups.items():
            if f"FROM {name} " in sql:
                return _buckets(rollup, int(asked["fresh"]), int(asked["until"]))
        for name, rows in (("tidegate_lag", _lag), ("tidegate_batches", _batches), ("tidegate_scaling", _scaling)):
            if f"FROM {name} " in sql:
                return rows(asked)
        return ages(sql, asked) or promises(sql)

    return query


def wave(at: float, number: int = 0) -> float:
    """Between 0 and 1, the same each time, and not too regular."""
    return 0.5 + 0.3 * math.sin(at / 17 + number) + 0.2 * math.sin(at / 5.3 + 2 * number)


def _buckets(rollup: Rollup, fresh: int, until: int) -> Rows:
    width = int(rollup.bucket.total_seconds())
    rows: Rows = []
    for start in range(fresh, until, width):
        for number, key in enumerate(_keys(rollup)):
            size = (60 / (number + 1)) * (0.4 + wave(start / width, number))
            rows.append((0, start, *key, *(round(size * (each + 1), 1) for each in range(len(rollup.measures)))))
    total = [round(60 * len(rows) / (each + 1), 1) for each in range(len(rollup.measures))]
    return [*rows, (1, 0, *("" for _ in rollup.dimensions), *total)]


def _keys(rollup: Rollup) -> list[tuple[str, ...]]:
    first = _VALUES.get(rollup.dimensions[0], ("one", "two", "three")) if rollup.dimensions else ("",)
    others = tuple(_VALUES.get(each, ("one",))[0] for each in rollup.dimensions[1:])
    return [(each, *others) for each in first] if rollup.dimensions else [()]


def lag_of(consumer: str, minute: int) -> float:
    """How far a consumer was behind so many minutes ago, seconds."""
    if consumer == "lake shop":
        return max(1.5 + wave(minute), 42.0 - 4.5 * minute)
    return 0.2 + 0.3 * wave(minute, len(consumer))


def _lag(asked: dict[str, int | str]) -> Rows:
    consumer = str(asked["consumer"])
    rows: Rows = []
    for minute in range(_MINUTES):
        lag_s = lag_of(consumer, minute)
        verdict = LagVerdict.WARN if lag_s > 10 else LagVerdict.OK  # noqa: PLR2004 (of a picture)
        rows.append(
            (AT - timedelta(minutes=minute), int(lag_s * 600), lag_s, 450.0 + 40 * wave(minute), 480.0, verdict)
        )
    return rows


def _batches(asked: dict[str, int | str]) -> Rows:
    query = str(asked["query"])
    if query.startswith("route"):
        times = (AT - timedelta(minutes=5 * number) for number in range(_MINUTES // 5))
        no_phases = [0.0] * len(QueryPhases.model_fields)
        return [(at, 74 - number, 146_700, 300.0 + wave(number), 489.0, *no_phases) for number, at in enumerate(times)]
    is_lake = query == "lake shop"
    rows: Rows = []
    for number in range(_MINUTES * 5):
        work = (9.0 if is_lake and number < _MINUTES else 1.1) + wave(number)
        phases = QueryPhases(offsets_s=0.1, planning_s=0.5, log_s=0.2, work_s=work)
        took = work + 0.9
        said = (AT - timedelta(seconds=12 * number), 9000 - number, int(4800 + 900 * wave(number)), took, 4800 / took)
        rows.append((*said, *phases.model_dump().values()))
    return rows


def _scaling(_: dict[str, int | str]) -> Rows:
    rows: Rows = []
    for minute in range(_MINUTES):
        want = 4 if minute < 6 else 2  # noqa: PLR2004 (of a picture)
        have = 2
        reason = f"{want} executors keep utilisation in the middle of its band"
        at = AT - timedelta(minutes=minute)
        rows.append((at, "executors", have, want, None, None, False, False, None))
        rows.append((at, "decided", have, want, 11, reason, want != have, False, None))
    return rows
