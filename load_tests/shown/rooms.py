"""What do the rooms answer? Their own code over a few made-up records, incidents, versions and queries, in a folder of its own."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from fastapi import FastAPI

from alerts.api import Beats
from alerts.api import create_api as create_alerts
from alerts.observe import FakeSource
from alerts.outbox import Outbox
from alerts.pages import Writer
from alerts.sender import FakeSender
from alerts.store import Store
from alerts.watch import Watch
from controlplane.contract.facts import PartChanged, PartState
from controlplane.contract.names import Hop
from controlplane.contract.queries import Engine, QueryAnswer, QueryColumn, QueryRan, QueryTable, QueryTables
from controlplane.contract.settings import Settings
from load_tests.shown.gates import halted
from load_tests.shown.loads import keep_runs
from load_tests.shown.moment import AT
from pipeline.feed.shop import event
from pipeline.lakeview import serve as lakeview
from pipeline.loads import serve as loads
from quality.inbox.inbox import Inbox
from quality.inbox.markers import Markers
from quality.quarantine import add_quarantine
from quality.rejects.record import SCHEMA
from quality.rejects.table import Place, RejectsTable
from quality.replay.fit import Fit
from quality.replay.kept import WorkFiles
from quality.replay.work import Desk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from controlplane.contract.facts import Fact
    from controlplane.contract.streams import StreamDefinition
    from quality.replay.today import Today

_DAY = date(2026, 11, 24)
_REJECTED = 18
_SWAPPED = 5
"""Version that a backfill has written."""
_NAMES = ("Ada", "Bo", "Cleo", "Dan", "Eve")
QUERY = "SELECT region, sum(revenue) AS revenue, sum(orders) AS orders FROM shop_sales GROUP BY region ORDER BY revenue DESC"


def rooms_of(
    shop: StreamDefinition, flights: StreamDefinition, folder: Path, token: str, load: str
) -> tuple[FastAPI, list[Fact]]:
    """One application with every room's paths, and what alerts reports."""
    settings = Settings(data=folder)
    _versions(folder / "lake" / "shop")
    rooms = FastAPI(openapi_url=None)
    rooms.include_router(lakeview.router(settings))
    keep_runs(settings, load)
    rooms.include_router(loads.router(settings))
    _sql(rooms)
    add_quarantine(rooms, {"shop": _quarantine(shop, folder, _REJECTED), "flights": _quarantine(flights, folder, 0)})
    _docs(rooms)
    alerts, counted = _alerts(folder, token)
    rooms.mount("/", alerts)
    return rooms, counted


