"""The operation `maintenance`: what is due of a stream now, stage by stage, as the policy's own runs do it.

The stages are those of `tidegate maintain plan`. Each is done under the lock that runs take turns by, can be done again with the
same end, and is reported like any other. One that fails ends the operation: what is still due is in the next plan.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from controlplane.contract.backfills import MaintenanceAsked
from controlplane.contract.operations import Plan, StagePlanned, Touch, fingerprint_of
from pipeline.maintenance.act import SparkActs
from pipeline.maintenance.look import looker
from pipeline.maintenance.measure import Measures
from pipeline.maintenance.run import carried_out, turn
from pipeline.maintenance.stages import Compact, DeleteFolder, Stage, Vacuum, extent_words
from pipeline.maintenance.tables import tables_of
from pipeline.operate.kind import RefusedError
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue
    from pyspark.sql import SparkSession

    from controlplane.contract.facts import MaintenanceRan
    from controlplane.contract.operations import OperationAsked
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.act import Acts
    from pipeline.maintenance.look import Looker
    from pipeline.maintenance.stages import Plan as Due
    from pipeline.operate.kind import Work

_NOTES = (
    "No row changes. Files that no version of the promised time needs are deleted, and nothing brings them back.",
    "Live, lake and route go on.",
)
_STAGE: TypeAdapter[Stage] = TypeAdapter(Stage)


def _spark_acts(session: Callable[[], SparkSession], looks: Looker) -> Acts:
    return SparkActs(session, looks.topics, looks.kept)


class MaintenanceKind:
    """See `OperationKind`."""

    def __init__(
        self,
        looks: Callable[[Settings], Looker] = looker,
        acts: Callable[[Callable[[], SparkSession], Looker], Acts] = _spark_acts,
    ) -> None:
        self._looks, self._acts = looks, acts
        self.does: Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]] = {"maintain": self._maintain}
        self.parallel: Callable[[StagePlanned], bool] = lambda _: False

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        asked, stream = _asked_of(work), work.stream()
        _require_table(asked, stream, work.settings)
        return plan_of(self._looks(work.settings).plan([stream], datetime.now(UTC), asked.table), asked)

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`. A stage that others have done meanwhile finds nothing to do."""

    def clean_up(self, work: Work) -> None:
        """See `OperationKind`. Delta's commits are whole; files of one that was not made are deleted by a later vacuum."""

    def undo(self, work: Work) -> OperationAsked | None:  # noqa: ARG002 (the port's)
        """See `OperationKind`. Rows are what they were; what was deleted was needed by no version that is promised."""
        return None

    def _maintain(self, work: Work, planned: StagePlanned) -> Mapping[str, JsonValue]:
        looks, stage = self._looks(work.settings), _STAGE.validate_python(planned.given["stage"])

        def rest(seconds: float) -> bool:
            work.check()
            time.sleep(seconds)
            return False

        def waits() -> None:
            work.log("another run of maintenance has to end first")

        work.check()
        with turn(work.settings.data.resolve() / "maintenance", rest, waits):
            ran = carried_out(work.operation.id, stage, self._acts(work.session, looks), rest)
            looks.kept.add(ran)
        work.report(ran, *_measured(work, ran).take(ran.at))
        if ran.error is not None:
            raise RefusedError(f"{ran.subject}: {ran.stage}: {ran.error}; what is still due is in the next plan")
        return {f"{ran.subject}: {ran.stage}": _came(ran)}


def plan_of(due: Due, asked: MaintenanceAsked) -> Plan:
    """What is due, as the stages of an operation; none when nothing is. Pure."""
    stages = tuple(
        StagePlanned(
            key=f"{number}:{each.kind}",
            does="maintain",
            title=f"{each.subject}: {each.kind}: {each.what}",
            given={"stage": each.model_dump(mode="json")},
            bytes=each.before.bytes if isinstance(each, Compact | Vacuum | DeleteFolder) else None,
        )
        for number, each in enumerate(due.stages, 1)
    )
    touches = (Touch(stream=asked.stream) if asked.table is None else Touch(stream=asked.stream, table=asked.table),)
    return Plan(
        at=due.at,
        stages=stages,
        touches=touches,
        bytes=sum(each.bytes or 0 for each in stages) or None,
        confirmation=asked.stream,
        notes=(*(_NOTES if stages else ()), *(f"{each.subject}: {each.text}" for each in due.notes)),
        fingerprint=fingerprint_of(stages, touches, {}),
    )


def _asked_of(work: Work) -> MaintenanceAsked:
    try:
        return MaintenanceAsked.model_validate(work.operation.asked)
    except ValidationError as error:
        raise RefusedError(f"that is no maintenance: {first_line(error)}") from error


def _require_table(asked: MaintenanceAsked, stream: StreamDefinition, settings: Settings) -> None:
    names = sorted(each.name for each in tables_of(stream, settings.lake_root))
    if asked.table is not None and asked.table not in names:
        raise RefusedError(f"there is no table {asked.table!r} of {stream.name}; there are: {', '.join(names)}")


def _measured(work: Work, ran: MaintenanceRan) -> Measures:
    """Of the table that the stage was about; of none when it was about something else."""
    stream = work.stream()
    return Measures([(each, stream) for each in tables_of(stream, work.settings.lake_root) if each.name == ran.subject])


def _came(ran: MaintenanceRan) -> str:
    if ran.before is None or ran.after is None:
        return ran.what
    return f"{extent_words(ran.before)} before, {extent_words(ran.after)} after"
