"""What is a rollup in SQL? Its states, how an event folds into them and how they are finished.

Whoever keeps a rollup (ClickHouse's materialized views) and whoever reads it (the hub) must mean the same column, so
both take their SQL from here. States merge: any bucket is the merge of its seconds, any total the merge of its buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.names import live_table

if TYPE_CHECKING:
    from controlplane.contract.streams import Measure, Rollup

SECOND = "second"
"""Column of a rollup's table: start of the second of event time, `DateTime('UTC')`."""


OWN_COLUMNS = frozenset({SECOND, "bucket", "is_total"})
"""What a rollup's table and its queries call columns of their own; no dimension or measure may be named so."""


def state_type(measure: Measure, *, whole: bool) -> str:
    """ClickHouse type of a measure's state; `whole` says that the measured field is an integer."""
    number = "Nullable(Int64)" if whole else "Nullable(Float64)"
    match measure.function:
        case "count":
            return "SimpleAggregateFunction(sum, UInt64)"
        case "distinct":
            return "AggregateFunction(uniq, Nullable(String))"
        case "quantile":
            return f"AggregateFunction(quantileTDigest({measure.at}), Nullable(Float64))"
        case simple:
            return f"SimpleAggregateFunction({simple}, {number})"


def folded(measure: Measure, *, whole: bool) -> str:
    """The aggregate over event rows that makes a state."""
    number = "Nullable(Int64)" if whole else "Nullable(Float64)"
    match measure.function:
        case "count":
            return "count()"
        case "distinct":
            return f"uniqState(CAST({measure.field} AS Nullable(String)))"
        case "quantile":
            return f"quantileTDigestState({measure.at})(CAST({measure.field} AS Nullable(Float64)))"
        case simple:
            return f"{simple}(CAST({measure.field} AS {number}))"


def finished(name: str, measure: Measure) -> str:
    """The aggregate over state rows that makes the number people read."""
    match measure.function:
        case "count":
            return f"sum({name})"
        case "distinct":
            return f"uniqMerge({name})"
        case "quantile":
            return f"quantileTDigestMerge({measure.at})({name})"
        case simple:
            return f"{simple}({name})"


def finished_measures(rollup: Rollup) -> list[str]:
    """One aggregate a measure, in the order written."""
    return [finished(name, measure) for name, measure in rollup.measures.items()]


def merged(name: str, measure: Measure) -> str:
    """The aggregate over state rows that makes a state again."""
    match measure.function:
        case "distinct":
            return f"uniqMergeState({name})"
        case "quantile":
            return f"quantileTDigestMergeState({measure.at})({name})"
        case _:
            return finished(name, measure)


def span_query(stream: str, name: str, rollup: Rollup) -> str:
    """Finished measures over a span of event time: of its newest buckets by dimensions, and of all of it together.

    Columns: is_total (1 in the one row that is over everything, absent when the span is empty), bucket (epoch seconds),
    the dimensions, the measures.
    Parameters, epoch seconds: `since` and `until` (exclusive) bound the span, `fresh` is the first bucket that is wanted.

    Each state is read and merged once: all that is older than `fresh` into one, then that and the newest into the total.
    """
    width = int(rollup.bucket.total_seconds())
    start = f"intDiv(toUnixTimestamp({SECOND}), {width}) * {width}"
    is_fresh = f"{start} >= {{fresh:Int64}}"
    parts = {each: f"tg_{each}" for each in (*rollup.dimensions, *rollup.measures)}
    inner = [
        f"if({is_fresh}, {start}, 0) AS bucket",
        *(f"if({is_fresh}, {each}, '') AS {parts[each]}" for each in rollup.dimensions),
        *(f"{merged(each, measure)} AS {parts[each]}" for each, measure in rollup.measures.items()),
    ]
    keys = ["bucket", *(parts[each] for each in rollup.dimensions)]
    outer = [
        "grouping(bucket) AS is_total",
        *keys,
        *(finished(parts[each], measure) for each, measure in rollup.measures.items()),
    ]
    return (
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} "  # noqa: S608 (names are checked when a stream is loaded)
        f"FROM {live_table(stream, name)} "
        f"WHERE {SECOND} >= toDateTime({{since:Int64}}, 'UTC') AND {SECOND} < toDateTime({{until:Int64}}, 'UTC') "
        f"GROUP BY {', '.join(keys)}) "
        f"GROUP BY GROUPING SETS (({', '.join(keys)}), ()) HAVING is_total = 1 OR bucket >= {{fresh:Int64}} ORDER BY bucket"
    )
