"""Which right does an operation need? To plan one is little; what takes something back or changes a definition is much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.access import Action
from controlplane.contract.operations import Kind
from controlplane.service.operations.refusal import forbidden

if TYPE_CHECKING:
    from controlplane.contract.access import Principal
    from controlplane.contract.operations import Operation

_APPROVED = (Kind.ROLLBACK, Kind.PROMOTION)


def confirming(kind: Kind, undoes: str | None = None) -> Action:
    """What who confirms it has to be allowed."""
    return Action.APPROVE if kind in _APPROVED or undoes is not None else Action.OPERATE


def require(principal: Principal, action: Action, stream: str) -> None:
    """May they?

    Raises:
        RefusedError: 403, naming what is missing.
    """
    if not principal.may(action, stream):
        raise forbidden(f"{principal.name} may not {action} {stream}: ask an admin for the right (`tidegate users`)")


def require_confirming(principal: Principal, operation: Operation) -> None:
    """May they confirm it?

    Raises:
        RefusedError: 403.
    """
    require(principal, confirming(operation.kind, operation.undoes), operation.stream)
