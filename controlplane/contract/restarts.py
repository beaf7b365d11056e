"""Which parts have to be started again when a stream's folder has become another, and how is that asked for?

Suites and reference tables are followed while parts run. All else is read when a part starts. Only what a part makes use of counts,
so that live goes on wherever it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.valid import valid_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

RESTARTS = "restarts"
"""Folder in the data folder: a file with a part's name asks the supervisor to start it again."""
_SHOWS = ("control", "console")
_ALL = ("collector", "route", "lake", "live", "ledger", "lag", "quality", "alerts", "maintenance", *_SHOWS)
READERS = (*_ALL, "grafana")
"""Parts that read the folders when they start."""
_USES: dict[str, tuple[str, ...]] = {
    "title": _SHOWS,
    "description": _SHOWS,
    "enrich": ("route", "lake", "live", "quality", *_SHOWS),
    "entities": ("lake", "maintenance", *_SHOWS),
    "rollups": ("lake", "live", "ledger", "maintenance", *_SHOWS),
    "lateness": ("lake", *_SHOWS),
    "gates": ("route", "lake", "quality", *_SHOWS),
    "maintenance": ("maintenance", "lake", *_SHOWS),
    "service_levels": ("alerts", "quality", "lag", *_SHOWS),
    "serving_retention": ("live", *_SHOWS),
}
"""Part of `stream.yaml` -> the parts that read it; what is not named here is read by all."""
_FOLLOWED = frozenset(("name", "folder", "home", "suites", "row_rules"))


def to_restart(before: StreamDefinition, after: StreamDefinition) -> tuple[str, ...]:
    """Parts that read what is different, in the order of an event's way; empty: all of it is followed."""
    found = {part for field in _differing(before, after) for part in _USES.get(field, _ALL)}
    if valid_schema(before) != valid_schema(after):
        found |= {"route", "lake", "live", "quality", *_SHOWS}
    return tuple(part for part in _ALL if part in found)


def _differing(before: StreamDefinition, after: StreamDefinition) -> Iterator[str]:
    for field in type(before).model_fields:
        if field not in _FOLLOWED and getattr(before, field) != getattr(after, field):
            yield field


def ask_restarts(data: Path, parts: Iterable[str]) -> bool:
    """Ask the supervisor of a platform in this folder; False where there is none, so that somebody has to do it.

    Raises:
        OSError: if it cannot be asked.
    """
    if not (data / RESTARTS).is_dir():
        return False
    for part in parts:
        (data / RESTARTS / part).touch()
    return True
