"""How are a stream's tables, leftovers and topics now? Everything that the plan is made from, read without Spark."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 (used at run time)
from typing import TYPE_CHECKING

from pipeline.maintenance.folders import orphans, set_aside, started
from pipeline.maintenance.kept import Kept
from pipeline.maintenance.plan import Observed, plan
from pipeline.maintenance.stages import Plan
from pipeline.maintenance.tables import DeltaLake, UnreadableError, tables_of
from pipeline.maintenance.topics import BrokerAwayError, KafkaTopics, lake_lag, raw_retention, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.maintenance.plan import TopicSettings
    from pipeline.maintenance.tables import Lake, Table, TableFacts
    from pipeline.maintenance.topics import Topics


@dataclass(frozen=True)
class Looker:
    """Looks at streams."""

    settings: Settings
    lake: Lake
    topics: Topics
    kept: Kept

    def plan(self, streams: Iterable[StreamDefinition], now: datetime, table: str | None = None) -> Plan:
        """What is due for streams, or for one table of each and nothing else."""
        plans = [plan(self.observe(stream, table), now) for stream in streams]
        # Temporary files belong to no stream: every stream's plan has them.
        stages = {each.model_dump_json(): each for one in plans for each in one.stages}
        return Plan(at=now, stages=tuple(stages.values()), notes=tuple(note for one in plans for note in one.notes))

    def observe(self, stream: StreamDefinition, table: str | None = None) -> Observed:
        """A stream as it is now; `table` leaves out everything but one table."""
        tables = [each for each in tables_of(stream, self.settings.lake_root) if table in (None, each.name)]
        facts = [(each, self._facts(each, stream)) for each in tables]
        ordered = self.kept.ordered_at()
        if table is not None:
            return Observed(stream.name, stream.maintenance, facts, ordered)
        topics = self._topics(stream)
        data = self.settings.data.resolve()
        return Observed(
            stream.name,
            stream.maintenance,
            facts,
            ordered,
            leftovers=[
                *set_aside(self.settings.checkpoint_root, stream.name),
                *orphans(data / "scratch", started(data)),
            ],
            topics=topics,
            raw_retention=None if isinstance(topics, str) else raw_retention(stream.name, topics),
            lag=lake_lag(self.settings.api, self.settings.service_token, stream.name),
        )

    def _facts(self, table: Table, stream: StreamDefinition) -> TableFacts | str:
        try:
            found = self.lake.facts(table, stream.maintenance.time_travel)
        except UnreadableError as error:
            return f"cannot be read: {error}"
        return found if found is not None else "is not there yet"

    def _topics(self, stream: StreamDefinition) -> Sequence[TopicSettings] | str:
        try:
            return settings_of(stream, self.topics)
        except BrokerAwayError as error:
            return str(error)


def looker(settings: Settings) -> Looker:
    """On the real tables and the broker."""
    kept = Kept(settings.data.resolve() / "maintenance")
    return Looker(settings, DeltaLake(), KafkaTopics(settings.kafka), kept)
