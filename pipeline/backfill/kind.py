"""A backfill as a kind of operation: plan, stages, what is taken back, what undoes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from controlplane.contract.backfills import BackfillAsked, BackfillSource
from controlplane.contract.names import REJECTS, lake_rollup
from controlplane.contract.operations import Kind, OperationAsked
from pipeline.backfill.apply import apply, hold, release
from pipeline.backfill.brought import file_unit, file_units, mark, reject_unit, reject_units, require_waiting
from pipeline.backfill.build import built
from pipeline.backfill.compare import (
    compare_days,
    compare_things,
    compare_windows,
    compute_windows,
    computed_windows,
    cursor_of,
    entity_table,
    latest,
    latest_of_days,
    rollup_table,
)
from pipeline.backfill.correct import latest_in, windows_in
from pipeline.backfill.days import day_made
from pipeline.backfill.judge import judged
from pipeline.backfill.look import definition_of, events_at
from pipeline.backfill.plan import history_units, plan_of
from pipeline.backfill.publish import await_published
from pipeline.backfill.scene import Once, Scene, known_of
from pipeline.backfill.swap import swapped_at
from pipeline.backfill.things import TouchedThings
from pipeline.lake.commits import history_of
from pipeline.lake.lineage import is_made_of, says
from pipeline.operate.kind import StaleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue
    from pyspark.sql import DataFrame

    from controlplane.contract.operations import Plan, StagePlanned
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.backfill.scene import Known
    from pipeline.gate import Gate
    from pipeline.operate.kind import Work
    from pipeline.route.frame import RuleCompiler

    Found = Mapping[str, JsonValue]


class BackfillKind:
    """See `OperationKind`.

    Args:
        broken_rules: gives what makes Columns of row rules.
        gate: gives what judges a sample.
        known: what the registry knows of a stream.
    """

    def __init__(
        self,
        broken_rules: Callable[[], RuleCompiler],
        gate: Callable[[], Gate],
        known: Callable[[Settings, StreamDefinition], Known] = known_of,
    ) -> None:
        self._rules, self._gate, self._known = broken_rules, gate, known
        self._once: dict[tuple[str, str], Once] = {}
        self.does: Mapping[str, Callable[[Work, StagePlanned], Found]] = {
            "build": self._build,
            "gate": self._judge,
            "compare": lambda work, _: compare_days(self._scene(work)),
            "rollup": self._rollup,
            "entity": self._entity,
            "swap": self._swap,
            "mark": self._mark,
            "publish": self._publish,
            "clean": self._clean,
        }
        self.parallel: Callable[[StagePlanned], bool] = lambda stage: stage.does == "build"

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        scene = self._scene(work)
        events = events_at(scene.events_folder)
        basis: dict[str, JsonValue] = {}
        match scene.asked.source:
            case BackfillSource.HISTORY:
                units = history_units(scene.asked, events)
            case BackfillSource.FILES:
                units = file_units(scene)
            case BackfillSource.REJECTS:
                units = reject_units(scene)
                basis = {"rejects_version": DeltaTable(f"{scene.folder}/{REJECTS}").version()}
        return plan_of(scene.asked, scene.stream, events, units, basis)

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`."""
        scene = self._scene(work)
        if definition_of(work.stream()) != scene.basis["definition"]:
            raise StaleError(f"{scene.asked.stream}: its definition has changed since this was planned; plan it again")
        table = DeltaTable(scene.events_folder)
        since = int(scene.basis["events_version"])
        if str(table.metadata().id) != scene.basis["table"]:
            raise StaleError(f"{scene.events_folder} is another table than the one that was planned for; plan it again")
        said = says(history_of(table, table.version() - since + 1))
        if not is_made_of(said, table.version(), since):
            raise StaleError(f"{scene.asked.stream} was rolled back since this was planned; plan it again")
        if any(each.backfill is not None for version, each in said.items() if version > since):
            raise StaleError(f"{scene.asked.stream} was backfilled since this was planned; plan it again")

    def clean_up(self, work: Work) -> None:
        """See `OperationKind`."""
        scene = self._scene(work)
        release(scene)
        scene.shadow.delete()

    def undo(self, work: Work) -> OperationAsked | None:
        """See `OperationKind`."""
        asked = BackfillAsked.model_validate(work.operation.asked)
        version = work.result_of("swap").get("version")
        if not isinstance(version, int) or asked.source is BackfillSource.REJECTS:
            return None
        back: dict[str, JsonValue] = {"stream": asked.stream, "version": version - 1, "then": "replay"}
        return OperationAsked(kind=Kind.ROLLBACK, asked=back, why=f"undoes backfill {work.operation.id}")

    def _scene(self, work: Work) -> Scene:
        """What was found is good for the stages of one plan; a plan itself looks at everything anew."""
        plan = work.operation.plan
        once = Once() if plan is None else self._once.setdefault((work.operation.id, plan.fingerprint), Once())
        return Scene(work, self._rules, self._known, once)

    def _build(self, work: Work, stage: StagePlanned) -> Found:
        scene = self._scene(work)
        match scene.asked.source:
            case BackfillSource.HISTORY:
                return day_made(scene, str(stage.given["unit"]))
            case BackfillSource.FILES:
                unit, counts = file_unit(scene, stage)
            case BackfillSource.REJECTS:
                unit, counts = reject_unit(scene, stage)
        return {**built(work, scene.shadow, scene.again, unit), **counts}

    def _judge(self, work: Work, _: StagePlanned) -> Found:
        return judged(self._scene(work), self._gate())

    def _rollup(self, work: Work, stage: StagePlanned) -> Found:
        scene, name = self._scene(work), str(stage.given["name"])
        table = rollup_table(scene, name)
        if (cursor := cursor_of(table)) is None or not scene.touched_days():
            return {"note": "lake computes this table anew, or has not begun it: there is nothing to compare"}
        touched, events = scene.touched(name, cursor), _events_then(scene)
        compute_windows(scene, touched, table.path, events, windows_in(name), work.check)
        there = work.session().read.format("delta").load(table.path)
        return compare_windows(touched, there, computed_windows(scene, windows_in(name)))

    def _entity(self, work: Work, stage: StagePlanned) -> Found:
        scene, name = self._scene(work), str(stage.given["name"])
        table = entity_table(scene, name)
        if cursor_of(table) is None or not scene.touched_days():
            return {"note": "lake computes this table anew, or has not begun it: there is nothing to compare"}
        latest_of_days(scene, name, scene.units(), latest_in(name), work.check)
        current = work.session().read.format("delta").load(table.path)
        things = TouchedThings(table, scene.replaced_days())
        changes = things.changes(current, latest(scene, name, latest_in(name)), _events_then(scene))
        return compare_things(changes, current, table.entity.key)

    def _swap(self, work: Work, _: StagePlanned) -> Found:
        scene = self._scene(work)
        if swapped_at(scene.events_folder, scene.id) is None:
            self._require_same(scene)
            if scene.asked.source is BackfillSource.REJECTS:
                require_waiting(scene)
        hold(scene)
        found = apply(scene)
        release(scene, work.session())
        return found

    def _require_same(self, scene: Scene) -> None:
        if definition_of(scene.work.stream()) != scene.basis["definition"]:
            raise StaleError(
                f"{scene.asked.stream}: its definition has changed while the days were built; nothing was swapped, plan it again"
            )

    def _mark(self, work: Work, _: StagePlanned) -> Found:
        return {"marked": mark(self._scene(work))}

    def _publish(self, work: Work, _: StagePlanned) -> Found:
        scene = self._scene(work)
        tables: Any = work.result_of("swap").get("tables") or {}
        wanted = {
            name: int(found["version"])
            for name in scene.stream.rollups
            if (found := tables.get(lake_rollup(name))) and "version" in found
        }
        note = partial(work.progress, 0, None, "")
        late = await_published(work.settings.clickhouse, scene.stream.name, wanted, work.check, note)
        return {"published": [*sorted(wanted.keys() - late.keys())], "late": [*sorted(late)]}

    def _clean(self, work: Work, _: StagePlanned) -> Found:
        scene = self._scene(work)
        scene.shadow.delete()
        return _summary(scene)


def _summary(scene: Scene) -> dict[str, JsonValue]:
    """Of all that was found, in a few figures."""
    compared, swapped = scene.work.result_of("compare"), scene.work.result_of("swap")
    tables: Any = swapped.get("tables") or {}
    summed = {what: sum(int(each.get(what) or 0) for each in tables.values()) for what in ("windows", "things")}
    rows = {name: compared.get(name) for name in ("before", "after", "changed", "added", "gone", "examples")}
    return {**rows, **summed, "set_aside": swapped.get("set_aside"), "increment": swapped.get("increment")}


def _events_then(scene: Scene) -> DataFrame:
    return scene.events_after(scene.units(), scene.replaced_days(), scene.events.version)
