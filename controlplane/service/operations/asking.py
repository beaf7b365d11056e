"""Who asks? Whoever was let in says who they are in the request's state; without sign-in (a test of something else) an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.access import Grant, Principal, Role

if TYPE_CHECKING:
    from fastapi import Request

_ANYBODY = Principal(name="operator", grants=(Grant(role=Role.ADMIN),), by="none")


def asks(request: Request) -> Principal:
    """Who asks."""
    found = getattr(request.state, "principal", None)
    return found if isinstance(found, Principal) else _ANYBODY
