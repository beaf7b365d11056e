"""What is wrong now is said, the worst first; what is well, ended or only just starting is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.contract.alerts import AlertsCounted
from controlplane.contract.facts import (
    Fact,
    HopMeasured,
    LedgerTaken,
    MaintenancePlanned,
    PartChanged,
    PartState,
    ReferencesLoaded,
    StreamHeld,
    Verdict,
)
from controlplane.contract.gates import BreakerChanged, BreakerState, GateDecided, Stage, SuiteFollowed
from controlplane.contract.lag import Cause, ConsumerKind, LagExplained, LagJudged, LagVerdict, Suspect
from controlplane.contract.names import Hop
from controlplane.contract.scaling import ExecutorsChanged
from controlplane.service.problems import problems
from controlplane.service.state import Known

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
TITLES = {"shop": "Web shop"}


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def part(state: PartState, at: datetime = NOW, name: str = "lake", **more: object) -> PartChanged:
    return PartChanged.model_validate({"at": at, "part": name, "state": state, **more})


def ledger(verdict: Verdict, at: datetime = NOW, reason: str = "because") -> LedgerTaken:
    return LedgerTaken(at=at, stream="shop", partitions=(), verdict=verdict, reason=reason)


def hop(at: datetime = NOW, which: Hop = Hop.LAKE, **more: object) -> HopMeasured:
    return HopMeasured.model_validate({"at": at, "stream": "shop", "hop": which, **more})


def lag(verdict: LagVerdict, at: datetime = NOW, **more: object) -> LagJudged:
    said = {"consumer": "lake shop", "consumer_kind": "query", "topic": "shop.valid", "stream": "shop", "hop": "lake"}
    return LagJudged.model_validate(
        {**said, "at": at, "verdict": verdict, "since": ago(70), "reason": "because", **more}
    )


SUSPECT = Suspect(
    cause=Cause.GATE,
    share=0.81,
    evidence="the gate took 81 % of the batch.",
    advice="See its suite.",
    page="/quality/shop",
)


def references(at: datetime = NOW, refused: str | None = None) -> ReferencesLoaded:
    since = datetime(2025, 12, 30, 8, 5, tzinfo=UTC)
    return ReferencesLoaded(at=at, stream="shop", fingerprint="f" * 12, since=since, rows={"a": 3}, refused=refused)


WELL: tuple[Fact, ...] = (
    part(PartState.RUNNING),
    part(PartState.ENDED, name="feed-shop", reason="its work is done"),
    ledger(Verdict.BALANCED),
    references(ago(90)),
    *(hop(which=which, events=5, lag_s=0.0) for which in Hop),
)


def found(*facts: Fact, began: datetime | None = None, unanswered: tuple[str, datetime] | None = None) -> list[str]:
    """Each problem as `subject reason [since]`."""
    known = Known(began)
    known.fold([*WELL, *facts])
    return [
        f"{each.subject} {each.reason}" + (f" [{(NOW - each.since).total_seconds():.0f} s ago]" if each.since else "")
        for each in problems(known, TITLES, NOW, unanswered)
    ]


CASES: list[tuple[str, tuple[Fact, ...], list[str]]] = [
    ("all-is-well", (), []),
    (
        "refused-references",
        (references(ago(60), "gone"), references(ago(55), "gone")),
        [
            "reference tables of shop are refused, events are still enriched by those of 2025-12-30 08:05 UTC: gone [60 s ago]"
        ],
    ),
    ("mended-references-are-well", (references(ago(60), "no such column"), references(ago(55))), []),
    (
        "maintenance-that-failed",
        (MaintenancePlanned(at=ago(2), stream="shop", reason="the last run ended with code 1"),),
        ["maintenance of shop has failed: the last run ended with code 1 [2 s ago]"],
    ),
    ("maintenance-that-waits-is-well", (MaintenancePlanned(at=NOW, stream="shop", next_at=NOW),), []),
    ("in-flight-is-well", (ledger(Verdict.IN_FLIGHT, NOW + timedelta(seconds=1)),), []),
    (
        "held",
        (part(PartState.HELD, reason="exited with code 1, 5 times", name="a"),),
        ["part a is held and will not start by itself: exited with code 1, 5 times [0 s ago]"],
    ),
    (
        "unresponsive",
        (part(PartState.UNRESPONSIVE, reason="has said nothing for 12 s", name="a"),),
        ["part a does not respond: has said nothing for 12 s [0 s ago]"],
    ),
    (
        "a-crash-loop-is-one-problem-since-its-first-exit",
        (
            part(PartState.RUNNING, ago(50), "a"),
            part(PartState.BACKING_OFF, ago(40), "a"),
            part(PartState.STARTING, ago(20), "a", restarts=1),
            part(PartState.BACKING_OFF, ago(1), "a", restarts=1, reason="exited with code 1"),
        ),
        ["part a is not running: exited with code 1 [40 s ago]"],
    ),
    (
        "starting-again",
        (part(PartState.STARTING, name="a", restarts=2, reason="waiting for it to answer"),),
        ["part a starts again (restart 2): waiting for it to answer [0 s ago]"],
    ),
    ("starting-for-the-first-time-is-no-problem", (part(PartState.STARTING, name="a"),), []),
    ("running-after-restarts-is-no-problem", (part(PartState.RUNNING, name="a", restarts=3),), []),
    (
        "running-and-waiting-for-what-it-needs",
        (
            part(PartState.RUNNING, ago(9), "live", reason="no space"),
            part(PartState.RUNNING, name="live", reason="no space"),
        ),
        ["part live waits: no space [9 s ago]"],
    ),
    ("waiting-for-a-blink-is-no-problem", (part(PartState.RUNNING, ago(2), "live", reason="no space"),), []),
    (
        "a-halted-gate-is-a-problem-of-its-own",
        (part(PartState.RUNNING, ago(9)), part(PartState.RUNNING, reason="shop: suite is halted")),
        [],
    ),
    (
        "waiting-for-a-while-is-no-problem",
        (part(PartState.WAITING, ago(30), "a"), part(PartState.WAITING, name="a")),
        [],
    ),
    (
        "waiting-when-it-should-be-there",
        (part(PartState.WAITING, ago(90), "a"), part(PartState.WAITING, name="a", reason="waits for kafka")),
        ["part a is still waiting after 90 s: waits for kafka [90 s ago]"],
    ),
    (
        "one-part-not-reported-any-more",
        (part(PartState.RUNNING, ago(15), "a"),),
        ["part a has not been reported for 15 s [15 s ago]"],
    ),
    (
        "unbalanced-since-it-first-was",
        (ledger(Verdict.UNBALANCED, NOW + timedelta(seconds=1), "missing: 3 in serving"),),
        ["ledger of shop does not add up: missing: 3 in serving [-1 s ago]"],
    ),
    (
        "ledger-unknown",
        (ledger(Verdict.UNKNOWN, NOW + timedelta(seconds=1), "still counting"),),
        ["ledger of shop is unknown: still counting [-1 s ago]"],
    ),
    (
        "a-query-that-has-stalled",
        (lag(LagVerdict.STALL, lag_s=45.2, lag_events=1234, reason="still"),),
        ["lake shop has stalled, 45 s behind (1,234 events): still; at these rates it will not catch up [70 s ago]"],
    ),
    (
        "a-query-that-takes-records-again-and-will-have-caught-up",
        (lag(LagVerdict.REWIND, lag_s=300.0, catch_up_s=12.4),),
        ["lake shop takes records again, 300 s behind: because; caught up in 12 s [70 s ago]"],
    ),
    ("a-large-lag-that-gets-less-is-no-problem", (lag(LagVerdict.OK, lag_s=86_400.0),), []),
    ("a-stalled-query-that-nobody-has-measured-lately-is-not-known-to-be-one", (lag(LagVerdict.STALL, ago(60)),), []),
    (
        "a-groups-standstill-is-its-owners",
        (lag(LagVerdict.STOP, consumer="billing", consumer_kind=ConsumerKind.GROUP, hop=None),),
        [],
    ),
    (
        "why-is-the-likeliest-cause",
        (
            lag(LagVerdict.WARN, catch_up_s=600.0),
            LagExplained(at=NOW, consumer="lake shop", stream="shop", is_slow=True, suspects=(SUSPECT,)),
        ),
        ["lake shop does not keep up: the gate took 81 % of the batch; caught up in 10 min [70 s ago]"],
    ),
    (
        "a-hop-unknown",
        (hop(NOW + timedelta(seconds=1), reason="the broker is silent"),),
        ["shop.lake is unknown: the broker is silent [-1 s ago]"],
    ),
    (
        "hops-unknown-for-one-reason-are-one-problem",
        tuple(hop(NOW + timedelta(seconds=1), which, reason="silent") for which in (Hop.VALID, Hop.DEAD)),
        ["2 hops of shop are unknown (valid, dead): silent [-1 s ago]"],
    ),
    (
        "the-worst-first",
        (
            hop(NOW + timedelta(seconds=1), reason="silent"),
            part(PartState.BACKING_OFF, name="b"),
            part(PartState.HELD, name="a"),
            ledger(Verdict.UNBALANCED, NOW + timedelta(seconds=1)),
        ),
        [
            "ledger of shop does not add up: because [-1 s ago]",
            "part a is held and will not start by itself [0 s ago]",
            "part b is not running [0 s ago]",
            "shop.lake is unknown: silent [-1 s ago]",
        ],
    ),
]


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_said(facts: tuple[Fact, ...], expected: list[str]) -> None:
    assert found(*facts) == expected


def test_a_silent_supervisor_is_one_problem_not_one_a_part() -> None:
    known = Known()
    known.fold([*WELL[2:], part(PartState.HELD, ago(20)), part(PartState.RUNNING, ago(21), "live")])
    [only] = problems(known, TITLES, NOW)
    assert (only.subject, only.since) == ("supervisor", ago(20))
    assert "for 20 s" in only.reason


def test_what_was_never_reported_is_unknown_but_not_in_the_first_minute() -> None:
    assert {each.subject for each in problems(Known(), TITLES, NOW)} == {
        "supervisor",
        "ledger of shop",
        "6 hops of shop",
    }
    assert problems(Known(began=ago(59)), TITLES, NOW) == ()


def test_what_was_known_and_is_no_more_is_a_problem_in_the_first_minute_too() -> None:
    known = Known(began=ago(30))
    known.fold([part(PartState.RUNNING), ledger(Verdict.BALANCED, ago(12))])
    [only] = problems(known, TITLES, NOW)
    assert (only.subject, only.since, only.page) == ("ledger of shop", ago(12), "/ledger/shop")


def test_clickhouse_that_does_not_answer_is_a_problem() -> None:
    assert found(unanswered=("ClickHouse does not answer: refused", ago(7))) == [
        "ClickHouse does not answer: refused [7 s ago]"
    ]


def test_a_stopped_stage_and_a_refused_suite_are_told_and_a_diverted_batch_is_not() -> None:
    said = {"stream": "shop", "stage": Stage.LAKE}
    judged = {**said, "subject": "micro-batch 7", "suite": "a" * 12, "rows": 9, "judged": 9}
    halted = GateDecided.model_validate(
        {**judged, "at": ago(60), "outcome": "halted", "reason": "product_found is broken"}
    )
    assert found(halted, halted.model_copy(update={"at": ago(30), "id": "x"})) == [
        "lake of shop is halted by its gate: product_found is broken [60 s ago]"
    ]
    assert found(halted, GateDecided.model_validate({**judged, "at": ago(1), "outcome": "diverted"})) == []
    open_ = BreakerChanged(
        **said, at=ago(1), state=BreakerState.OPEN, since=ago(9), resumes_at=ago(-50), reason="a flood"
    )
    assert found(open_) == ["lake of shop pauses until 03:00:50 UTC: a flood [1 s ago]"]
    assert found(open_.model_copy(update={"at": NOW, "state": BreakerState.CLOSED})) == []
    [probing] = found(open_.model_copy(update={"at": NOW, "state": BreakerState.PROBING}))
    assert probing.startswith("lake of shop probes whether the flood is over: a flood")
    refused = SuiteFollowed(**said, at=ago(1), suite="a" * 12, rules=3, since=ago(3600), refused="no such column")
    assert found(refused, refused.model_copy(update={"stage": Stage.INGEST, "id": "y", "at": ago(2)})) == [
        "suites of shop are refused (ingest, lake), what was followed since 2026-01-01 02:00 UTC goes on: no such column [2 s ago]"
    ]


def alerts(at: datetime = NOW, **more: object) -> AlertsCounted:
    counts = dict.fromkeys(("open", "critical", "acknowledged", "held", "waiting", "refused", "version"), 0)
    return AlertsCounted.model_validate({"at": at, "pages": True, **counts, **more})


def test_a_stream_that_an_operation_holds_is_told_until_it_goes_on() -> None:
    held = StreamHeld(at=ago(20), stream="shop", operation="op1", holds="appends", since=ago(30))
    assert found(held) == ["lake of shop is held by operation op1: nothing is appended [30 s ago]"]
    assert found(held, StreamHeld(at=ago(5), stream="shop")) == []


def test_that_nobody_would_be_woken_is_said_here() -> None:
    known = Known()
    known.fold([*WELL, alerts(waiting=2, refused=1, reason="503: away")])
    assert [(each.subject, each.reason) for each in problems(known, TITLES, NOW)] == [
        ("PagerDuty", "has not taken 2 events: 503: away"),
        ("PagerDuty", "has refused 1 event of the last day for good"),
    ]
    known.fold([alerts(waiting=2, reason="503: away", pages=False).model_copy(update={"at": ago(-1)})])
    assert not problems(known, TITLES, NOW), "without a routing key that is what was asked for"


def executors(seconds: float, have: int, want: int) -> ExecutorsChanged:
    return ExecutorsChanged(
        at=ago(seconds), target="lake", have=have, want=want, cores=1, least=1, most=9, port="spark standalone",
        waits_for="the master has no core left" if have < want else None,
    )  # fmt: skip


def test_executors_that_were_asked_for_and_do_not_come_are_a_problem() -> None:
    known = Known()
    known.fold([*WELL, executors(300, 2, 2), executors(130, 2, 8), executors(5, 3, 8)])
    [problem] = problems(known, TITLES, NOW)
    assert (problem.subject, problem.page, problem.since) == ("lake", "/scaling", ago(130))
    assert problem.reason == "has 3 of 8 executors for 130 s: the master has no core left"
    assert not problems(known, TITLES, ago(15)), "two minutes are not over"
    known.fold([executors(1, 8, 8)])
    assert not problems(known, TITLES, NOW)


def test_executors_of_a_part_that_has_fallen_silent_are_no_problem_of_their_own() -> None:
    assert found(executors(200, 2, 8)) == []
