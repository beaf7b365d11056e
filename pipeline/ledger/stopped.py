"""Which hops has a gate stopped, or an operation held? What waits there is not lost, however long nothing moves.

Asked of the control plane, every few seconds, from a thread of its own; while it is away the last answer counts.
"""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from controlplane.contract.access import authorization
from controlplane.contract.gates import BreakerState, Stage
from controlplane.contract.names import Hop
from pipeline.gate import WAITS

if TYPE_CHECKING:
    from collections.abc import Iterable

StoppedHops = Callable[[], frozenset[Hop]]
_HOPS: dict[str, Hop] = {Stage.INGEST: Hop.VALID, Stage.LAKE: Hop.LAKE}
_EVERY_S = 3.0
_TIMEOUT_S = 2.0
_log = logging.getLogger(__name__)


class Stopped:
    """Hops that gates have stopped, by stream; `close` ends the asking."""

    def __init__(self, api: str, token: str) -> None:
        self._url = f"{api.rstrip('/')}/api/v1/facts"
        self._asked = urllib.request.Request(self._url, headers=authorization(token))  # noqa: S310 (our own address)
        self._known: dict[str, frozenset[Hop]] = {}
        self._held: dict[str, str] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stopped", daemon=True)
        self._thread.start()

    def of(self, stream: str) -> frozenset[Hop]:
        """Those of one stream."""
        return self._known.get(stream, frozenset())

    def held(self, stream: str) -> str | None:
        """The operation that holds a stream's lake, and may take events out of it; None when none does."""
        return self._held.get(stream)

    def close(self) -> None:
        """Ask no more."""
        self._closing.set()
        self._thread.join(2 * _TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.wait(_EVERY_S):
            try:
                with urllib.request.urlopen(self._asked, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (the same)
                    facts = json.loads(answer.read())
                self._known, self._held = stopped_hops(facts), holders(facts)
            except (OSError, ValueError) as error:
                _log.debug("%s does not say what gates have stopped: %s", self._url, error)


def stopped_hops(facts: Iterable[dict[str, Any]]) -> dict[str, frozenset[Hop]]:
    """Stream -> hops at which nothing goes on until a gate or an operation lets it, of facts as the API answers them."""
    facts = list(facts)
    found: dict[str, set[Hop]] = {stream: {Hop.LAKE} for stream in holders(facts)}
    for fact in facts:
        is_open = fact["kind"] == "breaker_changed" and fact["state"] == BreakerState.OPEN
        is_halted = fact["kind"] == "gate_decided" and fact["outcome"] in WAITS
        if (is_open or is_halted) and fact["stage"] in _HOPS:
            found.setdefault(fact["stream"], set()).add(_HOPS[fact["stage"]])
    return {stream: frozenset(hops) for stream, hops in found.items()}


def holders(facts: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Stream -> the operation that holds its appends."""
    held = (each for each in facts if each["kind"] == "stream_held" and each["holds"] == "appends")
    return {each["stream"]: each["operation"] for each in held if each["operation"]}
