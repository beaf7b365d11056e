"""Does a backfill leave every table as if its days had always come in by today's definition? Real Delta tables, a real Spark.

Events come in commits, tables follow; then the definition changes and the days are made again, while more events come in. In the
end every table must be what a few lines of pandas make of the events. Lake's answer to a hold is played by the test.
"""

from __future__ import annotations

import io
import json
import random
import shutil
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fastavro
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable

from controlplane.contract.backfills import BackfillAsked
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import Outcome
from controlplane.contract.names import DIVERTED, EVENT_DATE, lake_entity, lake_rollup, lake_table
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.settings import Settings
from pipeline.backfill import apply as apply_module
from pipeline.backfill import brought as brought_module
from pipeline.backfill import windows as windows_module
from pipeline.backfill.kind import BackfillKind
from pipeline.backfill.scene import Known
from pipeline.backfill.swap import swapped_at
from pipeline.gate import FakeGate, Said
from pipeline.lake.append import table_options
from pipeline.lake.holds import holds_of
from pipeline.lake.lineage import with_backfill
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.references.fingerprint import fingerprint_of
from pipeline.tables.cursor import commits_of
from pipeline.tables.follow import Following
from quality.compile import broken_rules
from quality.rejects.record import SCHEMA as REJECTS_SCHEMA
from quality.rejects.table import RejectsTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from controlplane.contract.streams import StreamDefinition

BEGAN = datetime(2026, 3, 1, 22, tzinfo=UTC)
"""Two hours before midnight: windows and sessions cross into another day."""
YAML = """
title: Orders
key: [customer]
event_time: {field: at}
lateness: 30s
enrich:
  - reference: kinds
    on: {kind: kind}
    take: {label: label}
rollups:
  sliding:
    title: Ten minutes, every five
    window: {sliding: 10m, every: 5m}
    dimensions: [label]
    where: {kind: [a, b, c]}
    measures:
      orders: {count: true}
      total: {sum: amount}
      mean: {average: price}
      customers: {distinct: customer}
  visits:
    title: Visits
    window: {session: 3m}
    dimensions: [customer]
    measures:
      orders: {count: true}
      total: {sum: amount}
entities:
  customer:
    key: [customer]
    ordering: at
    deleted_when: {kind: [gone]}
"""
SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "customer", "type": "string"},
        {"name": "kind", "type": "string"},
        {"name": "amount", "type": "int"},
        {"name": "price", "type": ["null", "double"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}
LABELS = {"a": "first", "b": "second", "c": "third"}
RULE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}


def written(folder: Path, labels: Mapping[str, str], *rules: Mapping[str, Any]) -> StreamDefinition:
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "stream.yaml").write_text(YAML)
    (folder / "schema.avsc").write_text(json.dumps(SCHEMA))
    suites = {"ingest": {"name": "orders ingest", "expectations": list(rules)}}
    suites["lake"] = {
        "name": "orders lake",
        "expectations": [{**RULE, "kwargs": {"column": "amount", "min_value": -99}}],
    }
    (folder / "suite.json").write_text(json.dumps(suites))
    (folder / "reference" / "kinds.csv").write_text("\n".join(["kind,label", *map(",".join, labels.items())]))
    return load_stream(folder)


