"""Is a consumer keeping up, and how far behind is it? Lag in offsets and in seconds, and what the two say over a window.

A consumer is a query of ours or a consumer group of anybody's, on one topic. Its lag in seconds is the age of the oldest record
that it has not taken, by the record's own timestamp. How that was had is said, and with which error. A value that is not known
is None, and somewhere near is a reason.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from controlplane.contract.frozen import Frozen, Reported
from controlplane.contract.names import Hop


class ConsumerKind(StrEnum):
    """What reads a topic?"""

    QUERY = "query"
    """A part of ours; its place is in what it has written, a checkpoint or a commit."""
    GROUP = "group"
    """A Kafka consumer group; its place is the offset that it committed."""


class LagVerdict(StrEnum):
    """Burrow's verdicts, the worst last."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARN = "warn"
    """It takes records, and falls further behind."""
    REWIND = "rewind"
    """It has gone back: records are taken again."""
    STALL = "stall"
    """It says where it is, and that does not move although there is something to take."""
    STOP = "stop"
    """It has said nothing for longer than it ever does."""


class LagSource(StrEnum):
    """How was the lag in seconds had?"""

    CAUGHT_UP = "caught_up"
    """Nothing is left to take: 0."""
    RECORD = "record"
    """The timestamp of the oldest record that was not taken, read from the topic."""
    BETWEEN = "between"
    """From two records on either side of it, whose timestamps are known; the error says how far they are apart."""


class PartitionLag(Frozen):
    """One partition, as a consumer stands in it."""

    partition: int
    position: int | None = None
    """Offset of the next record that it will take."""
    end: int | None = None
    """Offset of the next record that a producer will write."""
    lag_events: int | None = None
    """Offsets between the two; a transaction's marker is one as well."""
    lag_s: float | None = None
    error_s: float | None = None
    """The true lag in seconds is within this of `lag_s`."""
    source: LagSource | None = None
    taken_per_s: float | None = None
    """Offsets a second over the window."""
    arriving_per_s: float | None = None
    catch_up_s: float | None = None
    """Until nothing is left at these rates; 0 when nothing is; None when it never will be, or that is unknown."""
    retention_s: float | None = None
    """Until the oldest record that was not taken may be deleted; None when that is unknown, or none ever is."""
    moved_at: AwareDatetime | None = None
    """When its position last changed."""
    is_idle: bool = False
    """Nothing has been produced for a while and nothing is left: there is nothing to keep up with."""
    verdict: LagVerdict = LagVerdict.UNKNOWN
    rule: int | None = None
    """Number of the rule in `lag_monitor/verdict.py` that decided."""
    reason: str | None = None
    """What the verdict rests on, or why it is unknown."""


class Cause(StrEnum):
    """Why is a query slow?"""

    TOO_FEW_SLOTS = "too_few_slots"
    """Tasks wait for cores although every core works."""
    SKEWED_PARTITION = "skewed_partition"
    """One task has far more to do than the others."""
    GARBAGE_COLLECTION = "garbage_collection"
    SMALL_FILES = "small_files"
    """A MERGE opens and rewrites many files for few rows."""
    GATE = "gate"
    """Judging takes a large share of the batch, or the gate has stopped it."""
    SINK = "sink"
    """Writing takes most of the time."""
    SLOW_PLANNING = "slow_planning"
    """Offsets, planning and logs take more than the work."""
    INPUT_BURST = "input_burst"
    """More arrives than before; the query itself is as fast as ever."""
    NOT_RUNNING = "not_running"
    """Its part is down, or its query stands still."""


class Suspect(Frozen):
    """One cause, with what speaks for it."""

    cause: Cause
    share: float
    """Of the time or of the lag that it explains, 0 to 1: by it suspects are ranked."""
    evidence: str
    """One sentence with the numbers that were seen."""
    advice: str
    """One sentence: what to do."""
    page: str
    """Address of the console's page that shows more."""
    numbers: dict[str, float] = Field(default_factory=dict)
    """What the evidence names, by name with the unit last."""


class LagJudged(Reported):
    """How a consumer stands in a topic, and what is to be thought of it."""

    kind: Literal["lag_judged"] = "lag_judged"
    consumer: str
    """`route shop`, `lake shop`, `live shop`, or the name of a consumer group."""
    consumer_kind: ConsumerKind
    topic: str
    stream: str | None = None
    """Whose topic that is; None for a topic of nobody's here."""
    hop: Hop | None = None
    """Where a query of ours takes its events to."""
    partitions: tuple[PartitionLag, ...] = ()
    lag_events: int | None = None
    """Of all partitions; None when one is unknown."""
    lag_s: float | None = None
    """Of the partition that is the furthest behind."""
    error_s: float | None = None
    taken_per_s: float | None = None
    arriving_per_s: float | None = None
    catch_up_s: float | None = None
    """Until the last partition has nothing left; None when one never will, or that is unknown."""
    retention_s: float | None = None
    """Of the partition that has the least time left."""
    hot_partition: int | None = None
    """The one that has much more of the lag than its share; None when there is none."""
    is_idle: bool = False
    verdict: LagVerdict = LagVerdict.UNKNOWN
    """Of the worst partition."""
    since: AwareDatetime | None = None
    """When the verdict became what it is."""
    reason: str | None = None
    """What the verdict rests on, or why it is unknown."""
    shadow: str | None = None
    """Consumer group in which its position can be read by any Kafka tool; None when it has none."""


class LagExplained(Reported):
    """Why a query is slow, the likeliest cause first; said of every query, also of one that is not."""

    kind: Literal["lag_explained"] = "lag_explained"
    consumer: str
    stream: str
    is_slow: bool
    """It lags, or a batch takes longer than there is between two."""
    suspects: tuple[Suspect, ...] = ()
    reason: str | None = None
    """Why nothing can be said."""


class ConsumerState(Frozen):
    """One consumer on the Lag page."""

    lag: LagJudged
    is_stale: bool = False
    """Nobody has confirmed it for 10 s: it may be otherwise by now, and is no longer known."""
    explained: LagExplained | None = None
    """None for consumer groups, and while nothing was said lately."""


class LagFrame(Frozen):
    """Every consumer as known at `at`: queries first, the worst of each kind first."""

    at: AwareDatetime
    consumers: tuple[ConsumerState, ...]
    reason: str | None = None
    """Why there is none."""


class LagPoint(Frozen):
    """A consumer's lag as it was, from ClickHouse's `tidegate_lag`; one point a bucket, the worst in it."""

    at: AwareDatetime
    lag_events: int | None
    lag_s: float | None
    taken_per_s: float | None
    arriving_per_s: float | None
    verdict: LagVerdict
