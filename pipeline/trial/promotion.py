"""How does a trial's folder become today's? Checked, kept, put in place by one rename, followed; and how is that taken back?

Only what the trial has tried is promoted: its own copy, while today's is still the one that it was tried against. Parts follow
suites and reference tables by themselves; for the rest those that read it are started again, and no other.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.backfills import BackfillAsked, PromotionAsked
from controlplane.contract.folders import load_stream
from controlplane.contract.operations import Kind, OperationAsked, Plan, StagePlanned, Touch, fingerprint_of
from controlplane.contract.refusals import SchemaRefusedError
from controlplane.contract.restarts import ask_restarts, to_restart
from controlplane.contract.trials import CHANGED, TrialFound
from pipeline.operate.kind import RefusedError, StaleError
from pipeline.route.definition import digest_of
from pipeline.trial.asked import RESULT, definition_of, scratch_of
from pipeline.trial.folders import Promoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pydantic import JsonValue

    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition
    from pipeline.operate.kind import Work

    Register = Callable[[Settings, StreamDefinition], None]
    """Registers a stream's schemas. Raises `SchemaRefusedError` if the registry does not take one."""

_SHOWN = 10


@dataclass(frozen=True)
class PromotionKind:
    """A promotion, or one taken back."""

    register: Register
    parallel: Callable[[StagePlanned], bool] = field(default=lambda _: False)

    @property
    def does(self) -> Mapping[str, Callable[[Work, StagePlanned], Mapping[str, JsonValue]]]:
        """See `OperationKind`."""
        return {"keep": self._keep, "register": self._register, "place": self._place, "follow": self._follow}

    def plan(self, work: Work) -> Plan:
        """See `OperationKind`."""
        asked = _asked(work)
        before, folder = work.stream().folder, _folder(work, asked)
        _refuse_stale(work, asked, digest_of(before))
        basis: dict[str, JsonValue] = {"today": digest_of(before), "changed": digest_of(folder)}
        if basis["today"] == basis["changed"]:
            raise RefusedError(f"{asked.stream} has that very definition already")
        parts = to_restart(load_stream(before), load_stream(folder))
        stages = _stages(asked.stream, parts)
        touches = (Touch(stream=asked.stream),)
        followed = "Suites and reference tables are followed within seconds."
        started = f"Started again: {', '.join(parts)}." if parts else "No part is started again."
        return Plan(
            at=datetime.now(UTC),
            stages=stages,
            touches=touches,
            basis=basis,
            seconds=sum(each.seconds or 0 for each in stages),
            confirmation=asked.stream,
            notes=(followed, started, "Events that the lake has stay as they are until they are backfilled."),
            preview={"differs": list(_differs(work, asked))[:_SHOWN], "restarts": list(parts)},
            fingerprint=fingerprint_of(stages, touches, basis),
        )

    def confirm_basis(self, work: Work) -> None:
        """See `OperationKind`."""
        asked, plan = _asked(work), work.operation.plan
        now = {"today": digest_of(work.stream().folder), "changed": digest_of(_folder(work, asked))}
        for side, digest in now.items():
            if plan is None or plan.basis[side] != digest:
                raise StaleError(f"the {side} definition of {asked.stream} is another than when this was planned")

    def clean_up(self, work: Work) -> None:
        """See `OperationKind`. What is in place stays: it is whole, and an undo takes it back."""
        asked = _asked(work)
        promoted = _promoted(work, asked)
        version = promoted.version(work.operation.id)
        if (promoted.root / asked.stream).resolve() != version.resolve():
            shutil.rmtree(version.parent, ignore_errors=True)

    def undo(self, work: Work) -> OperationAsked | None:
        """See `OperationKind`."""
        given = PromotionAsked(stream=_asked(work).stream, back=work.operation.id)
        return OperationAsked(kind=Kind.PROMOTION, asked=given.model_dump(mode="json"))

    def _keep(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """Copy today's folder, and the one that takes its place."""
        asked = _asked(work)
        promoted, operation = _promoted(work, asked), work.operation.id
        if not _is_placed(promoted, operation):
            promoted.keep(work.stream().folder, promoted.before(operation))
            promoted.keep(_folder(work, asked), promoted.version(operation))
        return {"before": str(promoted.before(operation))}

    def _register(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """What the registry refuses is not put in place."""
        asked = _asked(work)
        try:
            self.register(work.settings, load_stream(_promoted(work, asked).version(work.operation.id)))
        except SchemaRefusedError as error:
            raise RefusedError(f"{asked.stream} stays as it is: {error}") from error
        return {}

    def _place(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:  # noqa: ARG002 (the port's)
        """One rename."""
        promoted = _promoted(work, _asked(work))
        promoted.place(promoted.version(work.operation.id))
        return {"folder": str(promoted.version(work.operation.id))}

    def _follow(self, work: Work, stage: StagePlanned) -> Mapping[str, JsonValue]:
        """Ask for the restarts that are needed; offer what makes history the same."""
        asked = _asked(work)
        promoted, operation = _promoted(work, asked), work.operation.id
        parts = [str(each) for each in _list(stage.given["parts"])]
        is_asked = ask_restarts(work.settings.data, parts) if parts else True
        found: dict[str, JsonValue] = {
            "folder": str(promoted.version(operation)),
            "before": str(promoted.before(operation)),
            "restarted": list(parts) if is_asked else [],
            "restart_by_hand": [] if is_asked else list(parts),
        }
        if (backfill := _backfill(work, asked)) is not None:
            found["backfill"] = backfill.model_dump(mode="json")
        return found


def _asked(work: Work) -> PromotionAsked:
    try:
        return PromotionAsked.model_validate(work.operation.asked)
    except ValueError as error:
        raise RefusedError(f"that is no promotion: {error}") from error


def _promoted(work: Work, asked: PromotionAsked) -> Promoted:
    return Promoted(work.settings.promoted_streams, asked.stream)


def _is_placed(promoted: Promoted, operation: str) -> bool:
    return (promoted.root / promoted.stream).resolve() == promoted.version(operation).resolve()


def _folder(work: Work, asked: PromotionAsked) -> Path:
    """What is to become today's."""
    if asked.back is not None:
        folder = _promoted(work, asked).before(asked.back)
        if not folder.is_dir():
            raise RefusedError(f"promotion {asked.back} of {asked.stream} keeps no folder that could be put back")
        return folder
    folder = definition_of(scratch_of(work.settings, str(asked.trial)), CHANGED, asked.stream)
    if not folder.is_dir():
        raise RefusedError(
            f"trial {asked.trial} of {asked.stream} keeps nothing: there is none of that id, or it was discarded"
        )
    return folder


def _refuse_stale(work: Work, asked: PromotionAsked, today: str) -> None:
    if asked.back is not None:
        if today != digest_of(_promoted(work, asked).version(asked.back)):
            raise StaleError(
                f"today's definition of {asked.stream} is not what {asked.back} put in place; take the newer one back"
            )
        return
    found = _found(work, asked)
    if found is None:
        raise RefusedError(f"trial {asked.trial} has not ended, so nothing is known of it")
    if found.stream != asked.stream:
        raise RefusedError(f"trial {asked.trial} is of {found.stream}, not of {asked.stream}")
    if found.today.digest != today:
        raise StaleError(
            f"today's definition of {asked.stream} has changed since trial {asked.trial} was made against it; try it again"
        )


def _found(work: Work, asked: PromotionAsked) -> TrialFound | None:
    file = scratch_of(work.settings, str(asked.trial)) / RESULT
    return TrialFound.model_validate_json(file.read_bytes()) if file.is_file() else None


def _differs(work: Work, asked: PromotionAsked) -> tuple[str, ...]:
    found = None if asked.trial is None else _found(work, asked)
    return () if found is None else found.differs


def _backfill(work: Work, asked: PromotionAsked) -> OperationAsked | None:
    """Of the trial's window, ready to be planned."""
    found = None if asked.trial is None else _found(work, asked)
    if found is None:
        return None
    last = (found.until - timedelta(microseconds=1)).astimezone(UTC).date()
    given = BackfillAsked(stream=asked.stream, since=found.since.astimezone(UTC).date(), until=last)
    return OperationAsked(kind=Kind.BACKFILL, asked=given.model_dump(mode="json"), why=f"promotion {work.operation.id}")


def _stages(stream: str, parts: tuple[str, ...]) -> tuple[StagePlanned, ...]:
    said = f"Start again: {', '.join(parts)}" if parts else "Parts follow it by themselves"
    return (
        StagePlanned(key="keep", does="keep", title=f"Keep today's folder of {stream}", seconds=1),
        StagePlanned(key="register", does="register", title="Register its schemas", seconds=1),
        StagePlanned(key="place", does="place", title="Put it in place", seconds=1),
        StagePlanned(key="follow", does="follow", title=said, given={"parts": list(parts)}, seconds=len(parts) * 5 + 1),
    )


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
