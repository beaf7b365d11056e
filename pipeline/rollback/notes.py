"""What should an operator know before? In sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.names import lake_rollup, lake_table
from pipeline.rollback.choose import is_forward
from pipeline.rollback.logs import read_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.rollback.look import Asked


def notes(asked: Asked, then: str, gone: Sequence[int], live_since: Mapping[str, datetime | None]) -> list[str]:
    """Of a plan.

    Args:
        asked: what was chosen.
        then: `hold` or `replay`.
        gone: versions that are rolled back.
        live_since: rollup -> first second that ClickHouse still has of it; None where it has none, or it is not known.
    """
    commit, name = asked.events.commits[asked.version], asked.stream.name
    found = [
        (
            f"{name} will be as it was at version {asked.version} of {commit.at:%Y-%m-%d %H:%M:%S} UTC; "
            f"{len(gone)} commits of its events are no part of it then, and stay in the log: rolling forward again undoes it"
        )
    ]
    if is_forward(asked.events, asked.version):
        found.append(f"version {asked.version} was itself rolled back before: this undoes that")
    found.append(
        "lake then replays what the valid topic has from there on; events keep coming in there meanwhile"
        if then == "replay"
        else "lake stays held, also over restarts, until the operation is resumed; route and live go on, and nothing is lost"
    )
    found += [f"{each.table} is emptied and computed anew: {each.why}" for each in asked.targets if each.why]
    return found + [_gap(rollup, *between) for rollup, between in sorted(_gaps(asked, live_since).items())]


def _gaps(asked: Asked, live_since: Mapping[str, datetime | None]) -> dict[str, tuple[datetime, datetime]]:
    """Rollup -> from where to where neither its closed windows nor live has anything, until lake has replayed it."""
    found = {}
    for rollup, since in live_since.items():
        target = next((each for each in asked.targets if each.table == lake_rollup(rollup)), None)
        log = None if target is None else read_log(lake_table(asked.lake_root, asked.stream.name, target.table))
        cursor = None if log is None or target is None else log.cursor_at(target.version)
        horizon = datetime.fromtimestamp((cursor and cursor.horizon) or 0, UTC)
        if since is not None and cursor is not None and since > horizon:
            found[rollup] = (horizon, since)
    return found


def _gap(rollup: str, horizon: datetime, since: datetime) -> str:
    return (
        f"{rollup}: live's seconds in ClickHouse begin at {since:%Y-%m-%d %H:%M:%S} UTC; windows between "
        f"{horizon:%Y-%m-%d %H:%M:%S} UTC and then are missing there until lake has closed them again"
    )