class Orders:
    """Commits of events, as lake leaves them, the tables that follow, and what pandas makes of the events."""

    def __init__(self, session: SparkSession, root: Path) -> None:
        self.session, self.settings = session, Settings(data=root / "data", backfill_files=root / "data" / "files")
        self.stream = written(root / "streams" / "orders", LABELS)
        self.root = self.settings.lake_root
        self.offsets = {0: 0, 1: 0}
        self.events = pd.DataFrame()

    def commit(self, seed: int, count: int, since: int, until: int, arrived: int) -> None:
        """Events at random times between two minutes, all taken by the raw topic at a third."""
        random_ = random.Random(seed)  # noqa: S311 (a drawing)
        rows = []
        for _ in range(count):
            customer = random_.choice(["ann", "bob", "cid", "dee"])
            partition = ord(customer[0]) % 2
            kind = random_.choice(["a", "b", "c", "gone"])
            at = BEGAN + timedelta(milliseconds=random_.randint(since * 60_000, until * 60_000))
            rows.append(
                {
                    "customer": customer,
                    "kind": kind,
                    "amount": random_.randint(-5, 50),
                    "price": random_.choice([None, 0.5, 1.25, 7.75]),
                    "at": at,
                    "label": LABELS.get(kind),
                    "tg_references": fingerprint_of(self.stream),
                    "tg_partition": partition,
                    "tg_offset": self.offsets[partition],
                    "tg_raw_at": BEGAN + timedelta(minutes=arrived),
                }
            )
            self.offsets[partition] += 1
        fresh = pd.DataFrame(rows).astype({"price": "float64"})
        self.events = pd.concat([self.events, fresh], ignore_index=True)
        frame = self.session.createDataFrame(pa.Table.from_pandas(fresh, preserve_index=False))
        (
            frame.selectExpr("*", f"to_date(at) AS {EVENT_DATE}")
            .write.format("delta")
            .mode("append")
            .partitionBy(EVENT_DATE)
            .options(**table_options(self.stream))
            .save(self.path("events"))
        )

    def follow(self) -> None:
        list(Following(self.session, self.stream, self.root).beat())

    def path(self, table: str) -> str:
        return lake_table(self.root, "orders", table)

    def table(self, name: str) -> pd.DataFrame:
        return DeltaTable(self.path(name)).to_pandas()


