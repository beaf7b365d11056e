"""What is a stream? The model of `stream.yaml`.

A stream is a folder: an Avro schema, a `stream.yaml`, the suites of its gates and its reference tables. Nothing here
reads files; `controlplane.contract.folders` does, and checks that the parts of a folder fit each other.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from controlplane.contract.durations import Duration
from controlplane.contract.gates import Policy, Stage
from controlplane.contract.rules import RowRule
from controlplane.contract.suites import fingerprint

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
"""A name that is safe as part of a topic, a table and a URL."""
FieldName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""A name that Avro and SQL take unquoted."""


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventTime(_Written):
    """Which field says when the event happened, and how far in the future it may lie."""

    field: FieldName
    ahead: Duration = timedelta(minutes=10)
    """An event dated later than this after its arrival is quarantined as `event_time_ahead`."""


class Topics(_Written):
    """Kafka's side of the stream."""

    partitions: int = Field(4, ge=1, le=1024)
    replication: int = Field(1, ge=1, le=9)
    retention: Duration = timedelta(days=7)
    """Of the raw topic; what route writes is kept twice as long, so a restart can always find its tails."""


class Enrichment(_Written):
    """A left join with a reference table: an event without a match passes, with nulls."""

    reference: Name
    """File name in `reference/` without its ending (`.csv` or `.parquet`)."""
    on: dict[FieldName, FieldName] = Field(min_length=1)
    """Event field -> reference column; values must be unique together in the reference table."""
    take: dict[FieldName, FieldName] = Field(min_length=1)
    """New field of the valid event -> reference column."""


_FUNCTIONS = ("sum", "min", "max", "average", "distinct", "quantile")


class Measure(_Written):
    """One number of a rollup; exactly one of the functions is given."""

    count: bool = False
    sum: FieldName | None = None
    min: FieldName | None = None
    max: FieldName | None = None
    average: FieldName | None = None
    distinct: FieldName | None = None
    quantile: FieldName | None = None
    at: float = Field(0.5, gt=0, lt=1)
    """Which quantile."""
    exact: bool = False
    """distinct, quantile: exact also while the window is open, for memory that grows with the values; a closed one always is."""
    unit: str = ""
    """Shown behind the number: `USD`, `min`, `%`."""

    @model_validator(mode="after")
    def _has_one_function(self) -> Measure:
        given = [name for name in _FUNCTIONS if getattr(self, name) is not None]
        if len(given) + self.count != 1:
            message = f"give exactly one of count: true, {', '.join(_FUNCTIONS)}"
            raise ValueError(message)
        return self

    @property
    def function(self) -> str:
        """`count`, `sum`, `min`, `max`, `average`, `distinct` or `quantile`."""
        if self.count:
            return "count"
        return next(name for name in _FUNCTIONS if getattr(self, name) is not None)

    @property
    def field(self) -> str | None:
        """The event field that it measures; None for `count`."""
        return None if self.count else str(getattr(self, self.function))


class WindowKind(StrEnum):
    """How windows lie on the time axis."""

    TUMBLING = "tumbling"
    SLIDING = "sliding"
    SESSION = "session"


class Window(_Written):
    """Over which stretches of event time is a rollup aggregated? All lengths are whole seconds.

    `{tumbling: 1h}`; `{sliding: 10m, every: 1m}`; `{session: 30m}`, where a session of a tuple of dimensions ends when
    nothing has happened for so long. Windows begin at multiples of their step since 1970 (UTC), as in Flink and Spark.
    """

    tumbling: Duration | None = None
    sliding: Duration | None = None
    every: Duration | None = None
    """Step of a sliding window; it divides the window's length."""
    session: Duration | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Window:
        given = [each for each in WindowKind if getattr(self, each) is not None]
        if len(given) != 1:
            message = f"give exactly one of {', '.join(WindowKind)}"
            raise ValueError(message)
        if (self.sliding is None) != (self.every is None):
            message = "`every` is the step of a sliding window: give both or neither"
            raise ValueError(message)
        for length in (self.length, self.step):
            if length < timedelta(seconds=1) or length % timedelta(seconds=1):
                message = "a window is a whole number of seconds, 1s or more"
                raise ValueError(message)
        if self.length % self.step:
            message = "`every` must divide the length of the sliding window"
            raise ValueError(message)
        return self

    @property
    def kind(self) -> WindowKind:
        """Which of the three."""
        return next(each for each in WindowKind if getattr(self, each) is not None)

    @property
    def length(self) -> timedelta:
        """Of a window; of the gap for a session."""
        return timedelta() + next(each for each in (self.tumbling, self.sliding, self.session) if each is not None)

    @property
    def step(self) -> timedelta:
        """From one window's start to the next one's; a second for sessions, which may begin at any."""
        return self.every or (self.tumbling if self.tumbling is not None else timedelta(seconds=1))


