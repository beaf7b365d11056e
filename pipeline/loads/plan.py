"""What would a load test do? How much it sends, what that takes of memory and disk, and that the events stay."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.loads import LoadTarget
from controlplane.contract.operations import Plan, StagePlanned, Touch, fingerprint_of
from pipeline.loads.addresses import addresses_of, refused, why_refused
from pipeline.loads.ids import LOADED
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controlplane.contract.loads import LoadAsked
    from controlplane.contract.settings import Settings
    from pipeline.loads.room import RoomOf

_DISK_AT_MOST = 0.5
"""Of what is free."""
_PROCESS_MIB = 110
_MIB_A_USER = {LoadTarget.KAFKA: 8.0, LoadTarget.COLLECTOR: 0.3, LoadTarget.CONSOLE: 0.3, LoadTarget.HUB: 0.25}
_SETTLE_S = 20.0
_COUNTED_PER_S = 60_000
TOPIC = "topic:raw"


def plan_of(asked: LoadAsked, settings: Settings, room: RoomOf, now: datetime | None = None) -> Plan:
    """As data.

    Args:
        asked: what.
        settings: whose platform.
        room: what an event takes at each place; empty where none is sent.
        now: when it is planned.

    Raises:
        RefusedError: if an address may not be loaded, the stream has no generator, or the disk has too little room.
    """
    if not_ours := refused(addresses_of(asked.target, settings), settings.load_targets):
        raise RefusedError(why_refused(not_ours))
    if asked.target.writes and asked.stream not in LOADED:
        raise RefusedError(f"nothing makes events of {asked.stream}; a load can be sent to: {', '.join(LOADED)}")
    if asked.target is LoadTarget.HUB and asked.users > settings.push_clients:
        raise RefusedError(f"users: the hub takes {settings.push_clients:,} watchers in all (TIDEGATE_PUSH_CLIENTS)")
    known = [each for each in room.values() if each is not None]
    _refuse_without_room(settings.data, asked.events * sum(known))
    stages, touches = tuple(_stages(asked)), _touches(asked)
    return Plan(
        at=now or datetime.now(UTC),
        stages=stages,
        touches=touches,
        rows=asked.events if asked.target.writes else None,
        bytes=round(asked.events * sum(known)) if known and len(known) == len(room) else None,
        seconds=sum(each.seconds or 0 for each in stages),
        confirmation=asked.stream,
        notes=tuple(_notes(asked, settings, room)),
        preview={"curve": curve(asked), "unit": unit_of(asked), "memory_mib": _memory(asked)},
        fingerprint=fingerprint_of(stages, touches, {}),
    )


def curve(asked: LoadAsked) -> list[tuple[float, float]]:
    """(seconds, load) at the corners of the shape."""
    most = asked.users if asked.target is LoadTarget.HUB else asked.rate
    return [(round(at, 2), round(most * level, 2)) for at, level in asked.corners]


def unit_of(asked: LoadAsked) -> str:
    """Of what its shape is the curve."""
    if asked.target is LoadTarget.HUB:
        return "clients"
    return "events/s" if asked.target.writes else "requests/s"


def _stages(asked: LoadAsked) -> Iterator[StagePlanned]:
    what = f"{asked.shape} up to {curve_top(asked)} on {asked.target}"
    events = asked.events if asked.target.writes else None
    yield StagePlanned(key="load", does="load", title=f"Load: {what}", rows=events, seconds=asked.seconds + 3)
    yield StagePlanned(key="settle", does="settle", title="Watch until lag is what it was", seconds=_SETTLE_S)
    if asked.target.writes:
        took = 2 + asked.events / _COUNTED_PER_S
        yield StagePlanned(
            key="balance", does="balance", title="Count every event of the run by its id", rows=events, seconds=took
        )
    yield StagePlanned(key="report", does="report", title="Write the report", seconds=1)


def curve_top(asked: LoadAsked) -> str:
    """Its peak, in words."""
    return f"{asked.users:,} clients" if asked.target is LoadTarget.HUB else f"{asked.rate:,g} {unit_of(asked)}"


def _touches(asked: LoadAsked) -> tuple[Touch, ...]:
    """Who writes is alone: two loads of a stream would measure one another, and so would a load and a rollback."""
    return (
        Touch(
            stream=asked.stream, table=TOPIC if asked.target.writes else str(asked.target), writes=asked.target.writes
        ),
    )


def _notes(asked: LoadAsked, settings: Settings, room: RoomOf) -> Iterator[str]:
    if asked.target.writes:
        yield (
            f"{asked.events:,} real events are written into {asked.stream}.raw and stay: in Kafka, the lake, ClickHouse, "
            "entities and rollups. Their ids name this run."
        )
        yield _takes(room)
    if asked.stream == "flights" and asked.target.writes:
        yield "They happen in 2013, as the feed's: late events, which have closed windows computed again."
    yield from _open_loop(asked)
    yield f"It goes to {', '.join(addresses_of(asked.target, settings))}."
    yield f"The process that loads takes about {_memory(asked)} MiB, and as much of the cores as it needs."
    yield "A pause ends the load early; what follows is done when it is resumed. Nothing undoes it."


def _takes(room: RoomOf) -> str:
    found = (f"{'unknown' if each is None else f'{each:,.0f}'} in {place}" for place, each in room.items())
    return (
        f"Bytes that an event takes, as those that are there do: {', '.join(found)}; entities and rollups come besides."
    )


def _open_loop(asked: LoadAsked) -> Iterator[str]:
    if asked.events:
        yield (
            "What is due does not wait for answers, and what is answered by 429 is counted as refused and not sent again: "
            "Retry-After is not heeded."
        )


def _memory(asked: LoadAsked) -> int:
    return round(_PROCESS_MIB + asked.users * _MIB_A_USER[asked.target])


def _refuse_without_room(folder: Path, needed: float) -> None:
    there = next(each for each in (folder.resolve(), *folder.resolve().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed > _DISK_AT_MOST * free:
        raise RefusedError(
            f"its events would take {needed / 2**30:.1f} GiB at least, and {there} has {free / 2**30:.1f} GiB free: ask for fewer"
        )
