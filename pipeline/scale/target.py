"""What can have more executors or fewer?

Spark's driver has the same three calls for each of its clusters, so standalone and Kubernetes share an adapter (`executors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Executor:
    """One that has registered with the driver and runs."""

    id: str
    active_tasks: int = 0
    held_bytes: int = 0
    """Of cached blocks: whoever needs them computes them again once it is gone."""

    @property
    def age(self) -> int:
        """Greater for one that came later; Spark counts them up."""
        return int(self.id) if self.id.isdigit() else 0


class ScaleTarget(Protocol):
    """A cluster, as one application sees it."""

    def have(self) -> tuple[Executor, ...]:
        """Registered executors, without the driver."""

    def ask(self, executors: int) -> bool:
        """Say how many are wanted in all; none is ended by it. False when the cluster could not be told."""

    def let_go(self, ids: Sequence[str]) -> tuple[str, ...]:
        """End executors that run no task; those that will end."""

    def failed(self) -> int:
        """Executors that ended by themselves so far."""


class FakeTarget:
    """A cluster for tests: what is asked for comes when `deliver` says so, and it is as greedy at the start as Spark's."""

    def __init__(self, offered: int) -> None:
        self.offered, self.asked = offered, offered
        self.executors: dict[str, Executor] = {}
        self.lost = 0
        self._next = 0

    def deliver(self, at_most: int | None = None) -> None:
        """Let executors register, up to what was asked for."""
        missing = min(self.asked, self.offered) - len(self.executors)
        for _ in range(missing if at_most is None else min(missing, at_most)):
            self.executors[str(self._next)] = Executor(str(self._next))
            self._next += 1

    def lose(self, executor: str) -> None:
        """One dies."""
        del self.executors[executor]
        self.lost += 1

    def have(self) -> tuple[Executor, ...]:
        """As the port says."""
        return tuple(self.executors.values())

    def ask(self, executors: int) -> bool:
        """As the port says."""
        self.asked = executors
        return True

    def let_go(self, ids: Sequence[str]) -> tuple[str, ...]:
        """As the port says."""
        idle = tuple(each for each in ids if each in self.executors and not self.executors[each].active_tasks)
        for each in idle:
            del self.executors[each]
        return idle

    def failed(self) -> int:
        """As the port says."""
        return self.lost
