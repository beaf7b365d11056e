"""Who may do what? Principals, roles and the actions that they may take, by stream; and how a room says who it is.

A decision is pure. Roles include those below them, but for what producers do. Every route of the control plane says below its own
line what it is:

    @api.post("/api/v1/things/{stream}")
    @needs(Action.OPERATE)
    async def thing(stream: str, request: Request) -> ...:
        by = request.state.principal.name

The guard asks before the route for which stream: that of the path (`stream`), else that of a JSON body (`stream`, or in its
`asked`), else none, which is the platform as a whole. A route that knows its stream only later says `needs(action, later=True)`
(then who may do it to some stream gets in) and calls `controlplane.service.access.guard.require(request, action, stream)`.
`signed_in` is for whoever is known, `open_to_all` for nobody's secret (sign-in itself, `/healthz`). A route that says nothing
answers nobody, and `tests/architecture/test_routes.py` fails. What is forwarded to a room is a row in
`controlplane/service/access/forwarded.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import HTTPConnection

_Endpoint = TypeVar("_Endpoint", bound="Callable[..., object]")

TOKEN_BEGINS_WITH = "tg_"  # noqa: S105 (no secret)
CSRF_HEADER = "X-Tidegate-CSRF"
SESSION_COOKIE = "tidegate_session"
SERVICE_TOKEN = "secrets/service.token"  # noqa: S105 (a file's name)
"""In the data folder: by which parts know each other."""
LOCAL_TOKEN = "secrets/local.token"  # noqa: S105 (a file's name)
"""In the data folder: who can read it owns the folder, and may do everything."""
USER_HEADER = "X-Tidegate-User"
"""Whom the control plane asks a room for; only taken from who has the service token."""
STREAMS_HEADER = "X-Tidegate-Streams"
"""For which streams they may, by commas; `*`: for every one."""


class Role(StrEnum):
    """What a user is, the least first."""

    PRODUCER = "producer"
    """A program that sends events, and sees nothing."""
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


class Action(StrEnum):
    """What can be done, and so what a right is about."""

    READ = "read"
    PRODUCE = "produce"
    """Send events to a stream, through the collector."""
    QUERY = "query"
    """SQL over ClickHouse and the lake."""
    PLAN = "plan"
    """Ask for an operation's plan: nothing changes by it."""
    OPERATE = "operate"
    """Backfills, trials, replays, discards, orders to gates, maintenance, alerts, scaling by hand, pause and cancel."""
    APPROVE = "approve"
    """What takes something back or changes a definition: rollback, promotion, undo, schemas, scaling's policy."""
    AUDIT = "audit"
    """Read the audit log."""
    ADMINISTER = "administer"
    """Users, roles, tokens."""
    REPORT = "report"
    """Facts, progress, leases: rooms only."""


LEAST: dict[Action, Role | None] = {
    Action.READ: Role.VIEWER,
    Action.PRODUCE: Role.PRODUCER,
    Action.QUERY: Role.VIEWER,
    Action.PLAN: Role.OPERATOR,
    Action.OPERATE: Role.OPERATOR,
    Action.APPROVE: Role.APPROVER,
    Action.AUDIT: Role.APPROVER,
    Action.ADMINISTER: Role.ADMIN,
    Action.REPORT: None,
}
"""The least role that may; None: no user may."""
_INCLUDED: dict[Role, tuple[Role, ...]] = {
    Role.PRODUCER: (Role.PRODUCER,),
    Role.VIEWER: (Role.VIEWER,),
    Role.OPERATOR: (Role.PRODUCER, Role.VIEWER, Role.OPERATOR),
    Role.APPROVER: (Role.PRODUCER, Role.VIEWER, Role.OPERATOR, Role.APPROVER),
    Role.ADMIN: tuple(Role),
}
"""What whoever has a role is as well: who only looks sends nothing, and who only sends sees nothing."""


class Grant(Frozen):
    """A role, for streams."""

    role: Role
    streams: tuple[str, ...] = ("*",)


class Principal(Frozen):
    """Who asks."""

    name: str
    """Of a user; of a room `service`."""
    grants: tuple[Grant, ...] = ()
    is_service: bool = False
    by: str = "session"
    """How it was shown: session, token, service, local."""

    def may(self, action: Action, stream: str | None = None) -> bool:
        """May it do that to a stream? None: to the platform as a whole, which a grant for some streams does not give."""
        if self.is_service:
            return True
        least = LEAST[action]
        if least is None:
            return False
        return any(
            least in _INCLUDED[each.role] and ("*" in each.streams or stream in each.streams) for each in self.grants
        )

    def streams(self, action: Action) -> tuple[str, ...]:
        """Those to which it may do that; `*`: every one."""
        least = LEAST[action]
        if self.is_service:
            return ("*",)
        if least is None:
            return ()
        may = (each.streams for each in self.grants if least in _INCLUDED[each.role])
        found = sorted({stream for streams in may for stream in streams})
        return ("*",) if "*" in found else tuple(found)

    @property
    def can_see(self) -> bool:
        """May it read at all? What is shown of the platform is shown whole to who may see a stream."""
        return bool(self.streams(Action.READ))


class Needs(Frozen):
    """What a route is."""

    action: Action | None = None
    """None: whoever is signed in."""
    is_open: bool = False
    """Nobody need be signed in."""
    later: bool = False
    """The route itself asks for its stream."""


_NEEDS = "__tidegate_needs__"


def needs(action: Action, *, later: bool = False) -> Callable[[_Endpoint], _Endpoint]:
    """Say which action a route is."""
    return _declared(Needs(action=action, later=later))


def needs_by(decide: Callable[[HTTPConnection], Needs]) -> Callable[[_Endpoint], _Endpoint]:
    """Say it of a route that is several actions, by what is asked."""
    return _declared(decide)


def signed_in(endpoint: _Endpoint) -> _Endpoint:
    """Say that a route is for whoever is known."""
    return _declared(Needs())(endpoint)


def open_to_all(endpoint: _Endpoint) -> _Endpoint:
    """Say that a route is for everybody."""
    return _declared(Needs(is_open=True))(endpoint)


def needed(endpoint: object) -> Needs | Callable[[HTTPConnection], Needs] | None:
    """What a route has said; None when nothing."""
    return getattr(endpoint, _NEEDS, None)


def _declared(said: Needs | Callable[[HTTPConnection], Needs]) -> Callable[[_Endpoint], _Endpoint]:
    def declare(endpoint: _Endpoint) -> _Endpoint:
        setattr(endpoint, _NEEDS, said)
        return endpoint

    return declare


def session_cookie(api: str) -> str:
    """Name of the session's cookie at a control plane's address: cookies know no ports, and a host may have several platforms."""
    parts = urlsplit(api)
    return f"{SESSION_COOKIE}_{parts.port or (443 if parts.scheme == 'https' else 80)}"


def service_token(file: Path | None) -> str:
    """The token by which rooms know each other; empty when there is none, as in a test without a platform."""
    if file is None:
        return ""
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def authorization(token: str) -> dict[str, str]:
    """The header that says who asks; none without a token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
