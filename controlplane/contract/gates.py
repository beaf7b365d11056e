"""What does a gate say, and what may an operator say to it?

One suite a stage. Before a stage commits, its gate decides over what is to be committed; what follows is the stage's policy.
A suite that cannot be followed is neither: it is a configuration error, and the one before stays in use.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen, Reported


class Stage(StrEnum):
    """Where a gate stands, in the order of an event's way."""

    INGEST = "ingest"
    """Each row, in route, by rules that are compiled to Spark Columns."""
    LAKE = "lake"
    """Each micro-batch, before it is committed to Delta."""
    ROLLUP = "rollup"
    """Closed windows, before they are published."""
    SERVING = "serving"
    """What ClickHouse answers, after they were."""


class Policy(StrEnum):
    """What a gate does with what a critical rule does not let through."""

    PASS = "pass"  # noqa: S105 (no password)
    """Commit it all the same; the verdict says what is wrong with it."""
    DIVERT = "divert"
    """Quarantine it (ingest: the row; lake: the micro-batch) and go on."""
    HALT = "halt"
    """Commit nothing and wait: for an operator, another suite, or data that passes."""


class Severity(StrEnum):
    """How much a broken rule matters: only `critical` invokes the policy."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Outcome(StrEnum):
    """What came of a verdict, the worst last."""

    PASSED = "passed"
    """Every rule is kept, but for those of severity `info`."""
    WARNED = "warned"
    """A rule of severity `warning` is broken."""
    LET_THROUGH = "let_through"
    """A critical rule is broken, and the policy is to pass it; or an operator said so."""
    DIVERTED = "diverted"
    HALTED = "halted"
    MISCONFIGURED = "misconfigured"
    """A critical rule could not be evaluated, so nothing is known of the data: the stage waits as if halted, and says so.

    With the policy to pass it goes on, unjudged.
    """


class RuleVerdict(Frozen):
    """What one rule said of what was judged."""

    rule: str
    """Its `meta.name`, else derived from type and column."""
    expectation: str
    """Great Expectations' type, `expect_...`."""
    severity: Severity
    kept: bool | None
    """None when it could not be evaluated; `reason` says why."""
    judged: int | None = None
    """Rows that it was evaluated on; None where it is not about rows."""
    unexpected: int | None = None
    """Of them, those that break it; None where it is not about rows."""
    observed: str | None = None
    """What was found instead, for expectations about a whole table."""
    examples: tuple[str, ...] = ()
    """Some unexpected values, shortened."""
    reason: str | None = None


class GateDecided(Reported):
    """A gate has decided; reported after what it led to is durable."""

    kind: Literal["gate_decided"] = "gate_decided"
    stream: str
    stage: Stage
    table: str | None = None
    """Rollup and serving: the rollup's name."""
    subject: str
    """What was judged, in words: `micro-batch 17`, `windows until 12:30`, `the last minute`."""
    suite: str
    """Fingerprint of the stage's suite."""
    outcome: Outcome
    rows: int
    """Rows that the decision is about."""
    judged: int
    """Of them, those that were looked at: fewer when it was a sample."""
    rules: tuple[RuleVerdict, ...] = ()
    took_s: float | None = None
    """Of the gate itself; None for ingest, whose rules are part of the query."""
    stage_took_s: float | None = None
    """Of the stage's work on the same rows, the gate included."""
    reason: str | None = None
    """One sentence, unless it passed."""


class SuiteFollowed(Reported):
    """A part follows this version of a stream's suite, as it says while it runs."""

    kind: Literal["suite_followed"] = "suite_followed"
    stream: str
    stage: Stage
    suite: str
    """Fingerprint."""
    rules: int
    since: AwareDatetime
    """When it was taken."""
    refused: str | None = None
    """Why the suite of now is not taken, a configuration error; None while it is the one in use."""


class BreakerState(StrEnum):
    """Of a flood breaker, as electricians say: open means that nothing passes."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    """It goes on for a moment to see whether the flood is over."""


class BreakerChanged(Reported):
    """A stage's flood breaker stands so, as the stage says while it runs."""

    kind: Literal["breaker_changed"] = "breaker_changed"
    stream: str
    stage: Stage
    state: BreakerState
    since: AwareDatetime
    resumes_at: AwareDatetime | None = None
    """When it will go on by itself; None when only an operator, or another suite, lets it."""
    turned_away: int | None = None
    """Of the last window's records."""
    seen: int | None = None
    """The last window's records."""
    reason: str | None = None
    """What opened it, in a sentence."""


class Order(StrEnum):
    """What an operator says to a gate that has stopped its stage."""

    RESUME = "resume"
    """Try again: a breaker probes at once, a halted micro-batch is judged once more."""
    PASS = "pass"  # noqa: S105 (no password)
    """Let what is held through, as it is."""
    DIVERT = "divert"
    """Quarantine what is held, and go on."""
    RELEASE = "release"
    """Put a diverted micro-batch into the lake after all."""


class GateOrdered(Frozen):
    """An operator's order, kept by the control plane; rooms ask for it and follow the newest.

    It counts for what has stopped before `at`, so a part that reads it again does nothing new.
    """

    stream: str
    stage: Stage
    order: Order
    at: AwareDatetime
    subject: str | None = None
    """release: which micro-batch (`batch` in its rejects)."""
    by: str = Field("operator", max_length=100)
