"""How is route started, and when does it start anew?

A run begins where its outputs say (`pipeline.route.beginning`), with the schema that all registered versions make. It ends in
one of three ways: it met a schema id that it has not asked about, or there is a new version, a new partition, a new
reference table or a new suite (start again with it), or it failed. While the flood breaker is open there is no run.
Spark's checkpoint is made fresh for each run: the outputs themselves are the record of what was done.
"""

from __future__ import annotations

import json
import logging
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import SchemaRead
from controlplane.contract.metrics.meter import METER
from controlplane.contract.names import Hop, subject, topic
from controlplane.contract.valid import valid_schema
from pipeline.kafka import ensure_topics, partitions_of
from pipeline.registry import learned, register, schemas_of
from pipeline.route.accepts import accept_suite, accept_tables
from pipeline.route.beginning import Beginning, replaced
from pipeline.route.decode import UNKNOWN_ID, Schemas
from pipeline.route.flood import FloodGate
from pipeline.route.frame import route
from pipeline.route.references import references_of
from pipeline.route.tails import MARGIN
from pipeline.route.wiring import raw_stream, writer
from pipeline.spark import failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from confluent_kafka.admin import AdminClient
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

    from controlplane.contract.evolution import Conflict
    from controlplane.contract.facts import Fact, ReferencesLoaded
    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.followed import Followed
    from pipeline.route.options import RouteOptions
    from pipeline.route.tails import Resumption

LOOK_EVERY = timedelta(seconds=5)
"""How often registry and broker are asked for new versions and new partitions."""
SPARK_SETTINGS = {
    # Pushed below the joins, the filter on the tails would decode every record once more for each time it is named.
    "spark__sql__optimizer__excludedRules": "org.apache.spark.sql.catalyst.optimizer.PushDownPredicates",
}
"""Of the session that route runs in, as `build_session` takes them."""
_BAD_IDS_IN_A_ROW = 3
"""After so many ids that the registry does not have, further unknown ones are dead letters without a stop each."""
_UNKNOWN = re.compile(rf"{UNKNOWN_ID}:(\d+)")
_log = logging.getLogger(__name__)


