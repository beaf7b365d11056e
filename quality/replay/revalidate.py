"""Which of today's ingest rules does each event break? Great Expectations' own verdict, row by row.

Route runs the same rules compiled to Columns; a test holds that the two agree, so what passes here passes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controlplane.contract.gates import Policy, Stage
from quality.gx import broken_rows
from quality.sampled.rows import as_frame

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
    for rule, found in broken_rows(suite, as_frame(list(map(dict, events)), today.reader)).items():
        if isinstance(found, str):
            raise RuleUnknownError(f"rule {rule} cannot be evaluated: {found}; mend suite.json first")
        for position in found:
            names[position].append(rule)
    return [tuple(each) for each in names]
