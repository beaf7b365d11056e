"""How does a part hear how many executors it is to have?

It asks the control plane, every second, from a thread of its own: what is wanted is desired state, so a part that was away reads
the same again. While the control plane is away the last answer counts, and before the first one nothing is wanted.
"""

from __future__ import annotations

import logging
import threading
import urllib.request
from typing import TYPE_CHECKING

from controlplane.contract.access import authorization
from controlplane.contract.scaling import Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH = "/api/v1/scaling"
_EVERY_S = 1.0
_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


def wanted_path(target: str) -> str:
    """Where a target's `Wanted` is, below the control plane's address."""
    return f"{PATH}/{target}/wanted"


class Wants:
    """What is wanted of targets, as the control plane has it; `close` ends the asking."""

    def __init__(self, api: str, token: str, targets: Sequence[str] = ("lake",)) -> None:
        self._headers = authorization(token)
        self._urls = {target: f"{api.rstrip('/')}{wanted_path(target)}" for target in targets}
        self._known: dict[str, Wanted] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wants", daemon=True)
        self._thread.start()

    def of(self, target: str) -> Wanted | None:
        """What a target is to have; None while nobody has answered yet."""
        return self._known.get(target)

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            for target, url in self._urls.items():
                self._ask(target, url)
            self._closing.wait(_EVERY_S)

    def _ask(self, target: str, url: str) -> None:
        asked = urllib.request.Request(url, headers=self._headers)  # noqa: S310 (our own address)
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the same)
                self._known[target] = Wanted.model_validate_json(answer.read())
        except (OSError, ValueError) as error:
            _log.debug("nobody says at %s what is wanted: %s", url, error)
