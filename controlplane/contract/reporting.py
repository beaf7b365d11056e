"""How does a room tell the control plane what happened?

Facts go over HTTP, not through Kafka: the alarm must not travel through the thing being alarmed about. A room never
waits for the control plane: facts queue up to a bound, the oldest are dropped when it stays away, and the newest of
each kind soon makes up for them, because facts state how things are and not what to add.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.access import authorization
from controlplane.contract.facts import FACTS
from controlplane.contract.latency import PROBE, HopsTimed
from controlplane.contract.metrics.meter import METER
from controlplane.contract.metrics.told import TALLY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlplane.contract.facts import Fact

_QUEUED_AT_MOST = 1000
_POST_TIMEOUT_S = 2.0
_RETRY_AFTER_S = 1.0
_SAY_AGAIN_AFTER_S = 15.0
_HEARTBEAT_S = 1.0
_STATUS_AT_MOST = 300
_log = logging.getLogger(__name__)


class Reporter:
    """Sends facts to `<api>/api/v1/facts` from a thread of its own; `close` sends what is left, once."""

    def __init__(self, api: str, token: str) -> None:
        self._url = f"{api.rstrip('/')}/api/v1/facts"
        self._token = token
        self._queue: deque[Fact] = deque(maxlen=_QUEUED_AT_MOST)
        self._standing: dict[str, tuple[Fact, ...]] = {}
        self._said_at = time.monotonic()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._reachable = True
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def report(self, *facts: Fact) -> None:
        """Queue facts, and count what they say for `/metrics`; never blocks, never raises."""
        if told := [fact for fact in facts if not _is_of_probes(fact)]:
            TALLY.take(told)
            self._dropped(len(self._queue) + len(told) - _QUEUED_AT_MOST)
            self._queue.extend(told)
            self._wake.set()

    def stand(self, what: str, facts: Iterable[Fact]) -> None:
        """Report what holds until something else is said of `what`, and say it again every 15 s.

        A control plane that has started since hears of it too, and knows that it still holds.
        """
        said = tuple(facts)
        if self._standing.get(what) != said:
            self._standing[what] = said
            self.report(*said)

    def close(self) -> None:
        """Send what is queued, giving up after a few seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=2 * _POST_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(_SAY_AGAIN_AFTER_S)
            self._wake.clear()
            self._say_again()
            if not self._send_queued():
                self._closing.wait(_RETRY_AFTER_S)
                self._wake.set()
        self._send_queued()

    def _say_again(self) -> None:
        if time.monotonic() - self._said_at < _SAY_AGAIN_AFTER_S:
            return
        self._said_at = time.monotonic()
        for facts in tuple(self._standing.values()):
            self.report(*(fact.model_copy(update={"id": uuid4().hex, "at": datetime.now(UTC)}) for fact in facts))

    def _dropped(self, facts: int) -> None:
        if facts > 0:
            METER.add("tidegate_facts_dropped_total", by=facts)

    def _send_queued(self) -> bool:
        facts = [self._queue.popleft() for _ in range(len(self._queue))]
        if not facts:
            return True
        try:
            post_facts(self._url, facts, self._token)
        except OSError as error:
            if self._reachable:
                _log.warning("the control plane at %s does not take facts (%s); they are kept", self._url, error)
            self._reachable = False
            room = _QUEUED_AT_MOST - len(self._queue)
            self._dropped(len(facts) - room)
            self._queue.extendleft(reversed(facts[max(0, len(facts) - room) :]))
            return False
        self._reachable = True
        return True


def _is_of_probes(fact: Fact) -> bool:
    """Probes are no stream of anybody's: of them it is told how old they are, and nothing else."""
    return getattr(fact, "stream", None) == PROBE and not isinstance(fact, HopsTimed)


def post_facts(url: str, facts: Iterable[Fact], token: str) -> None:
    """Post facts once.

    Raises:
        OSError: if the control plane is away or refuses them.
    """
    body = FACTS.dump_json(list(facts))
    headers = {"Content-Type": "application/json", **authorization(token)}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 (our own address)
    with urllib.request.urlopen(request, timeout=_POST_TIMEOUT_S):  # noqa: S310
        pass


def notify_ready(notify_socket: str, status: str = "") -> None:
    """Tell the supervisor, by systemd's sd_notify protocol, that this part does its work now; said once is enough."""
    _notify(notify_socket, f"READY=1\nSTATUS={status}\n")


class Heart:
    """Tells the supervisor that this part still does its work (sd_notify's `WATCHDOG=1`), and what it waits for.

    `beat` belongs into the loop that does the work, so that a part whose loop hangs falls silent.
    """

    def __init__(self, notify_socket: str) -> None:
        self._socket = notify_socket
        self._said: tuple[float, str] = (0.0, "")

    def beat(self, waits_for: str = "") -> None:
        """Say so, at most once a second unless what it waits for has changed; never raises, never blocks."""
        at, before = self._said
        now = time.monotonic()
        if waits_for == before and now - at < _HEARTBEAT_S:
            return
        self._said = (now, waits_for)
        with contextlib.suppress(OSError):
            _notify(self._socket, f"WATCHDOG=1\nSTATUS={' '.join(waits_for.split())[:_STATUS_AT_MOST]}\n")


def _notify(notify_socket: str, message: str) -> None:
    if not notify_socket:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto(message.encode(), notify_socket)
