"""What would a rollback change? The plan, as data: its stages carry all that they need, so what runs is what was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake.exceptions import DeltaError

from controlplane.contract.names import SOURCE_OFFSET, SOURCE_PARTITION, lake_entity, lake_rollup, lake_table
from controlplane.contract.operations import Plan, StagePlanned, Touch, fingerprint_of
from controlplane.contract.rollups import WINDOW_START
from pipeline.reason import first_line
from pipeline.rollback.choose import rolled_back
from pipeline.rollback.files import Versions
from pipeline.rollback.look import EVENTS
from pipeline.rollback.notes import notes
from pipeline.rollback.preview import changes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from controlplane.contract.streams import StreamDefinition
    from pipeline.rollback.choose import Target
    from pipeline.rollback.logs import Log
    from pipeline.rollback.look import Asked

_SECONDS = 12.0
"""Measured: 2 s until lake lets go, 10 ms a table, 8 s for Spark and tables that follow a few thousand events, 1 s to publish."""
_NAMED = 12


def plan_of(asked: Asked, then: str, now: datetime, live_since: Mapping[str, datetime | None]) -> Plan:
    """As data.

    Args:
        asked: what `look` has chosen.
        then: `hold` or `replay`.
        now: the time.
        live_since: rollup -> first second that ClickHouse still has of it; None where it has none.
    """
    preview = {each.table: _changes(asked, each) for each in asked.targets}
    stages = _stages(asked, then, {table: _changed(found) for table, found in preview.items()})
    gone = rolled_back(asked.events, asked.version)
    basis = {
        "version": asked.version,
        "newest_rollback": newest_rewrite(asked.events),
        "moment": asked.moment.isoformat(),
    }
    touches = (Touch(stream=asked.stream.name),)
    return Plan(
        at=now,
        stages=stages,
        touches=touches,
        basis=basis,
        rows=_changed(preview[EVENTS]),
        partitions=None,
        seconds=None if any(each.why for each in asked.targets) else _SECONDS,  # what is computed anew may take long
        confirmation=asked.stream.name,
        notes=tuple(notes(asked, then, gone, live_since)),
        preview={
            "version": asked.version,
            "at": asked.events.commits[asked.version].at.isoformat(),
            "versions": {"now": asked.events.newest, "rolled_back": gone[-_NAMED:], "more": max(0, len(gone) - _NAMED)},
            "replays_from": {str(each): until for each, until in sorted(asked.ends.items())},
            "tables": preview,
        },
        fingerprint=fingerprint_of(stages, touches, basis),
    )


def newest_rewrite(events: Log) -> int | None:
    """The newest version that a rollback or a backfill has written; None when there is none."""
    return max((at for at, each in events.said.items() if each.rollback or each.backfill), default=None)


def _changed(found: Mapping[str, Any]) -> int | None:
    """How many rows of a table are otherwise then; by the counts alone where they were not compared."""
    if found["goes"] is not None:
        return int(found["goes"] + found["comes_back"] + found["changes"])
    return None if None in (found["now"], found["then"]) else abs(int(found["now"] - found["then"]))


def _stages(asked: Asked, then: str, rows: Mapping[str, int | None]) -> tuple[StagePlanned, ...]:
    name = asked.stream.name

    def one(key: str, does: str, title: str, **given: Any) -> StagePlanned:  # noqa: ANN401 (JSON)
        return StagePlanned(key=key, does=does, title=title, given=given, rows=rows.get(str(given.get("table"))))

    def restored(each: Target) -> str:
        return f"{each.table} is emptied: {each.why}" if each.version < 0 else f"{each.table} to version {each.version}"

    found = [
        one("hold", "hold", f"lake lets go of {name}, between two micro-batches"),
        *(
            one(f"restore:{each.table}", "restore", restored(each), table=each.table, version=each.version)
            for each in asked.targets
        ),
        one("checkpoint", "checkpoint", "Spark's checkpoint is set aside: a new one, with another transaction id"),
        one("follow", "follow", "entities and rollups follow up to that version"),
        one("clickhouse", "clickhouse", "the closed windows of that version are published"),
        one(
            "check",
            "check",
            "every table is what was planned",
            tables={each.table: each.version for each in asked.targets},
        ),
    ]
    if then == "hold":
        found.append(one("rest", "rest", "lake stays held until the operation is resumed"))
    found.append(
        one("release", "release", f"lake goes on from the offsets of version {asked.version}", ends=_said(asked))
    )
    return tuple(found)


def _said(asked: Asked) -> dict[str, int]:
    return {str(each): until for each, until in asked.ends.items()}


def _changes(asked: Asked, target: Target) -> dict[str, Any]:
    path = lake_table(asked.lake_root, asked.stream.name, target.table)
    versions = Versions(path)
    shown = {"version": target.version if target.version >= 0 else None, "from_version": versions.now}
    key = _key(asked.stream, target.table)
    try:
        if key is None:
            counts = {
                "now": versions.rows(versions.now),
                "then": versions.rows(target.version) if target.version >= 0 else 0,
            }
            nothing: dict[str, Any] = {"goes": None, "comes_back": None, "changes": None, "examples": {}}
            return {**shown, **counts, **nothing, "reason": "its files have deletion vectors: rows are not compared"}
        return {**shown, **changes(versions, target.version, key)}
    except (DeltaError, OSError, pa.ArrowException) as error:
        unknown = dict.fromkeys(("now", "then", "goes", "comes_back", "changes"))
        return {**shown, **unknown, "examples": {}, "reason": first_line(error)}


def _key(stream: StreamDefinition, table: str) -> list[str] | None:
    """Of a table's rows; None where rows of a file may be deleted."""
    for name, entity in stream.entities.items():
        if lake_entity(name) == table:
            return None if entity.deletion_vectors else list(entity.key)
    for name, rollup in stream.rollups.items():
        if lake_rollup(name) == table:
            return [WINDOW_START, *rollup.dimensions]
    return [SOURCE_PARTITION, SOURCE_OFFSET]
