"""How is a trial planned and run? Both definitions over the same events, on tables of its own; no live table is touched."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.names import REJECTS, lake_table
from controlplane.contract.operations import Plan, StagePlanned, fingerprint_of
from controlplane.contract.trials import CHANGED, TODAY
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.route.definition import digest_of
from pipeline.trial import found
from pipeline.trial.asked import RESULT, SETTLED, checked, copied, folder_of, scratch_of, settled_of
from pipeline.trial.rejects import rejects_version
from pipeline.trial.run import Run, asked_of, basis_of, piece_of, version_of
from pipeline.trial.source import PIECES, Piece, days_of, pieces_of, source_of
from pipeline.trial.turns import history_rows, in_order, turn, warmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from controlplane.contract.backfills import TrialAsked
    from controlplane.contract.operations import OperationAsked
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.gate import Gate
    from pipeline.operate.kind import Work
    from pipeline.route.frame import RuleCompiler
    from pipeline.trial.asked import SuiteCheck
    from pipeline.trial.run import Learn
    from pipeline.trial.source import Source

_S_AN_EVENT = 60e-6
"""Of a turn of one side, about; what it took is in the result."""
_S_A_STAGE = 10.0


@dataclass(frozen=True)
class TrialKind:
    """A trial."""

    rules: RuleCompiler
    gate: Gate
    check: SuiteCheck
    learn: Learn
    settled: Callable[[Settings, str], frozenset[str]] = settled_of
    parallel: Callable[[StagePlanned], bool] = field(default=lambda _: False)

    @property
    def does(self) -> Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]]:
        """See `OperationKind`."""
        return {"take": self._take, "turn": self._turn, "tables": self._tables, "compare": self._compare}

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        return self._planned(work, asked_of(work))

    def _planned(self, work: Work, asked: TrialAsked) -> Plan:
        today = work.stream()
        folder = folder_of(asked.folder, asked.stream, work.settings)
        changed = self.learn(work.settings, checked(folder, self.check)).stream
        _refuse_unless_comparable(asked, today, changed)
        table = lake_table(work.settings.lake_root, asked.stream)
        source = source_of(table, asked.version, asked.since, asked.until)
        digests = {TODAY: digest_of(today.folder), CHANGED: digest_of(folder)}
        basis: dict[str, JsonValue] = {
            **digests,
            "version": source.version,
            "rejects_version": rejects_version(lake_table(work.settings.lake_root, asked.stream, REJECTS)),
        }
        stages = tuple(_stages(asked, source))
        return Plan(
            at=datetime.now(UTC),
            stages=stages,
            touches=(),
            basis=basis,
            rows=source.rows,
            bytes=source.bytes,
            partitions=len(source.days),
            seconds=sum(each.seconds or 0 for each in stages),
            confirmation=asked.stream,
            notes=_notes(asked, digests),
            preview={
                "folder": str(folder),
                "schemas": [each.sentence for each in found.schemas_compared(today, changed)],
            },
            fingerprint=fingerprint_of(stages, (), basis),
        )

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`."""
        asked, basis = asked_of(work), basis_of(work)
        folders = self._folders(work, asked)
        for side, folder in folders.items():
            if digest_of(folder) != basis[side]:
                raise StaleError(f"{folder} has changed since the trial was planned; plan it again")
        source_of(lake_table(work.settings.lake_root, asked.stream), version_of(basis), asked.since, asked.until)

    def clean_up(self, work: Work) -> None:
        """See `OperationKind`."""
        shutil.rmtree(scratch_of(work.settings, work.operation.id), ignore_errors=True)

    def undo(self, work: Work) -> OperationAsked | None:  # noqa: ARG002 (the port's)
        """See `OperationKind`. Nothing was changed; `tidegate trial discard` removes what it keeps."""
        return None

    def _run(self, work: Work) -> Run:
        return Run(work, self.rules, self.gate, self.check, self.learn)

    def _folders(self, work: Work, asked: TrialAsked) -> dict[str, Path]:
        return {
            TODAY: work.stream().folder,
            CHANGED: folder_of(asked.folder, asked.stream, work.settings),
        }

    def _take(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """Copy both folders."""
        asked, basis = asked_of(work), basis_of(work)
        digests = {side: str(basis[side]) for side in (TODAY, CHANGED)}
        scratch = scratch_of(work.settings, work.operation.id)
        copied(scratch, self._folders(work, asked), digests)
        if basis["rejects_version"] is not None:
            # Once: what is replayed while the trial runs must be the same to both sides, and to each piece.
            (scratch / SETTLED).write_text(json.dumps(sorted(self.settled(work.settings, asked.stream))))
        return {}

    def _turn(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
        """Both sides over a piece."""
        run = self._run(work)
        piece, number = piece_of(stage), int(str(stage.given["number"]))
        if number == 0:
            for side in run.sides.values():
                warmed(run.window, side, piece)
        costs: dict[str, JsonValue] = {}
        events = history_rows(run.window, piece)
        for side in in_order(number, run.sides):
            work.check()
            work.progress(len(costs), 2, "turns", f"{side.name}: {events:,} events")
            costs[side.name] = turn(run.window, side, piece, events).model_dump(mode="json")
        return costs

    def _tables(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """Rollups and entities of both."""
        run = self._run(work)
        for side in run.sides.values():
            work.check()
            found.write_tables(work.session(), side)
        return {}

    def _compare(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """All that differs."""
        run = self._run(work)
        result = run.found()
        (run.scratch / RESULT).write_text(result.model_dump_json())
        return dict(result.model_dump(mode="json"))


def _stages(asked: TrialAsked, source: Source) -> Iterator[StagePlanned]:
    yield StagePlanned(key="take", does="take", title="Copy both folders", seconds=1)
    pieces = pieces_of(source.days, *days_of(asked.since, asked.until))
    # With one piece there would be one turn each, and who begins would tell.
    turns = pieces if len(pieces) > 1 else pieces * 2
    for number, piece in enumerate(turns):
        who = "today's first" if number % 2 == 0 else "the changed one first"
        yield StagePlanned(
            key=f"turn:{number + 1}",
            does="turn",
            title=f"Both over {_days(piece)}, {who}",
            partition=_days(piece),
            given={"number": number, "first": f"{piece.first}", "last": f"{piece.last}", "rows": piece.rows},
            rows=2 * piece.rows,
            seconds=2 * piece.rows * _S_AN_EVENT + _S_A_STAGE / PIECES,
        )
    yield StagePlanned(key="tables", does="tables", title="Rollups and entities of both", seconds=_S_A_STAGE)
    yield StagePlanned(key="compare", does="compare", title="Compare", seconds=_S_A_STAGE)


def _days(piece: Piece) -> str:
    return f"{piece.first}" if piece.first == piece.last else f"{piece.first} to {piece.last}"


def _refuse_unless_comparable(asked: TrialAsked, today: StreamDefinition, changed: StreamDefinition) -> None:
    if asked.since >= asked.until:
        raise RefusedError(f"since {asked.since} is not before until {asked.until}")
    if today.event_time.field != changed.event_time.field:
        raise RefusedError(
            f"event_time.field is {today.event_time.field} today and {changed.event_time.field} in the changed folder: "
            "a window of the one is no window of the other"
        )


def _notes(asked: TrialAsked, digests: Mapping[str, str]) -> tuple[str, ...]:
    notes = [
        "Windows at the edges hold the events of the trial's window only; both sides alike.",
        "What ClickHouse would answer is not asked, as nothing is published.",
    ]
    if digests[TODAY] == digests[CHANGED]:
        notes.insert(0, f"The folder is today's of {asked.stream}, unchanged: nothing but cost can differ.")
    return tuple(notes)
