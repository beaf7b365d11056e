"""Where do the counts come from? The broker, Delta's log, ClickHouse, and the ledger for the raw topic.

The raw topic's offsets are no counts, because transactions leave markers among them: only the ledger has counted it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import clickhouse_connect
import httpx
from clickhouse_connect.driver.exceptions import ClickHouseError
from deltalake.exceptions import DeltaError

from controlplane.contract.names import Hop, arrivals_table, topic
from lag_monitor.unknown import UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.settings import Settings
    from lag_monitor.kafka.cluster import Cluster
    from lag_monitor.positions.lake import LakeEnds

_TIMEOUT_S = 3.0
_TOPICS_EVERY_S = 5.0
_EVERY_S = 1.0


class CountSource(Protocol):
    """Counts events at a hop."""

    def count(self, stream: str, hop: Hop) -> int:
        """Events that a hop has taken since its stream began.

        Raises:
            UnknownError: with the reason.
        """


class Counts:
    """The real sources."""

    def __init__(self, settings: Settings, cluster: Cluster, lake: LakeEnds) -> None:
        self._settings, self._cluster, self._lake_ends = settings, cluster, lake
        self._topics: tuple[float, Mapping[str, tuple[int, ...]]] = (float("-inf"), {})
        self._api = httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=_TIMEOUT_S)
        self._clickhouse: Client | None = None
        self._away: tuple[float, str] = (0.0, "")

    def count(self, stream: str, hop: Hop) -> int:
        """See `CountSource`."""
        sources: dict[Hop, Callable[[str], int]] = {
            Hop.RAW: self._raw,
            Hop.LAKE: self._lake,
            Hop.SERVING: self._serving,
        }
        try:
            return sources[hop](stream) if hop in sources else self._ends(stream, hop)
        except (ClickHouseError, DeltaError, httpx.HTTPError, OSError) as error:
            raise UnknownError(f"{type(error).__name__}: {str(error).splitlines()[0][:160]}") from error

    def _ends(self, stream: str, hop: Hop) -> int:
        """Sum of end offsets: route writes without transactions, so each offset is an event."""
        until, why = self._away
        if time.monotonic() < until:
            raise UnknownError(why)
        name = topic(stream, hop)
        try:
            partitions = self._partitions(name)
            ends = self._cluster.ends((name, partition) for partition in partitions)
        except UnknownError as error:
            self._away = (time.monotonic() + _TIMEOUT_S, str(error))  # the next topic would only wait as long
            raise
        if not partitions or len(ends) < len(partitions):
            raise UnknownError(f"there is no topic {name} yet" if not partitions else f"{name} is not there as a whole")
        return sum(ends.values())

    def _partitions(self, name: str) -> tuple[int, ...]:
        """Asked again every few seconds: a topic may be made, or gain partitions."""
        at, known = self._topics
        if time.monotonic() - at > (_TOPICS_EVERY_S if name in known else _EVERY_S):
            known = self._cluster.topics()
            self._topics = (time.monotonic(), known)
        return known.get(name, ())

    def _raw(self, stream: str) -> int:
        ledgers = self._api.get("/api/v1/ledger").raise_for_status().json()
        found = next((ledger for ledger in ledgers if ledger["stream"] == stream), None)
        counts = [] if found is None else [partition["produced"] for partition in found["partitions"]]
        if not counts or None in counts:
            raise UnknownError("the ledger has not counted the raw topic yet")
        return sum(counts)

    def _lake(self, stream: str) -> int:
        return sum(self._lake_ends.ends(stream).values())

    def _serving(self, stream: str) -> int:
        # Kept: a new client asks the server for its version and all its settings first.
        self._clickhouse = self._clickhouse or clickhouse_connect.get_client(
            dsn=self._settings.clickhouse, autogenerate_session_id=False, connect_timeout=3, send_receive_timeout=3
        )
        return int(self._clickhouse.query(f"SELECT sum(events) FROM {arrivals_table(stream)}").result_rows[0][0])  # noqa: S608
