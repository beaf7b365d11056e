"""How many events has ClickHouse, block by block? From the arrivals table, which outlives the events that it counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import clickhouse_connect

from controlplane.contract.names import (
    BLOCK,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    arrivals_table,
    events_table,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_TIMEOUT_S = 5


class Serving(Protocol):
    """Events of a stream in ClickHouse; what goes wrong is a `ClickHouseError` or an `OSError`."""

    def read(self) -> dict[int, dict[int, int]]:
        """Events by source partition and block."""

    def offsets(self, partition: int, block: int) -> Counter[int]:
        """How often the events table has each source offset of a block; what has expired is not there any more."""


class FakeServing:
    """Source offsets in memory, by partition."""

    def __init__(self, events: dict[int, list[int]] | None = None) -> None:
        self.events = events or {}
        self.failure: Exception | None = None
        """What the next reading raises."""

    def read(self) -> dict[int, dict[int, int]]:
        """See `Serving`."""
        if self.failure is not None:
            raise self.failure
        return {partition: dict(Counter(each // BLOCK for each in mine)) for partition, mine in self.events.items()}

    def offsets(self, partition: int, block: int) -> Counter[int]:
        """See `Serving`."""
        return Counter(each for each in self.events.get(partition, []) if each // BLOCK == block)


class ServingCount:
    """The real one."""

    def __init__(self, address: str, stream: str) -> None:
        self._address = address
        self._stream = stream
        self._client: Client | None = None

    def read(self) -> dict[int, dict[int, int]]:
        """See `Serving`."""
        found = self._asked().query(
            f"SELECT partition, block, sum(events) FROM {arrivals_table(self._stream)} "  # noqa: S608 (a checked name)
            "GROUP BY partition, block"
        )
        counts: dict[int, dict[int, int]] = {}
        for partition, block, events in found.result_rows:
            counts.setdefault(int(partition), {})[int(block)] = int(events)
        return counts

    def offsets(self, partition: int, block: int) -> Counter[int]:
        """See `Serving`."""
        found = self._asked().query(
            f"SELECT {SOURCE_OFFSET}, count() FROM {events_table(self._stream)} "  # noqa: S608 (checked names)
            f"WHERE {SOURCE_PARTITION} = {{partition:Int32}} "
            f"AND {SOURCE_OFFSET} >= {{start:Int64}} AND {SOURCE_OFFSET} < {{until:Int64}} GROUP BY {SOURCE_OFFSET}",
            parameters={"partition": partition, "start": block * BLOCK, "until": (block + 1) * BLOCK},
        )
        return Counter({int(offset): int(count) for offset, count in found.result_rows})

    def close(self) -> None:
        """Let go of ClickHouse."""
        if self._client is not None:
            self._client.close()

    def _asked(self) -> Client:
        # Kept: a new client asks the server for its version and all its settings first.
        self._client = self._client or clickhouse_connect.get_client(
            dsn=self._address,
            autogenerate_session_id=False,
            connect_timeout=_TIMEOUT_S,
            send_receive_timeout=_TIMEOUT_S,
        )
        return self._client
