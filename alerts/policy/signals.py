"""What do the facts of now say about each cause? Everything but the service levels, which need a past (`promises.py`).

A control plane that does not answer is a fact of its own; all else is unknown then, and unknown is neither wrong nor well.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Condition, Signal
from alerts.policy.inhibit import CONTROL, SUPERVISOR
from alerts.policy.lag import lags
from alerts.policy.observed import SAID_WITHIN, STALE_AFTER, Observed
from controlplane.contract.alerts import IncidentSeverity
from controlplane.contract.facts import (
    LedgerTaken,
    MaintenancePlanned,
    MaintenanceRan,
    PartChanged,
    PartState,
    Verdict,
)
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    Outcome,
    Stage,
    SuiteFollowed,
)
from controlplane.contract.gates import Severity as RuleSeverity
from controlplane.contract.latency import ProbesJudged
from controlplane.contract.operations import OperationState
from controlplane.contract.replays import Action, WorkState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from controlplane.contract.operations import Operation
    from controlplane.contract.streams import StreamDefinition

_LONG_STARTS = timedelta(minutes=2)
_OLD_VERDICT = timedelta(minutes=10)
_FAILED_FOR = timedelta(days=1)
"""An operation need not ever be tried again: then its failure is history."""
_DOWN = {
    PartState.STOPPED: "is stopped",
    PartState.UNRESPONSIVE: "does not respond",
    PartState.BACKING_OFF: "is not running",
}
_COMING = {PartState.WAITING: "is still waiting", PartState.STARTING: "is still starting"}
_ENDED = (WorkState.DONE, WorkState.FAILED, WorkState.CANCELLED)
_WRONG, _WELL, _UNKNOWN = Condition.WRONG, Condition.WELL, Condition.UNKNOWN


def signals(observed: Observed, streams: Mapping[str, StreamDefinition]) -> Iterator[Signal]:
    """What is wrong, well or unknown at `observed.at`."""
    yield from _parts(observed)
    if observed.facts is None:
        return
    yield from _gates(observed, streams)
    yield from _suites(observed)
    yield from _breakers(observed)
    yield from lags(observed)
    yield from _ledgers(observed, streams)
    yield from _jobs(observed)
    yield from _probes(observed)


def _parts(observed: Observed) -> Iterator[Signal]:
    if observed.facts is None:
        yield Signal("part_down", CONTROL, _WRONG, f"does not answer: {observed.reason}")
        return
    parts = observed.of(PartChanged)
    newest = max((part.at for part in parts), default=None)
    is_silent = newest is None or observed.at - newest > STALE_AFTER
    if is_silent:
        condition = _WRONG if newest is not None or observed.is_settled else _UNKNOWN
        yield Signal("part_down", SUPERVISOR, condition, "reports nothing: how the parts are is not known")
    else:
        yield Signal("part_down", SUPERVISOR, _WELL)
    yield Signal("part_down", CONTROL, _WELL)  # it has answered, whatever the supervisor says
    for part in parts:
        if part.part != CONTROL:
            yield Signal("part_down", part.part, _UNKNOWN) if is_silent else _part(part)


def _part(part: PartChanged) -> Signal:
    because = "" if part.reason is None else f": {part.reason}"
    if part.state is PartState.HELD:
        reason = f"is held and will not start by itself{because}"
        return Signal("part_down", part.part, _WRONG, reason, after=timedelta(0))
    if part.state in _DOWN:
        return Signal("part_down", part.part, _WRONG, f"{_DOWN[part.state]}{because}")
    if part.state in _COMING:
        return Signal("part_down", part.part, _WRONG, f"{_COMING[part.state]}{because}", after=_LONG_STARTS)
    return Signal("part_down", part.part, _WELL)


def _gates(observed: Observed, streams: Mapping[str, StreamDefinition]) -> Iterator[Signal]:
    for fact in observed.of(GateDecided):
        condition, severity = _verdict(fact, streams.get(fact.stream))
        if condition is _WRONG and fact.outcome is not Outcome.HALTED and observed.age(fact) > _OLD_VERDICT:
            condition = _UNKNOWN  # nothing has been judged since
        table = "" if fact.table is None else f" {fact.table}"
        reason = f"{fact.subject}{table} {fact.outcome.replace('_', ' ')}: {fact.reason or 'no reason is given'}"
        subject = f"{fact.stream}/{fact.stage}"
        yield Signal("gate_failed", subject, condition, reason, _quality(fact.stream), severity)


def _verdict(fact: GateDecided, stream: StreamDefinition | None) -> tuple[Condition, IncidentSeverity | None]:
    if fact.outcome is Outcome.HALTED:
        return _WRONG, IncidentSeverity.CRITICAL
    if fact.outcome is Outcome.MISCONFIGURED:
        return _UNKNOWN, None
    if fact.outcome in (Outcome.PASSED, Outcome.WARNED):
        return _WELL, None
    if fact.stage is not Stage.INGEST:
        return _WRONG, IncidentSeverity.ERROR
    # Single rows that are turned away or let through are what the gate is there for; how many may be, `validity` says.
    promised = 0.99 if stream is None else stream.service_levels.validity
    is_much = fact.outcome is Outcome.LET_THROUGH and _broken_share(fact) > 1 - promised
    return (_WRONG, IncidentSeverity.WARNING) if is_much else (_WELL, None)


def _broken_share(fact: GateDecided) -> float:
    critical = (rule for rule in fact.rules if rule.severity is RuleSeverity.CRITICAL)
    return max(((rule.unexpected or 0) / rule.judged for rule in critical if rule.judged), default=0.0)


def _suites(observed: Observed) -> Iterator[Signal]:
    followed = {(fact.stream, fact.stage): fact for fact in observed.of(SuiteFollowed)}
    for (stream, stage), fact in followed.items():
        heard = observed.age(fact) <= SAID_WITHIN
        condition = _UNKNOWN if not heard else _WELL if fact.refused is None else _WRONG
        reason = f"the suite of now is refused, the one of {fact.since:%H:%M:%S} UTC stays in use: {fact.refused}"
        yield Signal("gate_misconfigured", f"{stream}/{stage}", condition, reason, _quality(stream))
    for decided in observed.of(GateDecided):
        if decided.outcome is not Outcome.MISCONFIGURED:
            continue
        newer = followed.get((decided.stream, decided.stage))
        if newer is None or newer.suite == decided.suite or newer.since <= decided.at:
            reason = f"{decided.subject} could not be judged: {decided.reason or 'no reason is given'}"
            subject = f"{decided.stream}/{decided.stage}"
            yield Signal("gate_misconfigured", subject, _WRONG, reason, _quality(decided.stream), after=timedelta(0))


def _breakers(observed: Observed) -> Iterator[Signal]:
    for fact in observed.of(BreakerChanged):
        is_open = fact.state is not BreakerState.CLOSED
        condition = _UNKNOWN if observed.age(fact) > SAID_WITHIN else _WRONG if is_open else _WELL
        goes_on = (
            "waits for an operator" if fact.resumes_at is None else f"tries again at {fact.resumes_at:%H:%M:%S} UTC"
        )
        reason = f"is {fact.state} since {fact.since:%H:%M:%S} UTC and {goes_on}: {fact.reason or 'no reason is given'}"
        yield Signal("breaker_open", f"{fact.stream}/{fact.stage}", condition, reason, _quality(fact.stream))


def _ledgers(observed: Observed, streams: Mapping[str, StreamDefinition]) -> Iterator[Signal]:
    taken = {fact.stream: fact for fact in observed.of(LedgerTaken)}
    for stream in streams:
        page, fact = f"/ledger/{stream}", taken.get(stream)
        if fact is None:
            condition = _WRONG if observed.is_settled else _UNKNOWN
            yield Signal("ledger_unknown", stream, condition, "no ledger has been taken yet", page)
            continue
        if observed.age(fact) > STALE_AFTER:
            yield Signal("ledger_unknown", stream, _WRONG, "no ledger is being taken any more", page)
            yield Signal("ledger_unbalanced", stream, _UNKNOWN, "", page)
            continue
        is_unknown, is_wrong = fact.verdict is Verdict.UNKNOWN, fact.verdict is Verdict.UNBALANCED
        yield Signal("ledger_unknown", stream, _WRONG if is_unknown else _WELL, fact.reason, page)
        wrong = _UNKNOWN if is_unknown else _WRONG if is_wrong else _WELL
        yield Signal("ledger_unbalanced", stream, wrong, fact.reason, page)


def _jobs(observed: Observed) -> Iterator[Signal]:
    planned = {fact.stream: fact for fact in observed.of(MaintenancePlanned)}
    for stream, fact in planned.items():
        condition = _WELL if fact.reason is None else _WRONG
        yield Signal("job_failed", f"maintenance of {stream}", condition, fact.reason or "", "/lake")
    ended = [work for work in observed.works if work.state in _ENDED and work.asked.action is Action.REPLAY]
    for stream, work in {work.stream: work for work in sorted(ended, key=lambda each: each.changed_at)}.items():
        condition = _WRONG if work.state is WorkState.FAILED else _WELL
        reason = f"{work.id} has failed: {work.reason or 'no reason is given'}"
        yield Signal("job_failed", f"replay of {stream}", condition, reason, f"/quarantine/{stream}")
    runs = sorted(observed.of(MaintenanceRan), key=lambda fact: (fact.at, fact.id))
    newest = {fact.stream: fact.run for fact in runs}
    for ran in (fact for fact in runs if newest[fact.stream] == fact.run):
        subject = f"maintenance of {ran.stream or 'all streams'}"
        reason = f"{ran.what} failed: {ran.error}"
        yield Signal("job_failed", subject, _WELL if ran.error is None else _WRONG, reason, "/lake")
    yield from _operations(observed)


def _operations(observed: Observed) -> Iterator[Signal]:
    """The last of each kind that a stream has had: who started it may have gone, or a schedule did."""
    last: dict[tuple[str, str], tuple[datetime, Operation]] = {}
    for each in observed.operations:
        of = (each.kind.value, each.stream)
        if each.ended_at is not None and (of not in last or each.ended_at > last[of][0]):
            last[of] = (each.ended_at, each)
    for (kind, stream), (ended, operation) in last.items():
        is_wrong = operation.state is OperationState.FAILED and observed.at - ended < _FAILED_FOR
        reason = f"{operation.id} has failed: {operation.reason or 'no reason is given'}"
        yield Signal(
            "job_failed", f"{kind} of {stream}", _WRONG if is_wrong else _WELL, reason, f"/operations/{operation.id}"
        )


def _probes(observed: Observed) -> Iterator[Signal]:
    """That they do not arrive is one cause, of one way; the streams have their own."""
    for fact in observed.of(ProbesJudged):
        condition = _UNKNOWN if observed.age(fact) > STALE_AFTER else _WELL if fact.reason is None else _WRONG
        yield Signal("probes", "probes", condition, f"they do not arrive: {fact.reason}", "/latency/probes")


def _quality(stream: str) -> str:
    return f"/quality/{stream}"
