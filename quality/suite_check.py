"""Would Great Expectations take every expectation of a stream's suites? Asked before anything runs, by `streams validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.folders import SUITE_FILE, Problem
from controlplane.contract.gates import Severity, Stage
from controlplane.contract.suites import severity_of
from quality.gx import NOT_OF_A_SAMPLE, mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from controlplane.contract.streams import StreamDefinition


def refused_expectations(stream: StreamDefinition) -> Iterator[Problem]:
    """Those that Great Expectations cannot build, with its own words, and those that a gate could not decide by."""
    for stage, suite in stream.suites.items():
        found = mistakes(suite)
        for number, reason in found.items():
            where = f"{stage}.expectations[{number}]"
            yield Problem(SUITE_FILE, where, f"Great Expectations does not take it: {reason}", "mend it")
        sound = {number: each for number, each in enumerate(suite.get("expectations", [])) if number not in found}
        if stage is not Stage.INGEST:
            yield from _undecidable(stage, sound)


def _undecidable(stage: Stage, expectations: dict[int, dict[str, Any]]) -> Iterator[Problem]:
    """Of many rows a sample is judged: what that cannot say would stop the stage just when much comes."""
    for number, each in expectations.items():
        if each.get("type") in NOT_OF_A_SAMPLE and severity_of(each) is Severity.CRITICAL:
            yield Problem(
                SUITE_FILE,
                f"{stage}.expectations[{number}]",
                f"{each['type']} cannot be told from a sample, and where there are many rows a sample is judged",
                "give it the severity `warning` or `info`, or use an expectation about shares or means",
            )
