"""May this micro-batch be committed? Asked before the write; the answer may take as long as an operator does.

What the suite says is the gate's business (`pipeline/gate.py`). Here is what a stage makes of it: batches that are diverted one
after another halt it, a halted one waits for an order that is newer than its halt or for another suite, and an order may
turn a halt into a commit or a diversion. Nothing is written meanwhile, and the part's other work goes on.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from controlplane.contract.gates import GateDecided, Order, Outcome, Stage
from controlplane.contract.suites import fingerprint
from pipeline.gate import stops

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import pandas as pd

    from controlplane.contract.gates import GateOrdered, Policy
    from controlplane.contract.reporting import Reporter
    from controlplane.contract.streams import LakeGate
    from pipeline.gate import Gate, Judgement, Suite
    from pipeline.suites import FollowedSuites

_LOOK_EVERY_S = 0.2
_SAY_AGAIN_AFTER_S = 15.0
_ORDERS = (Order.RESUME, Order.PASS, Order.DIVERT)


class ClosingError(Exception):
    """The part is to stop while a batch waits: nothing of it is written, and the next run judges it again."""


class OrderSource(Protocol):
    """Where orders come from; `controlplane.contract.orders` has the real one."""

    def to(self, stream: str, stage: Stage) -> Sequence[GateOrdered]:
        """A stage's orders, oldest first."""


class FakeOrders:
    """Orders in memory."""

    def __init__(self) -> None:
        self.given: list[GateOrdered] = []

    def to(self, stream: str, stage: Stage) -> Sequence[GateOrdered]:
        """See `OrderSource`."""
        return [each for each in self.given if (each.stream, each.stage) == (stream, stage)]


@dataclass(frozen=True)
class Batch:
    """What is to be judged."""

    number: int
    rows: int
    look: Callable[[Suite], pd.DataFrame]
    """Reads the rows that are looked at: all, or a sample."""


@dataclass(frozen=True)
class Decision:
    """What is to be done with a batch, and why."""

    batch: Batch
    judgement: Judgement
    suite: Suite
    fingerprint: str
    outcome: Outcome
    reason: str | None
    judged: int
    policy: Policy
    took_s: float
    waited_s: float = 0.0

    @property
    def waits(self) -> bool:
        """Nothing may be written now."""
        return stops(self.outcome, self.policy)


def next_order(orders: Sequence[GateOrdered], after: datetime) -> GateOrdered | None:
    """The newest order that counts for what has stopped at this moment; None when there is none."""
    found = [each for each in orders if each.at > after and each.order in _ORDERS]
    return max(found, key=lambda each: each.at, default=None)


def obeyed(decision: Decision, ordered: GateOrdered) -> Decision:
    """A halted batch as an operator wants it."""
    outcome = Outcome.LET_THROUGH if ordered.order is Order.PASS else Outcome.DIVERTED
    what = "let through" if ordered.order is Order.PASS else "diverted"
    return replace(decision, outcome=outcome, reason=f"{what} by {ordered.by}; {decision.reason}")


def limited(outcome: Outcome, reason: str | None, in_a_row: int, limit: int) -> tuple[Outcome, str | None]:
    """A diversion, or a halt where too many came before it."""
    if outcome is not Outcome.DIVERTED or in_a_row < limit:
        return outcome, reason
    return Outcome.HALTED, f"{in_a_row} micro-batches in a row were diverted, this would be one more: {reason}"


