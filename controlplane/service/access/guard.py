"""May this request be answered? Asked before every route: from which page it comes, who asks, and what the route is.

Origin first, because a foreign page must learn nothing; then who it is (401); then, for a cookie, whether the page has shown what
only our pages know (CSRF); then the right (403). A route that has not said what it is answers nobody.
"""

from __future__ import annotations

import hmac
import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi import HTTPException, Request, WebSocketException
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection  # noqa: TC002 (FastAPI reads the annotation)

from controlplane.contract.access import CSRF_HEADER, LEAST, Action, Needs, Principal, needed
from controlplane.service.access.hashes import csrf_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.service.access.known import Authenticator, Known

_log = logging.getLogger(__name__)
_SAFE = ("GET", "HEAD", "OPTIONS")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tidegate"'}
_NOT_DECLARED = Needs(action=Action.REPORT)


class Guard:
    """The dependency of every route; afterwards `request.state.principal` says who asks (None: nobody, of an open route).

    Args:
        authenticator: says who asks.
        may_open: may a page of this origin ask? None of a program.
    """

    def __init__(self, authenticator: Authenticator, may_open: Callable[[str | None], bool]) -> None:
        self._authenticator, self._may_open = authenticator, may_open

    async def __call__(self, connection: HTTPConnection) -> None:
        """Let it pass.

        Raises:
            HTTPException: 401 or 403, with a sentence; of a WebSocket `WebSocketException`, before it is accepted.
        """
        connection.state.principal = connection.state.session = None
        if not self._may_open(connection.headers.get("origin")):
            _refuse(connection, 403, f"the page {connection.headers['origin']} is not the console, and may not ask")
        try:
            known = await self._authenticator.known(connection)
        except SQLAlchemyError:
            _log.exception("nobody can be looked up in the database of users")
            _refuse(
                connection,
                503,
                "the database of users does not answer, so nobody can be let in; see the control plane's log",
            )
        if known is not None:
            connection.state.principal, connection.state.session = known.principal, known.session
        said = needed(connection.scope.get("endpoint"))
        asked = said if isinstance(said, Needs) else _NOT_DECLARED if said is None else said(connection)
        if asked.is_open:
            return
        if known is None:
            _refuse(connection, 401, "sign in first: in the console, or by a token (`tidegate login`)")
        _require_csrf(connection, known)
        await _require_right(connection, known.principal, asked)


def _require_csrf(connection: HTTPConnection, known: Known) -> None:
    if known.session is None or connection.scope.get("method", "GET") in _SAFE:
        return
    shown, expected = connection.headers.get(CSRF_HEADER, ""), csrf_of(known.session.cookie)
    if not hmac.compare_digest(shown.encode(), expected.encode()):
        _refuse(connection, 403, f"the header {CSRF_HEADER} is not the session's: open the console again")


async def _require_right(connection: HTTPConnection, principal: Principal, asked: Needs) -> None:
    if asked.action is None:
        return
    if asked.action is Action.READ:
        is_allowed, stream = principal.can_see, None
    elif asked.later:
        is_allowed, stream = bool(principal.streams(asked.action)), None
    else:
        stream = await _stream_of(connection, asked.action)
        is_allowed = principal.may(asked.action, stream)
    if not is_allowed:
        _refuse(connection, 403, why_not(principal, asked.action, stream))


def require(connection: HTTPConnection, action: Action, stream: str | None) -> None:
    """For a route that has looked up its stream: may who asks do that to it?

    Raises:
        HTTPException: 403 with what is missing.
    """
    principal: Principal = connection.state.principal
    if not principal.may(action, stream):
        _refuse(connection, 403, why_not(principal, action, stream))


def asked_for(connection: HTTPConnection, otherwise: str) -> str:
    """In whose name: of who asks; a part that asks for somebody says for whom."""
    principal: Principal = connection.state.principal
    return otherwise if principal.is_service else principal.name


def why_not(principal: Principal, action: Action, stream: str | None) -> str:
    """What is missing, in a sentence."""
    least = LEAST[action]
    if least is None:
        return f"{principal.name} may not {action}: that is for parts of the platform"
    what = "for the platform as a whole" if stream is None else f"for {stream}"
    has = ", ".join(f"{each.role} of {' '.join(each.streams)}" for each in principal.grants) or "no role"
    return f"{principal.name} may not {action} {what}: it takes the role {least} ({principal.name} is {has})"


async def _stream_of(connection: HTTPConnection, action: Action) -> str | None:
    if "stream" in connection.path_params:
        return str(connection.path_params["stream"])
    if action is Action.REPORT or not isinstance(connection, Request) or connection.method in _SAFE:
        return None
    try:
        body = json.loads(await connection.body() or b"null")
    except ValueError:
        return None
    return _named(body) or _named(body.get("asked") if isinstance(body, dict) else None)


def _named(body: Any) -> str | None:  # noqa: ANN401 (JSON)
    found = body.get("stream") if isinstance(body, dict) else None
    return found if isinstance(found, str) else None


def _refuse(connection: HTTPConnection, status: int, why: str) -> NoReturn:
    if connection.scope["type"] == "websocket":
        raise WebSocketException(1008, why[:120])
    raise HTTPException(status, why, headers=_CHALLENGE if status == 401 else None)  # noqa: PLR2004 (HTTP's)
