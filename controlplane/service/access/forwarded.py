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
    ("*", r"sql(/.*)?", Action.QUERY),
    ("GET", r".*", Action.READ),
    ("POST", r"quarantine/streams/(?P<stream>[^/]+)/replays", Action.PLAN),
    ("POST", r"quarantine/.*", Action.OPERATE),
    ("POST", r"trials/folders", Action.PLAN),
)
"""Method, path below `/api/v1`, action; the first that fits."""
_BELOW = "/api/v1/"
_OTHERWISE = Action.OPERATE


def forwarded(connection: HTTPConnection) -> Needs:
    """What it is to ask the room behind a prefix.

    A replay's stream is known to its room only, which is told what who asks may touch; an incident belongs to no stream that
    could be trusted to be the only one concerned, so alerts take the right to the platform as a whole.

    Raises:
        HTTPException: 404 for a path that could be taken for another by whoever reads it next.
    """
    method, path = connection.scope["method"], connection.scope["path"].removeprefix(_BELOW)
    if any(part in (".", "..") for part in path.split("/")):
        raise HTTPException(404, "there is no such path")
    for each, pattern, action in _ROWS:
        if each in ("*", method) and (found := re.fullmatch(pattern, path)):
            if "stream" in found.groupdict():
                connection.path_params["stream"] = found["stream"]
            return Needs(action=action, later=path.startswith("quarantine/replays/"))
    return Needs(action=_OTHERWISE)
