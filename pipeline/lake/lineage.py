"""Which commits is a table made of, when some were rolled back and others rewrote what was there?

A rollback is a commit that has the content of an earlier version: what lies between the two is no part of the table any more,
unless a later rollback goes back to it. So versions are a tree that is written down as a line, and what a table is made of is the
way from its version to the root. A backfill's commit (a swap) is on that way but brings no event: who follows the events leaves
it out.

Commits say what they are in their `userMetadata`:

- rollback: `{"rollback": {"operation": id, "to": version}}`; `to` is -1 for a table that did not exist then;
- swap, and what it changed in a table that follows: `{"backfill": {"operation": id, ...}}`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NOTHING = -1
"""Before the first version."""


@dataclass(frozen=True)
class Rollback:
    """A commit that has the content of an earlier version."""

    operation: str
    to: int


@dataclass(frozen=True)
class Said:
    """What a commit is besides what it changes."""

    rollback: Rollback | None = None
    backfill: str | None = None
    """The operation."""

    @property
    def is_followed(self) -> bool:
        """Does it bring events?"""
        return self.rollback is None and self.backfill is None


def said_in(metadata: str | None) -> Said:
    """Read a commit's `userMetadata`."""
    found = _object(metadata)
    rollback, backfill = found.get("rollback"), found.get("backfill")
    return Said(
        Rollback(str(rollback["operation"]), int(rollback["to"])) if isinstance(rollback, dict) else None,
        str(backfill["operation"]) if isinstance(backfill, dict) else None,
    )


def with_rollback(metadata: str | None, operation: str, to: int) -> str:
    """What a rollback's commit says: what the version that it goes back to said (`metadata`), and that it is one."""
    kept = {key: value for key, value in _object(metadata).items() if key not in ("backfill", "releases")}
    return json.dumps({**kept, "rollback": {"operation": operation, "to": to}})


def with_backfill(metadata: str | None, operation: str, **more: Any) -> str:  # noqa: ANN401 (JSON)
    """What a backfill's commit says, with what else it has to say (`metadata`), such as a cursor."""
    return json.dumps({**_object(metadata), "backfill": {"operation": operation, **more}})


def says(history: Iterable[Mapping[str, Any]]) -> dict[int, Said]:
    """Version -> what its commit is, of a table's history as deltalake gives it."""
    return {int(each["version"]): said_in(each.get("userMetadata")) for each in history}


def origin(said: Mapping[int, Said], version: int) -> int:
    """The version whose content a version has: itself, unless it is a rollback's."""
    at = version
    while (commit := said.get(at)) is not None and commit.rollback is not None:
        at = commit.rollback.to
    return at


def way_back(said: Mapping[int, Said], version: int) -> Iterator[int]:
    """The commits that a version is made of, the newest first; as far as `said` goes, for a log does not go back for ever."""
    at = origin(said, version)
    while at in said:
        yield at
        at = origin(said, at - 1)


def is_made_of(said: Mapping[int, Said], version: int, other: int) -> bool:
    """Has a version all that another has, and was it made from that? Each is made of itself, and of `NOTHING`."""
    goal = origin(said, other)
    return goal in (NOTHING, origin(said, version)) or goal in way_back(said, version)


def followed(said: Mapping[int, Said], since: int, until: int) -> list[int] | None:
    """The commits that bring events, after a version that was followed, up to another, oldest first.

    Args:
        said: of each version from `since` on; of those before as well if one of them is a rollback.
        since: the version that was followed.
        until: the version to follow up to.

    Returns:
        None if what was followed is no part of the table any more, so it can't be gone on with.
    """
    goal, way, at = origin(said, since), list[int](), origin(said, until)
    while at > goal:
        if (commit := said.get(at)) is None:
            return None
        if commit.is_followed:
            way.append(at)
        at = origin(said, at - 1)
    return way[::-1] if at == goal else None


def stretches(versions: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending versions as first and last of each unbroken run."""
    found: list[tuple[int, int]] = []
    for each in versions:
        if found and found[-1][1] == each - 1:
            found[-1] = (found[-1][0], each)
        else:
            found.append((each, each))
    return found


def _object(metadata: str | None) -> dict[str, Any]:
    try:
        found = json.loads(metadata or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
