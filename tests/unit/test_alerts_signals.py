"""From facts to signals: what is wrong, what is well, and what is merely not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from alerts.changes import changes
from alerts.incidents import Condition, Key, Signal
from alerts.pages import Writer
from alerts.policy.observed import Observed, Remembered
from alerts.policy.promises import Promises
from alerts.policy.signals import signals
from controlplane.contract.alerts import IncidentSeverity
from controlplane.contract.facts import (
    Fact,
    HopMeasured,
    LedgerTaken,
    MaintenanceRan,
    MaintenanceStage,
    PartChanged,
    PartState,
    Verdict,
)
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    Outcome,
    RuleVerdict,
    Stage,
    SuiteFollowed,
)
from controlplane.contract.gates import Severity as RuleSeverity
from controlplane.contract.lag import Cause, ConsumerKind, LagExplained, LagJudged, LagVerdict, PartitionLag, Suspect
from controlplane.contract.latency import BurnJudged, BurnVerdict, Level, ProbesJudged
from controlplane.contract.names import Hop
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.replays import Work, WorkAsked, WorkState
from controlplane.contract.settings import SHIPPED_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
STREAMS = {"shop": load_stream(SHIPPED_STREAMS / "shop")}
WRONG, WELL, UNKNOWN = Condition.WRONG, Condition.WELL, Condition.UNKNOWN


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def part(name: str = "kafka", state: PartState = PartState.RUNNING, age_s: float = 0, **more: Any) -> PartChanged:
    return PartChanged(at=ago(age_s), part=name, state=state, **more)


def gate(outcome: Outcome, stage: Stage = Stage.LAKE, age_s: float = 0, **more: Any) -> GateDecided:
    fields = {"suite": "f" * 12, "rows": 100, "judged": 100, "reason": "because", **more}
    return GateDecided(at=ago(age_s), stream="shop", stage=stage, subject="micro-batch 17", outcome=outcome, **fields)


def lag(verdict: LagVerdict, age_s: float = 0, **more: Any) -> LagJudged:
    said = {"consumer": "lake shop", "consumer_kind": ConsumerKind.QUERY, "stream": "shop", "hop": Hop.LAKE, **more}
    return LagJudged.model_validate(
        {"at": ago(age_s), "topic": "shop.valid", "verdict": verdict, "reason": "so", **said}
    )


def group(verdict: LagVerdict, moved_s: float | None = 60, stream: str | None = "shop") -> LagJudged:
    moved_at = None if moved_s is None else ago(moved_s)
    partitions = (PartitionLag(partition=0, moved_at=moved_at),)
    kind = ConsumerKind.GROUP
    return lag(verdict, consumer="billing", consumer_kind=kind, hop=None, stream=stream, partitions=partitions)


def ledger(verdict: Verdict, age_s: float = 0) -> LedgerTaken:
    return LedgerTaken(at=ago(age_s), stream="shop", partitions=(), verdict=verdict, reason="because")


def followed(refused: str | None = None, age_s: float = 0, suite: str = "f" * 12, since_s: float = 60) -> SuiteFollowed:
    return SuiteFollowed(
        at=ago(age_s), stream="shop", stage=Stage.LAKE, suite=suite, rules=3, since=ago(since_s), refused=refused
    )


def breaker(state: BreakerState, age_s: float = 0) -> BreakerChanged:
    return BreakerChanged(at=ago(age_s), stream="shop", stage=Stage.INGEST, state=state, since=ago(60), reason="flood")


def said(*facts: Fact, began_s: float = 3600) -> dict[Key, Signal]:
    return keyed(signals(Observed(NOW, facts, ago(began_s)), STREAMS))


def keyed(found: Iterable[Signal]) -> dict[Key, Signal]:
    worst: dict[Key, Signal] = {}
    for each in found:
        known = worst.get(each.key)
        if known is None or each.condition is WRONG or (each.condition is UNKNOWN and known.condition is WELL):
            worst[each.key] = each
    return worst


@pytest.mark.parametrize(
    ("fact", "key", "condition"),
    [
        (part(), ("part_down", "kafka"), WELL),
        (part(state=PartState.ENDED), ("part_down", "kafka"), WELL),
        (part(state=PartState.UNRESPONSIVE), ("part_down", "kafka"), WRONG),
        (part(state=PartState.BACKING_OFF), ("part_down", "kafka"), WRONG),
        (part(state=PartState.HELD), ("part_down", "kafka"), WRONG),
        (part(age_s=60), ("part_down", "kafka"), UNKNOWN),
        (part(age_s=60), ("part_down", "supervisor"), WRONG),
        (part("control", PartState.UNRESPONSIVE), ("part_down", "control"), WELL),
        (gate(Outcome.PASSED), ("gate_failed", "shop/lake"), WELL),
        (gate(Outcome.WARNED), ("gate_failed", "shop/lake"), WELL),
        (gate(Outcome.HALTED), ("gate_failed", "shop/lake"), WRONG),
        (gate(Outcome.HALTED, age_s=7200), ("gate_failed", "shop/lake"), WRONG),
        (gate(Outcome.DIVERTED), ("gate_failed", "shop/lake"), WRONG),
        (gate(Outcome.DIVERTED, age_s=7200), ("gate_failed", "shop/lake"), UNKNOWN),
        (gate(Outcome.LET_THROUGH), ("gate_failed", "shop/lake"), WRONG),
        (gate(Outcome.DIVERTED, Stage.INGEST), ("gate_failed", "shop/ingest"), WELL),
        (gate(Outcome.MISCONFIGURED), ("gate_failed", "shop/lake"), UNKNOWN),
        (gate(Outcome.MISCONFIGURED), ("gate_misconfigured", "shop/lake"), WRONG),
        (followed(), ("gate_misconfigured", "shop/lake"), WELL),
        (followed("no column total"), ("gate_misconfigured", "shop/lake"), WRONG),
        (followed(age_s=120), ("gate_misconfigured", "shop/lake"), UNKNOWN),
        (breaker(BreakerState.CLOSED), ("breaker_open", "shop/ingest"), WELL),
        (breaker(BreakerState.OPEN), ("breaker_open", "shop/ingest"), WRONG),
        (breaker(BreakerState.PROBING), ("breaker_open", "shop/ingest"), WRONG),
        (breaker(BreakerState.OPEN, age_s=120), ("breaker_open", "shop/ingest"), UNKNOWN),
        (lag(LagVerdict.OK, lag_s=86_400.0), ("lag", "shop/lake"), WELL),
        (lag(LagVerdict.WARN), ("lag", "shop/lake"), WRONG),
        (lag(LagVerdict.REWIND), ("lag", "shop/lake"), WRONG),
        (lag(LagVerdict.STALL), ("lag", "shop/lake"), WRONG),
        (lag(LagVerdict.STOP), ("lag", "shop/lake"), WRONG),
        (lag(LagVerdict.UNKNOWN), ("lag", "shop/lake"), UNKNOWN),
        (lag(LagVerdict.STOP, age_s=60), ("lag", "shop/lake"), UNKNOWN),
        (group(LagVerdict.STOP), ("lag", "shop/group billing on shop.valid"), WRONG),
        (group(LagVerdict.STALL), ("lag", "shop/group billing on shop.valid"), WRONG),
        (group(LagVerdict.WARN), ("lag", "shop/group billing on shop.valid"), WELL),
        (group(LagVerdict.REWIND), ("lag", "shop/group billing on shop.valid"), WELL),
        (ledger(Verdict.IN_FLIGHT), ("ledger_unbalanced", "shop"), WELL),
        (ledger(Verdict.UNBALANCED), ("ledger_unbalanced", "shop"), WRONG),
        (ledger(Verdict.UNBALANCED), ("ledger_unknown", "shop"), WELL),
        (ledger(Verdict.UNKNOWN), ("ledger_unbalanced", "shop"), UNKNOWN),
        (ledger(Verdict.UNKNOWN), ("ledger_unknown", "shop"), WRONG),
        (ledger(Verdict.BALANCED, age_s=60), ("ledger_unknown", "shop"), WRONG),
        (ledger(Verdict.BALANCED, age_s=60), ("ledger_unbalanced", "shop"), UNKNOWN),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else getattr(each, "kind", each),
)
def test_a_fact_says(fact: Fact, key: Key, condition: Condition) -> None:
    assert said(fact)[key].condition is condition


def test_a_control_plane_that_does_not_answer_is_what_is_known_and_all_that_is() -> None:
    found = list(signals(Observed(NOW, reason="connection refused"), STREAMS))
    assert [(each.key, each.condition) for each in found] == [(("part_down", "control"), WRONG)]
    assert "connection refused" in found[0].reason


def test_after_the_control_planes_start_what_is_missing_is_not_known_yet() -> None:
    assert said(began_s=5)["ledger_unknown", "shop"].condition is UNKNOWN
    assert said(began_s=5)["part_down", "supervisor"].condition is UNKNOWN
    assert said(began_s=600)["ledger_unknown", "shop"].condition is WRONG
    assert said(began_s=600)["part_down", "supervisor"].condition is WRONG


def test_a_suite_that_was_mended_ends_what_the_broken_one_said() -> None:
    broken = gate(Outcome.MISCONFIGURED, age_s=30)
    assert said(broken, followed(suite="f" * 12, since_s=60))["gate_misconfigured", "shop/lake"].condition is WRONG
    assert said(broken, followed(suite="a" * 12, since_s=10))["gate_misconfigured", "shop/lake"].condition is WELL


@pytest.mark.parametrize(("unexpected", "condition"), [(1, WELL), (50, WRONG)], ids=["a-few-rows", "half-of-all"])
def test_rows_let_through_at_ingest_are_wrong_when_they_are_more_than_promised(
    unexpected: int, condition: Condition
) -> None:
    rule = RuleVerdict(
        rule="r", expectation="e", severity=RuleSeverity.CRITICAL, kept=False, judged=100, unexpected=unexpected
    )
    fact = gate(Outcome.LET_THROUGH, Stage.INGEST, rules=(rule,))
    assert said(fact)["gate_failed", "shop/ingest"].condition is condition


def ran(
    run: str, error: str | None, age_s: float, stage: MaintenanceStage = MaintenanceStage.COMPACT
) -> MaintenanceRan:
    return MaintenanceRan(
        at=ago(age_s), run=run, stream="shop", subject="events", stage=stage, what="w", took_s=1, error=error
    )


def test_the_last_run_of_maintenance_counts() -> None:
    key = ("job_failed", "maintenance of shop")
    assert said(ran("1", "disk full", 60))[key].condition is WRONG
    assert said(ran("1", "disk full", 60), ran("2", None, 10, MaintenanceStage.VACUUM))[key].condition is WELL


def test_what_is_said_once_outlives_a_control_plane_that_starts_again() -> None:
    remembered = Remembered()
    halted, passed = gate(Outcome.HALTED, age_s=20), gate(Outcome.PASSED, age_s=40)
    assert remembered.with_kept([halted]) == (halted,)
    assert remembered.with_kept([passed]) == (halted,), "an older one changes nothing"
    assert remembered.with_kept([]) == (halted,)


def promised(seconds: int, valid: int, quarantined: int, until: int = 0) -> tuple[Promises, datetime]:
    """So many events of each kind a second; after `until`, if it is given, only valid ones."""
    promises, now, turned_away = Promises(STREAMS), NOW, 0
    for second in range(seconds):
        now = NOW + timedelta(seconds=second)
        turned_away += quarantined if not until or second < until else 0
        events = {Hop.VALID: valid * second, Hop.QUARANTINE: turned_away, Hop.DEAD: 0}
        facts = (HopMeasured(at=now, stream="shop", hop=each, events=count) for each, count in events.items())
        promises.count(Observed(now, tuple(facts)))
    return promises, now


@pytest.mark.parametrize(
    ("valid", "quarantined", "condition"),
    [(99, 1, WELL), (90, 10, WELL), (60, 40, WRONG)],
    ids=["one-in-a-hundred", "five-times-the-budget", "twenty-times"],
)
def test_validity_is_judged_by_its_own_budget(valid: int, quarantined: int, condition: Condition) -> None:
    promises, now = promised(120, valid, quarantined)
    found = keyed(promises.signals(now))["validity", "shop"]
    assert found.condition is condition
    assert "40.0% of the last minutes' events were turned away, 2.0% may be" in found.reason or condition is WELL


def test_with_too_few_events_nothing_is_known() -> None:
    promises, now = promised(20, 6, 4)
    assert keyed(promises.signals(now))["validity", "shop"].condition is UNKNOWN


def test_a_burn_is_over_soon_after_its_cause_and_a_restart_forgets_nothing() -> None:
    conditions = []
    for seconds in (120, 1200):
        promises, now = promised(seconds, 60, 40, until=120)
        conditions += [each.condition for each in promises.signals(now)]
        restored = Promises(STREAMS)
        restored.restore([*promises.rows(NOW), ("freshness", "shop/lake", 0.0, 1.0, 1.0)])
        assert [*restored.signals(now)] == [*promises.signals(now)]
    assert conditions == [WRONG, WELL]


def burn(verdict: BurnVerdict, age_s: float = 0, level: Level = "freshness") -> BurnJudged:
    hop = Hop.LAKE if level == "freshness" else None
    return BurnJudged(at=ago(age_s), stream="shop", level=level, hop=hop, promised_s=30, bad_share=0.4, verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "condition", "severity"),
    [
        (BurnVerdict.BURNS_FAST, WRONG, IncidentSeverity.ERROR),
        (BurnVerdict.BURNS, WRONG, IncidentSeverity.WARNING),
        (BurnVerdict.KEPT, WELL, None),
        (BurnVerdict.UNKNOWN, UNKNOWN, None),
    ],
)
@pytest.mark.parametrize(("level", "subject"), [("freshness", "shop/lake"), ("latency", "shop")])
def test_what_is_counted_in_seconds_is_as_the_control_plane_judged(
    verdict: BurnVerdict, condition: Condition, severity: IncidentSeverity | None, level: Level, subject: str
) -> None:
    promises = Promises(STREAMS)
    promises.count(Observed(NOW, (burn(verdict, level=level),)))
    found = keyed(promises.signals(NOW))[level, subject]
    assert (found.condition, found.severity) == (condition, severity)
    assert ("for 40% of the last minutes" in found.reason) is (condition is WRONG)


def test_what_was_judged_before_the_control_plane_went_away_says_nothing_of_now() -> None:
    promises = Promises(STREAMS)
    promises.count(Observed(NOW, (burn(BurnVerdict.BURNS_FAST),)))
    promises.count(Observed(NOW, None, reason="refused"))
    assert [*promises.signals(NOW)] == []
    promises.count(Observed(NOW, (burn(BurnVerdict.BURNS_FAST, age_s=20),)))
    assert [*promises.signals(NOW)] == [], "nobody has judged since"


@pytest.mark.parametrize(
    ("reason", "age_s", "condition"),
    [("one has been on its way for 45 s", 0, WRONG), (None, 0, WELL), ("long ago", 20, UNKNOWN)],
    ids=["missing", "arriving", "nobody-says"],
)
def test_probes_that_do_not_arrive_are_one_cause_of_their_own(
    reason: str | None, age_s: float, condition: Condition
) -> None:
    said = ProbesJudged(at=ago(age_s), reason=reason)
    found = keyed(signals(Observed(NOW, (said,)), STREAMS))["probes", "probes"]
    assert (found.condition, found.page) == (condition, "/latency/probes")
    assert found.reason == f"they do not arrive: {reason}"


def work(state: WorkState, age_s: float = 0, reason: str | None = None) -> Work:
    return Work(
        id=f"w{age_s:.0f}", stream="shop", asked=WorkAsked(by="ana"), state=state, at=ago(age_s + 60),
        changed_at=ago(age_s), done=1234, reason=reason,
    )  # fmt: skip


def test_the_last_replay_that_has_ended_counts() -> None:
    key = ("job_failed", "replay of shop")
    failed = work(WorkState.FAILED, 60, "the broker is silent")
    for later, condition in ((WorkState.RUNNING, WRONG), (WorkState.DONE, WELL)):
        found = keyed(signals(Observed(NOW, (), works=(work(later, 10), failed)), STREAMS))
        assert found[key].condition is condition


def test_what_has_been_done_is_told_as_changes() -> None:
    works = (work(WorkState.DONE, 60), work(WorkState.RUNNING), work(WorkState.FAILED, 7200))
    runs = (ran("1", None, 60), ran("1", "disk full", 50), ran("2", None, 5))
    told = [*changes(Observed(NOW, runs, works=works), (), Writer("http://c", "m"))]
    assert [event.summary for event in told] == [
        "Replay of 1,234 quarantined records of shop by ana: done",
        "Maintenance of shop: 2 stages, 1 failed",
    ]


def operation(name: str, state: OperationState, ended: timedelta, reason: str | None = None) -> Operation:
    return Operation(
        id=name, kind=Kind.ROLLBACK, stream="shop", asked={}, by="ana", confirmed_by="bob", cli="tidegate", at=NOW,
        changed_at=NOW, state=state, reason=reason, ended_at=NOW - ended,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "later", "condition"),
    [
        (timedelta(hours=1), None, WRONG),
        (timedelta(hours=1), OperationState.DONE, WELL),
        (timedelta(hours=1), OperationState.CANCELLED, WELL),
        (timedelta(hours=25), None, WELL),
    ],
)
def test_an_operation_that_failed_is_wrong_until_its_kind_ends_well_or_a_day_has_passed(
    ended: timedelta, later: OperationState | None, condition: Condition
) -> None:
    failed = operation("new", OperationState.FAILED, ended, "the disk is full")
    after = () if later is None else (operation("later", later, timedelta(minutes=1)),)
    found = keyed(signals(Observed(NOW, (), operations=(*after, failed)), STREAMS))["job_failed", "rollback of shop"]
    assert found.condition is condition
    if condition is WRONG:
        assert (found.reason, found.page) == ("new has failed: the disk is full", "/operations/new")


def test_an_operation_that_has_ended_is_told_as_a_change_once() -> None:
    new = operation("new", OperationState.FAILED, timedelta(minutes=1), "stale")
    old = operation("old", OperationState.FAILED, timedelta(hours=2), "stale")
    [event] = changes(Observed(NOW, (), operations=(new, old)), (), Writer("http://c", "m"))
    assert event.summary == "Rollback of shop by bob: failed (stale)"
    assert event.key == "tidegate/operation/new"
    assert [link.href for link in event.links] == ["http://c/operations/new"]


def test_only_groups_that_read_a_stream_and_were_at_work_are_told_of() -> None:
    assert not [key for key in said(group(LagVerdict.STOP, moved_s=None)) if key[0] == "lag"], "abandoned long ago"
    assert not [key for key in said(group(LagVerdict.STOP, stream=None)) if key[0] == "lag"], "on a topic of nobody's"


def test_a_lag_says_who_and_how_far_and_how_bad_that_is() -> None:
    key = ("lag", "shop/lake")
    stalled = said(lag(LagVerdict.STALL, lag_s=95.2, lag_events=1234))[key]
    assert stalled.reason == "lake shop: stall, 95 s behind (1,234 events): so"
    assert (stalled.severity, stalled.after, stalled.page) == (
        IncidentSeverity.ERROR,
        timedelta(seconds=30),
        "/lag/lake%20shop",
    )
    slow = said(lag(LagVerdict.WARN))[key]
    assert (slow.severity, slow.after) == (IncidentSeverity.WARNING, timedelta(minutes=5))


def test_a_lag_says_its_likeliest_cause_while_that_is_known() -> None:
    suspects = tuple(
        Suspect(cause=cause, share=share, evidence=f"{cause} it is.", advice="", page="/lag")
        for cause, share in ((Cause.SMALL_FILES, 0.6), (Cause.GATE, 0.2))
    )
    behind = lag(LagVerdict.WARN, lag_s=95.2)
    why = LagExplained(at=ago(5), consumer="lake shop", stream="shop", is_slow=True, suspects=suspects)
    told = said(behind, why)["lag", "shop/lake"].reason
    assert told == "lake shop: warn, 95 s behind: so; likeliest cause, small files: small_files it is."
    old = why.model_copy(update={"at": ago(40)})
    assert said(behind, old)["lag", "shop/lake"].reason == "lake shop: warn, 95 s behind: so"
    other = why.model_copy(update={"consumer": "route shop"})
    assert said(behind, other)["lag", "shop/lake"].reason == "lake shop: warn, 95 s behind: so"
