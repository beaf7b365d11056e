"""The operation `load_test`: loaded, watched until it is as before, counted, reported."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import ValidationError

from controlplane.contract.loads import Balance, LoadAsked
from controlplane.contract.names import valid_view
from pipeline.loads import drive
from pipeline.loads.findings.balance import count
from pipeline.loads.findings.html import written
from pipeline.loads.findings.report import NOT_ENDED, report_of
from pipeline.loads.folder import LoadFolder
from pipeline.loads.ids import bounds, field_of
from pipeline.loads.plan import plan_of
from pipeline.loads.room import room_of
from pipeline.operate.kind import RefusedError
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from controlplane.contract.operations import OperationAsked, Plan, StagePlanned
    from pipeline.loads.folder import LoadRun
    from pipeline.operate.kind import Work

_SERVED_WITHIN_S = 20.0
_AGAIN_AFTER_S = 0.5


@dataclass(frozen=True)
class LoadKind:
    """See `OperationKind`."""

    parallel: Callable[[StagePlanned], bool] = field(default=lambda _: False)

    @property
    def does(self) -> Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]]:
        """See `OperationKind`."""
        return {
            "load": lambda work, _: drive.load(work, asked_of(work)),
            "settle": lambda work, _: drive.settle(work),
            "balance": lambda work, _: _balance(work),
            "report": lambda work, _: _report(work),
        }

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        work.stream()
        asked = asked_of(work)
        room = room_of(work.settings, asked.stream) if asked.target.writes else {}
        return plan_of(asked, work.settings, room)

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`. It rests on nothing that could have changed; addresses are asked again where it begins."""

    def clean_up(self, work: Work) -> None:
        """What was sent stays; what was seen until then is reported, uncounted."""
        folder = LoadFolder(work.settings, work.operation.id)
        if folder.has_begun and folder.report() is None:
            _keep(work, NOT_ENDED, None)

    def undo(self, work: Work) -> OperationAsked | None:  # noqa: ARG002 (the port's)
        """See `OperationKind`. Events that were sent are part of the stream."""
        return None


def asked_of(work: Work) -> LoadAsked:
    """What was asked for.

    Raises:
        RefusedError: if that is nothing that can be done.
    """
    try:
        return LoadAsked.model_validate(work.operation.asked)
    except ValidationError as error:
        raise RefusedError(f"that is no load test: {first_line(error)}") from error


def _balance(work: Work) -> Mapping[str, JsonValue]:
    folder = LoadFolder(work.settings, work.operation.id)
    run = folder.run()
    found = count(work, run, folder.answers())
    try:
        served = _served(work, run, found.valid)
    except ClickHouseError as error:
        served = None
        work.log(f"ClickHouse does not say how many it has: {first_line(error)}")
    return {"balance": found.model_copy(update={"served": served}).model_dump(mode="json")}


def _served(work: Work, run: LoadRun, wanted: int) -> int:
    """How many rows of the run ClickHouse has; the last ones may be on their way."""
    stream = run.asked.stream
    low, high = bounds(stream, run.run)
    field = field_of(stream)
    sql = f"SELECT count() FROM {valid_view(stream)} WHERE {field} >= {low} AND {field} < {high}"  # noqa: S608 (our own names and numbers)
    client = clickhouse_connect.get_client(dsn=work.settings.clickhouse, autogenerate_session_id=False)
    until = time.monotonic() + _SERVED_WITHIN_S
    try:
        while (found := int(client.query(sql).result_rows[0][0])) < wanted and time.monotonic() < until:
            work.check()
            time.sleep(_AGAIN_AFTER_S)
    finally:
        client.close()
    return found


def _report(work: Work) -> Mapping[str, JsonValue]:
    said = work.result_of("balance").get("balance")
    balance = None if said is None else Balance.model_validate(said)
    return _keep(work, str(work.result_of("load").get("ended", "whole")), balance)


def _keep(work: Work, ended: str, balance: Balance | None) -> Mapping[str, JsonValue]:
    folder = LoadFolder(work.settings, work.operation.id)
    report = report_of(folder, work.settings, work.operation.by, ended, balance)
    folder.keep(report, written(report))
    return {
        "verdict": report.verdict,
        "accepted_per_s": report.accepted_per_s,
        "p99_ms": report.p99_ms,
        "recovery_s": report.recovery_s,
        "says": " ".join(each.text for each in report.judgements),
    }
