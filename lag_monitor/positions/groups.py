"""Where are the cluster's consumer groups? What they have committed.

Live is one of them: it commits an offset once everything before it is surely inserted, so it is reported as the query that it
is. Left out are the shadow groups, which mirror our queries. A group that commits nothing stands nowhere. In a cluster with
many groups a few are asked each round, so that each is as old as a few seconds at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from lag_monitor.kafka.shadow import SHADOW

if TYPE_CHECKING:
    from lag_monitor.kafka.cluster import Cluster
    from lag_monitor.kafka.records import Place

LIVE_GROUP = "tidegate-live-"
_AT_ONCE = 20
_ROUNDS = 5


@dataclass(frozen=True)
class Committed:
    """A group, and by topic where it is in each partition."""

    name: str
    has_members: bool
    positions: dict[str, dict[int, int]]


class Groups:
    """The groups as they were asked last."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._committed: dict[str, dict[Place, int]] = {}
        self._members: dict[str, bool] = {}
        self._asked: set[str] = set()

    def ask(self) -> None:
        """Ask which groups there are, and those that were asked the longest ago for their offsets.

        Raises:
            UnknownError: if the broker does not say.
        """
        found = {group.name: group.has_members for group in self._cluster.groups() if not group.name.startswith(SHADOW)}
        self._members = found
        # Oldest first: who is asked goes to the end.
        order = [*(name for name in found if name not in self._committed), *(n for n in self._committed if n in found)]
        at_once = max(_AT_ONCE, -(-len(order) // _ROUNDS))
        asked = {name: self._cluster.committed(name) for name in islice(order, at_once)}
        kept = {name: places for name, places in self._committed.items() if name in found and name not in asked}
        self._committed = {**kept, **asked}
        self._asked = set(asked)

    def topics(self) -> set[str]:
        """Every topic that a group has committed an offset of."""
        return {name for places in self._committed.values() for name, _ in places}

    def committed(self, group: str) -> dict[Place, int]:
        """Of one group; a group that is not there has committed nothing."""
        return self._committed.get(group, {})

    def asked(self) -> list[Committed]:
        """Of `others` those that were asked for their offsets this round."""
        return [each for each in self.others() if each.name in self._asked]

    def others(self) -> list[Committed]:
        """The groups that are not parts of ours, by name."""
        return [
            Committed(name, self._members.get(name, False), _by_topic(places))
            for name, places in sorted(self._committed.items())
            if not name.startswith(LIVE_GROUP) and places
        ]


def _by_topic(places: dict[Place, int]) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for (name, partition), offset in places.items():
        found.setdefault(name, {})[partition] = offset
    return found