class _Clock:
    """What time it is to the alerts, while their past is made."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> datetime:
        return self.at


def _alerts(folder: Path, token: str) -> tuple[FastAPI, list[Fact]]:
    """A part that died for two minutes in the morning, and a gate that has halted a while ago and was taken on."""
    clock = _Clock()
    store, source, beats = Store(folder / "incidents.sqlite"), FakeSource(clock), Beats()
    outbox = Outbox(store, FakeSender(), lambda: 0.0)
    watch = Watch(source, store, Writer("http://127.0.0.1:8050", "shown"), {}, timedelta(minutes=1), pages=True)
    began = AT - timedelta(minutes=190)
    for minute in range(191):
        clock.at = began + timedelta(minutes=minute)
        is_down = 10 <= minute < 13  # noqa: PLR2004 (of a picture)
        state = PartState.HELD if is_down else PartState.RUNNING
        facts: list[Fact] = [
            PartChanged(at=clock.at, part="lake", state=state, reason="disk full" if is_down else None)
        ]
        if minute >= 170:  # noqa: PLR2004 (of a picture)
            facts.append(halted(clock.at))
        source.facts = tuple(facts)
        beats.at = watch.beat()
        outbox.beat(clock.at)
    clock.at = AT
    return create_alerts(watch, outbox, beats, clock, token), [watch.counted(outbox, AT), watch.listed(AT)]


class _Schemas:
    """A registry with one schema."""

    def __init__(self, avro: dict[str, Any]) -> None:
        self._avro = avro

    def of_id(self, schema_id: int) -> dict[str, Any] | None:
        return self._avro if schema_id == 1 else None

    def versions(self, subject: str) -> dict[int, dict[str, Any]]:
        return {1: self._avro} if subject.endswith(".raw-value") else {}


def _no_rules(_: Today, events: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [() for _ in events]


def _quarantine(stream: StreamDefinition, folder: Path, records: int) -> Desk:
    """Single rows that break a rule, and records that cannot be read, of the last hours."""
    fit = Fit(1, stream.avro_schema, stream.avro_schema)
    made = [_rejected(fit, number) for number in range(records)]
    table = RejectsTable(str(folder / "lake"), stream.name)
    table.append(pa.Table.from_pylist(made, schema=SCHEMA), {Place(f"{stream.name}.quarantine", 0): records})
    markers = Markers()
    inbox = Inbox(stream, table, markers, _Schemas(stream.avro_schema))  # type: ignore[arg-type]
    inbox.index.add(table.load())
    inbox.unknown = None
    desk = Desk(inbox, None, WorkFiles(folder / f"replays-{stream.name}"), _no_rules)  # type: ignore[arg-type]
    desk.start([])
    return desk


def _rejected(fit: Fit, number: int) -> dict[str, Any]:
    at = AT - timedelta(minutes=8.5 * number, seconds=number)
    rules = "" if number % 9 == 0 else "amount_not_negative" if number % 4 == 0 else "quantity_in_range"
    hop = Hop.QUARANTINE if rules else Hop.DEAD
    changed: dict[str, Any] = {"amount": -3.5} if rules == "amount_not_negative" else {"quantity": 0}
    encoded = fit.encoded({**event(5, number, 0.0, at).value, **changed})
    if not isinstance(encoded, tuple):
        raise TypeError(f"shop's own event does not fit its schema: {encoded}")
    return {
        "id": f"{hop}:{number % 4}:{4000 + number}",
        "stage": "ingest",
        "reason": "rule_broken" if rules else "undecodable",
        "rules": rules,
        "suite": "3f9a01c2b7de",
        "partition": number % 4,
        "offset": 4000 + number,
        "tg_partition": number % 4,
        "tg_offset": 400_000 + 7 * number,
        "schema_id": 1,
        "seen_at": at,
        "rejected_at": at,
        "key": b"u1",
        "value": encoded[0] if rules else encoded[0][:-3],
        "day": at.date(),
    }


def _versions(lake: Path) -> None:
    """Appends of two days, a backfill's swap, a compaction; as of moments that are always the same."""
    events = str(lake / "events")
    for number in range(9):
        day = _DAY + timedelta(days=number // 4)
        if number == _SWAPPED:
            swap = _said(backfill={"operation": "b41c7d20e9aa", "days": [str(_DAY)]})
            again, of_day = _events(range(40), 19.0, _DAY), f"event_date = '{_DAY}'"
            write_deltalake(events, again, mode="overwrite", predicate=of_day, commit_properties=swap)
        else:
            offsets = range(10 * number, 10 * number + 10)
            said, rows = _said(offsets={"0": [offsets.start, offsets.stop]}), _events(offsets, 17.5, day)
            write_deltalake(events, rows, mode="append", partition_by=["event_date"], commit_properties=said)
    DeltaTable(events).optimize.compact()
    for number in range(4):
        visitors = pa.table({"user_id": [*_NAMES], "seen": [number + len(each) for each in _NAMES]})
        write_deltalake(str(lake / "entity_visitor"), visitors, mode="overwrite")
    for table, every_s in (("events", 3600), ("entity_visitor", 9000)):
        _dated(lake / table / "_delta_log", every_s)


def _said(**said: Any) -> CommitProperties:  # noqa: ANN401 (JSON)
    return CommitProperties(custom_metadata={"userMetadata": json.dumps(said)})


def _events(offsets: range, price: float, day: date) -> pa.Table:
    count = len(offsets)
    return pa.table(
        {
            "tg_partition": [each % 4 for each in offsets],
            "tg_offset": [*offsets],
            "user_id": [_NAMES[each % 5] for each in offsets],
            "price": [price + each for each in offsets],
            "event_date": [day] * count,
        }
    )


def _dated(log: Path, every_s: int) -> None:
    """Commits were made when the log says so."""
    files = sorted(log.glob("*.json"), reverse=True)
    for number, file in enumerate(files):
        at_ms = int((AT - timedelta(seconds=every_s * number + 600)).timestamp() * 1000)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["timestamp"] = at_ms
        file.write_text("\n".join(map(json.dumps, lines)))


def _docs(rooms: FastAPI) -> None:
    @rooms.get("/api/v1/quality/docs/state")
    async def state() -> dict[str, Any]:
        built = (AT - timedelta(minutes=6)).isoformat()
        return {"built_at": built, "results": 212, "took_s": 9.1, "peak_bytes": 410_000_000, "reason": None}


def _sql(rooms: FastAPI) -> None:
    """A query that was asked, and its answer."""
    columns = tuple(
        QueryColumn(name=name, type=kind)
        for name, kind in (("region", "String"), ("revenue", "Float64"), ("orders", "UInt64"))
    )
    rows = (
        ("Europe", 184_220.5, 2310),
        ("North America", 121_904.0, 1507),
        ("Asia", 88_310.25, 1120),
        ("Oceania", 19_002.0, 246),
    )
    answer = QueryAnswer(columns=columns, rows=rows, elapsed_s=0.018, rows_read=5120, bytes_read=410_000)
    events = tuple(
        QueryColumn(name=name, type=kind)
        for name, kind in (("event_id", "string"), ("amount", "double"), ("region", "string"))
    )
    engines = {
        Engine.CLICKHOUSE: (
            QueryTable(name="shop_sales", columns=columns),
            QueryTable(name="shop_valid", columns=events),
        ),
        Engine.LAKE: (
            QueryTable(name="shop.events", columns=events),
            QueryTable(name="shop.entity_visitor", columns=events),
        ),
    }
    limits = {
        Engine.CLICKHOUSE: {"time": "20 s", "rows": "100,000"},
        Engine.LAKE: {"time": "20 s", "memory": "768 MiB"},
    }
    ran = [
        QueryRan(at=AT - timedelta(minutes=3), engine=Engine.CLICKHOUSE, sql=QUERY, rows=4, elapsed_s=0.018),
        QueryRan(
            at=AT - timedelta(minutes=9),
            engine=Engine.LAKE,
            sql="SELECT count(*) FROM shop.events",
            rows=1,
            elapsed_s=0.31,
        ),
        QueryRan(
            at=AT - timedelta(minutes=12),
            engine=Engine.CLICKHOUSE,
            sql="DROP TABLE shop_sales",
            reason="DROP is refused: here a statement only reads",
        ),
    ]

    @rooms.post("/api/v1/sql")
    async def ask() -> dict[str, Any]:
        return answer.model_dump(mode="json")

    @rooms.get("/api/v1/sql/tables")
    async def tables() -> dict[str, Any]:
        return QueryTables(engines=engines, limits=limits).model_dump(mode="json")

    @rooms.get("/api/v1/sql/history")
    async def history() -> list[dict[str, Any]]:
        return [each.model_dump(mode="json") for each in ran]
