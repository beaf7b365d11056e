"""Which control plane does a command ask, and how does it say who asks?

The one that runs in the data folder, or, where none does, the one that `tidegate login` has signed in to. A token in
`TIDEGATE_TOKEN` goes before all others. On the machine of the platform the folder's own secret is enough: who can read it owns
what it protects.
"""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING

from controlplane.commands.terminal import EXIT_NOT_RUNNING, fail
from controlplane.contract.access import LOCAL_TOKEN, USER_HEADER, authorization, service_token
from controlplane.contract.settings import Settings
from controlplane.up.running import NotRunningError, read_running

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = Path(".config") / "tidegate" / "login.json"
"""In the home of whoever has signed in: `api` and `token`."""


def control_plane(data: Path | None) -> tuple[str, dict[str, str]]:
    """Its address, and the headers that say who asks; ends the command where there is none."""
    try:
        return found_control_plane(data)
    except NotRunningError as error:
        fail(str(error), EXIT_NOT_RUNNING)


def found_control_plane(data: Path | None) -> tuple[str, dict[str, str]]:
    """The same.

    Raises:
        NotRunningError: if there is none.
    """
    settings = Settings()
    given = settings.token.get_secret_value()
    try:
        running = read_running(data or settings.data)
    except NotRunningError:
        login = kept()
        if data is not None or not login:
            raise
        return login["api"], authorization(given or login["token"])
    return running.environment["TIDEGATE_API"], authorization(given) or local(running.data)


def local(data: Path) -> dict[str, str]:
    """The headers of who owns a data folder; none if it can't be read."""
    token = service_token(data / LOCAL_TOKEN)
    return {**authorization(token), USER_HEADER: getpass.getuser()} if token else {}


def kept(home: Path | None = None) -> Mapping[str, str]:
    """What `tidegate login` has kept: `api` and `token`; empty when there is nothing."""
    try:
        found = json.loads(((home or Path.home()) / KEPT).read_text())
        return {"api": str(found["api"]), "token": str(found["token"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
