"""How do the rows get into ClickHouse? In blocks, from a thread, made anew where a table is missing; what fails waits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import clickhouse_connect
from clickhouse_connect.driver.exceptions import OperationalError

from controlplane.contract.metrics.meter import METER
from controlplane.service.clickhouse import why
from controlplane.service.observations.tables import TABLES
from controlplane.service.observations.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

    from controlplane.service.observations.tables import Kept

_TIMEOUT_S = 5
# An asynchronous insert is durable when it is answered too, but its token is another's.
_SETTINGS = {"async_insert": 0}
_log = logging.getLogger(__name__)


class Keeper:
    """Keeps observations; `fold` never blocks, `write` belongs on a thread."""

    def __init__(self, address: str, waiting: Waiting | None = None) -> None:
        self.waiting = Waiting() if waiting is None else waiting
        self.reason: str | None = None
        """Why nothing is written; None while it is."""
        self._address = address
        self._client: Client | None = None
        self._told_dropped = 0

    def fold(self, facts: Iterable[Kept]) -> None:
        """Take in what is to be kept."""
        self.waiting.fold(facts)

    def write(self) -> bool:
        """Write all that waits; False if ClickHouse does not take it, which is said once."""
        try:
            while (block := self.waiting.block()) is not None:
                settings = {**_SETTINGS, "insert_deduplication_token": block.token}
                self._connected().insert(
                    block.table.name, block.rows, column_names=list(block.table.columns), settings=settings
                )
                self.waiting.done()
        except Exception as error:  # noqa: BLE001 (a row that the client can't write raises what it likes)
            self._client = None
            self._complain(f"{len(self.waiting)} rows of history wait: ClickHouse does not take them: {why(error)}")
            if not isinstance(error, OperationalError):
                self.waiting.refused()
        else:
            if self.reason is not None:
                _log.info("history is kept again")
            self.reason = None
        self._tell_dropped()
        return self.reason is None

    def _connected(self) -> Client:
        """A client; the tables are there when it returns."""
        if self._client is None:
            client = clickhouse_connect.get_client(
                dsn=self._address,
                autogenerate_session_id=False,
                connect_timeout=_TIMEOUT_S,
                send_receive_timeout=_TIMEOUT_S,
            )
            for table in TABLES:
                client.command(table.statement)
            self._client = client
        return self._client

    def _complain(self, reason: str) -> None:
        if self.reason is None:
            _log.warning("%s; up to a bound they are kept", reason)
        self.reason = reason

    def _tell_dropped(self) -> None:
        lost = self.waiting.dropped - self._told_dropped
        if lost:
            if not self._told_dropped:
                _log.warning(
                    "%d rows of history were dropped: ClickHouse has been away for too long, or refuses them", lost
                )
            METER.add("tidegate_history_rows_dropped_total", by=lost)
            self._told_dropped += lost
