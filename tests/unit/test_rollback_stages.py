"""Is each stage done once, or again with the same end, and taken back whole? Real Delta tables, no Spark, a lake that answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from controlplane.contract.backfills import RollbackAsked
from controlplane.contract.names import DIVERTED, EVENT_DATE, lake_rollup, lake_table
from controlplane.contract.operations import Kind, Operation, OperationState
from controlplane.contract.settings import Settings
from pipeline.lake.held import held_in
from pipeline.lake.holding import StreamHolding, Works
from pipeline.lake.holds import holds_of
from pipeline.lake.lineage import NOTHING
from pipeline.lake.offsets import user_metadata
from pipeline.operate.kind import RefusedError, RestsError, StaleError
from pipeline.rollback import stages
from pipeline.rollback.kind import RollbackKind
from pipeline.tables.cursor import Cursor, commits_of
from pipeline.tables.rollups import definition_of

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.operations import StagePlanned
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class World:
    """The shop's tables in a lake, whose process answers holds; and an operation's `Work`."""

    def __init__(self, folder: Path, stream: StreamDefinition) -> None:
        self.settings, self.shop = Settings(data=folder), stream
        self.rollup = next(iter(stream.rollups))
        self.lake = StreamHolding("shop", holds_of(self.settings, "shop"), "lake 1")
        self.operation = self.asks()
        self.found: dict[str, Any] = {}

    def asks(self, number: str = "op1", **asked: Any) -> Operation:
        given = RollbackAsked(stream="shop", **(asked or {"version": 1, "then": "hold"}))
        return Operation(
            id=number, kind=Kind.ROLLBACK, stream="shop", asked=given.model_dump(mode="json"), by="ann", at=NOW,
            changed_at=NOW, state=OperationState.RUNNING, confirmed_at=NOW,
        )  # fmt: skip

    def path(self, table: str) -> str:
        return lake_table(self.settings.lake_root, "shop", table)

    def write(self, table: str, rows: pa.Table, said: str, **options: Any) -> None:
        given = CommitProperties(custom_metadata={"userMetadata": said})
        write_deltalake(self.path(table), rows, mode="append", commit_properties=given, **options)

    def append(self, since: int, until: int, table: str = "events") -> None:
        count = until - since
        columns = {
            "tg_partition": pa.array([0] * count, pa.int32()),
            "tg_offset": pa.array(range(since, until), pa.int64()),
        }
        rows = pa.table({**columns, EVENT_DATE: ["2026-03-01"] * count})
        self.write(table, rows, user_metadata("shop", "shop.valid", {0: (since, until)}), partition_by=[EVENT_DATE])

    def close(self, number: int, events_version: int) -> None:
        definition = definition_of(self.shop, self.shop.rollups[self.rollup])
        cursor = Cursor(definition, events_version, {}, 60 * number, 60 * number, (f"2026030{number}",))
        columns = {each: ["x"] for each in self.shop.rollups[self.rollup].dimensions}
        rows = pa.table({"window_start": [datetime(2026, 3, number, tzinfo=UTC)], **columns, "n": [number]})
        self.write(lake_rollup(self.rollup), rows, cursor.written())

    def rows(self, table: str) -> int:
        return int(DeltaTable(self.path(table)).count())

    def planned(self, kind: RollbackKind) -> None:
        self.operation = self.operation.model_copy(update={"plan": kind.plan(self)})

    def run(self, kind: RollbackKind, until: str) -> None:
        """The stages up to one, each a second time as well, as if its process had been killed before it was heard of."""
        assert self.operation.plan is not None
        for stage in self.operation.plan.stages:
            if stage.does not in ("follow", "clickhouse"):
                first = kind.does[stage.does](self, stage)
                self.found[stage.key] = kind.does[stage.does](self, stage)
                assert self.found[stage.key] == first or stage.does in ("checkpoint", "hold")
            if stage.key == until:
                return

    def stage(self, key: str) -> StagePlanned:
        assert self.operation.plan is not None
        return next(each for each in self.operation.plan.stages if each.key == key)

    def stream(self) -> StreamDefinition:
        return self.shop

    def session(self) -> Any:
        pytest.fail("needs no Spark")

    def check(self) -> None:
        """Lake goes on beside it."""
        self.lake.look()
        self.lake.step(Works(appends=False, tables=False))

    def progress(self, *_: Any, **__: Any) -> None: ...
    def log(self, _: str) -> None: ...
    def report(self, *_: Any) -> None: ...

    def result_of(self, key: str) -> Any:
        return self.found.get(key, {})


@pytest.fixture
def world(tmp_path: Path, shop: StreamDefinition, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(stages, "publish", lambda _: {})
    monkeypatch.setattr(stages, "lows", lambda *_: {0: 0})
    monkeypatch.setattr("pipeline.rollback.kind._live_since", lambda *_: {})
    found = World(tmp_path, shop)
    found.append(0, 10)
    found.close(1, 0)
    found.append(10, 20)
    found.close(2, 1)
    found.append(20, 25, table=DIVERTED)
    found.append(25, 40)
    found.close(3, 2)
    checkpoint = tmp_path / "checkpoints" / "lake" / "shop"
    (checkpoint / "offsets").mkdir(parents=True)
    (checkpoint / "metadata").write_text('{"id":"x"}')
    return found


def test_every_table_goes_to_its_version_once_and_says_from_where_it_goes_on(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    kind.confirm_basis(world)
    before = {
        table: DeltaTable(world.path(table)).version() for table in ("events", DIVERTED, lake_rollup(world.rollup))
    }
    world.run(kind, "check")
    assert {table: world.rows(table) for table in before} == {"events": 20, DIVERTED: 0, lake_rollup(world.rollup): 2}
    for table, version in before.items():
        assert DeltaTable(world.path(table)).version() == version + 1, "one commit, though each stage ran twice"
    assert held_in(world.path("events"), world.path(DIVERTED)) == (True, {0: 20})
    commits = commits_of(world.path(lake_rollup(world.rollup)))
    assert commits is not None
    assert (commits.cursor.events_version, commits.cursor.horizon, commits.cursor.periods) == (1, 120, ("20260303",))
    assert [each.name for each in (world.settings.data / "checkpoints" / "lake").iterdir() if each.is_dir()] == [
        "shop-aside-20260301T000000"
    ]
    assert world.found["check"]["goes_on_from"] == {"0": 20}
    with pytest.raises(RestsError, match="until an operator resumes op1"):
        kind.does["rest"](world, world.stage("rest"))
    assert world.lake.holds_appends()
    kind.does["release"](world, world.stage("release"))
    kind.does["release"](world, world.stage("release"))
    world.check()
    assert not world.lake.holds_appends()
    undo = kind.undo(world)
    assert undo is not None
    assert undo.asked["version"] == before["events"]


def test_what_is_undone_has_everything_again(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    world.run(kind, "check")
    kind.does["release"](world, world.stage("release"))
    undo = kind.undo(world)
    assert undo is not None
    world.operation = world.asks("op2", version=undo.asked["version"])
    world.planned(kind)
    world.run(kind, "check")
    assert {table: world.rows(table) for table in ("events", lake_rollup(world.rollup))} == {
        "events": 35, lake_rollup(world.rollup): 3,
    }  # fmt: skip
    assert held_in(world.path("events"), world.path(DIVERTED)) == (True, {0: 40})


@pytest.mark.parametrize("until", ["hold", "restore:events", "checkpoint", "check"])
def test_a_run_that_ends_without_success_takes_back_what_it_has_done(world: World, until: str) -> None:
    kind = RollbackKind()
    world.planned(kind)
    world.run(kind, until)
    for _ in range(2):
        kind.clean_up(world)
    tables = ("events", DIVERTED, lake_rollup(world.rollup))
    assert {table: world.rows(table) for table in tables} == {"events": 35, DIVERTED: 5, lake_rollup(world.rollup): 3}
    assert held_in(world.path("events"), world.path(DIVERTED)) == (True, {0: 40})
    commits = commits_of(world.path(lake_rollup(world.rollup)))
    assert commits is not None
    assert (commits.cursor.events_version, commits.cursor.horizon) == (2, 180)
    world.check()
    assert not world.lake.holds_appends()


def test_lake_is_not_let_go_where_kafka_has_lost_what_it_would_go_on_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = RollbackKind()
    world.planned(kind)
    world.run(kind, "check")
    monkeypatch.setattr(stages, "lows", lambda *_: {0: 21})
    with pytest.raises(RefusedError, match="begins at 21, not 20"):
        kind.does["release"](world, world.stage("release"))
    assert world.lake.holds_appends()


def test_a_plan_is_stale_once_another_rollback_has_been_or_its_version_is_gone(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    overtaken = world.operation
    world.run(kind, "check")
    world.operation = overtaken.model_copy(update={"id": "op2"})
    with pytest.raises(StaleError, match="was written by another rollback or backfill"):
        kind.confirm_basis(world)


def test_a_plan_is_stale_once_its_version_was_vacuumed(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    table = DeltaTable(world.path("events"))
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(StaleError, match=r"holds no longer: version 1 of events .* vacuumed"):
        kind.confirm_basis(world)


def test_a_check_finds_what_is_not_as_planned(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    world.run(kind, "restore:events")
    planned = world.stage("check")
    wrong = planned.model_copy(update={"given": {"tables": {"events": 0}}})
    with pytest.raises(RuntimeError, match=r"has 20 rows at version 3, not 10"):
        kind.does["check"](world, wrong)


def test_another_operation_that_holds_the_stream_is_named(world: World) -> None:
    kind = RollbackKind()
    world.planned(kind)
    holds = holds_of(world.settings, "shop")
    holds.place("op0", stages.HoldKind.TABLES)
    with pytest.raises(RefusedError, match="held by operation op0"):
        kind.does["hold"](world, world.stage("hold"))


def test_a_table_that_was_not_there_is_emptied(world: World) -> None:
    kind = RollbackKind()
    world.operation = world.asks(version=0)
    world.planned(kind)
    assert world.stage(f"restore:{DIVERTED}").given["version"] == NOTHING
    world.run(kind, f"restore:{lake_rollup(world.rollup)}")
    assert {table: world.rows(table) for table in ("events", DIVERTED, lake_rollup(world.rollup))} == {
        "events": 10, DIVERTED: 0, lake_rollup(world.rollup): 1,
    }  # fmt: skip
