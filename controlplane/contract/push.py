"""What travels between the hub and whoever watches: the push protocol, version 1.

JSON text frames over one WebSocket at `/api/v1/push`. The client subscribes to topics, gets one full `update` at
once and then further ones. Updates are latest-wins: a slow client skips some and never falls behind. `seq` grows by
one a topic, across clients, so a gap is visible. After drawing an update the client sends `painted`, which is how the
time from event to pixel is measured. Who comes back says what it had last, and goes on from there.

`TOPICS` names every topic; ARCHITECTURE.md, "Push protocol", is for who writes a client, and a test holds it to what is here.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter
from pydantic.json_schema import models_json_schema

from controlplane.contract.alerts import AlertsCounted, IncidentsFrame
from controlplane.contract.facts import (
    HopMeasured,
    LedgerTaken,
    MaintenancePlanned,
    MaintenanceRan,
    PartChanged,
    TableMeasured,
    Verdict,
)
from controlplane.contract.frozen import Frozen
from controlplane.contract.lag import LagFrame
from controlplane.contract.latency import LatencyFrame
from controlplane.contract.operations import OperationsFrame
from controlplane.contract.scaling import ScalingFrame
from controlplane.contract.spark import SparkFrame
from controlplane.contract.verdicts import QualityFrame

PROTOCOL_VERSION = 1
PROTOCOL = f"tidegate.push.v{PROTOCOL_VERSION}"
"""As a WebSocket's subprotocol; who offers none is taken to speak version 1."""
BEARER = "tidegate.bearer."
"""Begins the subprotocol by which a page shows a token: a browser sends no `Authorization` with a WebSocket."""


class CloseCode(IntEnum):
    """Why the hub closes a WebSocket, where it is not WebSocket's own reason."""

    SIGNED_OUT = 1008
    """The session has ended, or the token was taken back."""
    VERSION = 4001
    """None of the versions that the client speaks is spoken here."""
    TOO_SLOW = 4002
    """It has taken nothing for `TAKES_WITHIN_S`."""
    TOO_MANY = 4003
    """There are too many watchers, in all or of this person."""


TAKES_WITHIN_S = 10.0
"""A client whose socket takes nothing for so long, though something waits, is closed."""
_TOPICS_AT_MOST = 500


class Subscribe(Frozen):
    """Client: send me these topics from now on; replaces an earlier subscription.

    Who was here before says of which `epoch` it is, and which `seq` it had last of each topic; the answer is `resumed`.
    """

    type: Literal["subscribe"] = "subscribe"
    topics: tuple[str, ...] = Field(max_length=_TOPICS_AT_MOST)
    epoch: str | None = None
    since: dict[str, int] = Field(default_factory=dict, max_length=_TOPICS_AT_MOST)


class Refresh(Frozen):
    """Client: send me a full frame of a topic, I have missed something."""

    type: Literal["refresh"] = "refresh"
    topic: str


class Painted(Frozen):
    """Client: update `seq` of `topic` was on screen at `at_ms` (epoch milliseconds, the client's clock)."""

    type: Literal["painted"] = "painted"
    topic: str
    seq: int
    at_ms: float


class Ping(Frozen):
    """Client: what time is it at your end? `at_ms` is echoed, so the client can estimate its clock's offset."""

    type: Literal["ping"] = "ping"
    at_ms: float


ClientMessage = Annotated[Subscribe | Refresh | Painted | Ping, Field(discriminator="type")]
CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


class Welcome(Frozen):
    """Server, first message: protocol version, and the hub's `epoch`: another one counts its `seq` anew."""

    type: Literal["welcome"] = "welcome"
    version: int = PROTOCOL_VERSION
    epoch: str
    asks_painted: bool = True
    """Say `painted` of what you draw. A hundred watchers say it well enough; of a thousand it would be most of the hub's work."""


class Resumption(StrEnum):
    """How a topic goes on for who was here before."""

    CURRENT = "current"
    """Nothing has been told since: what it has is the newest."""
    MISSED = "missed"
    """The updates that it has missed follow, each."""
    FULL = "full"
    """A full frame follows: the epoch is another, or too much was missed."""


class Resumed(Frozen):
    """Server: answer to a `subscribe` with `since`, by topic."""

    type: Literal["resumed"] = "resumed"
    topics: dict[str, Resumption]


class Pong(Frozen):
    """Server: answer to `ping`."""

    type: Literal["pong"] = "pong"
    ping_at_ms: float
    at_ms: float


class Refused(Frozen):
    """Server: a message or topic that is not understood, and why."""

    type: Literal["refused"] = "refused"
    reason: str


class Percentiles(Frozen):
    """A latency's distribution over the last minutes, milliseconds."""

    p50: float
    p99: float
    samples: int


class StreamState(Frozen):
    """One stream on the overview: its hops in order, its ledger's verdict."""

    name: str
    title: str
    hops: tuple[HopMeasured, ...]
    verdict: Verdict
    verdict_reason: str
    feed_ended: bool = False


class Problem(Frozen):
    """Something that is not as it should be, in the words that the console shows."""

    subject: str
    """What it is about: `part lake`, `ledger of shop`, `shop.raw`."""
    reason: str
    since: AwareDatetime | None = None
    """When it was first seen; None when that is unknown."""
    page: str = "/"
    """Address of the console's page that shows more."""


class OverviewFrame(Frozen):
    """All streams and parts as known at `at`."""

    at: AwareDatetime
    streams: tuple[StreamState, ...]
    parts: tuple[PartChanged, ...]
    problems: tuple[Problem, ...] = ()
    """What is wrong now, the worst first; empty when nothing is known to be."""
    event_to_pixel: Percentiles | None = None
    alerts: AlertsCounted | None = None
    """How many incidents are open; None when alerts has not said so lately."""
    reason: str | None = None
    """Why something above is unknown."""


