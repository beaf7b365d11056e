"""Where does a run begin, and what has to be done before it may?

Its outputs say where (`tails`). Two things they can't say are kept in files beside route's scratch: where a run began that
ended too soon, and by which definition the last minute was routed (`definition`).
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 (a field of a dataclass)
from typing import TYPE_CHECKING, Protocol

from pipeline.kafka import consumer
from pipeline.route.definition import Before, Kept, digest_of
from pipeline.route.tails import Resumption, resume, until_of
from pipeline.route.wiring import raw_batch, sink_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pyspark.sql import DataFrame, SparkSession

    from controlplane.contract.streams import StreamDefinition
    from pipeline.route.decode import Schemas

    class Routed(Protocol):
        """Routes a raw frame by a definition."""

        def __call__(
            self, raw: DataFrame, stream: StreamDefinition, schemas: Schemas, resumption: Resumption
        ) -> DataFrame:
            """Rows for the Kafka sink."""


_log = logging.getLogger(__name__)


@dataclass
class Beginning:
    """Of one stream's runs."""

    session: SparkSession
    name: str
    """Of the stream."""
    kafka: str
    scratch: Path
    routed: Routed

    def __post_init__(self) -> None:
        self._definition = Kept(self.scratch, self.name)
        self._short_run = self.scratch / f"{self.name}.starts.json"
        """Where the run before began; there while that run has not outlived the margin."""

    def of(self, stream: StreamDefinition, partitions: Iterable[int], schemas: Schemas) -> Resumption:
        """Where the next run of a definition begins; what an older one began is finished when this returns."""
        before = self._definition.read()
        since: Mapping[int, int] = before.since if before is not None else {}
        found = self._resume(partitions, since)
        if before is not None and before.sends_elsewhere(digest_of(stream.folder), schemas, stream.avro_schema):
            since = until_of(found)
            self._finish(before, found, since)
            found = Resumption(dict(since), {})
        self._definition.write(stream, schemas, since)
        replaced(self._short_run, json.dumps(found.starts))
        return found

    def outlived(self) -> None:
        """The run that began last has lived for longer than the margin."""
        self._short_run.unlink(missing_ok=True)

    def _resume(self, partitions: Iterable[int], since: Mapping[int, int]) -> Resumption:
        kept = json.loads(self._short_run.read_text()) if self._short_run.exists() else {}
        short_run = {int(partition): start for partition, start in kept.items()}
        client = consumer(self.kafka, group="tidegate-route")
        try:
            found = resume(client, self.name, partitions, short_run)
        finally:
            client.close()
        starts = {partition: max(start, since.get(partition, 0)) for partition, start in found.starts.items()}
        return Resumption(starts, found.tails)

    def _finish(self, before: Before, found: Resumption, until: Mapping[int, int]) -> None:
        """Route what is in doubt as the run before would have, in one batch; done again it changes nothing."""
        in_doubt = {partition: start for partition, start in found.starts.items() if start < until[partition]}
        if not in_doubt:
            return
        _log.info("%s: its definition has changed; finishing what the one before began", self.name)
        raw = raw_batch(self.session, self.kafka, self.name, in_doubt, until)
        frame = self.routed(raw, before.stream, before.schemas, found)
        frame.write.format("kafka").options(**sink_options(self.kafka)).save()


def replaced(file: Path, text: str) -> None:
    """Write a file in one step: a process that is killed leaves the old one or the new one."""
    partial = file.with_suffix(".part")
    partial.write_text(text)
    partial.replace(file)
