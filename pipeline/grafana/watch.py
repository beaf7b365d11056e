"""What is newest? The push protocol of the control plane, watched from a thread: of each topic the last frame, and no other."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from controlplane.contract.access import authorization
from controlplane.contract.lag import LagFrame
from controlplane.contract.push import LiveFrame, OverviewFrame, Subscribe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.streams import StreamDefinition
    from pipeline.grafana.points import Frame

_OPEN_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.5
_LONGEST_WAIT_S = 10.0
_FRAME_AT_MOST = 32 * 1024 * 1024
_LIVE = "live/"
_ALL_LIVE = "live/*"
_MODELS: dict[str, type[OverviewFrame | LagFrame]] = {"overview": OverviewFrame, "lag": LagFrame}
_log = logging.getLogger(__name__)


def topics_of(written: str, streams: Sequence[StreamDefinition]) -> tuple[str, ...]:
    """The topics that TIDEGATE_GRAFANA_TOPICS names; `live/*` is every rollup.

    Raises:
        ValueError: naming what there is not.
    """
    rollups = [f"{_LIVE}{stream.name}/{name}" for stream in streams for name in stream.rollups]
    found: list[str] = []
    for name in filter(None, map(str.strip, written.split(","))):
        if name not in (*_MODELS, _ALL_LIVE, *rollups):
            choice = ", ".join((*_MODELS, _ALL_LIVE, *rollups))
            raise ValueError(f"TIDEGATE_GRAFANA_TOPICS: there is no topic {name!r} to push; choose of: {choice}")
        found += rollups if name == _ALL_LIVE else [name]
    return tuple(dict.fromkeys(found))


class Watch:
    """Keeps the newest frame of each topic until it is taken."""

    def __init__(self, api: str, token: str, topics: Sequence[str]) -> None:
        self._url = f"ws{api.removeprefix('http').rstrip('/')}/api/v1/push"
        self._headers = authorization(token)
        self._asked = Subscribe(topics=tuple(topics)).model_dump_json()
        self._newest: dict[str, object] = {}
        self._lock = threading.Lock()
        self.reason = "has not asked the control plane yet"
        """Why nothing comes; empty while it is connected."""

    def take(self) -> list[Frame]:
        """What has come since the last time, the newest of each topic."""
        with self._lock:
            newest, self._newest = self._newest, {}
        return [_frame(topic, data) for topic, data in newest.items()]

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping` is set, again and again."""
        wait_s = 1.0
        while not stopping.is_set():
            try:
                self._watch(stopping)
                wait_s = 1.0
            except (OSError, WebSocketException) as error:
                said = f"the control plane does not push ({type(error).__name__}: {error})"
                if said != self.reason:
                    _log.warning("%s", said)
                self.reason = said
                stopping.wait(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _watch(self, stopping: threading.Event) -> None:
        with connect(
            self._url,
            additional_headers=self._headers,
            open_timeout=_OPEN_WITHIN_S,
            close_timeout=1,
            max_size=_FRAME_AT_MOST,
            proxy=None,
        ) as connection:
            connection.send(self._asked)
            self.reason = ""
            while not stopping.is_set():
                try:
                    said = orjson.loads(connection.recv(timeout=_LOOK_EVERY_S))
                except TimeoutError:
                    continue
                if said["type"] == "update":
                    with self._lock:
                        self._newest[said["topic"]] = said["data"]
                elif said["type"] == "refused":
                    _log.warning("the control plane refuses: %s", said["reason"])


def _frame(topic: str, data: object) -> Frame:
    return _MODELS.get(topic, LiveFrame).model_validate(data)
