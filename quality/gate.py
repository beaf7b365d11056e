"""What follows from a suite's verdicts? Severity and policy make the outcome; then the gate that the pipeline asks for.

Only critical rules decide. One that could not be evaluated comes first: of data that nobody has looked at, neither "bad"
nor "passed" may be said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.contract.gates import Outcome, Policy, RuleVerdict, Severity
from quality.gx import await_import, import_soon, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from controlplane.contract.gates import GateDecided
    from quality.results import Results

_BROKEN = {Policy.PASS: Outcome.LET_THROUGH, Policy.DIVERT: Outcome.DIVERTED, Policy.HALT: Outcome.HALTED}
_NAMED_AT_MOST = 3


@dataclass(frozen=True)
class Judgement:
    """What the gate says."""

    outcome: Outcome
    rules: tuple[RuleVerdict, ...]
    reason: str | None
    result: dict[str, Any]
    """Great Expectations' own validation result."""


def decide(rules: Sequence[RuleVerdict], policy: Policy) -> tuple[Outcome, str | None]:
    """What follows from verdicts by a policy, and why in a sentence; none when every rule that matters is kept."""
    critical = [each for each in rules if each.severity is Severity.CRITICAL]
    if unknown := [each for each in critical if each.kept is None]:
        goes_on = "; the policy is to pass, so it goes on unjudged" if policy is Policy.PASS else ""
        return Outcome.MISCONFIGURED, f"configuration error: {sentence_of(unknown)}{goes_on}"
    if broken := [each for each in critical if each.kept is False]:
        return _BROKEN[policy], sentence_of(broken)
    if warned := [each for each in rules if each.severity is Severity.WARNING and not each.kept]:
        return Outcome.WARNED, sentence_of(warned)
    return Outcome.PASSED, None


def of_table(suite: Mapping[str, Any], table: str | None) -> dict[str, Any]:
    """A suite without the expectations that are of another table."""
    expectations: Iterable[Mapping[str, Any]] = suite.get("expectations", ())
    mine = [each for each in expectations if (each.get("meta") or {}).get("table") in (None, table)]
    return {**suite, "expectations": mine}


def sentence_of(rules: Sequence[RuleVerdict], rows: str = "rows") -> str:
    """What the first rules say, in a sentence; `rows` is what their rows are called."""
    first = "; ".join(_sentence(each, rows) for each in rules[:_NAMED_AT_MOST])
    more = len(rules) - _NAMED_AT_MOST
    return f"{first}; and {more} more" if more > 0 else first


def _sentence(rule: RuleVerdict, rows: str) -> str:
    if rule.kept is None:
        return f"{rule.rule} could not be evaluated: {rule.reason}"
    if rule.unexpected is not None and rule.judged:
        return f"{rule.rule} is broken by {rule.unexpected:,} of {rule.judged:,} {rows}"
    return f"{rule.rule} is broken" + ("" if rule.observed is None else f": found {rule.observed}")


class ExpectationsGate:
    """Great Expectations behind the pipeline's port."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def prepare(self) -> None:
        """See `pipeline.gate.Gate`."""
        import_soon()

    def await_ready(self) -> None:
        """See `pipeline.gate.Gate`."""
        await_import()

    def judge(  # noqa: PLR0913 (what a verdict depends on)
        self,
        suite: dict[str, Any],
        policy: Policy,
        frame: pd.DataFrame,
        *,
        rows: int,
        table: str | None = None,
        more: Sequence[RuleVerdict] = (),
    ) -> Judgement:
        """See `pipeline.gate.Gate`."""
        judged = judge(of_table(suite, table), frame, rows=rows)
        rules = (*judged.rules, *more)
        outcome, reason = decide(rules, policy)
        return Judgement(outcome, rules, reason, judged.result)

    def keep(self, decided: GateDecided, suite: dict[str, Any], judgement: Any) -> None:  # noqa: ANN401 (one of ours)
        """See `pipeline.gate.Gate`."""
        self._results.keep(decided, of_table(suite, decided.table), judgement.result)
