"""Has ClickHouse what the lake has? Rows and sums of each partition that was published, counted on both sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from controlplane.contract.gates import RuleVerdict, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

RULE = "agrees_with_lake"
_NAMED_AT_MOST = 3
_CLOSE = 1e-9
"""Relative: sums of fractions depend on the order."""


@dataclass(frozen=True)
class Totals:
    """Of one partition."""

    rows: int
    sums: Mapping[str, float]
    """Column -> its sum."""


def summed(columns: Mapping[str, str]) -> list[str]:
    """The columns whose sums are compared.

    Args:
        columns: column -> ClickHouse type.
    """
    return [name for name, kind in columns.items() if "Int" in kind or "Float" in kind]


def in_lake(rows: pa.Table, columns: Sequence[str]) -> Totals:
    """Of rows read from the lake."""
    return Totals(rows.num_rows, {each: float(pc.sum(rows[each]).as_py() or 0) for each in columns})


def in_clickhouse(client: Client, table: str, period: str, columns: Sequence[str]) -> Totals:
    """Of a partition of a table.

    Raises:
        ClickHouseError: if it does not answer.
    """
    sums = "".join(f", toFloat64(sum(`{each}`))" for each in columns)
    found = client.query(
        f"SELECT count(){sums} FROM {table} WHERE _partition_id = {{period:String}}",  # noqa: S608 (checked names)
        parameters={"period": period},
    ).result_rows[0]
    return Totals(int(found[0]), {name: float(each or 0) for name, each in zip(columns, found[1:], strict=True)})


def verdict(lake: Mapping[str, Totals], clickhouse: Mapping[str, Totals]) -> RuleVerdict:
    """Do they agree, partition by partition?"""
    found = [said for period in sorted(lake) for said in _differences(period, lake[period], clickhouse[period])]
    more = f"; and {len(found) - _NAMED_AT_MOST} more" if len(found) > _NAMED_AT_MOST else ""
    return RuleVerdict(
        rule=RULE,
        expectation="rows and sums of each published partition equal the lake's",
        severity=Severity.CRITICAL,
        kept=not found,
        judged=sum(each.rows for each in lake.values()),
        observed=f"{'; '.join(found[:_NAMED_AT_MOST])}{more}" if found else None,
    )


def _differences(period: str, lake: Totals, clickhouse: Totals) -> Iterator[str]:
    if lake.rows != clickhouse.rows:
        yield f"period {period} has {clickhouse.rows:,} rows for the lake's {lake.rows:,}"
    for name, wanted in lake.sums.items():
        found = clickhouse.sums[name]
        if not (
            math.isclose(found, wanted, rel_tol=_CLOSE, abs_tol=_CLOSE) or (math.isnan(found) and math.isnan(wanted))
        ):
            yield f"{name} of period {period} sums up to {found:,} for the lake's {wanted:,}"
