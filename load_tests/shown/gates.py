"""Gates, suites, tables and maintenance: a rollup's gate has halted, a micro-batch was diverted, single rows are quarantined."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from controlplane.contract.facts import (
    Extent,
    MaintenancePlanned,
    MaintenanceRan,
    MaintenanceStage,
    TableMeasured,
    WindowsClosed,
    WindowsPublished,
)
from controlplane.contract.gates import (
    BreakerChanged,
    BreakerState,
    GateDecided,
    Outcome,
    RuleVerdict,
    Severity,
    Stage,
    SuiteFollowed,
)
from load_tests.shown.moment import AT

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.contract.facts import Fact

_SUITE = "3f9a01c2b7de"
_MIB = 1024 * 1024
HALTED = "revenue is broken: a window of Europe has -412.50"
_TABLES = {
    "events": (640, 312, 612), "entity_visitor": (640, 96, 600), "rollup_traffic": (14, 3, 2), "rollup_sales": (12, 2, 1),
    "rollup_interest": (12, 2, 1), "rejects": (9, 4, 3), "diverted": (1, 1, 0),
}  # fmt: skip


def facts() -> list[Fact]:
    """As of the moment, and verdicts of the hours before."""
    return [*_verdicts(), *_suites(), *_tables(), *_maintenance()]


def _rule(name: str, severity: Severity = Severity.CRITICAL, *, kept: bool | None = True, **more: Any) -> RuleVerdict:  # noqa: ANN401 (fields of a row)
    said = {"judged": 4800, "unexpected": 0, **more}
    kind = "expect_column_values_to_be_between"
    return RuleVerdict(rule=name, expectation=kind, severity=severity, kept=kept, **said)


def verdict(at: datetime, stage: Stage, outcome: Outcome, *rules: RuleVerdict, **more: Any) -> GateDecided:  # noqa: ANN401
    """A gate's, of shop unless it is said otherwise."""
    said = {
        "stream": "shop",
        "subject": "micro-batch 8999",
        "rows": 4800,
        "judged": 4800,
        "took_s": 0.4,
        "stage_took_s": 11.9,
    }
    return GateDecided(at=at, stage=stage, suite=_SUITE, outcome=outcome, rules=rules, **{**said, **more})


def halted(at: datetime) -> GateDecided:
    """The rollup's gate, as alerts hears of it too."""
    broken = _rule("revenue_not_negative", kept=False, judged=212, unexpected=1, examples=("-412.5",))
    return verdict(
        at, Stage.ROLLUP, Outcome.HALTED, broken, table="sales", subject="windows until 14:10", rows=212, judged=212,
        reason=HALTED,
    )  # fmt: skip


def _verdicts() -> list[Fact]:
    fine = _rule("quantity_in_range"), _rule("country_known", Severity.WARNING)
    odd = _rule("amount_plausible", Severity.WARNING, kept=False, unexpected=61, examples=("99999.0", "-3.5"))
    diverted = _rule("amount_not_negative", kept=False, unexpected=730, examples=("-3.5", "-120.0", "-0.01"))
    said: list[Fact] = [
        verdict(AT - timedelta(minutes=each), Stage.LAKE, Outcome.PASSED, *fine) for each in range(4, 360, 4)
    ]
    said += [
        verdict(
            AT - timedelta(minutes=41), Stage.LAKE, Outcome.DIVERTED, diverted, subject="micro-batch 8794",
            reason="amount_not_negative is broken by 730 of 4,800 rows",
        ),
        verdict(AT, Stage.LAKE, Outcome.WARNED, *fine, odd, reason="amount_plausible is broken by 61 of 4,800 rows"),
        verdict(
            AT, Stage.INGEST, Outcome.PASSED, *fine, rows=29_300, judged=5000, subject="the last minute", took_s=None,
            stage_took_s=None,
        ),
        verdict(AT, Stage.ROLLUP, Outcome.PASSED, *fine, table="traffic", subject="windows until 14:29"),
        halted(AT - timedelta(seconds=2)),
        verdict(AT, Stage.SERVING, Outcome.PASSED, _rule("agrees_with_lake"), table="traffic", subject="14:29"),
        verdict(AT, Stage.LAKE, Outcome.PASSED, *fine, stream="flights"),
        verdict(AT, Stage.INGEST, Outcome.PASSED, *fine, stream="flights", took_s=None, stage_took_s=None),
    ]  # fmt: skip
    return said


def _suites() -> list[Fact]:
    said: list[Fact] = []
    for stream in ("shop", "flights"):
        for stage in Stage:
            since = AT - timedelta(hours=6)
            said.append(SuiteFollowed(at=AT, stream=stream, stage=stage, suite=_SUITE, rules=4, since=since))
        said.append(
            BreakerChanged(
                at=AT, stream=stream, stage=Stage.INGEST, state=BreakerState.CLOSED, since=AT - timedelta(hours=6),
                turned_away=330, seen=15_000,
            )
        )  # fmt: skip
    return said


def _tables() -> list[Fact]:
    said: list[Fact] = []
    for stream in ("shop", "flights"):
        for number, (table, (files, mib, small)) in enumerate(_TABLES.items()):
            if stream == "flights" and not table.startswith(("events", "rejects")):
                continue
            said.append(
                TableMeasured(
                    at=AT, stream=stream, table=table, version=2210 - 11 * number, versions=1009, partitions=7,
                    files=files, bytes=mib * _MIB, small_files=small, committed_at=AT - timedelta(seconds=9),
                )
            )  # fmt: skip
    for rollup, behind in (("traffic", 1), ("sales", 20), ("interest", 5)):
        horizon = AT - timedelta(minutes=behind)
        said.append(
            WindowsClosed(
                at=AT, stream="shop", table=f"rollup_{rollup}", version=900, rows=48, horizon=horizon, corrected=False,
                took_s=0.8,
            )
        )  # fmt: skip
        said.append(
            WindowsPublished(
                at=AT, stream="shop", rollup=rollup, lake_version=900, horizon=horizon, rows=2880, took_s=0.3
            )
        )
    return said


def _maintenance() -> list[Fact]:
    ran: dict[str, Any] = {"run": "a1", "stream": "shop"}
    return [
        MaintenanceRan(
            **ran, at=AT - timedelta(minutes=49), subject="events", stage=MaintenanceStage.COMPACT, took_s=12.3,
            what="event_date=2026-11-25: 144 small files of 17.0 MiB to about 1",
            before=Extent(files=144, bytes=17 * _MIB), after=Extent(files=1, bytes=15 * _MIB),
        ),
        MaintenanceRan(
            **ran, at=AT - timedelta(minutes=48), subject="events", stage=MaintenanceStage.VACUUM, took_s=2.1,
            what="delete 288 files that no version within 7 days needs",
        ),
        MaintenancePlanned(at=AT, stream="shop", next_at=AT + timedelta(minutes=11), looked_at=AT - timedelta(minutes=4), due=2),
        MaintenancePlanned(at=AT, stream="flights", next_at=AT + timedelta(minutes=11), looked_at=AT - timedelta(minutes=4), due=0),
    ]  # fmt: skip