class Doing:
    """A `Work` that does one operation's stages in order; lake lets go at once."""

    def __init__(self, orders: Orders, asked: BackfillAsked, gate: FakeGate | None = None, number: str = "op1") -> None:
        self.orders, self.settings = orders, orders.settings
        now = datetime.now(UTC)
        self.operation = Operation(
            id=number,
            kind=Kind.BACKFILL,
            stream="orders",
            asked=asked.model_dump(mode="json"),
            by="test",
            at=now,
            changed_at=now,
            state=OperationState.PLANNED,
        )
        self.gate = gate or FakeGate()
        self.kind = BackfillKind(
            lambda: broken_rules, lambda: self.gate, lambda _, stream: Known(7, {7: json.dumps(stream.avro_schema)})
        )
        self.results: dict[str, Mapping[str, Any]] = {}
        self.facts: list[Any] = []

    def stream(self) -> StreamDefinition:
        return self.orders.stream

    def session(self) -> SparkSession:
        return self.orders.session

    def check(self) -> None:
        holds = holds_of(self.settings, "orders")
        if (wanted := holds.hold()) is not None:
            holds.answer(wanted, "test")

    def progress(self, done: int, total: int | None = None, unit: str = "", note: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def result_of(self, key: str) -> Mapping[str, Any]:
        return self.results.get(key, {})

    def report(self, *facts: Any) -> None:
        self.facts += facts

    def plan(self) -> Doing:
        self.operation = self.operation.model_copy(update={"plan": self.kind.plan(self)})
        return self

    def again(self, key: str) -> None:
        """A stage that was cut short."""
        assert self.operation.plan is not None
        [stage] = [each for each in self.operation.plan.stages if each.key == key]
        self.results[key] = self.kind.does[stage.does](self, stage)

    def run(self, before: Mapping[str, Callable[[], None]] | None = None, skip: tuple[str, ...] = ("publish",)) -> None:
        """All stages; `before` says what happens before one of them."""
        assert self.operation.plan is not None
        self.kind.confirm_basis(self)
        for stage in self.operation.plan.stages:
            (before or {}).get(stage.does, lambda: None)()
            if stage.does not in skip:
                self.results[stage.key] = self.kind.does[stage.does](self, stage)


def by_windows(events: pd.DataFrame, starts: pd.Series, length: str, horizon: pd.Timestamp) -> pd.DataFrame:
    framed = events.assign(window_start=starts)
    return framed[framed.window_start + pd.Timedelta(length) <= horizon]


def sliding_of(events: pd.DataFrame, horizon: pd.Timestamp) -> pd.DataFrame:
    wanted = events[events.kind != "gone"].assign(label=events.label.fillna(""))
    pane = wanted["at"].dt.floor("5min")
    both = pd.concat([by_windows(wanted, pane - pd.Timedelta(back), "10min", horizon) for back in ("0min", "5min")])
    return both.groupby(["window_start", "label"], as_index=False).agg(
        orders=("kind", "size"), total=("amount", "sum"), mean=("price", "mean"), customers=("customer", "nunique")
    )


def visits_of(events: pd.DataFrame, horizon: pd.Timestamp) -> pd.DataFrame:
    gap = pd.Timedelta("3min")
    framed = events.assign(second=events["at"].dt.floor("s")).sort_values(["customer", "second"])
    begins = framed.groupby("customer").second.diff().isna() | (framed.groupby("customer").second.diff() >= gap)
    framed["visit"] = begins.cumsum()
    found = framed.groupby(["customer", "visit"], as_index=False).agg(
        window_start=("second", "min"), last=("second", "max"), orders=("kind", "size"), total=("amount", "sum")
    )
    return found[found["last"] + gap <= horizon].drop(columns=["visit", "last"])


EXPECTED = {"sliding": sliding_of, "visits": visits_of}


def agrees(orders: Orders, events: pd.DataFrame) -> None:
    """Every table is what pandas makes of these events."""
    events = events.assign(
        at=pd.to_datetime(events["at"], utc=True), tg_raw_at=pd.to_datetime(events["tg_raw_at"], utc=True)
    )
    columns = ["tg_partition", "tg_offset", "customer", "kind", "amount", "price", "at", "label", "tg_references"]
    same(orders.table("events"), events[columns], ["tg_partition", "tg_offset"])
    for name, expected in EXPECTED.items():
        commits = commits_of(orders.path(lake_rollup(name)))
        assert commits is not None
        horizon = pd.Timestamp(commits.cursor.horizon or 0, unit="s", tz="UTC")
        wanted = expected(events, horizon)
        same(
            orders.table(lake_rollup(name)),
            wanted,
            [each for each in ("window_start", "label", "customer") if each in wanted],
        )
    newest = events.sort_values(["at", "tg_raw_at", "tg_partition", "tg_offset"]).groupby("customer").tail(1)
    newest = newest.assign(tg_deleted=newest.kind == "gone")[
        ["customer", "tg_partition", "tg_offset", "label", "tg_deleted"]
    ]
    same(orders.table(lake_entity("customer")), newest, ["customer"])


def same(found: pd.DataFrame, expected: pd.DataFrame, keys: list[str]) -> None:
    one, other = (each[list(expected.columns)].sort_values(keys).reset_index(drop=True) for each in (found, expected))
    for each in (one, other):
        for column in each:
            if column in ("window_start", "at"):
                each[column] = each[column].astype("datetime64[us, UTC]")
            elif each[column].dtype == object:
                each[column] = each[column].where(each[column].notna(), "nothing")
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


@pytest.fixture(scope="module")
def once(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Orders:
    """Two days and a bit, in three commits; the tables follow."""
    found = Orders(spark, tmp_path_factory.mktemp("orders"))
    for seed, (since, until) in enumerate([(0, 1500), (1400, 2000)]):
        found.commit(seed, 180, since, until, until)
        found.follow()
    agrees(found, found.events)
    return found


@pytest.fixture
def orders(once: Orders, tmp_path: Path) -> Orders:
    """A copy of it for each test."""
    shutil.copytree(once.root, tmp_path / "data" / "lake")
    found = Orders(once.session, tmp_path)
    found.offsets, found.events = dict(once.offsets), once.events
    return found


@pytest.mark.parametrize("until", [pytest.param(1900, id="into-two-days"), pytest.param(300, id="into-one-day")])
def test_days_are_made_again_by_today_s_definition_while_events_come_in(
    orders: Orders, until: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        windows_module, "_CHUNK_ROWS", 1
    )  # a day's windows are a piece: only those of fresh events are made twice
    old = orders.stream
    labels = {"a": "second", "b": "fourth", "c": "first"}
    orders.stream = written(orders.stream.folder, labels, RULE)
    doing = Doing(orders, BackfillAsked(stream="orders")).plan()
    plan = doing.operation.plan
    assert plan is not None
    assert [each.partition for each in plan.stages if each.does == "build"] == [
        "2026-03-03",
        "2026-03-02",
        "2026-03-01",
    ]
    assert plan.rows == len(orders.events)

    def late() -> None:
        """By the definition of before, into a day that is built already; nobody has followed it."""
        new, orders.stream = orders.stream, old
        orders.commit(10, 30, 60, until, 2010)
        orders.stream = new

    doing.run({"swap": late})
    compared, swapped = doing.results["compare"], doing.results["swap"]
    made = orders.events.assign(label=orders.events.kind.map(labels), tg_references=fingerprint_of(orders.stream))
    kept = made[made.amount >= 0]
    agrees(orders, kept)
    first = orders.events.iloc[:-30]
    assert compared["gone"] == int((first.amount < 0).sum()) > 0
    assert compared["columns"] == {
        "tg_references": int((first.amount >= 0).sum()),
        "label": int(((first.amount >= 0) & (first.kind != "gone")).sum()),
    }
    assert swapped["increment"] == int((orders.events.iloc[-30:].amount >= 0).sum())
    aside = orders.table(DIVERTED)
    assert sorted(zip(aside.tg_partition, aside.tg_offset, strict=True)) == sorted(
        zip(made[made.amount < 0].tg_partition, made[made.amount < 0].tg_offset, strict=True)
    )
    assert set(aside.batch) == {"backfill:op1"}
    assert holds_of(orders.settings, "orders").hold() is None, "lake goes on"
    assert not (orders.settings.data / "lake" / "orders" / "shadow_op1").exists()

    orders.commit(11, 60, 1900, 2200, 2200)
    fresh = orders.events.iloc[-60:]
    orders.follow()
    agrees(orders, pd.concat([kept, fresh], ignore_index=True))


def test_what_is_cut_short_at_any_step_is_done_again_with_the_same_end(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"a": "second", "b": "first"}
    orders.stream = written(orders.stream.folder, labels, RULE)
    doing = Doing(orders, BackfillAsked(stream="orders", until=date(2026, 3, 2))).plan()
    steps = ("_swap", "_set_aside", "correct_rollup", "correct_entity")
    for step in steps:
        original = getattr(apply_module, step)

        def killed(*given: Any, original: Any = original, **named: Any) -> Any:
            original(*given, **named)
            raise KeyboardInterrupt

        monkeypatch.setattr(apply_module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            doing.run() if step == steps[0] else doing.again("swap")
        monkeypatch.setattr(apply_module, step, original)
        assert holds_of(orders.settings, "orders").hold() is not None, "nobody sees what is half done"
    doing.again("swap")
    version = doing.results["swap"]["version"]
    assert version == swapped_at(orders.path("events"), "op1")
    is_mine = orders.events["at"].dt.date <= date(2026, 3, 2)
    fresh = orders.events.assign(label=orders.events.kind.map(labels), tg_references=fingerprint_of(orders.stream))
    expected = pd.concat([fresh[is_mine & (fresh.amount >= 0)], orders.events[~is_mine]], ignore_index=True)
    agrees(orders, expected)
    assert len(orders.table(DIVERTED)) == int((is_mine & (fresh.amount < 0)).sum())
    undone = doing.kind.undo(doing)
    assert undone is not None
    assert undone.asked == {"stream": "orders", "version": version - 1, "then": "replay"}


def test_a_gate_that_fails_stops_it_before_anything_has_changed(orders: Orders) -> None:
    before = DeltaTable(orders.path("events")).version()
    gate = FakeGate([Said(Outcome.DIVERTED, reason="amounts are off")])
    doing = Doing(orders, BackfillAsked(stream="orders"), gate).plan()
    with pytest.raises(RefusedError, match=r"the lake's gate stops it .diverted.: amounts are off; 360 of 360 rows"):
        doing.run()
    assert [each["name"] for each, _, _ in gate.judged] == ["orders lake"]
    doing.kind.clean_up(doing)
    doing.kind.clean_up(doing)
    assert DeltaTable(orders.path("events")).version() == before
    assert not (orders.settings.data / "lake" / "orders" / "shadow_op1").exists()


def test_a_plan_is_stale_when_the_definition_or_the_table_has_changed(orders: Orders) -> None:
    doing = Doing(orders, BackfillAsked(stream="orders")).plan()
    doing.kind.confirm_basis(doing)
    orders.commit(5, 10, 0, 60, 60)
    doing.kind.confirm_basis(doing)
    orders.stream = written(orders.stream.folder, LABELS, RULE)
    with pytest.raises(StaleError, match="its definition has changed"):
        doing.kind.confirm_basis(doing)
    doing.plan()
    say = CommitProperties(custom_metadata={"userMetadata": with_backfill(None, "another")})
    DeltaTable(orders.path("events")).delete("tg_offset = 3", commit_properties=say)
    with pytest.raises(StaleError, match="was backfilled since"):
        doing.kind.confirm_basis(doing)


def test_days_that_are_not_there_are_refused(orders: Orders) -> None:
    with pytest.raises(RefusedError, match="3 days from 2026-03-01 to 2026-03-03"):
        Doing(orders, BackfillAsked(stream="orders", since=date(2030, 1, 1))).plan()


def test_rows_of_files_come_in_once_and_only_those_that_the_lake_lacks(orders: Orders) -> None:
    root = orders.settings.data / "files"
    root.mkdir(parents=True)
    known = orders.events.iloc[[3, 4]]
    new: list[dict[str, Any]] = [
        {"customer": "eve", "kind": "a", "amount": 7, "price": None, "at": BEGAN + timedelta(minutes=minute)}
        for minute in (-3000, 10, 11, 700)
    ]
    late = {**new[0], "at": BEGAN - timedelta(days=9)}
    columns = ["customer", "kind", "amount", "at"]
    lines = [*known[columns].to_dict("records"), *new, late]
    text = "\n".join(json.dumps(each, default=lambda at: at.isoformat()) for each in lines)
    (root / "old.jsonl").write_text(text)
    asked = BackfillAsked(stream="orders", source="files", files=("*.jsonl",), since=date(2026, 2, 25))
    doing = Doing(orders, asked).plan()
    doing.run()
    assert {key: doing.results["build:file-00000"][key] for key in ("read", "known", "outside", "kept")} == {
        "read": 7, "known": 2, "outside": 1, "kept": 4,
    }  # fmt: skip
    brought = orders.table("events")
    brought = brought[brought.tg_partition < 0]
    assert sorted(brought["at"]) == sorted(pd.Timestamp(each["at"]) for each in new)
    everything = pd.concat([orders.events, brought[orders.events.columns]], ignore_index=True)
    agrees(orders, everything)
    orders.commit(12, 20, 1990, 2100, 2100)
    shutil.rmtree(orders.path(lake_rollup("sliding")))
    orders.follow()
    anew = commits_of(orders.path(lake_rollup("sliding")))
    assert anew is not None
    assert set(anew.cursor.seen) == {0, 1}, (
        "a file says nothing of how far event time has come, also when all is read anew"
    )
    everything = pd.concat([everything, orders.events.iloc[-20:]], ignore_index=True)
    agrees(orders, everything)
    again = Doing(orders, asked, number="op2").plan()
    again.again("build:file-00000")
    assert again.results["build:file-00000"]["known"] == 6, "the lake has them all"


def test_a_bad_row_of_a_file_is_named_and_nothing_has_changed(orders: Orders) -> None:
    root = orders.settings.data / "files"
    root.mkdir(parents=True)
    row = {"customer": "eve", "kind": "a", "amount": 7, "price": None, "at": "2026-03-01T23:00:00Z"}
    (root / "bad.jsonl").write_text("\n".join(map(json.dumps, [row, {**row, "amount": "seven"}])))
    before = DeltaTable(orders.path("events")).version()
    doing = Doing(orders, BackfillAsked(stream="orders", source="files", files=("bad.jsonl",))).plan()
    with pytest.raises(
        RefusedError, match=r"bad.jsonl, row 2, column 'amount': expected a whole number of 32 bits, found 'seven'"
    ):
        doing.run()
    assert DeltaTable(orders.path("events")).version() == before
    (root / "worse.jsonl").write_text(json.dumps({"customer": "eve"}))
    with pytest.raises(
        RefusedError, match=r"worse.jsonl, row 1, column 'kind': expected a text in each row, found nothing"
    ):
        Doing(orders, BackfillAsked(stream="orders", source="files", files=("worse.jsonl",))).plan()


def test_rejected_records_that_today_s_rules_let_through_come_in_and_are_marked(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[str] = ["quarantine:0:2"]

    def quality(_: Settings, method: str, path: str, body: Any) -> Any:
        assert path == "orders/settled"
        marked.extend(body["ids"] if method == "POST" else [])
        return list(marked)

    monkeypatch.setattr(brought_module, "_ask", quality)
    schema = fastavro.parse_schema(json.loads(json.dumps(SCHEMA)))
    rows = []
    for number, amount in enumerate([5, -1, 6, 7]):
        body = io.BytesIO()
        at = BEGAN + timedelta(minutes=20 * number + 5)
        fastavro.schemaless_writer(
            body, schema, {"customer": "fay", "kind": "b", "amount": amount, "price": 1.0, "at": at}
        )
        rows.append(
            {
                "id": f"quarantine:0:{number}", "stage": "ingest", "reason": "rule_broken", "rules": "x", "suite": "s",
                "partition": 0, "offset": number, "tg_partition": 1, "tg_offset": 1000 + number, "schema_id": 7,
                "seen_at": BEGAN + timedelta(days=2), "rejected_at": BEGAN + timedelta(days=2), "key": b"fay",
                "value": b"\x00" + (7).to_bytes(4, "big") + body.getvalue(), "batch": None, "day": date(2026, 3, 3),
            }
        )  # fmt: skip
    RejectsTable(orders.root, "orders").append(pa.Table.from_pylist(rows, schema=REJECTS_SCHEMA), {})
    orders.stream = written(orders.stream.folder, LABELS, RULE)
    doing = Doing(orders, BackfillAsked(stream="orders", source="rejects")).plan()
    doing.run()
    assert {key: doing.results["build:rejects-2026-03-03"][key] for key in ("waiting", "kept")} == {
        "waiting": 3,
        "kept": 2,
    }
    assert sorted(marked) == ["quarantine:0:0", "quarantine:0:2", "quarantine:0:3"]
    found = orders.table("events")
    found = found[found.tg_partition < 0]
    assert found.sort_values("at").amount.tolist() == [5, 7]
    agrees(orders, pd.concat([orders.events, found[orders.events.columns]], ignore_index=True))
    again = Doing(orders, BackfillAsked(stream="orders", source="rejects"), number="op2").plan()
    again.again("build:rejects-2026-03-03")
    assert again.results["build:rejects-2026-03-03"]["kept"] == 0, "all that can come in has"
    assert doing.kind.undo(doing) is None
