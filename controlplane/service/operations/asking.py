"""Who asks? Whoever was let in: the guard before every route says who they are in the request's state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request

    from controlplane.contract.access import Principal


def asks(request: Request) -> Principal:
    """Who asks."""
    found: Principal = request.state.principal
    return found
