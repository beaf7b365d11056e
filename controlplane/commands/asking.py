"""How does a command ask the control plane? An answer, or the end of the command with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from controlplane.commands.credentials import control_plane
from controlplane.commands.terminal import EXIT_NOT_RUNNING, fail

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = 1
MISTAKEN = 2
_TIMEOUT_S = 10.0


def asked(data: Path | None, method: str, path: str, body: Any = None, timeout_s: float = _TIMEOUT_S) -> Any:  # noqa: ANN401 (JSON)
    """What the control plane answers; None when that is nothing."""
    api, headers = control_plane(data)
    url = f"{api}{path}"
    try:
        answer = httpx.request(method, url, json=body, headers=headers, timeout=timeout_s)
    except httpx.HTTPError as error:
        fail(f"the control plane at {url} does not answer: {error}", EXIT_NOT_RUNNING)
    if answer.is_client_error:
        fail(str(answer.json().get("detail", answer.text)), REFUSED)
    if answer.is_error:
        fail(f"the control plane at {url} answers {answer.status_code}: {answer.text[:200]}", EXIT_NOT_RUNNING)
    return answer.json() if answer.content else None
