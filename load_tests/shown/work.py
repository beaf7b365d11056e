"""Operations: a backfill that runs, a rollback that waits for its confirmation, a trial that has found something, a schedule."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from controlplane.contract.access import Grant, Principal, Role
from controlplane.contract.operations import (
    Does,
    Kind,
    OperationAsked,
    OperationState,
    Plan,
    ScheduleAsked,
    StagePlanned,
    StageProgress,
    StageState,
    Touch,
    WorkerSays,
    fingerprint_of,
)
from load_tests.shown.loads import ASKED
from load_tests.shown.moment import AT
from load_tests.shown.trial import found_by_trial

if TYPE_CHECKING:
    from controlplane.service.audit.log import AuditLog
    from controlplane.service.operations.desk import Desk
    from controlplane.service.operations.schedules import Schedules

_ANA, _BEN = (Principal(name=name, grants=(Grant(role=Role.ADMIN),)) for name in ("ana", "ben"))
_DAYS = [str(date(2026, 11, 10) + timedelta(days=each)) for each in range(14)]
_DONE = 6


def lay_out(desk: Desk, schedules: Schedules, record: AuditLog) -> dict[Kind, str]:
    """Ask, plan and carry out as far as it goes; gives the ids by kind."""
    trial = _trial(desk)
    load = _load(desk)
    rollback = _rollback(desk)
    backfill = _backfill(desk)
    nightly = OperationAsked(kind=Kind.BACKFILL, asked={"stream": "shop", "since": "today-2", "until": "today-1"})
    schedules.put("nightly", ScheduleAsked(cron="30 3 * * *", ask=nightly, confirm=True), _BEN)
    for number, region in enumerate(("policy", "silence", "resume", "register")):
        record.record(
            "ana" if number % 2 else "ben", "session", f"scaling.{region}", "lake", details={"asked": {"most": 8}}
        )
    record.record(
        "eve",
        "token",
        "operation.confirm",
        rollback,
        stream="shop",
        outcome="refused",
        reason="needs the role approver of shop",
    )
    return {Kind.TRIAL: trial, Kind.LOAD_TEST: load, Kind.ROLLBACK: rollback, Kind.BACKFILL: backfill}


class _Worker:
    """The worker, one step at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lease = self.id = ""

    def lease(self) -> None:
        leased = self._desk.lease("shown", (), tuple(Does))
        if leased is None:
            raise LookupError("there is nothing to do")
        self._lease, self.id = leased.lease, leased.operation.id

    def says(self, **what: Any) -> None:  # noqa: ANN401 (fields of WorkerSays)
        self._desk.heard(self.id, WorkerSays(worker=self._lease, **what))

    def plans(self, plan: Plan) -> None:
        self.lease()
        self.says(state=OperationState.PLANNED, plan=plan)


def _plan(stages: tuple[StagePlanned, ...], *partitions: str, confirmation: str = "shop", **more: Any) -> Plan:  # noqa: ANN401
    touches = (Touch(stream=confirmation, table="events", partitions=partitions or ("*",)),)
    return Plan(
        at=AT,
        stages=stages,
        touches=touches,
        confirmation=confirmation,
        fingerprint=fingerprint_of(stages, touches, {}),
        **more,
    )


def _backfill(desk: Desk) -> str:
    worker = _Worker(desk)
    asked = OperationAsked(
        kind=Kind.BACKFILL,
        asked={"stream": "shop", "since": _DAYS[0], "until": _DAYS[-1], "order": "oldest"},
        why="prices were wrong in October's table",
    )
    operation = desk.ask(asked, _ANA)
    builds = tuple(
        StagePlanned(
            key=f"build:{day}", does="build", title=f"Make {day} again", partition=day, rows=41_000, seconds=21
        )
        for day in _DAYS
    )
    rest = tuple(
        StagePlanned(key=key, does=key, title=title)
        for key, title in (
            ("gate", "Judge a sample"),
            ("compare", "Compare rows and columns"),
            ("swap", "Swap the days in"),
            ("publish", "Wait for ClickHouse"),
        )
    )
    plan = _plan((*builds, *rest), *_DAYS, rows=574_000, partitions=14, seconds=380.0, bytes=31_000_000)
    worker.plans(plan)
    desk.confirm(operation.id, plan.fingerprint, "shop", _BEN)
    worker.lease()
    done = [
        StageProgress(
            key=f"build:{day}",
            state=StageState.DONE,
            done=41_000,
            total=41_000,
            unit="rows",
            started_at=AT - timedelta(seconds=24 * (_DONE - number) + 14),
            ended_at=AT - timedelta(seconds=24 * (_DONE - number) - 6),
        )
        for number, day in enumerate(_DAYS[:_DONE])
    ]
    now = StageProgress(
        key=f"build:{_DAYS[_DONE]}",
        state=StageState.RUNNING,
        done=18_200,
        total=41_000,
        unit="rows",
        started_at=AT - timedelta(seconds=9),
    )
    worker.says(
        state=OperationState.RUNNING,
        stages=(*done, now),
        waits_for="lake of shop is 42 s behind, and may be 30",
        log=("the shadow is shadow_" + operation.id, *(f"{day}: 41,000 rows, 0 turned away" for day in _DAYS[:_DONE])),
    )
    return operation.id


