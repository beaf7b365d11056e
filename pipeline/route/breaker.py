"""Is this a flood? Where nearly all that comes is turned away the fault is upstream or in the suite, and quarantining helps nobody.

A circuit breaker (Nygard, *Release It!*): closed, events pass; open, nothing does; probing, they pass for one window to see
whether it is over. What route turned away is known from its own outputs, so whoever reads them sees the same as the breaker.
What is hard is not to cry flood at a trickle: a share counts only in a window with enough records. Pure: time is a parameter.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 (pydantic reads it)
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from controlplane.contract.frozen import Frozen
from controlplane.contract.gates import BreakerChanged, BreakerState, Order, Policy, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.gates import GateOrdered
    from controlplane.contract.streams import Breaker, IngestGate

_LONGEST = 16
"""Of the pause, in pauses."""


class Sample(Frozen):
    """Records that route's outputs have in all, at a moment."""

    at: AwareDatetime
    valid: int
    dead: int
    quarantined: int

    @property
    def turned_away(self) -> int:
        """Dead or quarantined."""
        return self.dead + self.quarantined


class Circuit(Frozen):
    """How a stream's breaker stands."""

    state: BreakerState = BreakerState.CLOSED
    since: AwareDatetime
    suite: str
    """In use when it came to stand so."""
    resumes_at: AwareDatetime | None = None
    opened: int = 0
    """Times in a row that it was opened without having closed in between."""
    reason: str | None = None
    turned_away: int | None = None
    seen: int | None = None

    def fact(self, stream: str) -> BreakerChanged:
        """What there is to report of it."""
        return BreakerChanged(
            at=self.since,
            stream=stream,
            stage=Stage.INGEST,
            state=self.state,
            since=self.since,
            resumes_at=self.resumes_at,
            turned_away=self.turned_away,
            seen=self.seen,
            reason=self.reason,
        )


def stands(
    circuit: Circuit,
    samples: Sequence[Sample],
    gate: IngestGate,
    suite: str,
    orders: Sequence[GateOrdered],
    now: datetime,
) -> Circuit:
    """How the breaker stands now: `circuit` itself while nothing has changed.

    Args:
        circuit: how it stood.
        samples: oldest first; since the query began, and no longer ago than `remembered` keeps.
        gate: the stream's settings.
        suite: fingerprint of the suite in use.
        orders: to this stage, oldest first.
        now: UTC.
    """
    if circuit.state is BreakerState.OPEN:
        return _resumed(circuit, suite, orders, now)
    if (reason := _flood(samples, gate)) is not None:
        return _opened(circuit, reason, samples, gate, suite, now)
    if circuit.state is BreakerState.PROBING and now - circuit.since >= gate.breaker.window:
        return Circuit(since=now, suite=suite)
    return circuit


def remembered(samples: Sequence[Sample], breaker: Breaker) -> list[Sample]:
    """Of the samples those that a later decision needs: the last window's, and from the last valid record on."""
    if not samples:
        return []
    oldest_s = samples[-1].at - breaker.window
    before = [number for number, each in enumerate(samples) if each.at <= oldest_s]
    window, run = (before[-1] if before else 0), _run_began(samples)
    return [*([samples[run]] if run < window else []), *samples[window:]]


def _resumed(circuit: Circuit, suite: str, orders: Sequence[GateOrdered], now: datetime) -> Circuit:
    ordered = next((each for each in orders if each.order is Order.RESUME and each.at > circuit.since), None)
    if ordered is not None:
        why = f"{ordered.by} resumed it"
    elif suite != circuit.suite:
        why = "there is another suite"
    elif circuit.resumes_at is not None and now >= circuit.resumes_at:
        why = "its pause is over"
    else:
        return circuit
    return Circuit(state=BreakerState.PROBING, since=now, suite=suite, opened=circuit.opened, reason=why)


def _opened(  # noqa: PLR0913 (what it knows)
    circuit: Circuit, reason: str, samples: Sequence[Sample], gate: IngestGate, suite: str, now: datetime
) -> Circuit:
    pause = min(2**circuit.opened, _LONGEST) * gate.breaker.pause
    first, last = _window(samples, gate.breaker), samples[-1]
    return Circuit(
        state=BreakerState.OPEN,
        since=now,
        suite=suite,
        resumes_at=None if gate.policy is Policy.HALT else now + pause,
        opened=circuit.opened + 1,
        reason=reason,
        turned_away=last.turned_away - first.turned_away,
        seen=last.turned_away + last.valid - first.turned_away - first.valid,
    )


def _flood(samples: Sequence[Sample], gate: IngestGate) -> str | None:
    """What says that it is one, in a sentence."""
    if len(samples) < 2:  # noqa: PLR2004 (a difference)
        return None
    breaker, last = gate.breaker, samples[-1]
    first = _window(samples, breaker)
    quarantined, turned_away = last.quarantined - first.quarantined, last.turned_away - first.turned_away
    seen, run = turned_away + last.valid - first.valid, last.turned_away - samples[_run_began(samples)].turned_away
    within = f"within {breaker.window.total_seconds():.0f} s"
    if gate.policy is Policy.HALT and quarantined > 0:
        return f"{quarantined:,} records were quarantined, and the policy is to halt at the first"
    if run >= breaker.run:
        return f"{run:,} records in a row were turned away"
    if turned_away >= breaker.absolute:
        return f"{turned_away:,} records were turned away {within}"
    if seen >= breaker.least and turned_away >= breaker.ratio * seen:
        return f"{turned_away:,} of {seen:,} records were turned away {within}"
    return None


def _window(samples: Sequence[Sample], breaker: Breaker) -> Sample:
    """The newest sample that the last window began after, or the first one."""
    began = samples[-1].at - breaker.window
    return next((each for each in reversed(samples) if each.at <= began), samples[0])


def _run_began(samples: Sequence[Sample]) -> int:
    """Where the count of valid records last rose: what was turned away since then was turned away in a row.

    Within a sample nobody knows the order, so such a one begins no run.
    """
    last = len(samples) - 1
    return next((number for number in range(last, 0, -1) if samples[number].valid > samples[number - 1].valid), 0)
