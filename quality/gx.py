"""What does Great Expectations say of these rows? The only importer of it.

Its import takes five seconds and 200 MiB, so it is begun on a thread of its own (`import_soon`) and waited for by the first
verdict. One context, one data source and one asset serve every verdict, one at a time: they are shared, and not made for
several threads. Nothing of it may leave the process: no progress bars, no logs of its own.

Hard was what is neither kept nor broken. An expectation with a wrong column or a wrong argument fails inside Great
Expectations as if the data were bad; here it is a rule of which nothing is known, with the reason. And a count of rows must
be that of all rows when only some are looked at: such expectations are held against a frame that has nothing but an index of
the true length.
"""

from __future__ import annotations

import copy
import importlib
import logging
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd

from controlplane.contract.gates import RuleVerdict, Severity
from controlplane.contract.suites import rule_name, severity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Json = dict[str, Any]
OF_ALL_ROWS = ("expect_table_row_count_to_be_between", "expect_table_row_count_to_equal")
"""Held against the true number of rows."""
NOT_OF_A_SAMPLE = (
    "expect_column_sum_to_be_between",
    "expect_column_distinct_values_to_contain_set",
    "expect_column_distinct_values_to_equal_set",
    "expect_table_row_count_to_equal_other_table",
)
"""What some rows cannot say of all of them."""
_EXAMPLES = 5
_EXAMPLE_AT_MOST = 80
_WHOLE_FROM = 100_000
_OBSERVED_AT_MOST = 200
_REASON_AT_MOST = 300
_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 20}
_BY_ROW = {"result_format": "COMPLETE", "partial_unexpected_count": 0}
_one_at_a_time = threading.Lock()
_importing = threading.Lock()
_made: list[_Engine] = []
"""The one engine, once it is there."""


@dataclass(frozen=True)
class Judged:
    """A suite held against rows."""

    rules: tuple[RuleVerdict, ...]
    """In the order of the suite's expectations."""
    result: Json
    """Great Expectations' own validation result, without stack traces."""


def import_soon() -> threading.Thread:
    """Begin the import in the background; after a fork, never before one that is still to come (see `start_jvm`)."""
    thread = threading.Thread(target=_engine, name="import-great-expectations", daemon=True)
    thread.start()
    return thread


def await_import() -> None:
    """Wait until it is there."""
    _engine()


def judge(suite: Mapping[str, Any], frame: pd.DataFrame, *, rows: int | None = None) -> Judged:
    """Hold every expectation of a suite against rows.

    Args:
        suite: Great Expectations' own JSON of a suite.
        frame: the rows that are looked at.
        rows: how many there are; more than in the frame when that is a sample, which not every expectation can be told from.
    """
    total = len(frame) if rows is None else rows
    name, given = str(suite.get("name", "suite")), list(suite.get("expectations", []))
    with _one_at_a_time:
        engine = _engine()
        found = {number: reason for number, each in enumerate(given) if (reason := _not_said(each, len(frame), total))}
        found |= {
            number: reason
            for number, each in enumerate(given)
            if (reason := engine.mistake(each)) and number not in found
        }
        # Results come in any order: an expectation's number is its id.
        numbered = [{**each, "id": str(number)} for number, each in enumerate(given) if number not in found]
        counts = [each for each in numbered if each["type"] in OF_ALL_ROWS]
        others = [each for each in numbered if each["type"] not in OF_ALL_ROWS]
        results = [
            *engine.results(name, others, frame),
            *engine.results(name, counts, pd.DataFrame(index=pd.RangeIndex(total))),
        ]
    by_number = {int(each["expectation_config"].pop("id")): each for each in results}
    ordered = [by_number.get(number) or _failed(each, found[number]) for number, each in enumerate(given)]
    return Judged(tuple(map(_verdict, given, ordered)), _whole(name, ordered, engine.version))


def broken_rows(suite: Mapping[str, Any], frame: pd.DataFrame) -> dict[str, list[int] | str]:
    """Which rows break which critical row rule.

    Args:
        suite: Great Expectations' own JSON of a suite of row expectations.
        frame: the rows.

    Returns:
        Rule -> positions of the rows that break it, or why nothing is known of it.
    """
    given = [each for each in suite.get("expectations", []) if severity_of(each) is Severity.CRITICAL]
    numbered = [{**each, "id": str(number)} for number, each in enumerate(given)]
    with _one_at_a_time:
        results = _engine().results(str(suite.get("name", "suite")), numbered, frame.reset_index(drop=True), _BY_ROW)
    found = {int(each["expectation_config"]["id"]): each for each in results}
    missing = _failed({}, "Great Expectations does not take it")
    return {rule_name(each): _positions(found.get(number, missing)) for number, each in enumerate(given)}


def mistakes(suite: Mapping[str, Any]) -> dict[int, str]:
    """Number -> why Great Expectations does not take an expectation; of those that it does not."""
    with _one_at_a_time:
        found = ((number, _engine().mistake(each)) for number, each in enumerate(suite.get("expectations", [])))
        return {number: reason for number, reason in found if reason is not None}


def _positions(result: Json) -> list[int] | str:
    if result["exception_info"]["raised_exception"]:
        return str(result["exception_info"]["exception_message"])
    return [int(each) for each in (result.get("result") or {}).get("unexpected_index_list") or ()]


def _not_said(expectation: Mapping[str, Any], seen: int, total: int) -> str | None:
    if seen < total and expectation.get("type") in NOT_OF_A_SAMPLE:
        return (
            f"a sample of {seen:,} of {total:,} rows cannot say it of all of them; "
            "give the gate a larger `sample` in stream.yaml, or use an expectation about shares"
        )
    return None


