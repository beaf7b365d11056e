"""Who may do what? Principals, roles and the actions that they may take, by stream; and how a room says who it is.

A decision is pure. Roles include those below them. Every route of the API names the action that it is; one that names none is
refused by a test.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from controlplane.contract.frozen import Frozen

if TYPE_CHECKING:
    from pathlib import Path

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

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


class Action(StrEnum):
    """What can be done, and so what a right is about."""

    READ = "read"
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
    Action.QUERY: Role.VIEWER,
    Action.PLAN: Role.OPERATOR,
    Action.OPERATE: Role.OPERATOR,
    Action.APPROVE: Role.APPROVER,
    Action.AUDIT: Role.APPROVER,
    Action.ADMINISTER: Role.ADMIN,
    Action.REPORT: None,
}
"""The least role that may; None: no user may."""
_ORDER = tuple(Role)


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
            _ORDER.index(each.role) >= _ORDER.index(least) and ("*" in each.streams or stream in each.streams)
            for each in self.grants
        )

    @property
    def can_see(self) -> bool:
        """May it read at all? What is shown of the platform is shown whole to who may see a stream."""
        return self.is_service or bool(self.grants)


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
