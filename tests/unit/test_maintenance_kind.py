"""Is maintenance on demand planned as it is due, done under the lock that runs take turns by, and told like any other?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.backfills import MaintenanceAsked
from controlplane.contract.facts import Extent, MaintenanceRan
from controlplane.contract.operations import Kind, Operation, OperationAsked, OperationState
from controlplane.contract.settings import Settings
from controlplane.service.operations.asked import checked, command_of
from pipeline.maintenance.act import FakeActs
from pipeline.maintenance.kept import Kept
from pipeline.maintenance.kind import MaintenanceKind, plan_of
from pipeline.maintenance.look import Looker
from pipeline.maintenance.run import turn
from pipeline.maintenance.stages import Note, Plan, Vacuum
from pipeline.maintenance.tables import FakeLake
from pipeline.maintenance.topics import FakeTopics
from pipeline.operate.kind import CancelledError, RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
EVENTS = Vacuum(
    stream="shop", table="events", path="/events", before=Extent(files=40, bytes=2048), promise=timedelta(days=7)
)
DUE = Plan(at=NOW, stages=(EVENTS,), notes=(Note(stream="shop", subject="events", text="2 partitions are left"),))


class World:
    """A `Work` of an operation that asks for maintenance of the shop, and what it has told."""

    def __init__(self, folder: Path, shop: StreamDefinition, **asked: Any) -> None:
        self.settings, self.shop, self.is_cancelled = Settings(data=folder, api=""), shop, False
        given = MaintenanceAsked(stream="shop", **asked).model_dump(mode="json")
        self.operation = Operation(
            id="op1", kind=Kind.MAINTENANCE, stream="shop", asked=given, by="ann", at=NOW, changed_at=NOW,
            state=OperationState.RUNNING,
        )  # fmt: skip
        self.told, self.said = list[Any](), list[str]()

    def stream(self) -> StreamDefinition:
        return self.shop

    def session(self) -> None:
        return None

    def check(self) -> None:
        if self.is_cancelled:
            raise CancelledError

    def log(self, text: str) -> None:
        self.said.append(text)

    def report(self, *facts: Any) -> None:
        self.told += facts


@pytest.fixture
def world(tmp_path: Path, shop: StreamDefinition) -> World:
    return World(tmp_path, shop)


def kind(*raises: Exception) -> tuple[MaintenanceKind, FakeActs]:
    acts = FakeActs(*raises)

    def looks(settings: Settings) -> Looker:
        return Looker(settings, FakeLake({}), FakeTopics(None), Kept(settings.data / "maintenance"))

    return MaintenanceKind(looks, lambda *_: acts), acts


def done(maintenance: MaintenanceKind, world: World) -> Any:
    [stage] = plan_of(DUE, MaintenanceAsked(stream="shop")).stages
    return maintenance.does[stage.does](world, stage)  # type: ignore[arg-type]


def test_what_is_due_is_the_plan() -> None:
    plan = plan_of(DUE, MaintenanceAsked(stream="shop"))
    [stage] = plan.stages
    assert (stage.key, stage.bytes, plan.bytes, plan.confirmation) == ("1:vacuum", 2048, 2048, "shop")
    assert stage.title.startswith("events: vacuum: delete 40 files of 2.0 KiB")
    assert "events: 2 partitions are left" in plan.notes
    [touch] = plan_of(DUE, MaintenanceAsked(stream="shop", table="events")).touches
    assert (touch.table, touch.writes) == ("events", True)


def test_when_nothing_is_due_the_plan_is_empty_and_says_why(world: World) -> None:
    maintenance, _ = kind()
    plan = maintenance.plan(world)  # type: ignore[arg-type]
    assert (plan.stages, plan.bytes) == ((), None)
    assert "events: is not there yet" in plan.notes


def test_a_table_that_is_not_there_is_refused(tmp_path: Path, shop: StreamDefinition) -> None:
    maintenance, _ = kind()
    with pytest.raises(RefusedError, match=r"no table 'evens' of shop; there are: .*events"):
        maintenance.plan(World(tmp_path, shop, table="evens"))  # type: ignore[arg-type]


def test_a_stage_is_done_kept_and_told(world: World) -> None:
    maintenance, acts = kind()
    assert done(maintenance, world) == {"events: vacuum": "2 files of 20 B before, 1 file of 19 B after"}
    assert acts.performed == [EVENTS]
    assert [each.run for each in Kept(world.settings.data / "maintenance").read().runs] == ["op1"]
    assert [type(each).__name__ for each in world.told] == ["MaintenanceRan", "TableMeasured"]


def test_a_stage_that_fails_is_told_and_ends_it(world: World) -> None:
    maintenance, _ = kind(OSError("disk full"))
    with pytest.raises(RefusedError, match=r"events: vacuum: .*disk full; what is still due is in the next plan"):
        done(maintenance, world)
    [ran] = [each for each in world.told if isinstance(each, MaintenanceRan)]
    assert "disk full" in str(ran.error)


def test_it_can_be_cancelled_while_another_run_has_its_turn(world: World) -> None:
    maintenance, acts = kind()

    def log(text: str) -> None:
        world.said.append(text)
        world.is_cancelled = True

    world.log = log  # type: ignore[method-assign]
    with turn(world.settings.data / "maintenance", lambda _: True, lambda: None), pytest.raises(CancelledError):
        done(maintenance, world)
    assert (acts.performed, world.said) == ([], ["another run of maintenance has to end first"])


def test_the_command_that_does_the_same() -> None:
    asked = OperationAsked(kind=Kind.MAINTENANCE, asked={"stream": "shop", "table": "events"})
    assert checked(asked) == MaintenanceAsked(stream="shop", table="events")
    assert command_of(asked) == "tidegate maintain run --stream shop --table events"
