"""Which action is it to ask a room for something? A row for each kind of request that the control plane forwards.

A room's paths are not known here; what changes something and has no row takes an operator's right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi import HTTPException

from controlplane.contract.access import Action, Needs

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

_ROWS = (
    ("*", r"sql(/.*)?", Needs(action=Action.QUERY, later=True)),
    ("GET", r".*", Needs(action=Action.READ)),
    ("POST", r"quarantine/streams/(?P<stream>[^/]+)/replays", Needs(action=Action.PLAN)),
    ("POST", r"quarantine/replays/.*", Needs(action=Action.OPERATE, later=True)),
    ("POST", r"trials/folders", Needs(action=Action.PLAN)),
    ("DELETE", r"trials/.*", Needs(action=Action.OPERATE, later=True)),
)
"""Method, path below `/api/v1`, what it is; the first that fits. `later`: its room looks for which streams (`may_touch`)."""
_BELOW = "/api/v1/"
_OTHERWISE = Needs(action=Action.OPERATE)


def forwarded(connection: HTTPConnection) -> Needs:
    """What it is to ask the room behind a prefix.

    An incident belongs to no stream that could be trusted to be the only one concerned: alerts take the right to the platform as
    a whole.

    Raises:
        HTTPException: 404 for a path that could be taken for another by whoever reads it next.
    """
    method, path = connection.scope["method"], connection.scope["path"].removeprefix(_BELOW)
    if any(part in (".", "..") for part in path.split("/")):
        raise HTTPException(404, "there is no such path")
    for each, pattern, said in _ROWS:
        if each in ("*", method) and (found := re.fullmatch(pattern, path)):
            connection.path_params.update(found.groupdict())
            return said
    return _OTHERWISE
