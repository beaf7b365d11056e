"""What does the pipeline need of a gate? The port that quality satisfies; only `pipeline/__main__.py` joins them.

A gate judges rows by a suite and says what follows by the stage's policy. It commits nothing, waits for nobody and knows no
orders: that is the stage's part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from controlplane.contract.gates import Outcome, Policy, RuleVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from controlplane.contract.gates import GateDecided

Suite = dict[str, Any]
"""Great Expectations' own JSON of a stage's suite."""
WAITS = (Outcome.HALTED, Outcome.MISCONFIGURED)
"""Outcomes of which nothing is committed until something changes."""


def stops(outcome: Outcome, policy: Policy) -> bool:
    """May nothing be committed? A suite that cannot be evaluated stops no stage whose policy is to pass."""
    return outcome in WAITS and not (outcome is Outcome.MISCONFIGURED and policy is Policy.PASS)


class Judgement(Protocol):
    """What a gate says of some rows."""

    @property
    def outcome(self) -> Outcome:
        """What follows by the policy."""

    @property
    def rules(self) -> tuple[RuleVerdict, ...]:
        """Of each expectation."""

    @property
    def reason(self) -> str | None:
        """One sentence, unless it passed."""


class Gate(Protocol):
    """Judges rows."""

    def prepare(self) -> None:
        """Begin in the background what would make the first judgement wait."""

    def await_ready(self) -> None:
        """Wait for it: that is no part of what a judgement takes."""

    def judge(  # noqa: PLR0913 (what a verdict depends on)
        self,
        suite: Suite,
        policy: Policy,
        frame: pd.DataFrame,
        *,
        rows: int,
        table: str | None = None,
        more: Sequence[RuleVerdict] = (),
    ) -> Judgement:
        """Judge rows; what cannot be evaluated is in the judgement, too.

        Args:
            suite: the stage's.
            policy: the stage's.
            frame: the rows that are looked at.
            rows: how many there are.
            table: of which rollup; an expectation whose `meta.table` names another is left out.
            more: verdicts that were reached in another way, to be decided upon together.
        """

    def keep(self, decided: GateDecided, suite: Suite, judgement: Judgement) -> None:
        """Keep what was found, for Data Docs; never blocks, never raises."""


@dataclass(frozen=True)
class Said:
    """A judgement as a `FakeGate` gives it."""

    outcome: Outcome = Outcome.PASSED
    rules: tuple[RuleVerdict, ...] = ()
    reason: str | None = None


@dataclass
class FakeGate:
    """Says what it was told to, then that all is well."""

    says: list[Said] = field(default_factory=list)
    judged: list[tuple[Mapping[str, Any], pd.DataFrame, int]] = field(default_factory=list)
    """Suite, rows and number of rows of each judgement."""
    kept: list[GateDecided] = field(default_factory=list)

    def prepare(self) -> None:
        """See `Gate`."""

    def await_ready(self) -> None:
        """See `Gate`."""

    def judge(  # noqa: PLR0913 (the port's)
        self,
        suite: Suite,
        policy: Policy,  # noqa: ARG002 (the port's)
        frame: pd.DataFrame,
        *,
        rows: int,
        table: str | None = None,  # noqa: ARG002 (the port's)
        more: Sequence[RuleVerdict] = (),  # noqa: ARG002 (the port's)
    ) -> Judgement:
        """See `Gate`."""
        self.judged.append((suite, frame, rows))
        return self.says.pop(0) if self.says else Said()

    def keep(self, decided: GateDecided, suite: Suite, judgement: Judgement) -> None:  # noqa: ARG002 (the port's)
        """See `Gate`."""
        self.kept.append(decided)
