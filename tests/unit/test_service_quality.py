"""Gates as known, and as they were: the order of facts does not matter, what nobody says is unknown, nothing is invented."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.facts import FACTS, Verdict
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    GateOrdered,
    Order,
    Outcome,
    Policy,
    RuleVerdict,
    Severity,
    Stage,
    SuiteFollowed,
)
from controlplane.contract.push import LedgerPoint
from controlplane.contract.verdicts import VerdictPoint
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.quality import BUCKETS, buckets, quality_frame, quality_history, turned_away
from controlplane.service.service import Service
from controlplane.service.state import Known
from controlplane.service.verdict_file import VerdictFile
from controlplane.service.verdicts import POINTS_AT_MOST, SHOWN, TIMED, VerdictHistory, point_of

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition
    from controlplane.contract.verdicts import GateState

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def decided(
    seconds_ago: float,
    outcome: Outcome = Outcome.PASSED,
    stage: Stage = Stage.LAKE,
    table: str | None = None,
    gate_s: float | None = 0.5,
    suite: str = "aaaaaaaaaaaa",
) -> GateDecided:
    broken = RuleVerdict(
        rule="product_found",
        expectation="expect_column_values_to_not_be_null",
        severity=Severity.CRITICAL,
        kept=outcome is Outcome.PASSED,
        judged=200,
        unexpected=0 if outcome is Outcome.PASSED else 50,
    )
    return GateDecided(
        id=f"{stage}-{table}-{seconds_ago}",
        at=ago(seconds_ago),
        stream="shop",
        stage=stage,
        table=table,
        subject="micro-batch 1",
        suite=suite,
        outcome=outcome,
        rows=200,
        judged=200,
        rules=(broken,),
        took_s=gate_s,
        stage_took_s=None if gate_s is None else 5.0,
    )


def followed(seconds_ago: float, suite: str = "aaaaaaaaaaaa", refused: str | None = None) -> SuiteFollowed:
    return SuiteFollowed(
        id=f"{suite}-{seconds_ago}",
        at=ago(seconds_ago),
        stream="shop",
        stage=Stage.LAKE,
        suite=suite,
        rules=3,
        since=ago(900),
        refused=refused,
    )


def gates(
    shop: StreamDefinition, *facts: GateDecided | SuiteFollowed | BreakerChanged, orders: tuple[GateOrdered, ...] = ()
) -> dict[tuple[Stage, str | None], GateState]:
    known, verdicts = Known(), VerdictHistory()
    known.fold(facts)
    verdicts.fold(facts, NOW)
    [stream] = quality_frame(known, verdicts, orders, [shop], NOW).streams
    return {(gate.stage, gate.table): gate for gate in stream.gates}


def test_a_gate_of_which_nobody_has_spoken_is_unknown_with_a_reason(shop: StreamDefinition) -> None:
    found = gates(shop)
    assert list(found) == [(stage, None) for stage in Stage]
    lake = found[Stage.LAKE, None]
    assert (lake.last, lake.followed, lake.share, lake.policy) == (None, None, None, Policy.DIVERT)
    assert lake.reason == "nobody has said yet which suite is followed"
    assert found[Stage.INGEST, None].breaker_reason == "nobody has said yet how it stands"


def test_what_was_said_long_ago_is_not_known_any_more(shop: StreamDefinition) -> None:
    breaker = BreakerChanged(at=ago(90), stream="shop", stage=Stage.LAKE, state=BreakerState.CLOSED, since=ago(90))
    lake = gates(shop, followed(90), breaker, decided(90))[Stage.LAKE, None]
    assert lake.reason == "nobody has said for 90 s which suite is followed"
    assert lake.breaker_reason == "nobody has said for 90 s how it stands; it was closed"
    assert (lake.followed, lake.breaker, lake.is_stale) == (None, None, True)


def test_a_gate_that_has_halted_its_stage_does_not_grow_old(shop: StreamDefinition) -> None:
    assert not gates(shop, decided(900, Outcome.HALTED))[Stage.LAKE, None].is_stale


def test_ingest_that_has_not_judged_for_minutes_is_stale(shop: StreamDefinition) -> None:
    ingest = [decided(each, stage=Stage.INGEST, gate_s=None) for each in (200, 20)]
    assert gates(shop, ingest[0])[Stage.INGEST, None].is_stale
    assert not gates(shop, *ingest)[Stage.INGEST, None].is_stale


def test_a_refused_suite_is_told_beside_the_one_in_use(shop: StreamDefinition) -> None:
    lake = gates(shop, followed(3, refused="suite.json: line 3: no such column"), decided(5))[Stage.LAKE, None]
    assert lake.followed is not None
    assert (lake.followed.suite, lake.followed.refused) == ("aaaaaaaaaaaa", "suite.json: line 3: no such column")
    assert lake.last is not None
    assert lake.last.outcome is Outcome.PASSED


def test_each_rollup_has_a_gate_in_the_streams_order(shop: StreamDefinition) -> None:
    facts = [decided(9, stage=Stage.ROLLUP, table=table) for table in ("interest", "traffic", "sales")]
    found = [table for stage, table in gates(shop, *facts) if stage is Stage.ROLLUP]
    assert found == ["traffic", "sales", "interest"]


def test_the_share_of_time_is_over_the_last_verdicts_that_measured_it(shop: StreamDefinition) -> None:
    slow = [decided(5000 + each, gate_s=5.0) for each in range(TIMED)]
    quick = [decided(each, gate_s=0.5) for each in range(TIMED)]
    facts = [*slow, *quick, decided(0.5, gate_s=None)]
    for each in (facts, random.Random(1).sample(facts, len(facts)) + facts):  # noqa: S311 (a drawing)
        lake = gates(shop, *each)[Stage.LAKE, None]
        assert lake.share == pytest.approx(0.1)
        assert lake.share_of == TIMED


def test_an_order_is_told_until_something_follows_it(shop: StreamDefinition) -> None:
    order = GateOrdered(stream="shop", stage=Stage.LAKE, order=Order.RESUME, at=ago(10))
    halted = decided(20, Outcome.HALTED)
    assert gates(shop, halted, orders=(order,))[Stage.LAKE, None].ordered == order
    assert gates(shop, halted, decided(5), orders=(order,))[Stage.LAKE, None].ordered is None
    resumed = BreakerChanged(at=NOW, stream="shop", stage=Stage.LAKE, state=BreakerState.CLOSED, since=ago(5))
    assert gates(shop, halted, resumed, orders=(order,))[Stage.LAKE, None].ordered is None


def history(*facts: GateDecided | SuiteFollowed) -> VerdictHistory:
    kept = VerdictHistory()
    kept.fold(facts, NOW)
    return kept


def test_all_that_did_not_pass_is_kept_and_one_a_minute_of_the_rest() -> None:
    facts = [decided(each, Outcome.HALTED if each in (31, 33) else Outcome.PASSED) for each in range(1, 60)]
    assert [(each.at, each.outcome) for each in history(*facts).points("shop", NOW)] == [
        (ago(59), Outcome.PASSED),
        (ago(33), Outcome.HALTED),
        (ago(31), Outcome.HALTED),
    ]


def test_the_history_does_not_depend_on_order_or_repetition() -> None:
    kinds = list(Outcome)
    facts = [
        *(decided(each * 7, kinds[each % len(kinds)], table=f"t{each % 3}") for each in range(300)),
        *(followed(each, suite=f"{each % 4:012d}") for each in range(40)),
    ]
    once = history(*facts)
    often = history(*random.Random(2).sample(facts, len(facts)), *facts)  # noqa: S311 (a drawing)
    assert often.points("shop", NOW) == once.points("shop", NOW)
    assert often.suites("shop") == once.suites("shop")


def test_a_verdict_that_comes_twice_is_saved_once() -> None:
    kept = history(decided(3, Outcome.HALTED), followed(2))
    assert len(kept.take_unsaved()) == 3
    kept.fold([decided(3, Outcome.HALTED), followed(2)], NOW)
    assert kept.take_unsaved() == []


def test_memory_is_bounded_and_the_newest_stay() -> None:
    facts = [decided(each, Outcome.HALTED) for each in range(1, POINTS_AT_MOST + 50)]
    found = history(*random.Random(3).sample(facts, len(facts))).points("shop", NOW)  # noqa: S311 (a drawing)
    assert (len(found), found[0].at) == (POINTS_AT_MOST, ago(POINTS_AT_MOST))


def test_a_point_knows_by_how_much_a_rule_was_broken() -> None:
    [point] = history(decided(1, Outcome.DIVERTED)).points("shop", NOW)
    assert point.broken == {"product_found": 0.25}


def test_a_suite_is_seen_from_its_first_to_its_last_mention() -> None:
    [seen] = history(decided(2000), followed(50), followed(5), decided(1)).suites("shop")
    assert (seen.suite, seen.since, seen.until, seen.rules) == ("aaaaaaaaaaaa", ago(2000), ago(1), 3)


def test_verdicts_and_suites_outlive_the_control_plane(tmp_path: Path) -> None:
    file, before = VerdictFile(tmp_path / "control" / "verdicts.sqlite"), history(decided(3), followed(2))
    assert file.save(before.take_unsaved(), NOW)
    after = VerdictHistory()
    after.restore(file.load(NOW - SHOWN), NOW)
    assert after.points("shop", NOW) == before.points("shop", NOW)
    assert after.suites("shop") == before.suites("shop")
    assert after.take_unsaved() == []


def test_what_passed_more_than_a_day_ago_is_thinned_and_what_did_not_stays(tmp_path: Path) -> None:
    file, day = VerdictFile(tmp_path / "verdicts.sqlite"), 24 * 3600
    failed = [decided(2 * day + 60 * each + 1, Outcome.HALTED) for each in range(30)]
    passed = [
        decided(age + 60 * each, table=table) for age in (2 * day, 0) for each in range(30) for table in ("a", "b")
    ]
    rare = decided(2 * day + 5 * 60, table="c")
    assert file.save([("shop", point_of(each)) for each in (*failed, *passed, rare)], ago(day - 900))
    assert file.save([], NOW)  # what has come of age since
    kept = Counter(
        (each.table, each.outcome, NOW - each.at > timedelta(days=1))
        for _, each in file.load(NOW - timedelta(days=3))
        if isinstance(each, VerdictPoint)
    )
    assert kept == {
        ("a", Outcome.PASSED, True): 4,  # the minutes fall into four tens
        ("b", Outcome.PASSED, True): 4,
        ("c", Outcome.PASSED, True): 1,
        ("a", Outcome.PASSED, False): 30,
        ("b", Outcome.PASSED, False): 30,
        (None, Outcome.HALTED, True): 30,
    }


def test_a_file_that_cannot_be_used_costs_only_the_past(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("no folder")
    file = VerdictFile(tmp_path / "taken" / "verdicts.sqlite")
    assert not file.save(history(decided(3)).take_unsaved(), NOW)
    assert file.load(NOW - SHOWN) == []
    assert len(caplog.records) == 1


def test_a_stretch_shows_its_worst_verdict_and_one_without_any_is_unknown() -> None:
    points = history(decided(100), decided(90, Outcome.DIVERTED), decided(20)).points("shop", NOW)
    found = buckets(points, NOW, timedelta(minutes=BUCKETS))
    assert [each.outcome for each in found[-4:]] == [None, Outcome.DIVERTED, Outcome.PASSED, None]
    assert found[-3].broken == ("product_found",)
    assert len(found) == BUCKETS


def test_a_gate_that_passes_every_ten_seconds_leaves_no_gap_in_an_hour() -> None:
    points = history(*(decided(each * 10) for each in range(1, 400))).points("shop", NOW)
    found = buckets(points, NOW - timedelta(seconds=1), timedelta(hours=1))
    assert (len(found), {each.outcome for each in found}) == (60, {Outcome.PASSED})


def test_stretches_stay_where_they_are_while_time_goes_on() -> None:
    points = history(decided(100)).points("shop", NOW)
    first, second = (buckets(points, NOW + timedelta(seconds=each), timedelta(minutes=BUCKETS)) for each in (1, 59))
    assert first == second
    assert buckets(points, NOW + timedelta(seconds=61), timedelta(minutes=BUCKETS))[:-1] == first[1:]


def account(minutes_ago: float, valid: int | None, dead: int, quarantined: int) -> LedgerPoint:
    return LedgerPoint(
        at=ago(60 * minutes_ago),
        verdict=Verdict.BALANCED,
        reason="",
        valid=valid,
        dead=dead,
        quarantined=quarantined,
    )


@pytest.mark.parametrize(
    ("before", "after", "share", "routed"),
    [
        ((90, 5, 5), (180, 10, 10), 0.1, 100),
        ((90, 5, 5), (90, 5, 5), None, 0),
        ((None, 5, 5), (90, 5, 5), None, None),
        ((90, 5, 5), (10, 0, 0), None, None),
    ],
    ids=["ten-per-cent", "nothing-came-is-not-zero-per-cent", "not-counted-is-unknown", "begun-anew-is-unknown"],
)
def test_what_is_turned_away_is_told_by_minute(
    before: tuple[int | None, int, int], after: tuple[int | None, int, int], share: float | None, routed: int | None
) -> None:
    [found] = turned_away([account(2, *before), account(1, *after)])
    assert (found.share, found.routed) == (share, routed)


def test_a_history_has_a_strip_a_gate_in_the_order_of_an_events_way() -> None:
    kept = history(decided(9, stage=Stage.ROLLUP, table="sales"), decided(8), decided(7, stage=Stage.INGEST))
    found = quality_history("shop", kept.points("shop", NOW), kept.suites("shop"), [], NOW, timedelta(hours=6))
    assert [(each.stage, each.table) for each in found.gates] == [
        (Stage.INGEST, None),
        (Stage.LAKE, None),
        (Stage.ROLLUP, "sales"),
    ]
    assert found.bucket_s == 120


def test_the_api_answers_gates_and_their_history_and_takes_what_is_old_from_the_file(
    shop: StreamDefinition, tmp_path: Path
) -> None:
    now, file = datetime.now(UTC), VerdictFile(tmp_path / "verdicts.sqlite")
    old = point_of(decided(0, Outcome.HALTED)).model_copy(update={"at": now - timedelta(hours=30), "id": "old"})
    file.save([("shop", old), ("flights", old)], now)
    service = Service([shop], lambda *_, **__: [], "http://127.0.0.1:8050", 0.05, verdict_file=file)
    client = TestClient(create_api(service, access=AnyoneIs()))
    new = [decided(each, Outcome.DIVERTED, table=table) for each, table in ((3, "a"), (2, "b"))]
    body = FACTS.dump_json([each.model_copy(update={"at": now - (NOW - each.at)}) for each in new])
    assert client.post("/api/v1/facts", content=body).status_code == 204
    [stream] = client.get("/api/v1/gates").json()["streams"]
    assert [(each["stage"], each["table"]) for each in stream["gates"] if each["last"]] == [
        ("lake", "a"),
        ("lake", "b"),
    ]
    at = "/api/v1/gates/shop"
    assert [each["id"] for each in client.get(f"{at}/lake/history?hours=48").json()] == ["old", new[0].id, new[1].id]
    assert [each["table"] for each in client.get(f"{at}/lake/history?table=b").json()] == ["b"]
    assert client.get(f"{at}/ingest/history").json() == []
    whole = client.get(f"{at}/history?hours=48").json()
    assert [each["table"] for each in whole["gates"]] == [None, "a", "b"]
    assert {bucket["outcome"] for bucket in whole["gates"][0]["buckets"]} == {None, "halted"}
    then = client.get(f"{at}/history", params={"hours": 48, "until": (now - timedelta(hours=1)).isoformat()}).json()
    assert [each["table"] for each in then["gates"]] == [None], "what came later is not in it"
    for wrong in ("/api/v1/gates/nobody/history", "/api/v1/gates/nobody/lake/history"):
        assert client.get(wrong).status_code == 404
    for wrong in (f"{at}/history?hours=0", f"{at}/history?hours=721", f"{at}/nowhere/history"):
        assert client.get(wrong).status_code == 422
