"""How old is an event when a hop has it, from the producer's clock to the pixel; and how much of what was promised is left?"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen, Reported
from controlplane.contract.names import Hop
from controlplane.contract.spread import Spread

PROBE = "tidegate_probe"
"""The stream of probes: no stream of anybody's, so it is in no list of them."""
WINDOWS = {"5m": 300, "1h": 3600, "6h": 21600}
"""What is told of the last minutes and hours: name -> seconds."""


class LatencyHop(StrEnum):
    """Where an event has arrived, in the order of its way."""

    RAW = "raw"
    """The raw topic has taken it: the broker's clock."""
    ROUTED = "routed"
    """The valid topic has taken what route made of it: the broker's clock."""
    INSERTED = "inserted"
    """ClickHouse has answered the insert: live's clock."""
    SERVED = "served"
    """The hub has read a picture that shows it: the control plane's clock."""
    SENT = "sent"
    """The picture is written to the watchers' sockets: the control plane's clock."""
    PAINTED = "painted"
    """It is on a screen: the browser's clock, set by the control plane's to within half of its fastest round trip."""


class Since(StrEnum):
    """From when an event's age is counted."""

    EVENT = "event"
    """Its own event time: the producer's clock."""
    RAW = "raw"
    """The raw topic's taking it, because its event time is not of today: a replay."""


class HopsTimed(Reported):
    """How old the events were that a part has just handed on, of a sample of each block."""

    kind: Literal["hops_timed"] = "hops_timed"
    stream: str
    since: Since
    hops: dict[LatencyHop, Spread]
    """Weights are events."""


class ProbeSent(Reported):
    """Every second an event is sent on its way, so that something is measured also while nobody watches."""

    kind: Literal["probe_sent"] = "probe_sent"
    sent_at: AwareDatetime | None = None
    """Event time of the newest one that the raw topic has taken."""
    reason: str | None = None
    """Why it could not be sent."""


class ProbesJudged(Reported):
    """Whether probes arrive; the control plane says so while they are on."""

    kind: Literal["probes_judged"] = "probes_judged"
    reason: str | None = None
    """Why they do not; None while they do."""


class BurnVerdict(StrEnum):
    """How fast an error budget is spent."""

    KEPT = "kept"
    BURNS = "burns"
    """Over six hours and over half an hour faster than six times its pace: somebody's next working day."""
    BURNS_FAST = "burns_fast"
    """Over an hour and over five minutes faster than 14.4 times its pace: somebody is woken."""
    UNKNOWN = "unknown"


Level = Literal["latency", "freshness"]
BUDGET_DAYS = 30


class BurnJudged(Reported):
    """How much of a service level's error budget is left, and how fast it goes.

    Counted are seconds: of `latency` those whose events were shown within what was promised, or not; of `freshness` those in which
    a hop's oldest event was younger than promised, or not. So many of 30 days may be bad as the objective leaves.
    """

    kind: Literal["burn_judged"] = "burn_judged"
    stream: str
    level: Level
    hop: Hop | None = None
    """Of `freshness`: where."""
    promised_s: float
    objective: float = 0.99
    """Share of the time in which it is to be kept."""
    rates: dict[str, float | None] = Field(default_factory=dict)
    """Window -> how many times faster than allowed it is spent; None where too little was measured."""
    bad_share: float | None = None
    """Of the last five minutes."""
    counted_s: float | None = None
    """So much of the last 30 days was measured; None while ClickHouse has not said."""
    budget_left: float | None = None
    """Share of the 30 days' budget; below 0 it is overdrawn. None while that is not known."""
    gone_in_s: float | None = None
    """Until nothing is left at the last hour's rate; None when it never will be, or nobody knows."""
    by: Literal["browsers", "probes", "lag monitor"] | None = None
    """Who has measured it last; None when nobody has in the last five minutes."""
    verdict: BurnVerdict
    reason: str | None = None
    """Why it is unknown."""

    @property
    def subject(self) -> str:
        """What it is about: `shop`, `shop/lake`."""
        return self.stream if self.hop is None else f"{self.stream}/{self.hop}"


class HopLatency(Frozen):
    """How old events were at a hop, over a window. All None and 0 when nothing was measured."""

    hop: LatencyHop
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None
    samples: int = 0
    newest_at: AwareDatetime | None = None
    """When something was last measured, to within half a minute."""
    reason: str | None = None
    """Why nothing is known."""


class StreamLatency(Frozen):
    """One stream, or the probes."""

    name: str
    title: str
    since: Since | None
    """None while nothing was measured."""
    promised_ms: float | None
    """From the event to the pixel, 99 of 100; None for probes."""
    windows: dict[str, tuple[HopLatency, ...]]
    """Of each of `WINDOWS` every hop, in order."""
    burns: tuple[BurnJudged, ...] = ()


class ProbeState(Frozen):
    """How the probes are."""

    is_on: bool
    sent_at: AwareDatetime | None = None
    served_at: AwareDatetime | None = None
    """Event time of the newest one that was read from ClickHouse."""
    waits_s: float | None = None
    """Age of the oldest one that has been sent and not read; None when there is none, or nobody knows."""
    reason: str | None = None
    """Why none arrives; None while they do."""


class LatencyFrame(Frozen):
    """Every stream, as known at `at`."""

    at: AwareDatetime
    streams: tuple[StreamLatency, ...]
    probes: StreamLatency | None
    """None while they are off."""
    probe: ProbeState


class LatencyPoint(Frozen):
    """A hop as it was, from ClickHouse's `tidegate_latency`."""

    at: AwareDatetime
    """Where the bucket of time begins."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    samples: int


class LatencyBar(Frozen):
    """A bucket of a histogram."""

    from_ms: float
    to_ms: float
    share: float
    """Of what was measured."""


class LatencyKept(Reported):
    """A hop's half minute, as history keeps it; nobody reports it."""

    kind: Literal["latency_kept"] = "latency_kept"
    stream: str
    hop: LatencyHop
    since: Since
    spread: Spread


class PromiseCounted(Reported):
    """A service level's half minute, as history keeps it; nobody reports it."""

    kind: Literal["promise_counted"] = "promise_counted"
    stream: str
    level: Level
    hop: Hop | None = None
    bad_s: float
    total_s: float
