"""Does a compiled rule say of every row what Great Expectations says of it?

Great Expectations runs on pandas here, as it does in the other gates; route's Columns on Spark: two engines that share nothing.
Rules and rows are made up together, out of values that are likely to be told apart wrongly. Not compared are sums of whole
numbers beyond 2^53: pandas adds them up as fractions, the Column exactly. Nor are letters that came with
Unicode 14: Java 17 does not know them yet; nor texts with a NUL, where pandas' hash tables take a text to end.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as sf

from controlplane.contract.patterns import java_pattern
from controlplane.contract.suites import SUPPORTED, row_rules
from quality.compile import broken_rules, keeps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its imports; what it does afterwards may not warn
    import great_expectations as gx

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    Row = tuple[Any, ...]
    Given = dict[str, Any]

TYPES = {
    **dict.fromkeys(("name", "other"), "string"),
    **dict.fromkeys(("count", "limit"), "bigint"),
    **dict.fromkeys(("price", "cost"), "double"),
    "flag": "boolean",
    **dict.fromkeys(("at", "until"), "timestamp"),
}
SCHEMA, COLUMNS = ", ".join(map(" ".join, TYPES.items())), list(TYPES)
_PANDAS = {
    "string": "object",
    "bigint": "Int64",
    "double": "float64",
    "boolean": "boolean",
    "timestamp": "datetime64[us, UTC]",
}
FRACTIONS = ("price", "cost")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEXTS = [
    *(
        "",
        "a",
        "A",
        "ab",
        "AB",
        "a b",
        " ",
        "a\n",
        "\n",
        "\r",
        "a\r\n",
        "\x85",
        "\u2028",
        "0",
        "_",
        "-",
        ".",
        "\uffff",
        "\x1c",
    ),
    *("\u0661", "\u00b2", "\u00e9", "e\u0301", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u00df", "\u0131"),
]
WHOLES = [0, 1, -1, 2, 10, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, -0.0, 0.1, 0.5, -0.5, 1.0, 10.0, 1e300, 5e-324, float("inf"), float("-inf")]
MOMENTS = [EPOCH + timedelta(microseconds=each) for each in (0, -1, 1, 10**6, -(10**15), 10**15, 1_700_000_000_123_456)]

texts = st.sampled_from(TEXTS) | st.text(
    st.characters(min_codepoint=1, max_codepoint=0xFFFF, exclude_categories=["Cs", "Cn"]), max_size=4
)
wholes = st.sampled_from(WHOLES) | st.integers(-20, 20)
exact = wholes.filter(lambda each: abs(each) <= 2**53)
numbers = st.sampled_from(DOUBLES) | st.floats(allow_nan=False)
moments = st.sampled_from(MOMENTS) | st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1)).map(  # noqa: DTZ001 (it has no other)
    lambda each: each.replace(tzinfo=UTC)
)


def column(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values | values | values


fractions = column(numbers | st.just(float("nan")))
rows = st.tuples(
    *(column(texts),) * 2, *(column(wholes),) * 2, *(fractions,) * 2, column(st.booleans()), *(column(moments),) * 2
)

PIECES = [
    *(
        "a|b",
        "A",
        ".",
        "^",
        "$",
        "(a|b)",
        "(?:ab)",
        "(?P<n>a)",
        "a*",
        ".+?",
        "a{,2}",
        "a{",
        "{2}",
        "(?=a)",
        "(?<!a)",
        "(?s)",
    ),
    *(r"\.", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\b", r"\B", r"\Z", r"\n", r"\x41", "\U0001f600", "\u00e9"),
    *("[a-c]", "[^a]", r"[^\w]", r"[\d_]", "[]a]", "[a&b]"),
]


def _is_taken(regex: str) -> bool:
    try:
        java_pattern(regex)
    except ValueError:
        return False
    return True


regexes = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join).filter(_is_taken)
pairs = st.sampled_from([("name", "other"), ("count", "limit"), ("price", "cost"), ("at", "until")])
strict = st.fixed_dictionaries({}, optional={"strict_min": st.booleans(), "strict_max": st.booleans()})
EITHER, ANY = {"ignore_row_if": "either_value_is_missing"}, {"ignore_row_if": "any_value_is_missing"}


def _bounds(values: st.SearchStrategy[Any], key: Callable[[Any], Any] = lambda each: each) -> st.SearchStrategy[Given]:
    both = st.tuples(values, values).map(lambda each: sorted(each, key=key))
    least, most = values.map(lambda each: {"min_value": each}), values.map(lambda each: {"max_value": each})
    return least | most | both.map(lambda each: {"min_value": each[0], "max_value": each[1]})


def _between() -> st.SearchStrategy[Given]:
    finite = numbers.filter(lambda each: abs(each) != float("inf"))
    of: dict[str, st.SearchStrategy[Given]] = {
        "count": _bounds(exact),
        "price": _bounds(finite),
        "at": _bounds(moments).map(lambda each: {name: value.isoformat() for name, value in each.items()}),
    }
    return st.sampled_from(sorted(of)).flatmap(
        lambda name: st.builds(lambda a, b: {"column": name, **a, **b}, of[name], strict)
    )


def _set() -> st.SearchStrategy[Given]:
    finite = numbers.filter(lambda each: abs(each) != float("inf"))
    of = {"name": texts, "count": wholes, "price": finite, "flag": st.booleans()}
    return st.sampled_from(sorted(of)).flatmap(
        lambda name: st.lists(of[name], min_size=1, max_size=14).map(lambda each: {"column": name, "value_set": each})
    )


def _pair_set() -> st.SearchStrategy[Given]:
    both = st.lists(st.tuples(texts, wholes).map(list), min_size=1, max_size=6)
    return both.map(lambda each: {"column_A": "name", "column_B": "count", "value_pairs_set": each, **EITHER})


def _of(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[Given]:
    return st.fixed_dictionaries(given)


_column = _of(column=st.sampled_from(COLUMNS))
_pair = pairs.map(lambda each: {"column_A": each[0], "column_B": each[1], **EITHER})
_several = pairs.map(lambda each: {"column_list": list(each), **ANY})
_regex_list = st.lists(regexes, min_size=1, max_size=3)
lengths = _bounds(st.integers(0, 5))
MADE: dict[str, st.SearchStrategy[Given]] = {
    "expect_column_values_to_not_be_null": _column,
    "expect_column_values_to_be_null": _column,
    "expect_column_values_to_be_between": _between(),
    "expect_column_values_to_be_in_set": _set(),
    "expect_column_values_to_not_be_in_set": _set(),
    "expect_column_values_to_match_regex": _of(column=st.just("name"), regex=regexes),
    "expect_column_values_to_not_match_regex": _of(column=st.just("name"), regex=regexes),
    "expect_column_values_to_match_regex_list": _of(
        column=st.just("name"), regex_list=_regex_list, match_on=st.sampled_from(["any", "all"])
    ),
    "expect_column_values_to_not_match_regex_list": _of(column=st.just("name"), regex_list=_regex_list),
    "expect_column_value_lengths_to_be_between": st.builds(lambda a, b: {"column": "name", **a, **b}, lengths, strict),
    "expect_column_value_lengths_to_equal": _of(column=st.just("name"), value=st.integers(0, 5)),
    "expect_column_pair_values_a_to_be_greater_than_b": st.builds(
        lambda pair, or_equal: {**pair, "or_equal": or_equal}, _pair, st.booleans()
    ),
    "expect_column_pair_values_to_be_equal": _pair,
    "expect_column_pair_values_to_be_in_set": _pair_set(),
    "expect_multicolumn_values_to_be_equal": _several,
    "expect_select_column_values_to_be_unique_within_record": _several,
    "expect_multicolumn_sum_to_equal": _of(
        column_list=st.just(["count", "limit"]),
        sum_total=exact,
        ignore_row_if=st.just("any_value_is_missing"),
    ),
}
suites = st.tuples(
    *(st.lists(given.map(lambda each, kind=kind: (kind, each)), min_size=2, max_size=3) for kind, given in MADE.items())
).map(lambda each: [one for some in each for one in some])


def test_every_expectation_that_compiles_is_compared() -> None:
    assert set(MADE) == set(SUPPORTED)


@pytest.fixture(scope="module")
def judge() -> Callable[[list[tuple[str, Given]], list[Row]], list[set[int]]]:
    """Great Expectations on pandas: the rows that break each expectation."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("rows")
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")

    def judged(expectations: list[tuple[str, Given]], made: list[Row]) -> list[set[int]]:
        columns = dict(zip(COLUMNS, zip(*made, strict=True), strict=True))
        table = pd.DataFrame({name: pd.Series(values, dtype=_PANDAS[TYPES[name]]) for name, values in columns.items()})
        written = [{"type": kind, "kwargs": each, "id": str(n)} for n, (kind, each) in enumerate(expectations)]
        suite = gx.ExpectationSuite(name="made", expectations=written)
        assert len(suite.expectations) == len(written)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = whole.get_batch(batch_parameters={"dataframe": table}).validate(suite, result_format="COMPLETE")
        found: dict[int, set[int]] = {}
        for result in said.results:
            assert "unexpected_index_list" in result.result or not result.result, (expectations, result)
            assert not _raised(result.exception_info), (result.expectation_config, result.exception_info)
            found[int(result.expectation_config.id)] = set(result.result.get("unexpected_index_list") or ())
        return [found[number] for number in range(len(written))]

    return judged