def _rollback(desk: Desk) -> str:
    worker = _Worker(desk)
    asked = OperationAsked(
        kind=Kind.ROLLBACK,
        asked={"stream": "shop", "version": 2178, "then": "hold"},
        why="a wrong exchange rate since 14:05",
    )
    operation = desk.ask(asked, _BEN)
    titles = {
        "hold": "Hold what lake appends",
        "restore:events": "events to version 2178",
        "restore:entity_visitor": "entity_visitor to version 2166",
        "restore:rollup_sales": "rollup_sales to version 871",
        "checkpoint": "Set the checkpoint aside",
        "clickhouse": "Closed windows as of then",
        "check": "Compare counts",
        "rest": "Wait for an operator",
        "release": "Let lake go on",
    }
    stages = tuple(StagePlanned(key=key, does=key.partition(":")[0], title=title) for key, title in titles.items())
    example = {"tg_partition": 2, "tg_offset": 407_112, "amount": 19.99, "region": "Europe"}
    tables = {
        "events": {
            "version": 2178,
            "now": 1_610_940,
            "then": 1_596_120,
            "goes": 14_820,
            "comes_back": 0,
            "changes": 0,
            "examples": {"goes": [example]},
            "reason": None,
        },
        "entity_visitor": {
            "version": 2166,
            "now": 48_210,
            "then": 48_102,
            "goes": 108,
            "comes_back": 0,
            "changes": 3_911,
            "examples": {},
            "reason": None,
        },
        "rollup_sales": {
            "version": 871,
            "now": 2_880,
            "then": 2_860,
            "goes": 20,
            "comes_back": 0,
            "changes": 16,
            "examples": {},
            "reason": None,
        },
    }
    preview = {
        "version": 2178,
        "at": (AT - timedelta(minutes=27)).isoformat(),
        "tables": tables,
        "replays_from": {"0": 403_401, "1": 403_388},
        "versions": {"now": 2210, "rolled_back": list(range(2179, 2211)), "more": 0},
    }
    notes = (
        "Readers see version 2178 as soon as it is done; ClickHouse shows windows as of then.",
        "14,820 events stay in Kafka and are taken again when lake goes on.",
    )
    worker.plans(_plan(stages, "2026-11-26", rows=14_820, seconds=20.0, notes=notes, preview=preview))
    return operation.id


def _load(desk: Desk) -> str:
    """Its numbers are in `loads.py`."""
    worker = _Worker(desk)
    operation = desk.ask(OperationAsked(kind=Kind.LOAD_TEST, asked=ASKED.model_dump(mode="json")), _BEN)
    plan = _plan((StagePlanned(key="run", does="run", title="Send, and watch"),), rows=ASKED.events)
    worker.plans(plan)
    desk.confirm(operation.id, plan.fingerprint, "shop", _BEN)
    worker.lease()
    done = StageProgress(key="run", state=StageState.DONE, started_at=AT, ended_at=AT)
    worker.says(state=OperationState.DONE, stages=(done,), result={"says": "Nothing lost, nothing doubled."})
    return operation.id


def _trial(desk: Desk) -> str:
    worker = _Worker(desk)
    window = {"since": "2013-01-07T00:00:00Z", "until": "2013-01-14T00:00:00Z"}
    asked = OperationAsked(
        kind=Kind.TRIAL, asked={"stream": "flights", "folder": "new-carriers", **window}, why="names of carriers"
    )
    operation = desk.ask(asked, _ANA)
    stages = (StagePlanned(key="compare", does="compare", title="Compare", rows=6_120, seconds=10),)
    plan = _plan(stages, confirmation="flights", rows=6_120, seconds=10.0)
    worker.plans(plan)
    desk.confirm(operation.id, plan.fingerprint, "flights", _ANA)
    worker.lease()
    found = found_by_trial()
    stage = StageProgress(
        key="compare", state=StageState.DONE, done=6_120, total=6_120, unit="rows", started_at=AT, ended_at=AT
    )
    worker.says(state=OperationState.DONE, stages=(stage,), result=found.model_dump(mode="json"))
    return operation.id
