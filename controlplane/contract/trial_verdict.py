"""What differs between two definitions, in a sentence each? From what a trial has counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.changes import Change
from controlplane.contract.trials import CHANGED, TODAY

if TYPE_CHECKING:
    from controlplane.contract.trials import EntityCompared, RollupCompared, TrialFound


def differing(found: TrialFound) -> tuple[str, ...]:
    """What is different in a result, a sentence each; cost is not: two runs of the same cost differently as well."""
    sentences = [each.sentence for each in found.schemas if each.change != Change.DOC]
    for side, count, other in ((TODAY, found.rows.only_today, CHANGED), (CHANGED, found.rows.only_changed, TODAY)):
        if count:
            sentences.append(f"{count:,} rows are let through by {side} alone, and not by {other}")
    sentences += [
        f"`{each.column}` differs in {each.differ:,} of {each.of:,} rows" for each in found.columns if each.differ
    ]
    for rollup in found.rollups:
        if said := _of_rollup(rollup):
            sentences.append(f"rollup `{rollup.rollup}`: {said}")
    for entity in found.entities:
        if said := _of_entity(entity):
            sentences.append(f"entity `{entity.entity}`: {said}")
    for gate in found.gates:
        outcomes = [None if side is None else side.outcome for side in (gate.today, gate.changed)]
        if outcomes[0] is not outcomes[1]:
            where = f"{gate.stage} of `{gate.table}`" if gate.table else str(gate.stage)
            sentences.append(f"gate {where}: {outcomes[0] or 'no suite'} today, {outcomes[1] or 'no suite'} changed")
    return tuple(sentences)


def _of_rollup(rollup: RollupCompared) -> str:
    if rollup.note:
        return rollup.note
    apart = [each for each in rollup.measures if each.differ]
    said = [_alone("windows", rollup.only_today + rollup.only_changed)]
    if apart:
        names, most = ", ".join(f"`{each.measure}`" for each in apart), max(each.differ for each in apart)
        how = "in" if len(apart) == 1 else "each in up to"
        said.append(f"{names} {'differs' if len(apart) == 1 else 'differ'} {how} {most:,} of {rollup.both:,} windows")
    return "; ".join(filter(None, said))


def _of_entity(entity: EntityCompared) -> str:
    if entity.note:
        return entity.note
    differ = f"{entity.differ:,} of {entity.both:,} differ" if entity.differ else ""
    return "; ".join(filter(None, (_alone("things", entity.only_today + entity.only_changed), differ)))


def _alone(what: str, count: int) -> str:
    return f"{count:,} {what} are there on one side only" if count else ""
