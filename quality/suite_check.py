"""Would Great Expectations take every expectation of a stream's suites? Asked before anything runs, by `streams validate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.folders import SUITE_FILE, Problem
from quality.gx import mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.streams import StreamDefinition


def refused_expectations(stream: StreamDefinition) -> Iterator[Problem]:
    """Those that Great Expectations cannot build, with its own words."""
    for stage, suite in stream.suites.items():
        for number, reason in mistakes(suite).items():
            where = f"{stage}.expectations[{number}]"
            yield Problem(SUITE_FILE, where, f"Great Expectations does not take it: {reason}", "mend it")