def _raised(info: Given) -> bool:
    each = [info, *(value for value in info.values() if isinstance(value, dict))]
    return any(one.get("raised_exception") for one in each)


@settings(
    max_examples=6,
    phases=[Phase.generate],  # it says which rule and row are apart: smaller ones would take minutes
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(expectations=suites, made=st.lists(rows, min_size=100, max_size=100))
def test_a_compiled_rule_and_great_expectations_agree_row_by_row(
    expectations: list[tuple[str, Given]],
    made: list[Row],
    spark: SparkSession,
    judge: Callable[[list[tuple[str, Given]], list[Row]], list[set[int]]],
) -> None:
    written = [
        {"type": kind, "kwargs": each, "meta": {"name": f"{number}"}}
        for number, (kind, each) in enumerate(expectations)
    ]
    rules, mistakes = row_rules({"expectations": written})
    assert not mistakes
    numbered = spark.createDataFrame([(number, *row) for number, row in enumerate(made)], f"id int, {SCHEMA}")
    told = numbered.select(
        "id",
        sf.array(*(keeps(rule, FRACTIONS) for rule in rules)).alias("kept"),
        broken_rules(rules, FRACTIONS).alias("broken"),
    ).collect()
    for row in told:
        assert row.broken == [rule.name for rule, kept in zip(rules, row.kept, strict=True) if not kept]
    ours = [{row.id for row in told if not row.kept[number]} for number in range(len(rules))]
    apart = [
        f"{one}: Spark says {'broken' if row in mine else 'kept'} of {made[row]}"
        for one, mine, theirs in zip(expectations, ours, judge(expectations, made), strict=True)
        for row in sorted(mine ^ theirs)
        if not _is_rounded(one, made[row])
    ]
    assert not apart, "\n".join(apart[:20])


def _is_rounded(expectation: tuple[str, Given], row: Row) -> bool:
    kind, _ = expectation
    return kind == "expect_multicolumn_sum_to_equal" and max(abs(row[2]), abs(row[3]), abs(row[2] + row[3])) > 2**53