class _Engine:
    """Great Expectations, set up once."""

    def __init__(self) -> None:
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self._gx: Any = importlib.import_module("great_expectations")
            types: Any = importlib.import_module("great_expectations.data_context.types.base")
            registry: Any = importlib.import_module("great_expectations.expectations.registry")
        self._known = registry.get_expectation_impl
        context = self._gx.get_context(mode="ephemeral")
        context.variables.progress_bars = types.ProgressBarsConfig(globally=False)
        self._source = context.data_sources.add_pandas("tidegate")
        self._rows = self._source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
        self.version = str(self._gx.__version__)

    def mistake(self, expectation: Json) -> str | None:
        """Why Great Expectations does not take an expectation."""
        try:
            severity_of(expectation)
            self._known(str(expectation.get("type", "")))  # a suite drops what it does not know, and only logs it
            taken = self._gx.ExpectationSuite(name="one", expectations=[copy.deepcopy(expectation)]).expectations
        except Exception as error:  # noqa: BLE001 (a suite may be wrong in any way)
            return _sentence(str(error))
        return None if taken else "Great Expectations does not take it"

    def results(
        self, name: str, expectations: Sequence[Json], frame: pd.DataFrame, result_format: Json = _FORMAT
    ) -> list[Json]:
        """Great Expectations' results, in any order; the frame is let go of."""
        if not expectations:
            return []
        try:
            suite = self._gx.ExpectationSuite(name=name, expectations=copy.deepcopy(list(expectations)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                done = self._rows.get_batch({"dataframe": frame}).validate(suite, result_format=result_format)
            found: list[Json] = done.to_json_dict()["results"]
        except Exception as error:  # noqa: BLE001 (what fails for all of them is known of none)
            reason = _sentence(str(error))
            return [_failed(each, reason) for each in expectations]
        finally:
            batches = self._source.get_execution_engine().batch_manager
            batches.reset_batch_cache()
            batches.batch_data_cache.clear()
        return [_without_traces(each) for each in found]


def _engine() -> _Engine:
    with _importing:
        if not _made:
            _made.append(_Engine())
        return _made[0]


def _without_traces(result: Json) -> Json:
    reason = _raised(result.get("exception_info") or {})
    said = {"raised_exception": reason is not None, "exception_message": reason, "exception_traceback": None}
    return {**result, "exception_info": said}


def _raised(info: Json) -> str | None:
    """Why an expectation could not be evaluated: said for all of it, or for each metric that it needs."""
    each = [info, *(value for value in info.values() if isinstance(value, dict))]
    messages: Iterable[str] = (str(one.get("exception_message")) for one in each if one.get("raised_exception"))
    return next((_sentence(message) for message in messages), None)


def _failed(expectation: Mapping[str, Any], reason: str | None) -> Json:
    """As Great Expectations would say it of an expectation that it could not evaluate."""
    return {
        "success": False,
        "expectation_config": dict(expectation),
        "result": {},
        "meta": {},
        "exception_info": {"raised_exception": True, "exception_message": reason, "exception_traceback": None},
    }


def _verdict(expectation: Mapping[str, Any], result: Json) -> RuleVerdict:
    reason = result["exception_info"]["exception_message"] if result["exception_info"]["raised_exception"] else None
    said = result.get("result") or {}
    counted, missing = said.get("element_count"), said.get("missing_count") or 0
    observed = said.get("observed_value")
    return RuleVerdict(
        rule=rule_name(expectation),
        expectation=str(expectation.get("type", "")),
        severity=_severity(expectation),
        kept=None if reason is not None else bool(result["success"]),
        judged=None if counted is None else counted - missing,
        unexpected=said.get("unexpected_count"),
        observed=None if observed is None else _short(_rounded(observed), _OBSERVED_AT_MOST),
        examples=_examples(said.get("partial_unexpected_list") or ()),
        reason=reason,
    )


def _severity(expectation: Mapping[str, Any]) -> Severity:
    try:
        return severity_of(expectation)
    except ValueError:
        return Severity.CRITICAL


def _examples(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_short(each, _EXAMPLE_AT_MOST) for each in values))[:_EXAMPLES]


def _rounded(observed: Any) -> Any:  # noqa: ANN401 (whatever an expectation observes)
    """A mean or a share is read by people: six digits of it are enough."""
    is_long = isinstance(observed, float) and abs(observed) < _WHOLE_FROM
    return float(f"{observed:.6g}") if is_long else observed


def _short(value: Any, most: int) -> str:  # noqa: ANN401 (whatever was in a column)
    text = (
        value
        if isinstance(value, str)
        else orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    )
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _sentence(message: str) -> str:
    """On one line, without the words in which Great Expectations wraps its errors."""
    text = " ".join(message.split())
    for noise in ("Could not add expectation; provided configuration is not valid: ", "Error: "):
        text = text.replace(noise, "")
    return text[:_REASON_AT_MOST] or "it failed without a word"


def _whole(name: str, results: Sequence[Json], version: str) -> Json:
    kept = sum(bool(each["success"]) for each in results)
    return {
        "success": kept == len(results),
        "results": list(results),
        "suite_name": name,
        "suite_parameters": {},
        "statistics": {
            "evaluated_expectations": len(results),
            "successful_expectations": kept,
            "unsuccessful_expectations": len(results) - kept,
            "success_percent": 100 * kept / len(results) if results else None,
        },
        "meta": {"great_expectations_version": version},
        "id": None,
    }
