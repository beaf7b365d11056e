"""May these windows be published, and is what readers get in order? A rollup's two gates, asked at each beat.

Nothing waits here: a halt is remembered, and the next beat asks again when the lake or the suite has changed, or an operator has
said something. Meanwhile readers keep the windows that they have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.gates import GateDecided, Order, Outcome
from pipeline.gate import stops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from controlplane.contract.gates import GateOrdered, Policy, RuleVerdict, Stage
    from controlplane.contract.reporting import Reporter
    from pipeline.gate import Gate, Judgement, Suite
    from pipeline.lake.gate import OrderSource
    from pipeline.suites import FollowedSuites

SAMPLE = 50_000
"""So many rows are looked at, the newest windows first."""
_SAY_AGAIN_AFTER_S = 15.0


@dataclass(frozen=True)
class Windows:
    """What is to be judged."""

    subject: str
    """In words."""
    version: int
    """Of the lake's table."""
    rows: int
    look: Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Decision:
    """What follows."""

    fact: GateDecided
    version: int
    suite: Suite
    judgement: Judgement
    said_at: float = 0.0
    """When (monotonic) it was reported last."""


@dataclass
class WindowsGate:
    """Of one rollup at one stage."""

    stream: str
    table: str
    stage: Stage
    policy: Policy
    gate: Gate
    suites: FollowedSuites
    orders: OrderSource
    reporter: Reporter
    held: Decision | None = None
    """The halt that stands."""

    def is_open(self, version: int) -> bool:
        """May this version of the lake be judged, or does a halt of it stand? An order, or another suite, ends one."""
        if self.held is None or version != self.held.version or self._order() is not None or self._has_new_suite():
            return True
        self._say(self.held)
        return False

    def judge(self, windows: Windows, more: Sequence[RuleVerdict] = ()) -> Decision:
        """Judge; an order to pass that is newer than the halt lets it through."""
        self.gate.await_ready()
        began, suite, ordered = time.monotonic(), self.suites.of(self.stage), self._order()
        frame = windows.look()
        found = self.gate.judge(suite, self.policy, frame, rows=windows.rows, table=self.table, more=more)
        outcome, reason = found.outcome, found.reason
        if stops(outcome, self.policy) and ordered is not None and ordered.order is Order.PASS:
            outcome, reason = Outcome.LET_THROUGH, f"let through by {ordered.by}; {reason}"
        fact = GateDecided(
            at=datetime.now(UTC),
            stream=self.stream,
            stage=self.stage,
            table=self.table,
            subject=windows.subject,
            suite=self.suites.fingerprint(self.stage),
            outcome=outcome,
            rows=windows.rows,
            judged=len(frame),
            rules=found.rules,
            took_s=time.monotonic() - began,
            reason=reason,
        )
        return Decision(fact, windows.version, suite, found)

    def lets(self, decision: Decision) -> bool:
        """Does the stage go on? A halt is reported, and stands from now on."""
        if not stops(decision.fact.outcome, self.policy):
            self.held = None
            return True
        self._say(decision)
        self.gate.keep(decision.fact, decision.suite, decision.judgement)
        return False

    def done(self, decision: Decision, stage_took_s: float) -> None:
        """What was decided is durable: say so."""
        fact = decision.fact.model_copy(update={"stage_took_s": stage_took_s})
        self.reporter.report(fact)
        self.gate.keep(fact, decision.suite, decision.judgement)

    def _order(self) -> GateOrdered | None:
        """The newest one since the halt."""
        if self.held is None:
            return None
        found = [each for each in self.orders.to(self.stream, self.stage) if each.at > self.held.fact.at]
        return found[-1] if found else None

    def _has_new_suite(self) -> bool:
        return self.held is not None and self.suites.fingerprint(self.stage) != self.held.fact.suite

    def _say(self, decision: Decision) -> None:
        """The same fact again and again while it holds: who starts now hears of it, too."""
        now = time.monotonic()
        if self.held is not decision or now - decision.said_at > _SAY_AGAIN_AFTER_S:
            self.reporter.report(decision.fact)
            decision = replace(decision, said_at=now)
        self.held = decision


@dataclass(frozen=True)
class PublishGates:
    """A rollup's two."""

    rollup: WindowsGate
    serving: WindowsGate
