"""How are the lake's tables, and what has maintenance done? The fold of facts as the console's Lake page shows it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import MaintenancePlanned, TableMeasured, WindowsClosed, WindowsPublished
from controlplane.contract.names import DIVERTED, REJECTS, lake_entity, lake_rollup
from controlplane.contract.push import LakeFrame, LakeTable, StreamLake
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.streams import StreamDefinition
    from controlplane.service.state import Known

MEASURED_WITHIN = timedelta(seconds=150)
"""Tables are measured every minute."""
_SHOWN = 40


def lake_frame(known: Known, streams: Iterable[StreamDefinition], now: datetime) -> LakeFrame:
    """Every stream's tables as known at `now`."""
    return LakeFrame(at=now, streams=tuple(_stream(known, each, now) for each in streams), runs=known.runs()[:_SHOWN])


def _stream(known: Known, stream: StreamDefinition, now: datetime) -> StreamLake:
    names = ["events", *map(lake_entity, stream.entities)]
    rollups = [_rollup(known, stream.name, each, now) for each in stream.rollups]
    turned_away = [_table(known, stream.name, each, now) for each in (REJECTS, DIVERTED)]
    return StreamLake(
        name=stream.name,
        title=stream.title,
        planned=_planned(known, stream.name, now),
        tables=(
            *(_table(known, stream.name, each, now) for each in names),
            *rollups,
            *(each for each in turned_away if each.measured.version is not None),  # there only once something was
        ),
    )


def _planned(known: Known, stream: str, now: datetime) -> MaintenancePlanned:
    fact = known.facts.get(("maintenance_planned", stream))
    if not isinstance(fact, MaintenancePlanned):
        return MaintenancePlanned(at=now, stream=stream, reason="the part maintenance has not reported yet")
    if now - fact.at > STALE_AFTER:
        reason = f"the part maintenance has not reported for {(now - fact.at).total_seconds():.0f} s"
        return MaintenancePlanned(at=fact.at, stream=stream, reason=reason)
    return fact


def _table(known: Known, stream: str, table: str, now: datetime) -> LakeTable:
    last = next((each for each in known.runs() if (each.stream, each.subject) == (stream, table)), None)
    return LakeTable(table=table, measured=_measured(known, stream, table, now), last=last)


def _measured(known: Known, stream: str, table: str, now: datetime) -> TableMeasured:
    fact = known.facts.get(("table_measured", stream, table))
    if not isinstance(fact, TableMeasured):
        return TableMeasured(at=now, stream=stream, table=table, reason="not measured yet")
    if now - fact.at > MEASURED_WITHIN:
        reason = f"not measured for {(now - fact.at).total_seconds():.0f} s"
        return TableMeasured(at=fact.at, stream=stream, table=table, reason=reason)
    return fact


def _rollup(known: Known, stream: str, rollup: str, now: datetime) -> LakeTable:
    closed = known.facts.get(("windows_closed", stream, lake_rollup(rollup)))
    published = known.facts.get(("windows_published", stream, rollup))
    return _table(known, stream, lake_rollup(rollup), now).model_copy(
        update={
            "horizon": closed.horizon if isinstance(closed, WindowsClosed) else None,
            "published": published.horizon if isinstance(published, WindowsPublished) else None,
        }
    )