@dataclass
class RouteRun:
    """One stream's route: at most one Spark query at a time."""

    session: SparkSession
    followed: Followed
    registry: SchemaRegistryClient
    admin: AdminClient
    partitions: Sequence[int]
    options: RouteOptions
    query: StreamingQuery | None = None
    refused: set[int] = field(default_factory=set)
    reads: SchemaRead | None = None
    """With which schemas it runs now."""
    _known: frozenset[int] = frozenset()
    _told: set[Conflict] = field(default_factory=set)
    """What of a version was not adopted and is in the log."""
    _looked_at: float = 0.0
    _begun_at: float = 0.0
    _told_at: float = -1.0

    def __post_init__(self) -> None:
        self._kept = self.options.scratch / f"{self.stream.name}.refused.json"
        if self._kept.exists():
            self.refused = set(json.loads(self._kept.read_text()))
        options = self.options
        self._beginning = Beginning(self.session, self.stream.name, options.kafka, options.scratch, self._routed)
        self._gate = FloodGate(self.admin, self.stream, options.orders, options.scratch)

    @property
    def stream(self) -> StreamDefinition:
        """As its folder says, which is another with each new version of the reference tables or the suite."""
        return self.followed.stream

    @property
    def waits_for(self) -> str:
        """Why nothing is routed; empty while events pass."""
        return self._gate.waits_for

    def begin(self) -> None:
        """Start, unless the breaker was open when the process ended."""
        if not self._gate.is_open:
            self.start()

    def start(self) -> None:
        """Start where the outputs end; what an older definition has begun is finished by it first."""
        stream, schemas = self._learned()
        resumption = self._beginning.of(stream, self.partitions, schemas)
        self.reads = SchemaRead(
            at=datetime.now(UTC),
            stream=self.stream.name,
            reader="route",
            hop=Hop.RAW,
            schema_ids=tuple(sorted(schemas.writers)),
            writes=schemas.valid_id,
        )
        self._begun_at = time.monotonic()
        raw = raw_stream(self.session, self.options.kafka, self.stream.name, resumption.starts)
        frame = self._routed(raw, stream, schemas, resumption)
        self.query = writer(frame, self.stream.name, self.options).start()
        METER.add("tidegate_route_starts_total", self.stream.name)
        self.followed.forget_others()
        _log.info(
            "route of %s starts at %s, reading schema ids %s",
            self.stream.name,
            resumption.starts,
            sorted(schemas.writers),
        )

    def _learned(self) -> tuple[StreamDefinition, Schemas]:
        """The stream as all its versions make it, and what the ids mean."""
        found = learned(self.registry, self.stream)
        self.refused -= found.raw.keys()
        self._known = frozenset(found.raw)
        for conflict in found.conflicts:
            if conflict not in self._told:
                _log.warning("%s: %s", subject(self.stream.name, Hop.RAW), conflict)
                self._told.add(conflict)
        schemas = Schemas(
            writers={each: schema for each, schema in found.raw.items() if each not in found.misread},
            valid_id=register(self.registry, subject(self.stream.name, Hop.VALID), valid_schema(found.stream)),
            refused=frozenset(self.refused),
            misread=found.misread,
            stop_at_unknown=len(self.refused) < _BAD_IDS_IN_A_ROW,
        )
        return found.stream, schemas

    def _routed(self, raw: DataFrame, stream: StreamDefinition, schemas: Schemas, resumption: Resumption) -> DataFrame:
        references = references_of(self.session, stream)
        return route(raw, stream, schemas, references, self.options.broken_rules, resumption.tails)

    def beat(self) -> list[Fact]:
        """Look at the query once; start it again if there is something new. What there is to report is returned.

        Raises:
            QueryFailedError: if the query failed for another reason.
        """
        self._gate.look(self.stream, self.partitions)
        if self._gate.is_open:
            self._pause()
        elif self.query is None or not self.query.isActive:
            self._start_again()
        elif time.monotonic() - self._looked_at > LOOK_EVERY.total_seconds() and (news := self._news()):
            _log.info("%s: starting again with it", news)
            self.query.stop()
            self.start()
        elif time.monotonic() - self._begun_at > MARGIN.total_seconds():
            self._beginning.outlived()
        references = self._references()
        return [] if references is None else [references]

    def standing(self) -> Iterator[Fact]:
        """What holds until it says something else."""
        yield self.followed.suite
        yield self._gate.fact
        if self.reads is not None:
            yield self.reads

    def stop(self) -> None:
        """Stop the query; what it has not written is routed by the next run."""
        if self.query is not None:
            self.query.stop()

    def _pause(self) -> None:
        """Nothing is routed; a new suite is taken all the same, because it may end the flood."""
        if self.query is not None:
            self.query.stop()
            self.query = None
        if time.monotonic() - self._looked_at > LOOK_EVERY.total_seconds():
            self._looked_at = time.monotonic()
            with self._asking():
                self._new_folder()

    def _start_again(self) -> None:
        failure = None if self.query is None else failure_of(self.query)
        if failure is not None:
            met = _UNKNOWN.search(str(failure))
            if met is None:
                raise failure
            self._learn(int(met[1]))
        self.start()

    def _learn(self, schema_id: int) -> None:
        if schema_id in self._ask():
            _log.info("%s: schema id %d is new and known to the registry", self.stream.name, schema_id)
        else:
            _log.warning(
                "%s: schema id %d is not a version of %s; its records become dead letters",
                self.stream.name,
                schema_id,
                subject(self.stream.name, Hop.RAW),
            )
            self.refused.add(schema_id)
            replaced(self._kept, json.dumps(sorted(self.refused)))

    def _ask(self) -> dict[int, str]:
        found = schemas_of(self.registry, subject(self.stream.name, Hop.RAW))
        self.refused -= found.keys()
        return found

    def _news(self) -> str:
        """What route has to start again for; empty when there is nothing, or nobody to ask: then it goes on as it is."""
        self._looked_at = time.monotonic()
        with self._asking():
            if self._ask().keys() != self._known:
                return f"{self.stream.name} has a new schema version"
            if gained := self._gained():
                return f"{topic(self.stream.name, Hop.RAW)} has gained partitions {gained}"
            return self._new_folder()
        return ""

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 (registry or broker may be away for any reason)
            _log.warning("%s: nobody to ask for news (%s); going on as it is", self.stream.name, error)

    def _new_folder(self) -> str:
        if self.followed.look(self._accept_tables):
            return f"{self.stream.name} has new reference tables"
        if self.followed.look_at_suite(self._accept_suite):
            return f"{self.stream.name} has a new suite"
        return ""

    def _accept_tables(self, stream: StreamDefinition) -> None:
        accept_tables(self.session, self.registry, stream)

    def _accept_suite(self, stream: StreamDefinition) -> None:
        accept_suite(self.session, stream, self.options.broken_rules)

    def _references(self) -> ReferencesLoaded | None:
        """Once a look: whoever has forgotten it is told again."""
        is_told, self._told_at = self._told_at == self._looked_at, self._looked_at
        return None if is_told else self.followed.fact()

    def _gained(self) -> list[int]:
        """New partitions of the raw topic. The outputs have them too when this returns."""
        now = partitions_of(self.admin, topic(self.stream.name, Hop.RAW))
        gained = sorted(set(now) - set(self.partitions))
        if gained:
            ensure_topics(self.admin, self.stream)
            self.partitions = now
        return gained
