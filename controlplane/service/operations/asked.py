"""What does an operation ask for, and which command asks for the same? By kind."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from controlplane.contract.backfills import BackfillAsked, MaintenanceAsked, PromotionAsked, RollbackAsked, TrialAsked
from controlplane.contract.loads import LoadAsked
from controlplane.contract.operations import Kind
from controlplane.service.operations.refusal import mistaken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlplane.contract.operations import OperationAsked

MODELS: dict[Kind, type[BaseModel]] = {
    Kind.BACKFILL: BackfillAsked,
    Kind.ROLLBACK: RollbackAsked,
    Kind.TRIAL: TrialAsked,
    Kind.PROMOTION: PromotionAsked,
    Kind.LOAD_TEST: LoadAsked,
    Kind.MAINTENANCE: MaintenanceAsked,
}
_COMMANDS = {
    Kind.BACKFILL: ("backfill", ("stream",)),
    Kind.ROLLBACK: ("rollback", ("stream",)),
    Kind.TRIAL: ("trial start", ("stream", "folder")),
    Kind.PROMOTION: ("trial promote", ("trial",)),
    Kind.LOAD_TEST: ("load start", ("stream",)),
    Kind.MAINTENANCE: ("maintain run", ()),
}
"""Kind -> command, and what is said without an option's name."""
_OPTIONS = {"files": "--file", "version": "--to-version", "to": "--to", "lasts": "--for"}
"""Options that are not named as their field is."""


def checked(asked: OperationAsked) -> BaseModel:
    """What it asks for, by its kind's model.

    Raises:
        RefusedError: 422, naming the field.
    """
    try:
        return MODELS[asked.kind].model_validate(asked.asked)
    except ValidationError as error:
        raise mistaken("; ".join(_mistakes(error))) from error


def command_of(asked: OperationAsked) -> str:
    """The command that asks for the same."""
    command, plain = _COMMANDS[asked.kind]
    said = MODELS[asked.kind].model_validate(asked.asked).model_dump(mode="json", exclude_defaults=True)
    words = [str(said.pop(name)) for name in plain if name in said]
    return " ".join(["tidegate", command, *map(shlex.quote, words), *_options(said)])


def _options(said: dict[str, Any]) -> Iterator[str]:
    for name, value in said.items():
        option = _OPTIONS.get(name, f"--{name.replace('_', '-').removesuffix('-s')}")
        for each in value if isinstance(value, list) else [value]:
            yield f"{option} {shlex.quote(str(each))}"


def _mistakes(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        where = ".".join(map(str, ("asked", *each["loc"])))
        yield f"{where}: {each['msg']}"
