"""Which of today's ingest rules does each event break? Great Expectations' own verdict, row by row.

Route runs the same rules compiled to Columns; a test holds that the two agree, so what passes here passes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from controlplane.contract.gates import Policy, Stage
from quality.gx import broken_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quality.replay.today import Today


class RuleUnknownError(Exception):
    """A rule cannot be evaluated, so nothing is known of the records."""


def broken_rules(today: Today, events: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Names of the critical rules that each event breaks.

    Raises:
        RuleUnknownError: if a rule cannot be evaluated; says which and why.
    """
    suite = today.stream.suites.get(Stage.INGEST)
    if suite is None or today.stream.gates.ingest.policy is Policy.PASS or not events:
        return [() for _ in events]
    names: list[list[str]] = [[] for _ in events]
    for rule, found in broken_rows(suite, frame_of(today.reader, events)).items():
        if isinstance(found, str):
            raise RuleUnknownError(f"rule {rule} cannot be evaluated: {found}; mend suite.json first")
        for position in found:
            names[position].append(rule)
    return [tuple(each) for each in names]


def frame_of(reader: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Events as pandas has them; whole numbers stay whole where some are null."""
    columns = {each["name"]: _column([event.get(each["name"]) for event in events]) for each in reader["fields"]}
    return pd.DataFrame(columns)


def _column(values: list[Any]) -> pd.Series[Any]:
    first = next((each for each in values if each is not None), None)
    if isinstance(first, pd.Timestamp) or hasattr(first, "tzinfo"):
        return pd.to_datetime(pd.Series(values), utc=True)
    return pd.Series(values, dtype=object).infer_objects()
