"""What can go wrong, as values: a fault says what is done, to whom and when; `Stage.commit` does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Moment(StrEnum):
    """When a process is killed."""

    ANY = "any"
    DELTA_COMMITTED = "delta_committed"
    """As soon as a lake batch is in Delta's log: before Spark's checkpoint knows of it."""


@dataclass(frozen=True)
class Killed:
    """SIGKILL to a part's process and its children."""

    part: str
    at: Moment = Moment.ANY

    def __str__(self) -> str:
        return f"killed {self.part}" + ("" if self.at is Moment.ANY else f" at {self.at}")


@dataclass(frozen=True)
class Stopped:
    """SIGTERM: a clean stop that nobody asked the supervisor for."""

    part: str

    def __str__(self) -> str:
        return f"stopped {self.part}"


@dataclass(frozen=True)
class Suspended:
    """SIGSTOP to a part's processes, and SIGCONT after a while: hung, then awake with everything it had in hand."""

    part: str
    for_s: float = 20.0

    def __str__(self) -> str:
        return f"suspended {self.part}"


@dataclass(frozen=True)
class DiskFull:
    """No byte is left on the disk of a part, for a while: lake and its checkpoints, or ClickHouse."""

    part: str = "lake"
    for_s: float = 12.0

    def __str__(self) -> str:
        return f"disk full for {self.part}"


@dataclass(frozen=True)
class CheckpointLost:
    """Lake is killed and its checkpoint deleted, or cut short in the middle of a file."""

    damaged: bool

    def __str__(self) -> str:
        return f"checkpoint of lake {'damaged' if self.damaged else 'deleted'}"


class Sort(StrEnum):
    """What a burst is made of."""

    POISON = "poison pills"
    CLOCK_AHEAD = "clock five minutes ahead"
    CLOCK_FAR_AHEAD = "clock two hours ahead"
    LATE = "late and out of order"
    FLOOD = "flood"
    FENCED = "a producer fenced off in its transaction"
    """Its events must not be seen; those of its successor, with the same transactional id, must."""


@dataclass(frozen=True)
class Burst:
    """So many events at once, from a producer of its own."""

    sort: Sort
    events: int

    def __str__(self) -> str:
        return str(self.sort)


@dataclass(frozen=True)
class Expanded:
    """The raw topic gains a partition, and events go there."""

    def __str__(self) -> str:
        return "topic expanded"


Fault = Killed | Stopped | Suspended | DiskFull | CheckpointLost | Burst | Expanded
PARTS = ("route", "lake", "live", "clickhouse", "control", "console", "feed-shop", "kafka", "registry", "ledger")
_WEIGHTED: tuple[tuple[int, Sequence[Fault]], ...] = (
    (6, [Killed(part) for part in PARTS]),
    (2, [Killed("lake", at=Moment.DELTA_COMMITTED)]),
    (1, [Stopped("kafka")]),
    (1, [Suspended(part) for part in ("route", "lake", "live", "clickhouse", "feed-shop", "kafka")]),
    (1, [DiskFull(), DiskFull("clickhouse")]),
    (1, [CheckpointLost(damaged=True), CheckpointLost(damaged=False)]),
    (2, [Burst(Sort.POISON, 500), Burst(Sort.LATE, 2_000), Burst(Sort.CLOCK_AHEAD, 200)]),
    (1, [Burst(Sort.FENCED, 500)]),
    (1, [Burst(Sort.CLOCK_FAR_AHEAD, 200), Burst(Sort.FLOOD, 100_000), Expanded()]),
)


def every() -> list[Fault]:
    """Each fault once."""
    return [fault for _, faults in _WEIGHTED for fault in faults]


def chosen(rounds: int, seed: int, among: Sequence[Fault]) -> list[Fault]:
    """A fault a round: every one as often as its weight says, in a seeded order; the same seed, the same rounds."""
    weights = {str(fault): weight for weight, faults in _WEIGHTED for fault in faults}
    deck = [fault for fault in among for _ in range(weights[str(fault)])]
    dice = Random(seed)  # noqa: S311 (an order, not a secret)
    dealt: list[Fault] = []
    while len(dealt) < rounds:
        shuffled = deck if len(deck) <= rounds - len(dealt) else list(among)
        dealt += dice.sample(shuffled, len(shuffled))
    return dealt[:rounds]
