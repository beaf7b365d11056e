"""`tidegate login`: how does a machine without the data folder get to be known? By a user's token, which is kept for it.

The password is asked for, used once and not kept; the token ends with `tidegate logout`, after 30 days, or when an admin says so.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from controlplane.commands.asking import MISTAKEN, REFUSED
from controlplane.commands.credentials import KEPT, kept
from controlplane.commands.terminal import EXIT_NOT_RUNNING, fail
from controlplane.contract.access import CSRF_HEADER, authorization

_TIMEOUT_S = 10.0
_REFUSED_FROM = 400
Url = Annotated[str, typer.Option("--url", help="Address of the control plane, such as https://tidegate.example:8090.")]


def login(
    url: Url,
    name: Annotated[str, typer.Option("--user", prompt="Name", help="Of the user.")],
    lasts: Annotated[str, typer.Option("--for", help="How long the token holds, such as 12h.")] = "30d",
) -> None:
    """Sign in to a control plane elsewhere; commands without --data ask it from then on."""
    password = typer.prompt("Password", hide_input=True)
    api = url.rstrip("/")
    with httpx.Client(base_url=api, timeout=_TIMEOUT_S) as client:
        session = _asked(client, "POST", "/api/v1/session", {"name": name, "password": password})
        client.headers[CSRF_HEADER] = session["csrf"]
        title = f"tidegate login on {platform.node()}"[:100]
        made = _asked(client, "POST", "/api/v1/tokens", {"title": title, "for": lasts})
        _asked(client, "DELETE", "/api/v1/session")
    file = Path.home() / KEPT
    _keep(file, {"api": api, "token": made["token"], "id": made["id"]})
    typer.echo(f"Signed in to {api} as {name} until {made['expires_at'][:16].replace('T', ' ')} UTC; kept in {file}.")


def logout() -> None:
    """Take the token of `tidegate login` back, and forget it."""
    file = Path.home() / KEPT
    known = kept()
    if not known:
        fail("this machine is not signed in anywhere; `tidegate login --url ...` does that", MISTAKEN)
    token = json.loads(file.read_text()).get("id", "")
    with httpx.Client(base_url=known["api"], headers=authorization(known["token"]), timeout=_TIMEOUT_S) as client:
        try:
            client.delete(f"/api/v1/tokens/{token}")
        except httpx.HTTPError as error:
            fail(
                f"the control plane at {known['api']} does not answer, so the token still holds: {error}",
                EXIT_NOT_RUNNING,
            )
    file.unlink()
    typer.echo(f"Signed out of {known['api']}.")


def _asked(client: httpx.Client, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 (JSON)
    try:
        answer = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        fail(f"the control plane at {client.base_url} does not answer: {error}", EXIT_NOT_RUNNING)
    if answer.status_code >= _REFUSED_FROM:
        fail(str(answer.json().get("detail", answer.text)), REFUSED)
    return answer.json() if answer.content else None


def _keep(file: Path, content: dict[str, str]) -> None:
    """Only its owner may read it, from its first byte on."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    partial = file.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(content, opened)
    partial.replace(file)
