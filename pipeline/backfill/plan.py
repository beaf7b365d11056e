"""What would a backfill do? Its stages as data, from what the lake has now; without Spark, and nothing is changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.backfills import BackfillSource
from controlplane.contract.names import lake_entity, lake_rollup
from controlplane.contract.operations import Plan, StagePlanned, Touch, fingerprint_of
from pipeline.backfill.look import definition_of
from pipeline.backfill.swap import EVENTS
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import JsonValue

    from controlplane.contract.backfills import BackfillAsked
    from controlplane.contract.streams import StreamDefinition
    from pipeline.backfill.look import EventsAt

_ROWS_A_SECOND = 60_000
"""That one thread makes again, about."""
_NOTES = {
    BackfillSource.HISTORY: (
        "Events that today's rules turn away leave the tables and are set aside; they can be released.",
    ),
    BackfillSource.FILES: (
        "Rows whose key and time the lake has are left out; rows that today's rules turn away are set aside.",
        "It cannot be undone by the files: `undo` rolls the stream back to the version before.",
    ),
    BackfillSource.REJECTS: (
        "Records that come in are marked as replayed, so it cannot be undone.",
        "Days are those on which records were turned away; `since` and `until` are days of the events.",
    ),
}
_A_UNIT_S, _THE_REST_S = 0.5, 30.0


def days_wanted(asked: BackfillAsked, there: Sequence[str]) -> list[str]:
    """The days that are there and asked for, oldest first.

    Raises:
        RefusedError: if there is none; says which there are.
    """
    since, until = (None if each is None else each.isoformat() for each in (asked.since, asked.until))
    found = [day for day in there if (since is None or day >= since) and (until is None or day <= until)]
    if found:
        return found
    if not there:
        raise RefusedError(f"{asked.stream}: the lake has no events yet")
    raise RefusedError(
        f"{asked.stream}: the lake has no events from {since or 'the first day'} to {until or 'the last'}; "
        f"it has {len(there):,} days from {there[0]} to {there[-1]}"
    )


def history_units(asked: BackfillAsked, events: EventsAt) -> list[StagePlanned]:
    """A stage a day, in the order that is asked for.

    Raises:
        RefusedError: if the lake has none of the days.
    """
    days = days_wanted(asked, list(events.by_day))
    return [
        StagePlanned(
            key=f"build:{day}",
            does="build",
            title=f"Make {day} again",
            partition=day,
            given={"unit": day},
            rows=(rows := sum(each.rows for each in events.by_day[day])),
            bytes=sum(each.bytes for each in events.by_day[day]),
            seconds=round(_A_UNIT_S + rows / _ROWS_A_SECOND, 1),
        )
        for day in (reversed(days) if asked.order == "newest" else days)
    ]


def plan_of(
    asked: BackfillAsked,
    stream: StreamDefinition,
    events: EventsAt,
    units: Sequence[StagePlanned],
    basis: dict[str, JsonValue],
) -> Plan:
    """The plan: units, then what is done with all of them."""
    stages = (*units, *_rest(asked, stream))
    touches = tuple(_touches(asked, stream, units))
    basis = {
        "definition": definition_of(stream),
        "table": events.id,
        "events_version": events.version,
        **basis,
    }
    building = sum(each.seconds or 0 for each in units) / asked.parallel
    known = [each.rows for each in units if each.rows is not None]
    return Plan(
        at=datetime.now(UTC),
        stages=stages,
        touches=touches,
        basis=basis,
        rows=sum(known) if len(known) == len(units) else None,
        bytes=sum(each.bytes or 0 for each in units),
        partitions=len(units),
        seconds=round(building + _THE_REST_S),
        confirmation=asked.stream,
        notes=(
            *_NOTES[asked.source],
            "Nothing that readers see changes before the comparison is done; the operation's page shows it.",
            "While the days are swapped, lake's appends of the stream wait for some seconds; route and live go on.",
            "Single events in ClickHouse stay as they came; closed windows are published anew.",
        ),
        preview={"definition": basis["definition"]},
        fingerprint=fingerprint_of(stages, touches, basis),
    )


def _rest(asked: BackfillAsked, stream: StreamDefinition) -> Iterator[StagePlanned]:
    yield StagePlanned(key="gate", does="gate", title="Judge a sample by the lake's suite")
    yield StagePlanned(key="compare", does="compare", title="Compare rows and columns")
    for name in stream.rollups:
        yield StagePlanned(
            key=f"rollup:{name}", does="rollup", title=f"Compute windows of {name}, and compare", given={"name": name}
        )
    for name in stream.entities:
        yield StagePlanned(
            key=f"entity:{name}", does="entity", title=f"Find the latest of {name}, and compare", given={"name": name}
        )
    yield StagePlanned(key="swap", does="swap", title="Swap, and correct rollups and entities; appends wait")
    if asked.source is BackfillSource.REJECTS:
        yield StagePlanned(key="mark", does="mark", title="Mark the records as replayed")
    if stream.rollups:
        yield StagePlanned(key="publish", does="publish", title="Wait until ClickHouse has the windows")
    yield StagePlanned(key="clean", does="clean", title="Delete the shadow")


def _touches(asked: BackfillAsked, stream: StreamDefinition, units: Sequence[StagePlanned]) -> Iterator[Touch]:
    is_history = asked.source is BackfillSource.HISTORY
    days = tuple(sorted(each.partition for each in units if each.partition is not None)) if is_history else ()
    yield Touch(stream=asked.stream, table=EVENTS, partitions=days or ("*",))
    # Windows and things of different days meet: two backfills of a stream with tables take turns.
    for name in (*map(lake_rollup, stream.rollups), *map(lake_entity, stream.entities)):
        yield Touch(stream=asked.stream, table=name)