class LedgerPoint(Frozen):
    """A stream's account at an earlier time: when its verdict changed, and once a minute."""

    at: AwareDatetime
    verdict: Verdict
    reason: str
    produced: int | None = None
    routed: int | None = None
    valid: int | None = None
    dead: int | None = None
    quarantined: int | None = None
    lake: int | None = None
    serving: int | None = None


class StreamLedger(Frozen):
    """One stream's account as known now, and how it was before."""

    name: str
    title: str
    verdict: Verdict
    reason: str
    taken: LedgerTaken | None
    """None while no account has been reported."""
    history: tuple[LedgerPoint, ...]
    """Oldest first; the last hours."""


class LedgerFrame(Frozen):
    """Every stream's ledger."""

    at: AwareDatetime
    streams: tuple[StreamLedger, ...]


class LakeTable(Frozen):
    """One Delta table as known now."""

    table: str
    measured: TableMeasured
    """With no values and a reason when nobody has looked lately."""
    horizon: AwareDatetime | None = None
    """Rollups: up to where windows are closed, event time; None while that is not known."""
    published: AwareDatetime | None = None
    """Rollups: up to where ClickHouse has the closed windows."""
    last: MaintenanceRan | None = None
    """The last stage of maintenance that was about it."""


class StreamLake(Frozen):
    """One stream's Delta tables."""

    name: str
    title: str
    planned: MaintenancePlanned
    """With no values and a reason when the part has not reported lately."""
    tables: tuple[LakeTable, ...]


class LakeFrame(Frozen):
    """Every stream's tables, and what maintenance did last."""

    at: AwareDatetime
    streams: tuple[StreamLake, ...]
    runs: tuple[MaintenanceRan, ...]
    """The last stages, the newest first."""


class Series(Frozen):
    """One line of a chart; `values` aligns with the frame's `buckets`, None where the bucket has no event."""

    key: tuple[str, ...]
    """Values of the rollup's dimensions, in their order; `("(other)", ...)` holds what was not in the top."""
    measures: dict[str, tuple[float | None, ...]]


class Marks(Frozen):
    """When the events in a frame passed each hop, epoch milliseconds: the low mark of all partitions."""

    event_ms: float | None = None
    """Every event up to this event time, in every partition that had one lately, is in the frame."""
    raw_ms: float | None = None
    """The same by the time the raw topic took the event."""
    served_ms: float | None = None
    """When the hub had read the frame from ClickHouse."""
    events: int | None = None
    """So many had arrived in ClickHouse since the stream began; not all need be up to the marks."""


class LiveFrame(Frozen):
    """A rollup's newest buckets.

    `full` replaces all that the client holds; otherwise the buckets given replace those of the same start and newer
    ones are appended, the oldest falling out so that `span_s` is kept.
    """

    stream: str
    rollup: str
    full: bool
    bucket_s: float
    span_s: float
    buckets: tuple[float, ...]
    """Start of each bucket in event time, epoch seconds, ascending, without holes."""
    series: tuple[Series, ...]
    """Ordered by the first measure's total, largest first."""
    totals: dict[str, float | None]
    """Each measure over the whole span and all keys."""
    newest_event_at: AwareDatetime | None
    marks: Marks
    reason: str | None = None


Frame = (
    OverviewFrame
    | LedgerFrame
    | LakeFrame
    | QualityFrame
    | LagFrame
    | SparkFrame
    | ScalingFrame
    | OperationsFrame
    | LatencyFrame
    | IncidentsFrame
    | LiveFrame
)
LIVE = "live/<stream>/<rollup>"
TOPICS: dict[str, type[Frozen]] = {
    "overview": OverviewFrame,
    "ledger": LedgerFrame,
    "lake": LakeFrame,
    "quality": QualityFrame,
    "lag": LagFrame,
    "spark": SparkFrame,
    "scaling": ScalingFrame,
    "operations": OperationsFrame,
    "latency": LatencyFrame,
    "incidents": IncidentsFrame,
    LIVE: LiveFrame,
}
"""What is told of each; there is a topic `live/...` for each rollup of each stream."""


class Update(Frozen):
    """Server: a topic's newest state. `event_ms` in `data.marks` is what `painted` is measured against."""

    type: Literal["update"] = "update"
    topic: str
    seq: int
    sent_at_ms: float
    data: Frame


ServerMessage = Annotated[Welcome | Resumed | Update | Pong | Refused, Field(discriminator="type")]
SERVER_MESSAGE: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)


_SENT: tuple[type[Frozen], ...] = (Subscribe, Refresh, Painted, Ping)
_GOT: tuple[type[Frozen], ...] = (Welcome, Resumed, Update, Pong, Refused)


def schema() -> dict[str, Any]:
    """JSON Schema of every message, and the frame that `data` of an update is, by topic."""
    told = [*_GOT, *TOPICS.values()]
    refs, definitions = models_json_schema(
        [*((each, "serialization") for each in told), *((each, "validation") for each in _SENT)],
        title="Tidegate push protocol",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "version": PROTOCOL_VERSION,
        "subprotocol": PROTOCOL,
        "client": [refs[each, "validation"] for each in _SENT],
        "server": [refs[each, "serialization"] for each in _GOT],
        "topics": {topic: refs[each, "serialization"] for topic, each in TOPICS.items()},
        "close_codes": {each.name.lower(): each.value for each in CloseCode},
        **definitions,
    }