class Rollup(_Written):
    """An aggregate over windows of event time, by dimensions."""

    title: str
    window: Window = Window(tumbling=timedelta(minutes=1))
    dimensions: tuple[FieldName, ...] = ()
    measures: dict[FieldName, Measure] = Field(min_length=1)
    where: dict[FieldName, tuple[str | int | bool, ...]] = {}
    """Only events whose field has one of the values."""
    bucket: Duration = timedelta(seconds=1)
    """Width of a bucket in the console's chart."""
    span: Duration = timedelta(minutes=2)
    """How much event time the chart shows."""

    @model_validator(mode="after")
    def _fits_a_chart(self) -> Rollup:
        if self.bucket < timedelta(seconds=1) or self.bucket % timedelta(seconds=1):
            message = "bucket must be a whole number of seconds, 1s or more: rollups are kept per second"
            raise ValueError(message)
        if not 2 <= self.span / self.bucket <= 1200:  # noqa: PLR2004 (more points than a chart of this width can show)
            message = "span must be 2 to 1200 buckets"
            raise ValueError(message)
        return self


class Entity(_Written):
    """The latest state of a thing, upserted by key: of each key's events the one with the greatest ordering field.

    Events equal in it are ordered by their place in the raw topic. One whose key has a null belongs to no thing.
    """

    key: tuple[FieldName, ...] = Field(min_length=1)
    ordering: FieldName
    """A field whose values grow: a time or a number."""
    deleted_when: dict[FieldName, tuple[str | int | bool, ...]] = {}
    """A thing whose latest event has these values is gone; its tombstone stays, so that a late event can't revive it."""
    deletion_vectors: bool = False
    """Mark replaced rows instead of rewriting their files: fewer bytes an upsert, slower reads and fewer readers."""
    cluster_by: tuple[FieldName, ...] = ()
    """Maintenance lays rows that are near in these fields together; the key when empty."""


class Compatibility(StrEnum):
    """Which schema changes the registry lets through (Confluent's levels)."""

    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"
    NONE = "NONE"


class Maintenance(_Written):
    """What keeps a stream's Delta tables in shape, and when."""

    every: Duration = timedelta(hours=1)
    """How often the tables are looked at."""
    small_file_bytes: int = Field(64 * 2**20, ge=2**16)
    """A file below this is small."""
    small_files: int = Field(16, ge=2)
    """A partition with so many small files is compacted."""
    target_file_bytes: int = Field(256 * 2**20, ge=2**16)
    """Size of a compacted file."""
    cluster_by: tuple[FieldName, ...] = ()
    """Of the events: compaction lays rows that are near in these fields together (Z-order)."""
    time_travel: Duration = timedelta(days=7)
    """Every version younger than this can be read; vacuum deletes only files that are older."""


class Breaker(_Written):
    """When does a stage pause instead of turning away all that comes? Whichever is reached first."""

    window: Duration = timedelta(seconds=30)
    ratio: float = Field(0.5, gt=0, le=1)
    """Share of the window's records that were turned away."""
    least: int = Field(1000, ge=1)
    """A window with fewer records says nothing about the share."""
    run: int = Field(20_000, ge=1)
    """So many were turned away and none passed in between."""
    absolute: int = Field(200_000, ge=1)
    """So many were turned away in the window."""
    pause: Duration = timedelta(seconds=60)
    """Then it probes; each time that the flood still comes it waits twice as long, up to 16 times this."""


class IngestGate(_Written):
    """route's gate: row by row."""

    policy: Policy = Policy.DIVERT
    """halt: the first row that a rule turns away opens the breaker, until an operator resumes."""
    breaker: Breaker = Breaker()


