"""What does a stage of a backfill work with? Where everything is, and what was asked for and planned."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pyspark.sql import functions as sf
from pyspark.sql.types import StructType

from controlplane.contract.backfills import BackfillAsked, BackfillSource
from controlplane.contract.names import EVENT_DATE, Hop, lake_table, subject
from controlplane.contract.valid import valid_schema
from pipeline.backfill.again import Again
from pipeline.backfill.build import ROWS
from pipeline.backfill.look import EventsAt, events_at
from pipeline.backfill.spans import spans_of
from pipeline.backfill.storage import Shadow
from pipeline.backfill.swap import EVENTS
from pipeline.backfill.windows import Touched
from pipeline.registry import await_registry, learned, register
from pipeline.tables.news import of_today

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyspark.sql import DataFrame

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.operate.kind import Work
    from pipeline.route.frame import RuleCompiler
    from pipeline.tables.cursor import Cursor


T = TypeVar("T")
INCREMENT = "increment"
"""Folder of the shadow: what lake has appended to the days after they were built."""


@dataclass(frozen=True)
class Known:
    """What the registry knows, as far as a backfill needs it."""

    valid_id: int
    """Of the schema that route writes by today's definition."""
    writers: Mapping[int, str]
    """Schema id -> Avro JSON of what producers write and what can be read."""


def known_of(settings: Settings, stream: StreamDefinition) -> Known:
    """Ask the registry.

    Raises:
        SchemaRegistryError, httpx.HTTPError, TimeoutError: if it is away or refuses.
    """
    client = await_registry(settings.registry)
    found = learned(client, stream)
    valid = register(client, subject(stream.name, Hop.VALID), valid_schema(stream))
    return Known(valid, {each: schema for each, schema in found.raw.items() if each not in found.misread})


class Once:
    """What all stages of an operation share in a process: each thing is made once, by the first that asks for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        """The thing of that name."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            found: T = self._made[name]
            return found


class Scene:
    """One operation's. Of one stage."""

    def __init__(
        self,
        work: Work,
        rules: Callable[[], RuleCompiler],
        known: Callable[[Settings, StreamDefinition], Known],
        once: Once,
    ) -> None:
        self.work = work
        self._rules, self._known, self.once = rules, known, once
        self.asked = BackfillAsked.model_validate(work.operation.asked)
        self.id = work.operation.id
        self.folder = lake_table(work.settings.lake_root, self.asked.stream, "").rstrip("/")
        self.events_folder = f"{self.folder}/{EVENTS}"

    @property
    def stream(self) -> StreamDefinition:
        """Today's definition, as the operation's process has found it."""
        return self.once.get("stream", self.work.stream)

    @cached_property
    def shadow(self) -> Shadow:
        """Where it builds."""
        return Shadow(self.folder, self.id)

    @property
    def known(self) -> Known:
        """What the registry knows."""
        return self.once.get("known", lambda: self._known(self.work.settings, self.stream))

    @property
    def again(self) -> Again:
        """Today's definition, ready to judge."""

        def made() -> Again:
            return Again.of(self.work.session(), self.stream, self._rules(), self.known.valid_id)

        return self.once.get("again", made)

    @property
    def basis(self) -> Mapping[str, Any]:
        """What the plan rests on."""
        plan = self.work.operation.plan
        return {} if plan is None else plan.basis

    @property
    def events(self) -> EventsAt:
        """The events table as it was when the backfill was planned."""
        return self.once.get("events", lambda: events_at(self.events_folder, int(self.basis["events_version"])))

    def units(self, does: str = "build") -> list[str]:
        """Names of what is built, in the plan's order."""
        plan = self.work.operation.plan
        stages: Sequence[Any] = () if plan is None else plan.stages
        return [str(each.given["unit"]) for each in stages if each.does == does]

    def all_units(self) -> list[str]:
        """With what lake has appended meanwhile."""
        return [*self.units(), *([INCREMENT] if self.shadow.files(f"{INCREMENT}/{ROWS}") else [])]

    @property
    def is_history(self) -> bool:
        """Are days replaced? Else rows are added."""
        return self.asked.source is BackfillSource.HISTORY

    def touched_days(self) -> list[str]:
        """Days whose windows and things may change."""
        if self.is_history:
            return sorted(self.units())
        return sorted({each.day for unit in self.units() for each in self.shadow.files(f"{unit}/{ROWS}")})

    def replaced_days(self) -> list[str]:
        """Days whose events are others then."""
        return self.touched_days() if self.is_history else []

    def rows_of_days(self) -> dict[str, int]:
        """Day -> events of it, about."""
        return {day: sum(each.rows for each in files) for day, files in self.events.by_day.items()}

    def touched(self, rollup: str, cursor: Cursor) -> Touched:
        """A rollup and the touched days."""
        return Touched(self.stream, self.stream.rollups[rollup], cursor, spans_of(self.touched_days()))

    def events_now(self, version: int) -> DataFrame:
        """All events at a version, by today's names."""
        there = self.work.session().read.format("delta").option("versionAsOf", version).load(self.events_folder)
        return of_today(there, self.stream)

    def built_rows(self, units: Collection[str]) -> DataFrame:
        """Rows of the shadow as a table of events, of these units."""
        session = self.work.session()
        table = self.again.rows(self.again.of_events(_none(session, self.events)))
        schema = table.drop(EVENT_DATE).schema
        uris = [self.shadow.uri(f"{unit}/{ROWS}") for unit in units if self.shadow.files(f"{unit}/{ROWS}")]
        if not uris:
            return table.limit(0)
        # Listing some hundred folders is a moment; a job of Spark's with a task for each is not.
        session.conf.set("spark.sql.sources.parallelPartitionDiscovery.threshold", "100000")
        found = session.read.option("recursiveFileLookup", "true").schema(schema).parquet(*uris)
        return found.withColumn(EVENT_DATE, sf.to_date(self.stream.event_time.field))

    def events_after(self, units: Collection[str], replaced: Collection[str], version: int) -> DataFrame:
        """All events as they will be: those of a version, but for the replaced days, with what was built."""
        kept = self.events_now(version)
        if replaced:
            kept = kept.where(~sf.col(EVENT_DATE).cast("string").isin(*sorted(replaced)))
        fresh = self.built_rows(units)
        return kept.select(*(each for each in kept.columns if each in fresh.columns)).unionByName(
            fresh, allowMissingColumns=True
        )


def _none(session: Any, events: EventsAt) -> DataFrame:  # noqa: ANN401 (a session)
    found: DataFrame = session.createDataFrame([], StructType.fromJson(events.schema))
    return found