class BatchGate:
    """Of one stream's lake; `decide` on the thread that runs the batch.

    Args:
        stream: its name.
        settings: the policy.
        gate: judges.
        suites: which suite is followed; somebody else looks for new ones.
        orders: what operators say.
        reporter: hears of a halt at once.
        closing: set when the part is to stop.
        resting: around waiting for an operator, when a batch needs no executor.
    """

    def __init__(  # noqa: PLR0913 (what it stands between)
        self,
        stream: str,
        settings: LakeGate,
        gate: Gate,
        suites: FollowedSuites,
        orders: OrderSource,
        reporter: Reporter,
        closing: threading.Event,
        resting: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._stream, self._settings, self._gate, self._suites = stream, settings, gate, suites
        self._orders, self._reporter, self._closing = orders, reporter, closing
        self._in_a_row = 0
        self._resting = resting
        self.waits_for = ""
        """Why nothing is committed, in a sentence; empty while it is."""

    @property
    def has_suite(self) -> bool:
        """Is there anything to judge by?"""
        return bool(self._suites.of(Stage.LAKE))

    def decide(self, batch: Batch) -> Decision | None:
        """What is to be done with a batch, after waiting as long as it is halted; None when the stage has no suite.

        Raises:
            ClosingError: if the part is to stop meanwhile.
        """
        if not self.has_suite:
            return None
        began = time.monotonic()
        self._gate.await_ready()
        decision, halted_at = self._judged(batch), datetime.now(UTC)
        try:
            while decision.waits:
                with self._resting():
                    ordered = self._wait(decision, halted_at)
                if ordered is None or ordered.order is Order.RESUME:
                    self._in_a_row = 0
                    decision = self._judged(batch)
                    halted_at = halted_at if ordered is None else ordered.at
                else:
                    decision = obeyed(decision, ordered)
        finally:
            self.waits_for = ""
        return replace(decision, waited_s=time.monotonic() - began - decision.took_s)

    def done(self, decision: Decision, stage_took_s: float) -> None:
        """The batch was written as decided: say so."""
        by_itself = decision.outcome is Outcome.DIVERTED and decision.judgement.outcome is Outcome.DIVERTED
        self._in_a_row = self._in_a_row + 1 if by_itself else 0
        fact = self._fact(decision, stage_took_s)
        self._reporter.report(fact)
        self._gate.keep(fact, decision.suite, decision.judgement)

    def _judged(self, batch: Batch) -> Decision:
        began, suite = time.monotonic(), self._suites.of(Stage.LAKE)
        frame = batch.look(suite)
        found = self._gate.judge(suite, self._settings.policy, frame, rows=batch.rows)
        outcome, reason = limited(found.outcome, found.reason, self._in_a_row, self._settings.diverted_in_a_row)
        return Decision(
            batch=batch,
            judgement=found,
            suite=suite,
            fingerprint=fingerprint(suite),
            outcome=outcome,
            reason=reason,
            judged=len(frame),
            policy=self._settings.policy,
            took_s=time.monotonic() - began,
        )

    def _wait(self, decision: Decision, halted_at: datetime) -> GateOrdered | None:
        """An order newer than the halt; None when there is another suite."""
        fact = self._fact(decision, None)
        self._gate.keep(fact, decision.suite, decision.judgement)
        self.waits_for = f"{self._stream}: {fact.subject} is halted: {decision.reason}"
        said_at = 0.0
        while not self._closing.wait(_LOOK_EVERY_S):
            if time.monotonic() - said_at > _SAY_AGAIN_AFTER_S:
                # The same fact: who has heard it knows that it still holds, who starts now hears it.
                said_at = time.monotonic()
                self._reporter.report(fact)
            if (ordered := next_order(self._orders.to(self._stream, Stage.LAKE), halted_at)) is not None:
                return ordered
            if self._suites.fingerprint(Stage.LAKE) != decision.fingerprint:
                return None
        raise ClosingError(f"{self._stream}: stopped while {fact.subject} was halted; the next run judges it again")

    def _fact(self, decision: Decision, stage_took_s: float | None) -> GateDecided:
        return GateDecided(
            at=datetime.now(UTC),
            stream=self._stream,
            stage=Stage.LAKE,
            subject=f"micro-batch {decision.batch.number}",
            suite=decision.fingerprint,
            outcome=decision.outcome,
            rows=decision.batch.rows,
            judged=decision.judged,
            rules=decision.judgement.rules,
            took_s=decision.took_s,
            stage_took_s=stage_took_s,
            reason=decision.reason,
        )
