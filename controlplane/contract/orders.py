"""How does a room hear what an operator wants of its gates?

It asks the control plane, every second, from a thread of its own: orders are desired state, a few rows, so a room that was
away reads the same ones. While the control plane is away the last known ones count.
"""

from __future__ import annotations

import logging
import threading
import urllib.request
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from controlplane.contract.access import authorization
from controlplane.contract.gates import GateOrdered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.gates import Stage

ORDERS: TypeAdapter[list[GateOrdered]] = TypeAdapter(list[GateOrdered])
PATH = "/api/v1/gates/orders"
_EVERY_S = 1.0
_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class Orders:
    """Orders to gates, as the control plane has them; `close` ends the asking."""

    def __init__(self, api: str, token: str) -> None:
        self._url = f"{api.rstrip('/')}{PATH}"
        self._asked = urllib.request.Request(self._url, headers=authorization(token))  # noqa: S310 (our own address)
        self._known: list[GateOrdered] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders", daemon=True)
        self._thread.start()

    def to(self, stream: str, stage: Stage) -> Sequence[GateOrdered]:
        """A stage's orders, oldest first."""
        found = (each for each in self._known if each.stream == stream and each.stage is stage)
        return sorted(found, key=lambda each: each.at)

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            try:
                with urllib.request.urlopen(self._asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the same)
                    self._known = ORDERS.validate_json(answer.read())
            except (OSError, ValueError) as error:
                _log.debug("no orders from %s: %s", self._url, error)
