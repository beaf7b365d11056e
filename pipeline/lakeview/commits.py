"""What does a commit of a Delta log say? Its operation, rows and files, and which of our operations made it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from pipeline.lake.offsets import ranges_in, releases_in

_ACTS = {
    "MERGE": "merge",
    "OPTIMIZE": "compact",
    "VACUUM START": "vacuum",
    "VACUUM END": "vacuum",
    "RESTORE": "rollback",
    "DELETE": "delete",
    "UPDATE": "update",
    "WRITE": "append",
    "STREAMING UPDATE": "append",
    "CREATE TABLE": "create",
    "SET TBLPROPERTIES": "settings",
}
_COUNTS = {
    "inserted": ("numTargetRowsInserted", "num_target_rows_inserted"),
    "updated": ("numTargetRowsUpdated", "num_target_rows_updated"),
    "deleted": ("numTargetRowsDeleted", "num_target_rows_deleted", "numDeletedRows", "num_deleted_rows"),
    "written": ("numOutputRows", "num_added_rows"),
}


@dataclass(frozen=True)
class File:
    """A data file, as an `add` or a `remove` names it."""

    path: str
    """Below the table's folder, as it is on the store."""
    bytes: int | None
    rows: int | None
    """None when it has no statistics; a `remove` has none."""


@dataclass(frozen=True)
class Commit:
    """One version."""

    version: int
    at: datetime
    operation: str
    """As Delta calls it."""
    act: str
    """What it is to an operator: append, merge, rollback, swap, compact, vacuum, and the like."""
    rows: dict[str, int] = field(default_factory=dict)
    """inserted, updated, deleted or written; empty when its metrics do not say."""
    added: tuple[File, ...] = ()
    removed: tuple[File, ...] = ()
    by: str | None = None
    """Id of the operation that made it."""
    said: dict[str, Any] = field(default_factory=dict)
    """What its `userMetadata` says, if that is an object."""

    @property
    def offsets(self) -> dict[int, tuple[int, int]] | None:
        """Source offsets of its rows by partition, the end exclusive; None when it names none."""
        return ranges_in(json.dumps(self.said))

    @property
    def releases(self) -> str | None:
        """The diverted micro-batch that it let in."""
        return releases_in(json.dumps(self.said))

    @property
    def follows(self) -> int | None:
        """Entities and rollups: the version of events that it has followed."""
        found = self.said.get("follows")
        return int(found["events_version"]) if isinstance(found, dict) and "events_version" in found else None


def parse(version: int, text: str) -> Commit:
    """A commit's file: a JSON object a line."""
    info: dict[str, Any] = {}
    added: list[File] = []
    removed: list[File] = []
    for line in text.splitlines():
        action = json.loads(line) if line else {}
        info = action.get("commitInfo", info)
        if "add" in action:
            added.append(_file(action["add"]))
        if "remove" in action:
            removed.append(_file(action["remove"]))
    moment = info.get("inCommitTimestamp", info.get("timestamp", 0))
    operation, said = str(info.get("operation", "unknown")), _said(info.get("userMetadata"))
    by, act = _made_by(said)
    return Commit(
        version=version,
        at=datetime.fromtimestamp(moment / 1000, UTC),
        operation=operation,
        act=act or _act(operation, info.get("operationParameters") or {}),
        rows=_rows(info.get("operationMetrics") or {}),
        added=tuple(added),
        removed=tuple(removed),
        by=by,
        said=said,
    )


def _file(action: dict[str, Any]) -> File:
    stats = action.get("stats")
    rows = json.loads(stats).get("numRecords") if isinstance(stats, str) and stats else None
    return File(unquote(action["path"]), action.get("size"), rows)


def _said(metadata: str | None) -> dict[str, Any]:
    try:
        found = json.loads(metadata or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _made_by(said: dict[str, Any]) -> tuple[str | None, str | None]:
    for name, act in (("rollback", "rollback"), ("backfill", "swap")):
        found = said.get(name)
        if isinstance(found, dict):
            return (str(found["operation"]) if "operation" in found else None), act
    return None, None


def _act(operation: str, parameters: dict[str, Any]) -> str:
    if operation == "WRITE" and str(parameters.get("mode", "")).lower() == "overwrite":
        return "replace"
    return _ACTS.get(operation, "other")


def _rows(metrics: dict[str, Any]) -> dict[str, int]:
    """A MERGE counts what it wrote as well, which is the sum: left out."""
    found = {
        word: next((int(metrics[name]) for name in names if name in metrics), None) for word, names in _COUNTS.items()
    }
    counts = {word: count for word, count in found.items() if count is not None}
    if counts.keys() & {"inserted", "updated"}:
        counts.pop("written", None)
    return counts
