"""What does a load test ask for, what is its shape, and what does it find?

A shape is a line through corners: seconds since the start, and a level from 0 to 1 of what was asked for at the most. All that
follows from it (how many events are due by now, when the peak ends) is pure, so plan, page and the process that loads agree.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from pydantic import AwareDatetime, Field, model_validator

from controlplane.contract.durations import Duration  # noqa: TC001 (pydantic reads the annotation)
from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/api/v1/loads"
EVENTS_AT_MOST = 5_000_000
"""Of one run: what it sent is counted one by one afterwards."""
SENDERS_AT_MOST = 16
"""Producers of the SDK at once: each has threads and connections of its own."""
LONGEST = timedelta(hours=6)
SHORTEST = timedelta(seconds=5)
_RAMP_S = 10.0
_REST_LEVEL = 0.1
"""A flash sale begins and ends at a tenth of its peak."""
_HALVINGS = 50

Corners = tuple[tuple[float, float], ...]
"""(seconds, level) in order of time; the level between two is on the line between them."""


class LoadTarget(StrEnum):
    """What is loaded."""

    KAFKA = "kafka"
    """A stream's raw topic, by the SDK's transactional producer."""
    COLLECTOR = "collector"
    """The same over HTTP."""
    CONSOLE = "console"
    """What the console's pages ask the API for."""
    HUB = "hub"
    """WebSockets that watch a stream."""

    @property
    def writes(self) -> bool:
        """Does it send events into a stream?"""
        return self in (LoadTarget.KAFKA, LoadTarget.COLLECTOR)


class LoadShape(StrEnum):
    """How the load goes over time."""

    STEADY = "steady"
    FLASH_SALE = "flash-sale"
    """A tenth, then ten times as much within ten seconds, held, and back."""
    STEP = "step"
    """A quarter more at each quarter of the time."""
    SOAK = "soak"
    """Up slowly, held for long, and down."""


def corners_of(shape: LoadShape, seconds: float) -> Corners:
    """The corners of a shape that lasts so long; ramps get shorter where there is no time for them."""
    ramp = min(_RAMP_S, seconds / 8)
    match shape:
        case LoadShape.STEADY:
            return ((0.0, 1.0), (seconds, 1.0))
        case LoadShape.FLASH_SALE:
            up, down = seconds / 4, seconds * 5 / 8
            line = ((0.0, _REST_LEVEL), (up, _REST_LEVEL), (up + ramp, 1.0), (down, 1.0))
            return (*line, (down + ramp, _REST_LEVEL), (seconds, _REST_LEVEL))
        case LoadShape.STEP:
            quarter = seconds / 4
            return tuple((at * quarter, level / 4) for level in (1, 2, 3, 4) for at in (level - 1, level))
        case LoadShape.SOAK:
            slow = min(60.0, seconds / 8)
            return ((0.0, 0.0), (slow, 1.0), (seconds - slow, 1.0), (seconds, 0.0))


def level_at(corners: Corners, at_s: float) -> float:
    """The level at a moment; 0 before the start and after the end."""
    if not corners[0][0] <= at_s <= corners[-1][0]:
        return 0.0
    level = corners[0][1]
    for (start, low), (end, high) in pairwise(corners):
        if start <= at_s:
            level = high if at_s >= end else low + (high - low) * (at_s - start) / (end - start)
    return level


def due_by(corners: Corners, at_s: float) -> float:
    """Seconds at the full level that have been due until a moment; times the rate: events."""
    total = 0.0
    for (start, low), (end, high) in pairwise(corners):
        until = min(at_s, end)
        if until > start:
            then = low + (high - low) * (until - start) / (end - start)
            total += (low + then) / 2 * (until - start)
    return total


