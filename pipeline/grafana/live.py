"""How is a body handed to Grafana Live? By HTTP, which answers, or by WebSocket, which does not.

Both are `/api/live/push/<stream>` with a service account's token (https://grafana.com/docs/grafana/latest/setup-grafana/set-up-
grafana-live, grafana/grafana `pkg/services/live/pushhttp` and `pushws`). Over HTTP a body that Grafana cannot read is 500
without a word, an unknown format 400, a token that it does not know 401. Over WebSocket an administrator's token is asked for,
what cannot be read is dropped without a word, and that Grafana is gone is noticed at the next body.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from controlplane.contract.access import authorization
from pipeline.grafana.lines import STREAM

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_TIMEOUT_S = 5.0
_FORMAT = "gf_live_frame_format=labels_column"
_FAULT_FROM = 500
_TOO_MANY = 429


class Came(StrEnum):
    """What came of a body?"""

    SENT = "sent"
    REFUSED = "refused"
    """Grafana wants neither this one nor another like it: an operator must mend something."""
    AWAY = "away"
    """It may take the next one."""


@dataclass(frozen=True)
class Answer:
    """What came of a body, and why it was not taken."""

    came: Came
    said: str = ""


class LivePush(Protocol):
    """Hands over bodies in line protocol; for one thread."""

    def push(self, body: bytes) -> Answer:
        """Hand one over; never raises for what Grafana or the network does."""

    def close(self) -> None:
        """Let go of the connection."""


class OverHttp:
    """A request a body; one connection is kept."""

    def __init__(self, address: str, token: str) -> None:
        self._url = f"{address.rstrip('/')}/api/live/push/{STREAM}?{_FORMAT}"
        headers = {**authorization(token), "Content-Type": "text/plain; charset=utf-8"}
        self._client = httpx.Client(headers=headers, timeout=_TIMEOUT_S)

    def push(self, body: bytes) -> Answer:
        """Hand one over."""
        try:
            status = self._client.post(self._url, content=body).status_code
        except httpx.HTTPError as error:
            return Answer(Came.AWAY, f"does not answer ({type(error).__name__})")
        return _by_status(status)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


class OverWebSocket:
    """A message a body, over a connection that is opened when there is something to send."""

    def __init__(self, address: str, token: str) -> None:
        self._url = f"ws{address.removeprefix('http').rstrip('/')}/api/live/push/{STREAM}?{_FORMAT}"
        self._headers = authorization(token)
        self._held = ExitStack()
        self._connection: ClientConnection | None = None

    def push(self, body: bytes) -> Answer:
        """Hand one over."""
        try:
            self._connection = self._connection or self._held.enter_context(
                connect(
                    self._url, additional_headers=self._headers, open_timeout=_TIMEOUT_S, close_timeout=1, proxy=None
                )
            )
            self._connection.send(body.decode())
        except InvalidStatus as error:
            return _by_status(error.response.status_code)
        except (OSError, WebSocketException) as error:
            self.close()
            return Answer(Came.AWAY, f"does not answer ({type(error).__name__})")
        return Answer(Came.SENT)

    def close(self) -> None:
        """Let go of the connection."""
        self._held.close()
        self._connection = None


def _by_status(status: int) -> Answer:
    if httpx.codes.is_success(status):
        return Answer(Came.SENT)
    if status == httpx.codes.UNAUTHORIZED:
        return Answer(
            Came.REFUSED, "401: it does not know the token; set TIDEGATE_GRAFANA_TOKEN to a service account's"
        )
    if status == httpx.codes.FORBIDDEN:
        return Answer(Came.REFUSED, "403: the token's service account may not push; make it an administrator")
    if status >= _FAULT_FROM or status == _TOO_MANY:
        return Answer(Came.AWAY, f"{status}: its own log says why")
    return Answer(Came.REFUSED, f"{status}: is Grafana (8 or newer, Live turned on) at TIDEGATE_GRAFANA?")
