"""What is a rollup in SQL? Its states, how an event folds into them and how they are finished.

Whoever keeps a rollup (ClickHouse's materialized views), whoever reads it (the hub) and whoever computes it again from
history (Spark) must mean the same number, so all take their SQL from here. States merge: any bucket is the merge of its
seconds, any total the merge of its buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.names import AS_OF, live_table

if TYPE_CHECKING:
    from controlplane.contract.streams import Measure, Rollup

SECOND = "second"
"""Column of a rollup's table: start of the second of event time, `DateTime('UTC')`."""


WINDOW_START, WINDOW_END = "window_start", "window_end"
"""Columns of a finished rollup: the window, its end exclusive."""
LAYER, LATE, PERIOD, SLOT = "layer", "late", "period", "slot"
"""Of a finished rollup, with `AS_OF`: `batch` or `live`; events that came after the window had closed; what is published as one;
which of two copies is read."""

OWN_COLUMNS = frozenset({SECOND, "bucket", "is_total", WINDOW_START, WINDOW_END, LAYER, AS_OF, LATE, PERIOD, SLOT})
"""What a rollup's tables and queries call columns of their own; no dimension or measure may be named so."""


def number_type(measure: Measure, *, whole: bool) -> str:
    """ClickHouse type of a finished measure; `whole` says that the measured field is an integer."""
    match measure.function:
        case "count" | "distinct":
            return "UInt64"
        case "average" | "quantile":
            return "Nullable(Float64)"
        case _:
            return _number(whole=whole)


def state_type(measure: Measure, *, whole: bool) -> str:
    """ClickHouse type of a measure's state; `whole` says that the measured field is an integer."""
    match measure.function:
        case "count":
            return "SimpleAggregateFunction(sum, UInt64)"
        case "distinct":
            return f"AggregateFunction({_distinct(measure)}, Nullable(String))"
        case "quantile":
            return f"AggregateFunction({_quantile(measure)}({measure.at}), Nullable(Float64))"
        case "average":
            return "AggregateFunction(avg, Nullable(Float64))"
        case simple:
            return f"SimpleAggregateFunction({simple}, {_number(whole=whole)})"


def folded(measure: Measure, *, whole: bool) -> str:
    """The aggregate over event rows that makes a state."""
    match measure.function:
        case "count":
            return "count()"
        case "distinct":
            return f"{_distinct(measure)}State(CAST({measure.field} AS Nullable(String)))"
        case "quantile":
            return f"{_quantile(measure)}State({measure.at})(CAST({measure.field} AS Nullable(Float64)))"
        case "average":
            return f"avgState(CAST({measure.field} AS Nullable(Float64)))"
        case simple:
            return f"{simple}(CAST({measure.field} AS {_number(whole=whole)}))"


def finished(name: str, measure: Measure) -> str:
    """The aggregate over state rows that makes the number people read."""
    match measure.function:
        case "count":
            return f"sum({name})"
        case "distinct":
            return f"{_distinct(measure)}Merge({name})"
        case "quantile":
            return f"{_quantile(measure)}Merge({measure.at})({name})"
        case "average":
            return f"avgMerge({name})"
        case simple:
            return f"{simple}({name})"


def recomputed(measure: Measure, *, whole: bool) -> str:
    """The same number in Spark's SQL, from event rows: what the batch layer says of a closed window; always exact.

    A sum that does not fit is null, which is unknown, as it must not stop every other window.
    """
    field, number = f"`{measure.field}`", "bigint" if whole else "double"
    match measure.function:
        case "count":
            return "count(1)"
        case "distinct":
            return f"count(DISTINCT {field})"
        case "quantile":
            return f"percentile(CAST({field} AS double), {measure.at}D)"
        case "average":
            return f"avg(CAST({field} AS double))"
        case "sum":
            return f"try_sum(CAST({field} AS {number}))"
        case simple:
            return f"{simple}(CAST({field} AS {number}))"


def merged(name: str, measure: Measure) -> str:
    """The aggregate over state rows that makes a state again."""
    match measure.function:
        case "distinct":
            return f"{_distinct(measure)}MergeState({name})"
        case "quantile":
            return f"{_quantile(measure)}MergeState({measure.at})({name})"
        case "average":
            return f"avgMergeState({name})"
        case _:
            return finished(name, measure)


def _number(*, whole: bool) -> str:
    return "Nullable(Int64)" if whole else "Nullable(Float64)"


def _distinct(measure: Measure) -> str:
    return "uniqExact" if measure.exact else "uniq"


def _quantile(measure: Measure) -> str:
    """Between two values both read in a straight line, as Spark's `percentile` and pandas do."""
    return "quantileExactInclusive" if measure.exact else "quantileTDigest"


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
