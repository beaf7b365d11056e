"""Why can something not be done as asked? A problem as RFC 9457 has it: what is wrong, in which way, and what to do."""

from __future__ import annotations

from http import HTTPStatus


class RefusedError(Exception):
    """It is not done, and nothing has changed."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        """Such as `stale-plan`: what a program may tell them apart by."""
        self.detail = detail


def missing(detail: str) -> RefusedError:
    """There is no such thing."""
    return RefusedError(HTTPStatus.NOT_FOUND, "not-found", detail)


def mistaken(detail: str, kind: str = "mistaken") -> RefusedError:
    """It was asked for wrongly."""
    return RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, kind, detail)


def conflicting(kind: str, detail: str) -> RefusedError:
    """It cannot be done as things are."""
    return RefusedError(HTTPStatus.CONFLICT, kind, detail)


def forbidden(detail: str) -> RefusedError:
    """Who asks may not."""
    return RefusedError(HTTPStatus.FORBIDDEN, "no-right", detail)
