"""What do a trial's stages work on, and what do they find together?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from controlplane.contract.backfills import TrialAsked
from controlplane.contract.names import REJECTS, lake_table
from controlplane.contract.trial_verdict import differing
from controlplane.contract.trials import CHANGED, TODAY, CostCompared, TrialFound
from pipeline.backfill.again import Again
from pipeline.operate.kind import RefusedError
from pipeline.trial import found
from pipeline.trial.asked import SETTLED, checked, definition_of, scratch_of
from pipeline.trial.rejects import records_of
from pipeline.trial.source import Piece
from pipeline.trial.turns import Side, Window, added, history_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from controlplane.contract.operations import Plan, StagePlanned
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.operate.kind import Work
    from pipeline.registry import Learned
    from pipeline.route.frame import RuleCompiler
    from pipeline.trial.asked import SuiteCheck

    Learn = Callable[[Settings, StreamDefinition], Learned]
    """What the registry knows of a stream, with the schema that all versions make."""


@dataclass(frozen=True)
class Run:
    """A stage's view of the trial; what is costly is made when it is first asked for."""

    work: Work
    rules: RuleCompiler
    gate: Gate
    check: SuiteCheck
    learn: Learn

    @cached_property
    def asked(self) -> TrialAsked:
        """What was asked for."""
        return asked_of(self.work)

    @cached_property
    def scratch(self) -> Path:
        """All that the trial writes."""
        return scratch_of(self.work.settings, self.work.operation.id)

    @cached_property
    def learned(self) -> dict[str, Learned]:
        """Side -> its definition, from the trial's own copy."""
        folders = {side: definition_of(self.scratch, side, self.asked.stream) for side in (TODAY, CHANGED)}
        return {side: self.learn(self.work.settings, checked(folder, self.check)) for side, folder in folders.items()}

    @cached_property
    def sides(self) -> dict[str, Side]:
        """Side -> what makes events of it."""
        session = self.work.session()
        return {
            name: Side(name, Again.of(session, each.stream, self.rules), self.scratch / name)
            for name, each in self.learned.items()
        }

    @cached_property
    def window(self) -> Window:
        """What both sides read."""
        basis = basis_of(self.work)
        root, name = self.work.settings.lake_root, self.asked.stream
        version = basis["rejects_version"]
        records = None
        if isinstance(version, int):
            records = records_of(
                self.work.session(),
                lake_table(root, name, REJECTS),
                version,
                json.loads((self.scratch / SETTLED).read_text()),
            )
        return Window(
            session=self.work.session(),
            events=lake_table(root, name),
            version=version_of(basis),
            records=records,
            writers=self.learned[TODAY].raw,
            event_time=self.learned[TODAY].stream.event_time.field,
            since=self.asked.since,
            until=self.asked.until,
        )

    def found(self) -> TrialFound:
        """All of it."""
        session, asked = self.work.session(), self.asked
        today, changed = self.sides[TODAY], self.sides[CHANGED]
        rows, columns, of_one = found.rows_compared(session, today, changed, self.scratch, asked.examples)
        history = history_rows(self.window)
        tried = found.tried(session, today, changed).count()
        rejects = None if self.window.records is None else tried - history
        rows = rows.model_copy(update={"history": history, "rejects": rejects})
        self.work.check()
        turns = [each.key for each in self._plan().stages if each.does == "turn"]
        costs = [self.work.result_of(key) for key in turns]
        basis = basis_of(self.work)
        rejects_at = basis["rejects_version"]
        result = TrialFound(
            stream=asked.stream,
            since=asked.since,
            until=asked.until,
            version=version_of(basis),
            rejects_version=rejects_at if isinstance(rejects_at, int) else None,
            today=found.definition(today.again.stream),
            changed=found.definition(changed.again.stream),
            schemas=found.schemas_compared(today.again.stream, changed.again.stream),
            rows=rows,
            columns=columns,
            columns_of_one=of_one,
            rollups=found.rollups_compared(session, today, changed, asked.examples),
            entities=found.entities_compared(session, today, changed, asked.examples),
            gates=found.gates_compared(session, today, changed, self.gate),
            cost=CostCompared(
                turns=len(costs),
                today=added([_cost(each, TODAY) for each in costs]),
                changed=added([_cost(each, CHANGED) for each in costs]),
            ),
            tables=_tables_of(self.scratch),
            notes=self._plan().notes,
        )
        return result.model_copy(update={"differs": differing(result)})

    def _plan(self) -> Plan:
        plan = self.work.operation.plan
        if plan is None:
            raise RefusedError("the operation has no plan")
        return plan


def asked_of(work: Work) -> TrialAsked:
    """What was asked for.

    Raises:
        RefusedError: if it is no trial.
    """
    try:
        return TrialAsked.model_validate(work.operation.asked)
    except ValueError as error:
        raise RefusedError(f"that is no trial: {error}") from error


def basis_of(work: Work) -> Mapping[str, JsonValue]:
    """What the plan rests on."""
    return {} if work.operation.plan is None else work.operation.plan.basis


def version_of(basis: Mapping[str, JsonValue]) -> int:
    """Of the events table."""
    version = basis.get("version")
    if not isinstance(version, int):
        raise RefusedError("the trial's plan names no version of the events")
    return version


def piece_of(stage: StagePlanned) -> Piece:
    """The days of a turn."""
    given = {key: str(value) for key, value in stage.given.items()}
    return Piece(date.fromisoformat(given["first"]), date.fromisoformat(given["last"]), int(given["rows"]))


def _cost(result: Mapping[str, JsonValue], side: str) -> Mapping[str, JsonValue]:
    cost = result.get(side)
    return cost if isinstance(cost, dict) else {}


def _tables_of(scratch: Path) -> dict[str, str]:
    """Name -> path of every Delta table in a trial's folder."""
    found = sorted(log.parent for log in scratch.rglob("_delta_log"))
    return {str(path.relative_to(scratch)).replace("/", "."): str(path) for path in found}