class LakeGate(_Written):
    """lake's gate: micro-batch by micro-batch."""

    policy: Policy = Policy.DIVERT
    sample: int = Field(50_000, ge=1)
    """A micro-batch of more rows is judged by so many of them, taken from a stretch of each partition."""
    diverted_in_a_row: int = Field(3, ge=1)
    """After so many diverted micro-batches the next one that fails halts the stage."""


class _WindowsGate(_Written):
    policy: Literal[Policy.PASS, Policy.HALT] = Policy.HALT
    """halt: readers keep the windows that they have."""


class RollupGate(_WindowsGate):
    """publish's gate, before closed windows take the place of live ones."""


class ServingGate(_WindowsGate):
    """publish's gate, after that: what ClickHouse has against what the lake has."""

    policy: Literal[Policy.PASS, Policy.HALT] = Policy.PASS
    """halt: nothing more is published."""


class Gates(_Written):
    """What each stage's gate does with what its suite does not let through."""

    ingest: IngestGate = IngestGate()
    lake: LakeGate = LakeGate()
    rollup: RollupGate = RollupGate()
    serving: ServingGate = ServingGate()


class ServiceLevels(_Written):
    """What the stream promises."""

    freshness: Duration = timedelta(seconds=30)
    """Age of the newest lake and serving data while events come in."""
    validity: float = Field(0.99, ge=0, le=1)
    """Least share of events that are valid."""
    latency: Duration = timedelta(seconds=1)
    """Event to pixel, p99."""


class StreamDocument(_Written):
    """`stream.yaml` as written."""

    title: str
    description: str = ""
    key: tuple[FieldName, ...] = Field(min_length=1)
    """Fields whose values make the Kafka key: events with equal keys stay in order."""
    event_time: EventTime
    topics: Topics = Topics()
    enrich: tuple[Enrichment, ...] = ()
    rollups: dict[Name, Rollup] = {}
    lateness: Duration = timedelta(seconds=10)
    """How far events may be behind the newest before a window closes; a later one is late, and corrects its window."""
    entities: dict[Name, Entity] = {}
    compatibility: Compatibility = Compatibility.BACKWARD
    """Of the raw subject."""
    maintenance: Maintenance = Maintenance()
    gates: Gates = Gates()
    service_levels: ServiceLevels = ServiceLevels()
    serving_retention: Duration = timedelta(days=1)
    """How long single events stay in ClickHouse; rollups stay."""


class StreamDefinition(StreamDocument):
    """A whole stream folder, checked."""

    name: Name
    folder: Path
    home: Path | None = None
    """Where a promotion puts a folder that takes this one's place, also while a part runs; None where nothing is promoted."""
    avro_schema: dict[str, Any]
    """`schema.avsc`, a record schema."""
    row_rules: tuple[RowRule, ...] = ()
    """The `ingest` suite of `suite.json`, compiled."""
    suites: dict[Stage, dict[str, Any]] = {}
    """`suite.json`: Great Expectations' own JSON of a suite, by stage; a stage without one has no gate."""

    def fingerprint(self, stage: Stage) -> str:
        """Of a stage's suite: SHA-256 of its canonical JSON, first 12 hex digits."""
        return fingerprint(self.suites.get(stage, {}))

    @property
    def today(self) -> Path:
        """The folder as it is today: another than `folder` once one was promoted after this was read."""
        is_promoted = self.home is not None and (self.home / "stream.yaml").is_file()
        return self.home.resolve() if self.home is not None and is_promoted else self.folder

    @property
    def now(self) -> StreamDefinition:
        """The same definition, whose files are those of today's folder: for who follows what is written there."""
        return self if self.today == self.folder else self.model_copy(update={"folder": self.today})

    def reference_file(self, reference: str) -> Path:
        """The CSV or Parquet file of a reference table.

        Raises:
            FileNotFoundError: if neither is there.
        """
        for ending in (".csv", ".parquet"):
            file = self.folder / "reference" / f"{reference}{ending}"
            if file.is_file():
                return file
        message = f"{self.folder / 'reference'}: no {reference}.csv or {reference}.parquet"
        raise FileNotFoundError(message)
