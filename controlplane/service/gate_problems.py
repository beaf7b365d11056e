"""What is wrong with gates? What has stopped a stage, and a suite that nobody can follow.

That data is diverted or let through is what a gate is for: the Quality page and the alerts tell it, the banner does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, Outcome, Stage, SuiteFollowed
from controlplane.contract.push import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.service.state import Known

_STOPPED = {Outcome.HALTED: "is halted by its gate", Outcome.MISCONFIGURED: "is halted, its suite can't be evaluated"}


def stopped(known: Known, stream: str) -> Iterator[Problem]:
    """Stages that a gate or its breaker has stopped."""
    for fact in known.facts.values():
        if isinstance(fact, GateDecided) and fact.stream == stream and fact.outcome in _STOPPED:
            what = f"{fact.stage} of {stream}" if fact.table is None else f"{fact.stage} of {stream}, {fact.table},"
            yield _problem(known, fact, what, f"{_STOPPED[fact.outcome]}{_because(fact.reason)}")
        if isinstance(fact, BreakerChanged) and fact.stream == stream and fact.state is not BreakerState.CLOSED:
            until = "until an operator resumes" if fact.resumes_at is None else f"until {fact.resumes_at:%H:%M:%S} UTC"
            state = f"pauses {until}" if fact.state is BreakerState.OPEN else "probes whether the flood is over"
            yield _problem(known, fact, f"{fact.stage} of {stream}", f"{state}{_because(fact.reason)}")


def refused(known: Known, stream: str) -> Iterator[Problem]:
    """Suites that are not taken: those before go on. One file has the suites of all stages, so one mistake is one problem."""
    by_reason: dict[str, list[SuiteFollowed]] = {}
    for fact in known.facts.values():
        if isinstance(fact, SuiteFollowed) and fact.stream == stream and fact.refused is not None:
            by_reason.setdefault(fact.refused, []).append(fact)
    for reason, facts in by_reason.items():
        stages = ", ".join(stage for stage in Stage if any(fact.stage is stage for fact in facts))
        first = min(facts, key=known.since)
        before = f"what was followed since {max(fact.since for fact in facts):%Y-%m-%d %H:%M} UTC goes on"
        yield _problem(known, first, f"suites of {stream}", f"are refused ({stages}), {before}: {reason}")


def _problem(known: Known, fact: GateDecided | BreakerChanged | SuiteFollowed, subject: str, reason: str) -> Problem:
    return Problem(subject=subject, reason=reason, since=known.since(fact), page=f"/quality/{fact.stream}")


def _because(reason: str | None) -> str:
    return "" if reason is None else f": {reason}"
