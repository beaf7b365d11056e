"""What has happened? The facts that rooms report to the control plane.

A fact is frozen and in the past tense. It is reported over HTTP after the write it describes is durable, at least
once, with an id, so folding one twice changes nothing. A value that was not measured is None, with a reason: unknown
is never 0.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from controlplane.contract.alerts import AlertsCounted, IncidentsListed
from controlplane.contract.frozen import Frozen, Reported
from controlplane.contract.gates import BreakerChanged, GateDecided, SuiteFollowed
from controlplane.contract.lag import LagExplained, LagJudged
from controlplane.contract.latency import BurnJudged, HopsTimed, ProbeSent, ProbesJudged
from controlplane.contract.names import Hop
from controlplane.contract.replays import RejectsKept
from controlplane.contract.scaling import ExecutorsChanged, ScalingDecided
from controlplane.contract.spark import LatencyMeasured, QueryProgressed, SparkObserved, SparkStarted


class PartState(StrEnum):
    """The life of a supervised process."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    UNRESPONSIVE = "unresponsive"
    """Its process is there and has said nothing for a while: stopped, hung, or waiting for something without an end."""
    BACKING_OFF = "backing_off"
    HELD = "held"
    """It died too often in a row; it is not started again until somebody says so."""
    ENDED = "ended"
    STOPPED = "stopped"


class PartChanged(Reported):
    """A supervised part's state, as the supervisor sees it now."""

    kind: Literal["part_changed"] = "part_changed"
    part: str
    state: PartState
    pid: int | None = None
    address: str | None = None
    started_at: AwareDatetime | None = None
    memory_bytes: int | None = None
    restarts: int = 0
    reason: str | None = None


class HopMeasured(Reported):
    """How one hop of one stream stands: what arrived so far, how fast, and how far it is behind the hop before."""

    kind: Literal["hop_measured"] = "hop_measured"
    stream: str
    hop: Hop
    events: int | None = None
    """Records that this hop has taken since the stream began."""
    events_per_s: float | None = None
    lag_events: int | None = None
    """Records of the hop before that this one has not taken yet."""
    lag_s: float | None = None
    """Age of the oldest record that this hop has not taken yet; 0 when there is none."""
    newest_at: AwareDatetime | None = None
    """When this hop took its newest record."""
    reason: str | None = None
    """Why a value is unknown."""


class FeedProgressed(Reported):
    """How far a demo feed has come."""

    kind: Literal["feed_progressed"] = "feed_progressed"
    stream: str
    produced: int
    planned: int | None = None
    """None for a feed without an end."""
    ended: bool = False


class BatchCommitted(Reported):
    """One lake micro-batch is durable: offsets are of the stream's valid topic, `until` exclusive."""

    kind: Literal["batch_committed"] = "batch_committed"
    stream: str
    table: str
    version: int
    rows: int
    offsets: dict[int, tuple[int, int]]
    took_s: float


class StreamHeld(Reported):
    """Whether an operation holds a stream of the lake: nothing of it is written meanwhile, and that is meant so."""

    kind: Literal["stream_held"] = "stream_held"
    stream: str
    operation: str | None = None
    """Who holds it; None when nobody does."""
    holds: Literal["tables", "appends"] | None = None
    """Only the tables that follow, or the events as well."""
    since: AwareDatetime | None = None


class EntitiesUpserted(Reported):
    """One MERGE into an entity's table is durable."""

    kind: Literal["entities_upserted"] = "entities_upserted"
    stream: str
    table: str
    version: int
    events: int
    """How many events it folded in."""
    inserted: int
    updated: int
    files_read: int | None = None
    """Of the table's files, those that it opened; where Delta does not tell, those that it changed. None for the first write."""
    files_there: int | None = None
    bytes_written: int
    took_s: float


class WindowsClosed(Reported):
    """Closed windows of a rollup are durable in the lake."""

    kind: Literal["windows_closed"] = "windows_closed"
    stream: str
    table: str
    version: int
    rows: int
    """Windows by dimensions, written or corrected."""
    horizon: AwareDatetime
    """End of the last closed window, event time."""
    corrected: bool
    """Late events have changed windows that had closed."""
    took_s: float


