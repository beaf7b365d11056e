"""Does a compiled rule say of every row what Great Expectations says of it?

Great Expectations runs on pandas here, route's Columns on Spark: two engines that share nothing. Not compared is a
double that is not a number: to pandas it is a null, to Spark (and to Great Expectations on Spark) a value.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pyspark.sql import functions as sf

from controlplane.contract.suites import SUPPORTED, row_rules
from quality.compile import broken_rules, keeps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports; what it does afterwards may not warn
    import great_expectations as gx

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = "id int, name string, other string, count bigint, limit bigint, price double, at timestamp"
ROWS: list[tuple[Any, ...]] = [
    (0, "EWR", "EWR", 0, 0, 0.0, datetime(2026, 1, 1, tzinfo=UTC)),
    (1, "JFK", "LGA", 1, 0, 0.5, datetime(2026, 1, 2, tzinfo=UTC)),
    (2, "", "", -1, 1, -0.5, datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
    (3, None, "LGA", None, 3, None, None),
    (4, "jfk", None, 10, None, 10.0, datetime(2030, 6, 1, tzinfo=UTC)),
    (5, None, None, None, None, None, datetime(1970, 1, 1, tzinfo=UTC)),
    (6, " EWR", "EWR", 2**53 - 1, 2**53 - 1, 1e300, datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC)),
    (7, "Zürich", "Zurich", 5, 6, 9.999, datetime(2026, 3, 29, 2, 30, tzinfo=UTC)),
    (8, "a.b", "a+b", 10, 10, 10.001, datetime(2024, 2, 29, tzinfo=UTC)),
    (9, "EWR\nJFK", "JFK", 3, 3, 1.0, datetime(2026, 1, 1, tzinfo=UTC)),
]
EXPECTATIONS: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {"column": "name"}),
    ("expect_column_values_to_be_null", {"column": "count"}),
    ("expect_column_values_to_be_between", {"column": "count", "min_value": 0, "max_value": 10}),
    (
        "expect_column_values_to_be_between",
        {"column": "count", "min_value": 0, "max_value": 10, "strict_min": True, "strict_max": True},
    ),
    ("expect_column_values_to_be_between", {"column": "price", "min_value": 0.5}),
    ("expect_column_values_to_be_between", {"column": "price", "max_value": 10, "strict_max": True}),
    ("expect_column_values_to_be_between", {"column": "at", "min_value": "2026-01-01T00:00:00+00:00"}),
    ("expect_column_values_to_be_in_set", {"column": "name", "value_set": ["EWR", "JFK"]}),
    ("expect_column_values_to_be_in_set", {"column": "count", "value_set": [0, 10]}),
    ("expect_column_values_to_not_be_in_set", {"column": "name", "value_set": ["", "jfk"]}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "^[A-Z]{3}$"}),
    ("expect_column_values_to_match_regex", {"column": "name", "regex": "W"}),
    ("expect_column_values_to_not_match_regex", {"column": "name", "regex": "[a-z.]"}),
    ("expect_column_value_lengths_to_be_between", {"column": "name", "min_value": 3, "max_value": 4}),
    ("expect_column_value_lengths_to_be_between", {"column": "name", "max_value": 3}),
    ("expect_column_value_lengths_to_equal", {"column": "name", "value": 6}),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "count", "column_B": "limit", "ignore_row_if": "either_value_is_missing"},
    ),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "count", "column_B": "limit", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
    ),
    (
        "expect_column_pair_values_to_be_equal",
        {"column_A": "name", "column_B": "other", "ignore_row_if": "either_value_is_missing"},
    ),
]


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, SCHEMA).cache()


@pytest.fixture(scope="module")
def batch() -> Any:
    table = pd.DataFrame(ROWS, columns=[each.split()[0] for each in SCHEMA.split(", ")])
    table = table.astype({"count": "Int64", "limit": "Int64"})
    source = gx.get_context(mode="ephemeral").data_sources.add_pandas("rows")
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return whole.get_batch(batch_parameters={"dataframe": table})


def _expectation(kind: str, given: dict[str, Any]) -> Any:
    named = "".join(word.capitalize() for word in kind.split("_"))
    return getattr(gx.expectations, named)(**given)


@pytest.mark.parametrize(("kind", "given"), EXPECTATIONS, ids=[f"{kind} {given}" for kind, given in EXPECTATIONS])
def test_a_compiled_rule_and_great_expectations_agree_row_by_row(
    kind: str, given: dict[str, Any], rows: DataFrame, batch: Any
) -> None:
    [rule], mistakes = row_rules({"expectations": [{"type": kind, "kwargs": given}]})
    assert not mistakes
    said = batch.validate(_expectation(kind, given), result_format="COMPLETE")
    assert not said.exception_info.get("raised_exception")
    unexpected = set(said.result["unexpected_index_list"] or ())
    assert 0 < len(unexpected) < len(ROWS), "the case tells nothing apart"
    assert {row.id for row in rows.where(~keeps(rule)).select("id").collect()} == unexpected


def test_every_expectation_that_compiles_is_compared() -> None:
    assert {kind for kind, _ in EXPECTATIONS} == set(SUPPORTED)


def test_a_row_names_all_the_rules_it_breaks(rows: DataFrame, batch: Any) -> None:
    suite = {"expectations": [{"type": kind, "kwargs": given} for kind, given in EXPECTATIONS]}
    for number, expectation in enumerate(suite["expectations"]):
        expectation["meta"] = {"name": f"rule_{number}"}
    rules, _ = row_rules(suite)
    wanted = {number: set[str]() for number in range(len(ROWS))}
    for rule, (kind, given) in zip(rules, EXPECTATIONS, strict=True):
        said = batch.validate(_expectation(kind, given), result_format="COMPLETE")
        for row in said.result["unexpected_index_list"]:
            wanted[row].add(rule.name)
    found = rows.select("id", broken_rules(rules).alias("broken")).orderBy(sf.col("id")).collect()
    assert {row.id: set(row.broken) for row in found} == wanted
