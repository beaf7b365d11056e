"""Do the tables behind the lake's events, and ClickHouse's readers, have what the events say by now?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltalake import DeltaTable

from controlplane.contract.names import lake_entity, lake_rollup, lake_table, published_table
from pipeline.lake.commits import history_of
from pipeline.lake.lineage import followed, says
from pipeline.lake.offsets import ranges_in
from pipeline.tables.cursor import commits_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.settings import Settings
    from pipeline.lake.offsets import Ranges

A_BEAT_S = 12.0
"""A rollup says how far it is only when it writes: it has nothing more to write if an entity has been ahead for so long."""


def is_followed(settings: Settings, stream: str, entity: str) -> bool:
    """Has an entity followed all commits that brought events? It writes nothing for one that brought none."""
    commits = commits_of(lake_table(settings.lake_root, stream, lake_entity(entity)))
    events = DeltaTable(lake_table(settings.lake_root, stream))
    if commits is None:
        return False
    history = history_of(events)
    left = followed(says(history), commits.cursor.events_version, events.version())
    empty = {each["version"] for each in history if _is_empty(ranges_in(each.get("userMetadata")))}
    return left is not None and empty.issuperset(left)


def _is_empty(ranges: Ranges | None) -> bool:
    return ranges is not None and all(since == until for since, until in ranges.values())


def is_published(client: Client, settings: Settings, stream: str, rollups: Iterable[str]) -> bool:
    """Do readers see the last commit of each of the rollups?"""
    sql = f"SELECT rollup, argMax(lake_version, version) FROM {published_table(stream)} GROUP BY 1"  # noqa: S608 (a checked name)
    read = {str(name): int(version) for name, version in client.query(sql).result_rows}
    commits = {name: commits_of(lake_table(settings.lake_root, stream, lake_rollup(name))) for name in rollups}
    return all(each is not None and read.get(name) == each.version for name, each in commits.items())
