"""Which rows of a micro-batch does its gate look at? All of a small one; of a large one a stretch of each partition.

A stretch is read from Kafka by itself, because a filter above the whole batch would read, and decode, all of it. Where
it lies follows from the batch's own name, so that a batch that is run again is judged by the same rows.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.arrow import to_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession

    from pipeline.gate import Suite
    from pipeline.lake.offsets import Ranges

_COLUMN, _COLUMNS = ("column", "column_A", "column_B"), ("column_list",)
_NOT_COLUMNS = frozenset(
    (
        "min_value",
        "max_value",
        "strict_min",
        "strict_max",
        "value",
        "value_set",
        "mostly",
        "regex",
        "regex_list",
        "or_equal",
        "ignore_row_if",
        "quantile_ranges",
        "match_on",
    )
)
_COUNTS = ("expect_table_row_count_to_be_between", "expect_table_row_count_to_equal")


def stretches(ranges: Ranges, most: int, name: str) -> Ranges | None:
    """A stretch of each partition, so that they are `most` rows or a few fewer; None when the whole batch is not more.

    Args:
        ranges: the batch's offsets.
        most: rows.
        name: the batch's; the stretches follow from it.
    """
    filled = {partition: ends for partition, ends in ranges.items() if ends[0] < ends[1]}
    if sum(until - since for since, until in filled.values()) <= most:
        return None
    share = max(1, most // len(filled))
    found = {}
    for partition, (since, until) in filled.items():
        rows = min(share, until - since)
        start = random.Random(f"{name}:{partition}").randint(since, until - rows)  # noqa: S311 (a place, not a secret)
        found[partition] = (start, start + rows)
    return found


def read_stretches(session: SparkSession, kafka: str, topic: str, ranges: Ranges) -> DataFrame:
    """Kafka source rows of these offsets; a reading of its own."""
    starts, ends = ({str(each): both[side] for each, both in ranges.items()} for side in (0, 1))
    return (
        session.read.format("kafka")
        .option("kafka.bootstrap.servers", kafka)
        .option("assign", json.dumps({topic: sorted(ranges)}))
        .option("startingOffsets", json.dumps({topic: starts}))
        .option("endingOffsets", json.dumps({topic: ends}))
        .option("kafka.isolation.level", "read_committed")
        .load()
    )


def columns_read(suite: Suite) -> frozenset[str] | None:
    """The columns that a suite's expectations read; None when they may read any."""
    found: set[str] = set()
    for expectation in suite.get("expectations", ()):
        kwargs: Mapping[str, Any] = expectation.get("kwargs") or {}
        names = {str(kwargs[key]) for key in _COLUMN if key in kwargs}
        names.update(str(each) for key in _COLUMNS for each in kwargs.get(key) or ())
        is_understood = not (set(kwargs) - _NOT_COLUMNS - {*_COLUMN, *_COLUMNS})
        if not is_understood or (not names and expectation.get("type") not in _COUNTS):
            return None
        found |= names
    return frozenset(found)


def frame_of(rows: DataFrame, columns: frozenset[str] | None) -> pd.DataFrame:
    """The rows in pandas, with these columns as far as they are there; moments are in UTC."""
    mine = rows if columns is None else rows.select(*(each for each in rows.columns if each in columns))
    if not mine.columns:
        return pd.DataFrame(index=pd.RangeIndex(rows.count()))
    return to_frame(mine.toArrow())
