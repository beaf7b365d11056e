"""What is a stream? The model of `stream.yaml`.

A stream is a folder: an Avro schema, a `stream.yaml`, the suites of its gates and its reference tables. Nothing here
reads files; `controlplane.contract.folders` does, and checks that the parts of a folder fit each other.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from controlplane.contract.durations import Duration
from controlplane.contract.rules import RowRule

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


class Measure(_Written):
    """One number of a rollup; exactly one of the functions is given."""

    count: bool = False
    sum: FieldName | None = None
    min: FieldName | None = None
    max: FieldName | None = None
    distinct: FieldName | None = None
    quantile: FieldName | None = None
    at: float = Field(0.5, gt=0, lt=1)
    """Which quantile."""
    unit: str = ""
    """Shown behind the number: `USD`, `min`, `%`."""

    @model_validator(mode="after")
    def _has_one_function(self) -> Measure:
        given = [name for name in ("sum", "min", "max", "distinct", "quantile") if getattr(self, name) is not None]
        if len(given) + self.count != 1:
            message = "give exactly one of count: true, sum, min, max, distinct, quantile"
            raise ValueError(message)
        return self

    @property
    def function(self) -> str:
        """`count`, `sum`, `min`, `max`, `distinct` or `quantile`."""
        if self.count:
            return "count"
        return next(name for name in ("sum", "min", "max", "distinct", "quantile") if getattr(self, name) is not None)

    @property
    def field(self) -> str | None:
        """The event field that it measures; None for `count`."""
        return None if self.count else str(getattr(self, self.function))


class Rollup(_Written):
    """An aggregate kept per second of event time, by dimensions."""

    title: str
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
    """The latest state of a thing, upserted by key (built by the batch layer)."""

    key: tuple[FieldName, ...] = Field(min_length=1)
    ordering: FieldName


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
    entities: dict[Name, Entity] = {}
    service_levels: ServiceLevels = ServiceLevels()
    serving_retention: Duration = timedelta(days=1)
    """How long single events stay in ClickHouse; rollups stay."""


class StreamDefinition(StreamDocument):
    """A whole stream folder, checked."""

    name: Name
    folder: Path
    avro_schema: dict[str, Any]
    """`schema.avsc`, a record schema."""
    row_rules: tuple[RowRule, ...] = ()
    """The `ingest` suite of `suite.json`."""
    suite_fingerprint: str = ""
    """SHA-256 of the ingest suite's canonical JSON, first 12 hex digits."""

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