class WindowsPublished(Reported):
    """A rollup's closed windows are what readers of ClickHouse see, up to the horizon."""

    kind: Literal["windows_published"] = "windows_published"
    stream: str
    rollup: str
    lake_version: int
    horizon: AwareDatetime
    rows: int
    """Sent to ClickHouse; the whole partitions that had changed."""
    took_s: float


class RangeInserted(Reported):
    """The pump's inserts since its last report are durable in ClickHouse."""

    kind: Literal["range_inserted"] = "range_inserted"
    stream: str
    rows: int
    inserts: int
    took_s: float


class ReferencesLoaded(Reported):
    """Route enriches a stream's events by this version of its reference tables."""

    kind: Literal["references_loaded"] = "references_loaded"
    stream: str
    fingerprint: str
    """What each event enriched by it has in `tg_references`."""
    since: AwareDatetime
    """When it was taken."""
    rows: dict[str, int]
    """By table."""
    refused: str | None = None
    """Why the tables of now are not taken; None while they are the ones in use."""


class Verdict(StrEnum):
    """Does a ledger add up?"""

    BALANCED = "balanced"
    IN_FLIGHT = "in_flight"
    UNBALANCED = "unbalanced"
    UNKNOWN = "unknown"


class LedgerPartition(Frozen):
    """One partition's account over `[raw_from, raw_until)` of its raw topic; None where it could not be counted."""

    partition: int
    raw_from: int
    raw_until: int
    settled_until: int = 0
    """Raw offset up to which every hop has passed: what is below adds up, or is in `LedgerTaken.mismatches`."""
    produced: int | None = None
    valid: int | None = None
    dead: int | None = None
    quarantined: int | None = None
    lake: int | None = None
    serving: int | None = None


class MismatchKind(StrEnum):
    """In which way does a range not add up?"""

    MISSING = "missing"
    DOUBLED = "doubled"


class LedgerRecord(Frozen):
    """A raw record that is not everywhere once: where it was found, and what it says."""

    offset: int
    at: AwareDatetime
    """When the raw topic took it."""
    key: str | None
    found: dict[Hop, int]
    """How often each hop after raw has it."""
    payload: str
    """JSON where it could be decoded, else its bytes in hexadecimal; shortened."""
    is_decoded: bool


class Mismatch(Frozen):
    """Raw offsets `[start, until)` of a partition whose events a hop does not have once each."""

    partition: int
    hop: Hop
    """`valid` stands for all that route writes; `lake` and `serving` are measured against the valid topic."""
    kind: MismatchKind
    start: int
    until: int
    events: int
    """How many records are missing, or how many there are too many."""
    records: tuple[LedgerRecord, ...] = ()
    """The first of them."""


class LedgerTaken(Reported):
    """A stream's account: every event produced is valid, dead or quarantined; every valid one in lake and serving."""

    kind: Literal["ledger_taken"] = "ledger_taken"
    stream: str
    partitions: tuple[LedgerPartition, ...]
    verdict: Verdict
    reason: str
    """One sentence that says what the verdict rests on."""
    changed_at: datetime | None = None
    """When a count last changed."""
    mismatches: tuple[Mismatch, ...] = ()
    """Where it does not add up; the first ones."""

    def total(self, column: str) -> int | None:
        """Sum of a column over the partitions; None when any partition's is unknown."""
        counts = [getattr(partition, column) for partition in self.partitions]
        return None if not counts or None in counts else sum(counts)


class SchemaSeen(Reported):
    """A producer wrote records of a schema into the raw topic, seen in a sample of what the ledger has read."""

    kind: Literal["schema_seen"] = "schema_seen"
    stream: str
    producer: str | None
    """Its transactional id; None for one that does not say who it is."""
    schema_id: int
    sampled: int
    """Records of it in the sample of the last minute; 0 when it has written none since."""
    of: int
    """How large that sample was."""
    seen_at: AwareDatetime
    """When the raw topic took the newest one that was looked at."""


