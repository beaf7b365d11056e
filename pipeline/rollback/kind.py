"""The operation `rollback`: a stream's tables, checkpoint, transaction epoch and ClickHouse to one version, together.

Lake is held, every table restored, the checkpoint set aside, ClickHouse brought to the same; then lake goes on, at once or when an
operator says so. Undoing is rolling back to the version before: that commits of before are no part of the tables any more is only
said in the log, never done to them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from pydantic import ValidationError

from controlplane.contract.backfills import RollbackAsked
from controlplane.contract.names import lake_table, live_table
from controlplane.contract.operations import Kind, OperationAsked
from controlplane.contract.rollups import SECOND
from pipeline.lake.holds import holds_of
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.reason import first_line
from pipeline.rollback import stages
from pipeline.rollback.logs import read_log
from pipeline.rollback.look import EVENTS, look, refuse_without_kafka
from pipeline.rollback.plan import newest_rewrite, plan_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from controlplane.contract.operations import Plan, StagePlanned
    from controlplane.contract.streams import StreamDefinition
    from pipeline.operate.kind import Work

_BACK = "{}:back"
"""Under which name a run that failed takes back what it has done."""


class RollbackKind:
    """See `OperationKind`."""

    def __init__(self) -> None:
        self.does: Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]] = {
            "hold": stages.hold,
            "restore": stages.restore,
            "checkpoint": stages.checkpoint,
            "follow": stages.follow,
            "clickhouse": stages.clickhouse,
            "check": stages.check,
            "rest": stages.rest,
            "release": stages.release,
        }
        self.parallel: Callable[[StagePlanned], bool] = lambda _: False

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        asked, stream = asked_of(work), work.stream()
        found = look(asked, stream, work.settings.lake_root)
        _refuse_without_kafka(work, found.ends)
        return plan_of(found, asked.then, datetime.now(UTC), _live_since(work, stream))

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`."""
        plan = work.operation.plan
        if plan is None:
            raise StaleError("there is no plan")
        version, name = plan.basis["version"], work.operation.stream
        log = read_log(lake_table(work.settings.lake_root, name))
        if log is not None and (newest := newest_rewrite(log)) != plan.basis["newest_rollback"]:
            raise StaleError(
                f"version {newest} of {name} events was written by another rollback or backfill since it was planned: plan it again"
            )
        try:
            found = look(
                asked_of(work).model_copy(update={"version": version, "to": None}),
                work.stream(),
                work.settings.lake_root,
            )
            _refuse_without_kafka(work, found.ends)
        except RefusedError as error:
            raise StaleError(f"the plan holds no longer: {error}") from error

    def clean_up(self, work: Work) -> None:
        """Tables that were restored go back to what they were, then lake goes on."""
        name, root = work.operation.stream, work.settings.lake_root
        back, undone = _BACK.format(work.operation.id), False
        for table in _restored(work):
            path = lake_table(root, name, table)
            log = read_log(path)
            if log is not None and (done := log.done_by(work.operation.id)) is not None:
                stages.roll_back(work, table, path, done.before, back)
                undone = True
        if undone:
            stages.publish(work)
        holds_of(work.settings, name, work.session).release(work.operation.id)

    def undo(self, work: Work) -> OperationAsked | None:
        """See `OperationKind`."""
        before = work.result_of(f"restore:{EVENTS}").get(f"{EVENTS}_before")
        if not isinstance(before, int):
            return None
        asked = RollbackAsked(stream=work.operation.stream, version=before)
        why = f"undoes {work.operation.id}"
        return OperationAsked(kind=Kind.ROLLBACK, asked=asked.model_dump(mode="json"), why=why)


def asked_of(work: Work) -> RollbackAsked:
    """What was asked for.

    Raises:
        RefusedError: if that is nothing that can be done.
    """
    try:
        return RollbackAsked.model_validate(work.operation.asked)
    except ValidationError as error:
        raise RefusedError(f"that is no rollback: {first_line(error)}") from error


def _restored(work: Work) -> list[str]:
    """Tables that the plan restores, the events first."""
    plan = work.operation.plan
    return [str(each.given["table"]) for each in (plan.stages if plan else ()) if each.does == "restore"]


def _refuse_without_kafka(work: Work, ends: Mapping[int, int]) -> None:
    name = work.operation.stream
    try:
        lows = stages.lows(work.settings.kafka, name, ends)
    except KafkaException as error:
        raise RefusedError(f"Kafka does not say what it still has of {name}: {first_line(error)}") from error
    refuse_without_kafka(ends, lows, name)


def _live_since(work: Work, stream: StreamDefinition) -> dict[str, datetime | None]:
    """Rollup -> the first second that live has; None where it has none, or ClickHouse does not say."""
    try:
        client = clickhouse_connect.get_client(dsn=work.settings.clickhouse, autogenerate_session_id=False)
    except ClickHouseError:
        return dict.fromkeys(stream.rollups)
    found: dict[str, datetime | None] = {}
    try:
        for key in stream.rollups:
            table = live_table(stream.name, key)
            sql = f"SELECT toUnixTimestamp(min({SECOND})) FROM {table} HAVING count() > 0"  # noqa: S608 (checked names)
            rows = client.query(sql).result_rows
            found[key] = datetime.fromtimestamp(int(rows[0][0]), UTC) if rows else None
    except ClickHouseError:
        return {**dict.fromkeys(stream.rollups), **found}
    finally:
        client.close()
    return found
