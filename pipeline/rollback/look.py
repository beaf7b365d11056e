"""May a rollback be done, and to which version does each table go? Reads logs and files; changes nothing.

What can't be done is refused here, with what can: a version that the log has not, that is the newest already, whose files are
vacuumed, or from which lake could not go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake.exceptions import DeltaError

from controlplane.contract.names import DIVERTED, lake_entity, lake_rollup, lake_table
from pipeline.lake.lineage import NOTHING
from pipeline.operate.kind import RefusedError
from pipeline.reason import first_line
from pipeline.rollback.choose import Target, diverted_version, followed_version, is_current
from pipeline.rollback.files import Versions, oldest
from pipeline.rollback.logs import read_log
from pipeline.tables.entities import definition_of as entity_definition
from pipeline.tables.rollups import definition_of as rollup_definition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from controlplane.contract.backfills import RollbackAsked
    from controlplane.contract.streams import StreamDefinition
    from pipeline.rollback.logs import Log

EVENTS = "events"


@dataclass(frozen=True)
class Asked:
    """What a rollback is to do, against the tables as they are."""

    stream: StreamDefinition
    lake_root: str
    events: Log
    version: int
    moment: datetime
    ends: Mapping[int, int]
    """Partition of the valid topic -> offset from which lake goes on."""
    targets: Sequence[Target]


def look(asked: RollbackAsked, stream: StreamDefinition, lake_root: str) -> Asked:
    """Choose the versions.

    Raises:
        RefusedError: if it cannot be done as asked.
    """
    try:
        events = read_log(lake_table(lake_root, stream.name))
        if events is None:
            raise RefusedError(f"{stream.name} has no events table yet: there is nothing to roll back")
        version = asked.version if asked.version is not None else _at(events, asked.to, stream.name)
        _refuse_unless_there(events, version, stream.name, lake_root)
        moment = asked.to or events.commits[version].at
        targets = [Target(EVENTS, version, events.newest), *_followers(stream, lake_root, events, version)]
        ends = {each: until for each, (_, until) in (events.ranges_at(version) or {}).items()}
        diverted = read_log(lake_table(lake_root, stream.name, DIVERTED))
        if diverted is not None:
            found = diverted_version(diverted, moment)
            targets.insert(1, Target(DIVERTED, found, diverted.newest))
            for each, (_, until) in ((found >= 0 and diverted.ranges_at(found)) or {}).items():
                ends[each] = max(until, ends.get(each, 0))
    except (DeltaError, OSError) as error:
        raise RefusedError(f"the tables of {stream.name} cannot be read now: {first_line(error)}") from error
    return Asked(stream, lake_root, events, version, moment, ends, targets)


def _at(events: Log, moment: datetime | None, name: str) -> int:
    if moment is None:
        raise RefusedError("give a version or a time")
    if (found := events.version_at(moment)) is None:
        first = events.commits[min(events.commits)]
        raise RefusedError(
            f"the log of {name} events begins with version {first.version} of {first.at:%Y-%m-%d %H:%M:%S} UTC, after "
            f"{moment:%Y-%m-%d %H:%M:%S} UTC: name a later time"
        )
    return found


def _refuse_unless_there(events: Log, version: int, name: str, lake_root: str) -> None:
    first = min(events.commits)
    if not first <= version <= events.newest:
        raise RefusedError(
            f"{name} events have no version {version}: their log has {first} to {events.newest} (`tidegate lake history "
            f"{name} events` lists them)"
        )
    if is_current(events, version):
        raise RefusedError(f"version {version} of {name} events is what they are now (version {events.newest})")
    if events.ranges_at(version) is None:
        raise RefusedError(
            f"no commit up to version {version} of {name} events names the source offsets that it holds, so lake could "
            "not go on from there: name a later version"
        )
    refuse_vacuumed(EVENTS, lake_table(lake_root, name), version, events)


def refuse_vacuumed(table: str, path: str, version: int, log: Log) -> None:
    """See that every file of a version is there.

    Raises:
        RefusedError: if one is gone; says from which version on all are there.
        DeltaError: if the table cannot be read.
    """
    versions = Versions(path)
    try:
        gone = versions.missing(version)
    except DeltaError as error:
        gone = [first_line(error)]
    if not gone:
        return
    later = sorted(each for each in log.commits if each > version)
    first = oldest(later, versions.can_be_had)
    had = "none before the newest" if first is None else f"version {first} and later ones"
    raise RefusedError(
        f"version {version} of {table} cannot be read any more, {len(gone)} of its files are vacuumed (such as {gone[0]}); "
        f"what can be had: {had}"
    )


def _followers(stream: StreamDefinition, lake_root: str, events: Log, version: int) -> list[Target]:
    definitions = {
        **{lake_entity(name): entity_definition(each) for name, each in stream.entities.items()},
        **{lake_rollup(name): rollup_definition(stream, each) for name, each in stream.rollups.items()},
    }
    found = []
    for table, definition in definitions.items():
        path = lake_table(lake_root, stream.name, table)
        if (log := read_log(path)) is None:
            continue
        at, why = followed_version(log, events.said, version, definition)
        if at != NOTHING and not Versions(path).can_be_had(at):
            at, why = NOTHING, f"files of its version {at} are vacuumed"
        found.append(Target(table, at, log.newest, why))
    return found


def refuse_without_kafka(ends: Mapping[int, int], lows: Mapping[int, int], name: str) -> None:
    """See that Kafka still has what lake would go on from.

    Args:
        ends: partition of the valid topic -> offset from which lake goes on.
        lows: the same -> the first offset that Kafka still has.
        name: the stream's.

    Raises:
        RefusedError: if it has not.
    """
    gone = {each: (until, lows[each]) for each, until in ends.items() if lows.get(each, 0) > until}
    if gone:
        said = ", ".join(
            f"{name}.valid[{each}] begins at {low:,}, not {at:,}" for each, (at, low) in sorted(gone.items())
        )
        raise RefusedError(
            f"Kafka no longer has all events from there on ({said}), so they could not be replayed: roll back to a later "
            "version, or leave the tables as they are and backfill what is wrong"
        )
