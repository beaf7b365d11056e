"""What is the verdict on the rows that route has let through and turned away lately?

Route judges each row by compiled rules and goes on; nobody counts there. Here the counts of an interval and Great
Expectations' verdict on a sample of what was let through become one `GateDecided`.

A trickle of bad rows is what the gate is for and no event in itself, so `diverted` is said only when more was turned away
than the stream's service level `validity` allows; the counts are always there. A critical rule that Great Expectations
finds broken among rows that route let through is another matter: then the two disagree, and one of them is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controlplane.contract.gates import GateDecided, Outcome, Policy, RuleVerdict, Severity, Stage
from controlplane.contract.suites import rule_name, severity_of
from quality.gate import sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

_NAMED_AT_MOST = 3
_EXAMPLES = 5


@dataclass(frozen=True)
class Interval:
    """What route has written since the last look."""

    began: datetime
    until: datetime
    valid: int
    dead: int
    quarantined: int
    causes: Mapping[str, int] = field(default_factory=dict)
    """Rule, or reason where no rule was broken -> records that name it, of those `looked_at`."""
    looked_at: int = 0
    """Of the records turned away, those whose headers were read; the others were too many."""
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rule -> values that broke it."""

    @property
    def routed(self) -> int:
        """All that came out of route."""
        return self.valid + self.dead + self.quarantined

    @property
    def turned_away(self) -> int:
        """Dead and quarantined records."""
        return self.dead + self.quarantined

    @property
    def is_whole(self) -> bool:
        """Every record that was turned away has been looked at."""
        return self.looked_at >= self.turned_away


@dataclass(frozen=True)
class Sampled:
    """What Great Expectations says of some rows that route let through."""

    rows: int
    rules: tuple[RuleVerdict, ...] = ()
    """In the order of the suite's expectations; empty when none could be judged."""
    reason: str | None = None
    """Why there is no sample."""
    has_failed: bool = False
    """There should have been one."""


def decided(  # noqa: PLR0913 (what a verdict depends on)
    stream: str,
    suite: Mapping[str, Any],
    fingerprint: str,
    policy: Policy,
    validity: float,
    interval: Interval,
    sampled: Sampled,
) -> GateDecided:
    """The verdict on an interval in which something came.

    Args:
        stream: its name.
        suite: the ingest suite that route follows.
        fingerprint: of the suite.
        policy: of the stage.
        validity: least share of rows that is to be valid.
        interval: what came, and what was turned away.
        sampled: what Great Expectations says.
    """
    rules = tuple(_rules(suite, policy, interval, sampled))
    outcome, reason = _outcome(policy, validity, interval, sampled, rules)
    seconds = (interval.until - interval.began).total_seconds()
    return GateDecided(
        at=interval.until,
        stream=stream,
        stage=Stage.INGEST,
        subject=f"the last {seconds:.0f} s",
        suite=fingerprint,
        outcome=outcome,
        rows=interval.routed,
        judged=sampled.rows,
        rules=rules,
        reason=reason,
    )


def _rules(suite: Mapping[str, Any], policy: Policy, interval: Interval, sampled: Sampled) -> Iterator[RuleVerdict]:
    said = dict(enumerate(sampled.rules))
    for number, expectation in enumerate(suite.get("expectations", ())):
        in_sample = said.get(number) or _unknown(
            expectation, sampled.reason or "nothing that was let through was looked at"
        )
        is_routes = in_sample.severity is Severity.CRITICAL and policy is not Policy.PASS
        yield _with_quarantined(in_sample, interval) if is_routes else in_sample


def _unknown(expectation: Mapping[str, Any], reason: str) -> RuleVerdict:
    return RuleVerdict(
        rule=rule_name(expectation),
        expectation=str(expectation.get("type", "")),
        severity=severity_of(expectation),
        kept=None,
        reason=reason,
    )


def _with_quarantined(rule: RuleVerdict, interval: Interval) -> RuleVerdict:
    """A rule that route applies to every row: all rows were judged by it, not only those of the sample."""
    quarantined = interval.causes.get(rule.rule, 0)
    if rule.kept is False:
        return rule  # of rows that route let through: that must be seen as it is
    if not interval.is_whole:
        turned_away = f"counted in {interval.looked_at:,} of {interval.turned_away:,} records that were turned away"
        kept = False if quarantined else None
        return rule.model_copy(
            update={"kept": kept, "judged": None, "unexpected": quarantined, "reason": turned_away}
            | {"examples": interval.examples.get(rule.rule, ())}
        )
    return rule.model_copy(
        update={
            "kept": quarantined == 0,
            "judged": interval.valid + interval.quarantined,
            "unexpected": quarantined,
            "examples": interval.examples.get(rule.rule, ())[:_EXAMPLES],
            "observed": None,
            "reason": None,
        }
    )


def _outcome(
    policy: Policy, validity: float, interval: Interval, sampled: Sampled, rules: Sequence[RuleVerdict]
) -> tuple[Outcome, str | None]:
    passed_on = [each for each in sampled.rules if each.severity is Severity.CRITICAL and each.kept is False]
    if passed_on and policy is Policy.PASS:
        return Outcome.LET_THROUGH, _sentence(passed_on)
    if passed_on:
        return Outcome.LET_THROUGH, (
            "route let rows through that Great Expectations finds broken, so the compiled rule and Great Expectations "
            f"disagree: {_sentence(passed_on)}"
        )
    # One row is a row, not a share.
    allowed = max(1.0, (1 - validity) * interval.routed)
    if interval.turned_away > allowed:
        return Outcome.DIVERTED, _turned_away(interval, validity)
    if (why := _unconfirmed(policy, sampled)) is not None:
        return Outcome.WARNED, f"Great Expectations could not look at what route let through: {why}"
    if warned := [each for each in rules if each.severity is Severity.WARNING and each.kept is False]:
        return Outcome.WARNED, _sentence(warned)
    return Outcome.PASSED, None


def _unconfirmed(policy: Policy, sampled: Sampled) -> str | None:
    """That there is nothing to look at is no fault, unless nobody else has: by policy `pass` route judges no row."""
    if sampled.reason is not None:
        return sampled.reason if sampled.has_failed or policy is Policy.PASS else None
    unknown = [each for each in sampled.rules if each.severity is not Severity.INFO and each.kept is None]
    return _sentence(unknown[:1]) if unknown else None


def _turned_away(interval: Interval, validity: float) -> str:
    named = sorted(interval.causes.items(), key=lambda each: (-each[1], each[0]))
    causes = ", ".join(f"{cause} {count:,}" for cause, count in named[:_NAMED_AT_MOST])
    part = "" if interval.is_whole else f" (counted in {interval.looked_at:,} of them)"
    return (
        f"{interval.turned_away / interval.routed:.2%} of {interval.routed:,} rows were turned away, "
        f"at most {1 - validity:.2%} is the service level: {causes or 'for a reason that was not read'}{part}"
    )


def _sentence(rules: Sequence[RuleVerdict]) -> str:
    return sentence_of(rules, "sampled rows")