def due_at(corners: Corners, amount: float) -> float:
    """When so much has been due; the shape's end where it never is."""
    low, high = corners[0][0], corners[-1][0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if due_by(corners, middle) < amount else (low, middle)
    return high


def peak_of(corners: Corners) -> tuple[float, float]:
    """From when until when it is at its highest, seconds."""
    most = max(level for _, level in corners)
    at = [moment for moment, level in corners if level == most]
    return at[0], at[-1]


class LoadAsked(Frozen):
    """A load test."""

    stream: str
    """Which events are sent, or whose pages and pictures are watched."""
    target: LoadTarget = LoadTarget.KAFKA
    shape: LoadShape = LoadShape.STEADY
    rate: float = Field(200.0, gt=0, le=100_000)
    """At the peak: events a second, or requests a second of the console; a hub's clients watch and ask for nothing."""
    lasts: Duration = timedelta(minutes=1)
    users: int = Field(4, ge=1, le=2000)
    """Who sends or asks at the same time; of a hub its clients at the peak."""

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if not SHORTEST <= self.lasts <= LONGEST:
            raise ValueError("lasts: from 5s to 6h")
        if self.target is LoadTarget.KAFKA and self.users > SENDERS_AT_MOST:
            raise ValueError(f"users: each is a producer of its own; {SENDERS_AT_MOST} at most for kafka")
        if self.target.writes and self.events > EVENTS_AT_MOST:
            raise ValueError(
                f"rate: that would be {self.events:,} events, and a run may send {EVENTS_AT_MOST:,}: ask for less, or shorter"
            )
        return self

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.lasts.total_seconds()

    @property
    def corners(self) -> Corners:
        """Its shape."""
        return corners_of(self.shape, self.seconds)

    @property
    def events(self) -> int:
        """How many events, or requests, it offers in all."""
        return int(self.rate * due_by(self.corners, self.seconds)) if self.target is not LoadTarget.HUB else 0


class Offered(Frozen):
    """What the process that loads did within one second."""

    t_s: float
    """End of the second, since the start."""
    users: int
    due: int = 0
    """How many the shape had due until now."""
    offered: int = 0
    """How many were sent until now."""
    statuses: dict[str, int] = Field(default_factory=dict)
    """How many were answered within it, by what: `202`, `429`, `200`, `push`, `none` (no answer), ..."""
    ms: dict[str, int] = Field(default_factory=dict)
    """How many took how long, milliseconds since they were due; in steps of five percent."""


class Observed(Frozen):
    """How the platform was at one moment; None where nobody said."""

    t_s: float
    lag_s: dict[str, float | None] = Field(default_factory=dict)
    """By query, such as `route shop`."""
    pixel_p99_ms: float | None = None
    """Event to pixel, of whoever watches."""
    executors: int | None = None
    waiting: float | None = None
    """Events that wait in the collector."""


class LoadSecond(Frozen):
    """One second on the time axis of a report; None where it was not measured."""

    t_s: float
    asked: float
    """Level of the shape times what was asked for."""
    users: int | None = None
    offered: float | None = None
    accepted: float | None = None
    refused: float | None = None
    """Answered 429."""
    failed: float | None = None
    """Answered otherwise, or not."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    lag_s: dict[str, float | None] = Field(default_factory=dict)
    pixel_p99_ms: float | None = None
    executors: int | None = None
    waiting: float | None = None


class Balance(Frozen):
    """Is every acknowledged event of a run there once, and no other? By the run's own ids, whatever else was sent meanwhile."""

    acknowledged: int
    refused: int
    unanswered: int
    """No answer came: such an event may be there once, or not at all."""
    valid: int
    dead: int
    quarantined: int
    served: int | None = None
    """In ClickHouse; None when it was not counted."""
    lost: int
    """Acknowledged and nowhere."""
    doubled: int
    """There more than once."""
    uninvited: int
    """Refused, and there all the same."""
    reason: str = ""
    """Why something was not counted."""

    @property
    def is_balanced(self) -> bool:
        """Nothing lost, nothing doubled; of what is valid ClickHouse has each one once, where it was asked."""
        return not (self.lost or self.doubled or self.uninvited) and self.served in (None, self.valid)


class Recovery(Frozen):
    """How long a query took to be back where it was, from the end of the peak on."""

    consumer: str
    level_s: float
    """Lag below which it is."""
    worst_s: float | None
    seconds: float | None
    """None when it was not seen to be back."""
    reason: str = ""


class Judgement(Frozen):
    """What is to be thought of one thing."""

    about: str
    state: str = Field(pattern="^(good|bad|unknown)$")
    text: str


class LoadReport(Frozen):
    """What a run found."""

    id: str
    asked: LoadAsked
    by: str
    at: AwareDatetime
    """When it began."""
    ended: str
    """`whole`, or why it was cut short."""
    corners: Corners
    peak_s: tuple[float, float]
    offered: int
    statuses: dict[str, int]
    """How many were answered what, in all."""
    accepted_per_s: float | None
    """At the peak, the median of its seconds."""
    p50_ms: float | None
    p99_ms: float | None
    """At the peak."""
    pixel_p99_ms: float | None
    """The highest that was seen."""
    recoveries: tuple[Recovery, ...] = ()
    balance: Balance | None = None
    judgements: tuple[Judgement, ...] = ()
    seconds: tuple[LoadSecond, ...] = ()
    settings: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def recovery_s(self) -> float | None:
        """Until the last query was back; None when one was not seen to be, or none was watched."""
        found = [each.seconds for each in self.recoveries]
        known = [each for each in found if each is not None]
        return max(known) if known and len(known) == len(found) else None

    @property
    def verdict(self) -> str:
        """The worst of its judgements."""
        states = {each.state for each in self.judgements}
        return next((each for each in ("bad", "unknown", "good") if each in states), "unknown")


class Difference(Frozen):
    """One figure of two runs."""

    figure: str
    unit: str
    before: float | None
    after: float | None
    is_better: bool | None
    """Is the later one better? None: the two cannot be told apart, one is not known, or the loads were not the same."""
    n: tuple[int, int]
    """How many values each rests on."""
    text: str


class LoadCompared(Frozen):
    """Two runs beside one another."""

    before: LoadReport
    after: LoadReport
    differences: tuple[Difference, ...]
    incomparable: tuple[str, ...] = ()
    """Why neither can be called better: what was asked for differs, or one was cut short."""
    notes: tuple[str, ...] = ()
    """What else differs, and may be why: settings, machine, versions."""


def peak_seconds(report: LoadReport) -> Sequence[LoadSecond]:
    """The seconds of a report at the peak."""
    low, high = report.peak_s
    return [each for each in report.seconds if low < each.t_s <= high and each.offered is not None]
