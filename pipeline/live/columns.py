"""Does the events table have a column for each field that its events have?

ClickHouse leaves out a field that has no column, without a word. So the table follows the registered versions before a record
of a new one is inserted; the pump is the only one that inserts, so it can wait for that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
from confluent_kafka.schema_registry import SchemaRegistryError

from controlplane.contract.facts import SchemaRead
from controlplane.contract.names import Hop
from pipeline.registry import learned
from pipeline.serving import apply

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client
    from confluent_kafka.schema_registry import SchemaRegistryClient

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.streams import StreamDefinition

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Columns:
    """Of one stream's tables."""

    registry: SchemaRegistryClient
    clickhouse: Client
    stream: StreamDefinition
    """As its folder says."""
    reporter: Reporter

    def follow(self) -> frozenset[bytes]:
        """Make tables, views and columns for every registered version; the frames of their records.

        Raises:
            ConnectionError: if the registry is away or refuses.
            ServingChangedError: if a column would have to lose values, or a rollup is another than its tables are.
            ClickHouseError: the server's own.
        """
        try:
            found = learned(self.registry, self.stream)
        except (SchemaRegistryError, httpx.HTTPError) as error:
            raise ConnectionError(f"the registry does not say what the versions are: {error}") from error
        apply.create(self.clickhouse, found.stream)
        ids = tuple(sorted(found.valid))
        _log.info("tables of %s fit schema ids %s", self.stream.name, ids)
        reads = SchemaRead(at=datetime.now(UTC), stream=self.stream.name, reader="live", hop=Hop.VALID, schema_ids=ids)
        self.reporter.stand(f"live {self.stream.name}", (reads,))
        return frozenset(b"\x00" + each.to_bytes(4, "big") for each in ids)
