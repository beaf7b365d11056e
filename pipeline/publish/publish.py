"""How do closed windows take the place of live ones, for every reader at once?

There are two copies of them in ClickHouse, and one row says which is read and up to where (`pipeline/serving/windows.py`).
The other copy is brought up to the lake's newest version, partition by partition, each whole from the lake; then a row names
it. A crash in between leaves readers what they had, and the next run begins with what each copy's own row says.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import DeltaTable

from controlplane.contract.facts import WindowsPublished
from controlplane.contract.names import (
    batch_tables,
    lake_rollup,
    lake_table,
    live_table,
    published_table,
    rollup_view,
    staging_table,
)
from controlplane.contract.rollups import PERIOD, SECOND
from pipeline.publish import agree
from pipeline.publish.look import horizon_of, lately, windows_due, windows_read
from pipeline.serving.ddl import valid_fields
from pipeline.serving.windows import batch_columns
from pipeline.tables.cursor import commits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from controlplane.contract.streams import Rollup, StreamDefinition
    from pipeline.publish.agree import Totals
    from pipeline.publish.gate import PublishGates, WindowsGate
    from pipeline.tables.cursor import Commits

KEEP_LIVE_S = 3600.0
"""A query that has begun before a horizon moved is done by then: live seconds behind it may go."""


@dataclass(frozen=True)
class Copy:
    """What a copy of the closed windows holds."""

    slot: int
    version: int
    """Counts publications; the highest is read."""
    lake_version: int


class Publisher:
    """Of one rollup."""

    def __init__(
        self, client: Client, stream: StreamDefinition, key: str, lake_root: str, gates: PublishGates | None = None
    ) -> None:
        self._client, self._stream, self._key = client, stream.name, key
        self._rollup: Rollup = stream.rollups[key]
        self._columns = list(batch_columns(self._rollup, valid_fields(stream)))
        self._path = lake_table(lake_root, stream.name, lake_rollup(key))
        self._gates = gates
        self._compared = agree.summed(batch_columns(self._rollup, valid_fields(stream)))
        self._floors: list[tuple[float, int]] = []
        """When (monotonic) which floor was published."""

    def publish(self) -> WindowsPublished | None:
        """Bring readers up to the lake's newest version; None if they are, or if a gate holds it back.

        Raises:
            ClickHouseError: if ClickHouse is away or refuses; readers have what they had.
        """
        commits = commits_of(self._path)
        if commits is None:
            return None
        copies = self._copies()
        read = max(copies.values(), key=lambda each: each.version)
        if read.lake_version == commits.version or (commits.cursor.horizon is None and not read.version):
            return None  # a rollback to before the first window is published, as nothing; but not before there was any
        began, target = time.monotonic(), copies[1 - read.slot]
        table = DeltaTable(self._path, version=commits.version)
        due = self._due(target, table, commits)
        decision = None
        if self._gates is not None and due:
            if not (self._gates.serving.is_open(read.lake_version) and self._gates.rollup.is_open(commits.version)):
                return None
            decision = self._gates.rollup.judge(windows_due(table, due, commits, self._columns))
            if not self._gates.rollup.lets(decision):
                return None
        sent = self._refill(target, table, due)
        self._choose(Copy(target.slot, read.version + 1, commits.version), commits)
        self._drop_live(commits.cursor.floor or 0)
        rows, took_s = sum(each.rows for each in sent.values()), time.monotonic() - began
        if self._gates is not None and decision is not None:
            self._gates.rollup.done(decision, took_s)
            self._check(self._gates.serving, target, sent, commits)
        return WindowsPublished(
            at=datetime.now(UTC),
            stream=self._stream,
            rollup=self._key,
            lake_version=commits.version,
            horizon=horizon_of(commits),
            rows=rows,
            took_s=took_s,
        )

    def _copies(self) -> dict[int, Copy]:
        found = self._client.query(
            f"SELECT slot, max(version), argMax(lake_version, version) FROM {published_table(self._stream)} "  # noqa: S608
            "WHERE rollup = {key:String} GROUP BY slot",
            parameters={"key": self._key},
        ).result_rows
        known = {int(slot): Copy(int(slot), int(version), int(lake)) for slot, version, lake in found}
        return {slot: known.get(slot, Copy(slot, 0, -1)) for slot in (0, 1)}

    def _due(self, target: Copy, table: DeltaTable, commits: Commits) -> list[str]:
        """Every partition that has changed since this copy was written, those that are gone included."""
        there = {str(each[PERIOD]) for each in table.partitions()}
        changed = commits.periods_since(target.lake_version)
        return sorted((there if changed is None else changed) | (self._periods_of(target) - there))

    def _refill(self, target: Copy, table: DeltaTable, due: Sequence[str]) -> dict[str, Totals]:
        """Replace partitions; what the lake has in each."""
        return {period: self._replace(target, table, period) for period in due}

    def _check(self, gate: WindowsGate, copy: Copy, sent: Mapping[str, Totals], commits: Commits) -> None:
        """Hold what ClickHouse has against what the lake has, and what it answers against the suite."""
        began = time.monotonic()
        published = batch_tables(self._stream, self._key)[copy.slot]
        found = {each: agree.in_clickhouse(self._client, published, each, self._compared) for each in sent}
        view, since = rollup_view(self._stream, self._key), lately(self._rollup, commits)
        decision = gate.judge(windows_read(self._client, view, since, commits), more=(agree.verdict(sent, found),))
        if gate.lets(decision):
            gate.done(decision, time.monotonic() - began)

    def _periods_of(self, target: Copy) -> set[str]:
        found = self._client.query(
            "SELECT DISTINCT partition FROM system.parts "
            "WHERE active AND database = currentDatabase() AND table = {table:String}",
            parameters={"table": batch_tables(self._stream, self._key)[target.slot]},
        ).result_rows
        return {str(row[0]) for row in found}

    def _replace(self, target: Copy, table: DeltaTable, period: str) -> Totals:
        staging, into = staging_table(self._stream, self._key), batch_tables(self._stream, self._key)[target.slot]
        rows = table.to_pyarrow_table(filters=[(PERIOD, "=", period)], columns=self._columns)
        self._client.command(f"TRUNCATE TABLE {staging}")
        if rows.num_rows:
            self._client.insert_arrow(staging, _to_seconds(rows))
        arrived = int(self._client.query(f"SELECT count() FROM {staging}").result_rows[0][0])  # noqa: S608
        if arrived != rows.num_rows:
            raise RuntimeError(f"{staging} has {arrived} rows of {rows.num_rows} of period {period}: not published")
        self._client.command(f"ALTER TABLE {into} REPLACE PARTITION {int(period)} FROM {staging}")
        return agree.in_lake(rows, self._compared)

    def _choose(self, copy: Copy, commits: Commits) -> None:
        """One row, by which every query that begins from now on reads this copy, this horizon and this floor."""
        cursor = commits.cursor
        self._client.command(
            f"INSERT INTO {published_table(self._stream)} "  # noqa: S608 (checked names)
            "(rollup, slot, version, horizon, floor, lake_version, published_at) "
            "VALUES ({key:String}, {slot:UInt8}, {version:UInt64}, toDateTime({horizon:Int64}, 'UTC'), "
            "toDateTime({floor:Int64}, 'UTC'), {lake:Int64}, now64(3, 'UTC'))",
            parameters={
                "key": self._key,
                "slot": copy.slot,
                "version": copy.version,
                "horizon": cursor.horizon or 0,
                "floor": cursor.floor or 0,
                "lake": copy.lake_version,
            },
        )

    def _drop_live(self, floor: int) -> None:
        """Whole months of live seconds that no query reads any more: not of the view, not of a chart."""
        now = time.monotonic()
        self._floors.append((now, floor))
        old = [each for at, each in self._floors if at <= now - KEEP_LIVE_S]
        if not old:
            return
        self._floors = [each for each in self._floors if each[0] > now - KEEP_LIVE_S]
        until = datetime.fromtimestamp(old[-1], UTC) - self._rollup.span
        table = live_table(self._stream, self._key)
        for month in _months_before(until, self._months_of(table)):
            self._client.command(f"ALTER TABLE {table} DROP PARTITION {month}")

    def _months_of(self, table: str) -> list[int]:
        found = self._client.query(f"SELECT DISTINCT toYYYYMM({SECOND}) FROM {table}").result_rows  # noqa: S608
        return [int(row[0]) for row in found]


def _months_before(until: datetime, months: Iterable[int]) -> list[int]:
    return sorted(month for month in months if month < until.year * 100 + until.month)


def _to_seconds(rows: pa.Table) -> pa.Table:
    """Timestamps as `DateTime` takes them; every other column as it is."""
    fields = [
        pa.field(each.name, pa.timestamp("s", "UTC") if pa.types.is_timestamp(each.type) else each.type)
        for each in rows.schema
    ]
    return rows.cast(pa.schema(fields))
