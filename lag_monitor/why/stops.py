"""Has it been stopped, or held up? By a gate or a flood breaker, or because its part is down or stands still.

What has stopped a query explains all of what has come since: its share is 1, whatever its batches were like before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.facts import PartState
from controlplane.contract.gates import BreakerState, Outcome, Stage
from controlplane.contract.lag import Cause, LagVerdict, Suspect
from lag_monitor.why.observed import LEAST, batches_of
from lag_monitor.why.writes import gate_s

if TYPE_CHECKING:
    from controlplane.contract.gates import BreakerChanged, GateDecided
    from lag_monitor.why.observed import Observed

_HELD = (Outcome.HALTED, Outcome.MISCONFIGURED)
"""With the policy to pass, what can't be judged goes on: then the stage's time is told."""
_WORKS = (PartState.RUNNING, PartState.ENDED)
_COMES = (PartState.WAITING, PartState.STARTING)
"""While nothing is left to take, nobody misses it."""


def gate(observed: Observed) -> Suspect | None:
    """Judging takes a large share of the batches, or what was judged waits for an operator."""
    if observed.breaker is not None and observed.breaker.state is not BreakerState.CLOSED:
        return _open(observed, observed.breaker)
    if (halted := halted_by(observed)) is not None:
        return _halted(observed, halted)
    judged = [(batch, took) for batch in observed.told if (took := gate_s(batch, observed))]
    took, gated = sum(batch.took_s for batch, _ in judged), sum(seconds for _, seconds in judged)
    share = min(1.0, gated / took) if took else 0.0
    if share < LEAST:
        return None
    last = observed.gates[-1]
    return Suspect(
        cause=Cause.GATE,
        share=share,
        evidence=f"judging took {gated:.1f} s of {took:.1f} s in {batches_of(len(judged))}: "
        f"{len(last.rules)} rules on {last.judged:,} of {last.rows:,} rows.",
        advice=f"Lower `gates.{last.stage}.sample` in {observed.query.stream}'s stream.yaml, or take costly rules out of its "
        f"suite.json; see the page Quality.",
        page=f"/quality/{observed.query.stream}",
        numbers={"gate_s": gated, "batches_s": took, "rules": len(last.rules)},
    )


def halted_by(observed: Observed) -> GateDecided | None:
    """The verdict that holds the query up now; a part that waits at its gate says the same one again and again."""
    newest = observed.gates[-1] if observed.gates else None
    is_held = newest is not None and newest.outcome in _HELD and newest.stage_took_s is None
    return newest if is_held else None


def _halted(observed: Observed, halted: GateDecided) -> Suspect:
    stream, for_s = observed.query.stream, (observed.now - halted.at).total_seconds()
    return Suspect(
        cause=Cause.GATE,
        share=1.0,
        evidence=f"{halted.subject} has been held by the gate {halted.stage} for {for_s:.0f} s: {halted.reason or halted.outcome}.",
        advice=f"Look at the page Quality, then `tidegate gate pass {stream} {halted.stage}` lets it through, "
        f"`tidegate gate divert {stream} {halted.stage}` quarantines it.",
        page=f"/quality/{stream}",
        numbers={"halted_s": for_s, "rows": halted.rows},
    )


def _open(observed: Observed, breaker: BreakerChanged) -> Suspect:
    stream, for_s = observed.query.stream, (observed.now - breaker.since).total_seconds()
    return Suspect(
        cause=Cause.GATE,
        share=1.0,
        evidence=f"the flood breaker has been {breaker.state} for {for_s:.0f} s: {breaker.reason or 'no reason is given'}.",
        advice=f"Find out who sends broken events on the page Quarantine; `tidegate gate resume {stream} {Stage.INGEST}` tries "
        f"again at once.",
        page=f"/quality/{stream}",
        numbers={"open_s": for_s},
    )


def stopped(observed: Observed) -> Suspect | None:
    """What has stopped the query: while it holds, nothing else matters."""
    if is_down(observed):
        return not_running(observed)
    return gate(observed) if is_held(observed) else None


def is_down(observed: Observed) -> bool:
    """Its part does not run, as the supervisor says."""
    if observed.part is None or observed.part.state in _WORKS:
        return False
    return observed.lags_now or observed.part.state not in _COMES


def is_held(observed: Observed) -> bool:
    """A gate or a breaker lets nothing through: then that is why nothing moves."""
    is_open = observed.breaker is not None and observed.breaker.state is not BreakerState.CLOSED
    return is_open or halted_by(observed) is not None


def not_running(observed: Observed) -> Suspect | None:
    """Its part is down, or it is there and takes nothing: the share of the lag's age that it has stood still."""
    part = observed.part
    if part is not None and is_down(observed):
        return Suspect(
            cause=Cause.NOT_RUNNING,
            share=1.0,
            evidence=f"the part {part.part} is {part.state.replace('_', ' ')}{f': {part.reason}' if part.reason else ''}.",
            advice=f"Read `tidegate logs {part.part}`, then `tidegate restart {part.part}`: it goes on where it was.",
            page="/",
            numbers={"restarts": part.restarts},
        )
    return None if observed.running else _still(observed)


def _still(observed: Observed) -> Suspect | None:
    for_s, lag = observed.stands_still_s, observed.lag
    if for_s is None or lag is None:
        return None
    share = 1.0 if not lag.lag_s else min(1.0, for_s / lag.lag_s)
    if share < LEAST:
        return None
    name, part = observed.query.name, observed.query.part
    what = "says nothing any more" if lag.verdict is LagVerdict.STOP else "takes nothing"
    return Suspect(
        cause=Cause.NOT_RUNNING,
        share=share,
        evidence=f"{name} {what} for {for_s:.0f} s, and {lag.lag_events or 0:,} offsets are left; no stage of it runs.",
        advice=f"Read `tidegate logs {part}`, then `tidegate restart {part}`: it goes on where it was.",
        page=observed.query.lag_page,
        numbers={"still_s": for_s, "lag_events": lag.lag_events or 0},
    )
