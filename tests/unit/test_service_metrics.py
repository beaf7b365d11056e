"""Prometheus gets what is known; what is not has no sample, and never a 0."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controlplane.contract.alerts import AlertsCounted
from controlplane.contract.facts import (
    LedgerPartition,
    LedgerTaken,
    Mismatch,
    MismatchKind,
    PartChanged,
    PartState,
    Verdict,
)
from controlplane.contract.latency import BurnJudged
from controlplane.contract.metrics.meter import Meter
from controlplane.contract.metrics.serve import registry_of
from controlplane.contract.metrics.table import CONTROL, METRICS
from controlplane.contract.names import Hop
from controlplane.contract.replays import RejectsKept
from controlplane.contract.scaling import ScalingDecided
from controlplane.service.metrics import burn_samples, samples
from controlplane.service.state import STALE_AFTER, Known

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ONE = LedgerPartition(partition=0, raw_from=0, raw_until=9, produced=9, valid=9, dead=0, quarantined=0, lake=None)
MISSING = Mismatch(partition=0, hop=Hop.SERVING, kind=MismatchKind.MISSING, start=3, until=6, events=3)


def known(verdict: Verdict = Verdict.UNBALANCED) -> Known:
    folded = Known()
    folded.fold(
        [
            LedgerTaken(at=NOW, stream="shop", partitions=(ONE,), verdict=verdict, reason="so", mismatches=(MISSING,)),
            RejectsKept(at=NOW, stream="shop", total=6, waiting=3, replayed=2, discarded=1),
            PartChanged(at=NOW, part="lake", state=PartState.HELD, restarts=4),
            PartChanged(at=NOW, part="live", state=PartState.RUNNING),
            PartChanged(at=NOW, part="feed", state=PartState.ENDED),
            AlertsCounted(
                at=NOW, open=3, critical=1, acknowledged=0, held=1, waiting=2, refused=0, pages=True, version=7
            ),
        ]
    )
    return folded


def scraped(folded: Known, now: datetime = NOW) -> dict[str, float]:
    """What Prometheus' own parser reads, as `name{values}` -> value."""
    text = generate_latest(registry_of(CONTROL, lambda: samples(folded, ["shop"], 2, now), Meter(lambda: now))).decode()
    return {
        f"{sample.name}{{{','.join(sample.labels[label] for label in METRICS[sample.name].labels)}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in METRICS
    }


def test_what_is_known_is_exposed() -> None:
    found = scraped(known())
    assert found["tidegate_ledger_events_total{shop,raw}"] == 9
    assert found["tidegate_ledger_events_total{shop,dead}"] == 0
    assert found["tidegate_ledger_mismatched_events{shop,serving,missing}"] == 3
    assert found["tidegate_ledger_mismatched_events{shop,lake,doubled}"] == 0
    assert found["tidegate_ledger_taken_timestamp_seconds{shop}"] == NOW.timestamp()
    assert found["tidegate_part_restarts_total{lake}"] == 4
    assert (found["tidegate_incidents{true}"], found["tidegate_incidents{false}"]) == (1, 2)
    assert found["tidegate_pages_waiting{}"] == 2
    assert found["tidegate_problems{}"] == 2


def test_rejects_are_counted_by_what_was_done_unless_they_may_not_be_all() -> None:
    folded, later = known(), NOW + STALE_AFTER / 2
    assert scraped(folded)["tidegate_rejects{shop,waiting}"] == 3
    folded.fold([RejectsKept(at=later, stream="shop", waiting=3, reason="they are not being read")])
    assert "tidegate_rejects{shop,waiting}" not in scraped(folded)


def test_the_verdict_is_one_and_the_others_are_zero() -> None:
    found = scraped(known())
    assert {verdict: found[f"tidegate_ledger_verdict{{shop,{verdict}}}"] for verdict in Verdict} == {
        Verdict.BALANCED: 0,
        Verdict.IN_FLIGHT: 0,
        Verdict.UNBALANCED: 1,
        Verdict.UNKNOWN: 0,
    }


def test_an_unknown_count_is_absent() -> None:
    found = scraped(known())
    assert "tidegate_ledger_events_total{shop,lake}" not in found
    assert "tidegate_ledger_mismatched_events{shop,serving,missing}" not in scraped(known(Verdict.UNKNOWN))


def test_a_part_is_up_or_not_and_one_that_has_ended_is_neither() -> None:
    found = scraped(known())
    assert found["tidegate_part_up{lake}"] == 0
    assert found["tidegate_part_up{live}"] == 1
    assert "tidegate_part_up{feed}" not in found


def test_what_is_old_is_unknown() -> None:
    found = scraped(known(), NOW + 2 * STALE_AFTER)
    assert found["tidegate_ledger_verdict{shop,unknown}"] == 1
    assert found["tidegate_ledger_verdict{shop,unbalanced}"] == 0
    assert {name.partition("{")[0] for name in found} == {
        "tidegate_ledger_verdict",
        "tidegate_ledger_taken_timestamp_seconds",
        "tidegate_problems",
        "tidegate_history_rows_dropped_total",
        "tidegate_hub_replaced_updates_total",
        "tidegate_hub_sent_total",
        "tidegate_audit_failures_total",
        "tidegate_audit_left_out_total",
    }


def test_nothing_is_exposed_that_is_not_of_the_control_plane() -> None:
    assert {METRICS[name.partition("{")[0]].of for name in scraped(known())} == {(CONTROL,)}


def test_what_is_wanted_of_a_target_is_said_for_a_minute() -> None:
    folded = known()
    folded.fold([ScalingDecided(at=NOW, target="lake", have=2, want=5, rule=4, reason="so")])
    found = scraped(folded)
    assert (found["tidegate_scaling_have{lake}"], found["tidegate_scaling_want{lake}"]) == (2, 5)
    assert "tidegate_scaling_want{lake}" not in scraped(folded, NOW + timedelta(seconds=61))


def test_a_budget_of_which_nothing_is_known_has_no_sample() -> None:
    said = {"stream": "shop", "level": "latency", "promised_s": 1.0}
    known_one = BurnJudged(at=NOW, verdict="kept", rates={"5m": 0.5, "1h": None}, budget_left=0.9, **said)
    unknown = BurnJudged(at=NOW, verdict="unknown", rates={"5m": None}, **said)
    assert list(burn_samples([known_one], NOW)) == [
        ("tidegate_burn_rate", ("shop", "latency", "", "5m"), 0.5),
        ("tidegate_error_budget_left_ratio", ("shop", "latency", ""), 0.9),
    ]
    assert list(burn_samples([unknown], NOW)) == []
    assert list(burn_samples([known_one], NOW + timedelta(minutes=1))) == [], "nobody has said so for a while"
