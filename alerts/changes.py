"""What was changed lately that may explain what goes wrong next? Each change is told to PagerDuty once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import MaintenanceRan
from controlplane.contract.gates import Order
from controlplane.contract.replays import WorkState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from alerts.pages import Writer
    from alerts.policy.observed import Observed
    from alerts.sender import Event
    from controlplane.contract.gates import GateOrdered
    from controlplane.contract.operations import Operation
    from controlplane.contract.replays import Work

_NEW = timedelta(hours=1)
"""What is older at this room's first look is history."""
_RUN_IS_OVER_AFTER = timedelta(seconds=15)
_ENDED = (WorkState.DONE, WorkState.FAILED, WorkState.CANCELLED)
_DID = {
    Order.RESUME: "told to try again",
    Order.PASS: "told to let through what it holds",
    Order.DIVERT: "told to quarantine what it holds",
    Order.RELEASE: "told to release a diverted micro-batch",
}


def changes(observed: Observed, orders: Sequence[GateOrdered], writer: Writer) -> Iterator[Event]:
    """Events of what was done in the last hour; their keys are the same each time."""
    for order in orders:
        if observed.at - order.at < _NEW:
            yield _ordered(order, writer)
    for work in observed.works:
        if work.state in _ENDED and observed.at - work.changed_at < _NEW:
            yield _replayed(work, writer)
    for operation in observed.operations:
        if operation.ended_at is not None and observed.at - operation.ended_at < _NEW:
            yield _operated(operation, operation.ended_at, writer)
    runs: dict[str, list[MaintenanceRan]] = {}
    for fact in observed.of(MaintenanceRan):
        runs.setdefault(fact.run, []).append(fact)
    for run, stages in runs.items():
        ended = max(stage.at for stage in stages)
        if _RUN_IS_OVER_AFTER < observed.at - ended < _NEW:
            yield _maintained(run, stages, ended, writer)


def _ordered(order: GateOrdered, writer: Writer) -> Event:
    what = f"{order.stream}/{order.stage} {_DID[order.order]}"
    summary = f"{what}{'' if order.subject is None else f' ({order.subject})'}, by {order.by}"
    key = f"tidegate/order/{order.stream}/{order.stage}/{order.at.isoformat()}"
    return writer.change(key, summary, order.at, f"/quality/{order.stream}", order.model_dump(mode="json"))


def _replayed(work: Work, writer: Writer) -> Event:
    """Whether it ended well or not: records were sent, or are gone from the inbox."""
    what = f"{work.asked.action.value.capitalize()} of {work.done:,} quarantined records of {work.stream}"
    summary = f"{what} by {work.asked.by}: {work.state}{'' if work.reason is None else f' ({work.reason})'}"
    details = {"selection": work.asked.selection.model_dump_json(exclude_defaults=True), "left": work.skipped}
    return writer.change(f"tidegate/replay/{work.id}", summary, work.changed_at, f"/quarantine/{work.stream}", details)


def _operated(operation: Operation, ended: datetime, writer: Writer) -> Event:
    """Whether it ended well or not: something may have changed."""
    what = f"{operation.kind.value.capitalize()} of {operation.stream} by {operation.confirmed_by or operation.by}"
    summary = f"{what}: {operation.state}{'' if operation.reason is None else f' ({operation.reason})'}"
    details = {"why": operation.why, "the same again": operation.cli, "undoes": operation.undoes}
    page = f"/operations/{operation.id}"
    return writer.change(f"tidegate/operation/{operation.id}", summary, ended, page, details)


def _maintained(run: str, stages: list[MaintenanceRan], ended: datetime, writer: Writer) -> Event:
    streams = ", ".join(sorted({stage.stream or "all streams" for stage in stages}))
    failed = sum(stage.error is not None for stage in stages)
    summary = f"Maintenance of {streams}: {len(stages)} stages, {failed} failed"
    done = {f"{stage.stage} {stage.subject}": stage.error or stage.what for stage in stages}
    return writer.change(f"tidegate/maintenance/{run}", summary, ended, "/lake", done)