class SchemaRead(Reported):
    """A part reads a stream with these schemas, as it says while it runs."""

    kind: Literal["schema_read"] = "schema_read"
    stream: str
    reader: str
    """`route`, `lake` or `live`."""
    hop: Hop
    """The topic that it reads."""
    schema_ids: tuple[int, ...]
    """Writers' schemas that it knows: versions of that topic's subject."""
    writes: int | None = None
    """The schema of what it writes; None when that is no Avro."""


class Extent(Frozen):
    """So many files, so large together."""

    files: int
    bytes: int


class TableMeasured(Reported):
    """How large a stream's Delta table is and in how many pieces; None where it is not known, with a reason."""

    kind: Literal["table_measured"] = "table_measured"
    stream: str
    table: str
    """Its folder below the stream's: `events`, `entity_<name>`, `rollup_<name>`."""
    version: int | None = None
    versions: int | None = None
    """How many versions its log still has."""
    files: int | None = None
    bytes: int | None = None
    small_files: int | None = None
    """Files below the policy's `small_file_bytes`."""
    partitions: int | None = None
    committed_at: AwareDatetime | None = None
    """When the newest version was committed."""
    reason: str | None = None


class MaintenanceStage(StrEnum):
    """What maintenance does, in the order in which it does it."""

    PROMISE = "promise"
    """Table properties that keep the files and the log of every version in the promise."""
    COMPACT = "compact"
    CLUSTER = "cluster"
    """Compaction that also lays rows which are near each other together (Z-order)."""
    VACUUM = "vacuum"
    CHECKPOINT = "checkpoint"
    """A checkpoint that was set aside is deleted."""
    SCRATCH = "scratch"
    """Temporary files of a process that is gone are deleted."""
    TOPIC = "topic"
    """A topic's configuration is set again."""


class MaintenanceRan(Reported):
    """One stage of maintenance was carried out, or failed."""

    kind: Literal["maintenance_ran"] = "maintenance_ran"
    run: str
    """Stages of one run have it in common."""
    stream: str | None
    """None for what belongs to no stream."""
    subject: str
    """Table, topic or folder."""
    stage: MaintenanceStage
    what: str
    """One sentence: what the plan said."""
    before: Extent | None = None
    """Of the table's files that the stage was about; for vacuum of those that no version needs."""
    after: Extent | None = None
    version: int | None = None
    """The table's, after it."""
    took_s: float
    error: str | None = None


class MaintenancePlanned(Reported):
    """When a stream's tables are looked at next, and what was due when they were looked at last."""

    kind: Literal["maintenance_planned"] = "maintenance_planned"
    stream: str
    next_at: AwareDatetime | None = None
    looked_at: AwareDatetime | None = None
    """None before the first look."""
    due: int | None = None
    """Stages that the last look found due."""
    is_running: bool = False
    reason: str | None = None
    """Why something above is unknown, or why the last look or run failed."""


Fact = Annotated[
    PartChanged
    | HopMeasured
    | FeedProgressed
    | BatchCommitted
    | StreamHeld
    | EntitiesUpserted
    | WindowsClosed
    | WindowsPublished
    | RangeInserted
    | QueryProgressed
    | LatencyMeasured
    | HopsTimed
    | ProbeSent
    | ProbesJudged
    | BurnJudged
    | LagJudged
    | LagExplained
    | SparkStarted
    | SparkObserved
    | ScalingDecided
    | ExecutorsChanged
    | ReferencesLoaded
    | LedgerTaken
    | SchemaSeen
    | SchemaRead
    | TableMeasured
    | MaintenanceRan
    | MaintenancePlanned
    | GateDecided
    | SuiteFollowed
    | BreakerChanged
    | RejectsKept
    | AlertsCounted
    | IncidentsListed,
    Field(discriminator="kind"),
]

FACTS: TypeAdapter[list[Fact]] = TypeAdapter(list[Fact])
"""Reads and writes a list of facts of any kind."""
