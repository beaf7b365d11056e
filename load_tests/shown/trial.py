"""What a trial has found: shorter names of carriers, and a rule that turns fifty rows away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controlplane.contract.trial_verdict import differing
from controlplane.contract.trials import (
    ChartPoint,
    ColumnCompared,
    CostCompared,
    Definition,
    MeasureCompared,
    RollupCompared,
    RowExample,
    RowsCompared,
    RuleCounts,
    SideCost,
    TrialFound,
    ValueExample,
)
from load_tests.shown.past import wave


def found_by_trial() -> TrialFound:
    """Of a week of January 2013."""
    monday = datetime(2013, 1, 7, tzinfo=UTC)
    cost = SideCost(events=200_000, cpu_s=2.0, took_s=1.4, files=4, bytes=300_000)
    key = {"tailnum": "N14228", "origin": "EWR"}
    renamed = ValueExample(key=key, at=monday, today="United Air Lines Inc.", changed="United")
    measures = (
        MeasureCompared(
            measure="flights",
            differ=30,
            of=88,
            largest=9.0,
            examples=(ValueExample(key={"carrier": "UA"}, at=monday, today="30", changed="21"),),
        ),
    )
    chart = tuple(
        ChartPoint(at=monday + timedelta(hours=12 * each), today=440 + 90 * wave(each), changed=420 + 88 * wave(each))
        for each in range(14)
    )
    found = TrialFound(
        stream="flights",
        since=monday,
        until=monday + timedelta(days=7),
        version=3,
        rejects_version=1,
        today=Definition(digest="a" * 12, suites={}),
        changed=Definition(digest="b" * 12, suites={}),
        schemas=(),
        rows=RowsCompared(
            history=6_115,
            rejects=5,
            today=6_115,
            changed=6_070,
            both=6_065,
            only_today=50,
            only_changed=5,
            rules=(
                RuleCounts(rule="distance_flown", today=0, changed=50),
                RuleCounts(rule="carrier_code", today=5, changed=0),
            ),
            examples=(RowExample(key=key, at=monday, accepted_by="today", because="distance_flown"),),
        ),
        columns=(
            ColumnCompared(column="airline", differ=1_017, of=6_065, examples=(renamed,)),
            ColumnCompared(column="distance", differ=0, of=6_065),
        ),
        rollups=(
            RollupCompared(
                rollup="by_carrier",
                today=90,
                changed=88,
                both=88,
                only_today=2,
                charted="flights",
                measures=measures,
                chart=chart,
            ),
        ),
        cost=CostCompared(turns=2, today=cost, changed=cost.model_copy(update={"cpu_s": 2.3})),
        tables={"differences": "/data/trials/x/differences"},
    )
    return found.model_copy(update={"differs": differing(found)})
