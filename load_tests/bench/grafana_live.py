"""A stand-in of Grafana Live's push, for tests and benchmarks: it takes what Grafana takes and refuses what it refuses.

Written from what Grafana publishes: "Set up Grafana Live" in its documentation, and grafana/grafana
`pkg/services/live/pushhttp`, `pushws`, `pushurl`, `telemetry/telegraf` and `managedstream`, whose answers it gives: over HTTP
401 without a token that it knows, 400 for an unknown frame format, 500 *without a word* for a body that cannot be read (why is
in `mistakes`, as it is in Grafana's own log), 200 otherwise; over WebSocket 401, 403 for who is no administrator, and then
never an answer: what cannot be read is dropped, a message of more than 1 MiB ends the connection. A measurement is a channel,
`stream/<stream>/<measurement>`; tags become a column of labels, numbers become float64, and a value of another type than its
column has becomes null.

What Grafana lets pass although its panels suffer is noted: `unreachable` channels that nobody can subscribe to, `changed`
columns that make a panel forget its lines, and `conflicts` of types.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

from load_tests.bench.grafana_lines import LineError, parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from load_tests.bench.grafana_lines import Line, Value

TOKEN = "glsa_0123456789abcdefghijklmnopqrstuv_01234567"  # noqa: S105 (of a stand-in)
VIEWER = "glsa_viewer89abcdefghijklmnopqrstuv_01234567"
_FORMATS = ("labels_column", "wide", "prometheus")
_CHANNEL = re.compile(r"stream/[A-Za-z0-9_-]+/[A-Za-z0-9_\-/=.]+")
_CHANNEL_AT_MOST = 160
_MESSAGE_AT_MOST = 1024 * 1024
_TOO_LARGE = 1009


@dataclass
class Frame:
    """A data frame with a column of labels, as Grafana's converter makes it."""

    labels: list[str] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    columns: dict[str, list[Value | None]] = field(default_factory=dict)
    """In the order in which the body has them first, each as long as `labels`."""
    types: dict[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> tuple[tuple[str, str], ...]:
        """What a panel compares: names and types, in order."""
        return tuple(self.types.items())

    def add(self, line: Line) -> list[str]:
        """One more row; names the columns whose value was of another type, and is null now."""
        self.labels.append(", ".join(f"{key}={value}" for key, value in sorted(line.tags.items())))
        ns = time.time_ns() if line.time_ns is None else line.time_ns
        self.times.append(datetime.fromtimestamp(ns / 1e9, UTC))
        conflicts = []
        for name, value in sorted(line.fields.items()):
            kind = "float64" if isinstance(value, float) else type(value).__name__
            if self.types.setdefault(name, kind) != kind:
                conflicts.append(name)
                continue
            column = self.columns.setdefault(name, [])
            column.extend([None] * (len(self.labels) - 1 - len(column)))
            column.append(value)
        for column in self.columns.values():
            column.extend([None] * (len(self.labels) - len(column)))
        return conflicts


class GrafanaLive:
    """What it has taken, and how it is to behave."""

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self.tokens = {TOKEN: "Admin", VIEWER: "Viewer"} if tokens is None else dict(tokens)
        self.channels: dict[str, list[Frame]] = {}
        """By channel, in the order in which they came."""
        self.ways: list[str] = []
        """`http` or `websocket`, of each body that was taken."""
        self.statuses: list[int] = []
        """Of every request and of every opening of a WebSocket."""
        self.mistakes: list[str] = []
        self.unreachable: set[str] = set()
        self.changed: list[str] = []
        self.conflicts: list[str] = []

    def latest(self, measurement: str, **tags: str) -> Value | None:
        """The newest value of a series of the stream `tidegate`; None while there is none."""
        labels = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
        for frame in reversed(self.channels.get(f"stream/tidegate/{measurement}", [])):
            for found, value in zip(reversed(frame.labels), reversed(frame.columns["value"]), strict=True):
                if found == labels:
                    return value
        return None

    def refusal(self, authorization: str, wanted: str = "") -> int | None:
        """The status of who may not push; None for who may."""
        role = self.tokens.get(authorization.removeprefix("Bearer "))
        if role is None or not authorization.startswith("Bearer "):
            return 401
        return 403 if wanted and role != wanted else None

    def take(self, stream: str, body: bytes, frame_format: str, way: str) -> int:
        """The status of the answer."""
        if (frame_format.lower() or "labels_column") not in _FORMATS:
            return 400
        if frame_format.lower() in ("wide", "prometheus"):
            raise NotImplementedError("this stand-in makes frames with a column of labels only")
        try:
            lines = parsed(body.decode())
        except (LineError, UnicodeDecodeError) as error:
            self.mistakes.append(str(error))
            return 500
        frames: dict[str, Frame] = {}
        for line in lines:
            self.conflicts += frames.setdefault(line.measurement, Frame()).add(line)
        for measurement, frame in frames.items():
            self._publish(f"stream/{stream}/{measurement}", frame)
        self.ways.append(way)
        return 200

    def _publish(self, channel: str, frame: Frame) -> None:
        if len(channel) > _CHANNEL_AT_MOST or _CHANNEL.fullmatch(channel) is None:
            self.unreachable.add(channel)
        before = self.channels.setdefault(channel, [])
        if before and before[-1].schema != frame.schema:
            self.changed.append(channel)
        before.append(frame)


def create_grafana(live: GrafanaLive) -> FastAPI:
    """The server: its push, over HTTP and WebSocket; everything else is 404."""
    app = FastAPI(openapi_url=None)
    path = "/api/live/push/{stream}"

    @app.post(path)
    async def by_http(stream: str, request: Request) -> Response:
        status = live.refusal(request.headers.get("authorization", ""))
        if status is None:
            frame_format = request.query_params.get("gf_live_frame_format", "")
            status = live.take(stream, await request.body(), frame_format, "http")
        live.statuses.append(status)
        return Response(status_code=status)

    @app.get(path)
    async def by_get(stream: str) -> Response:
        live.statuses.append(400)
        return Response(f"Bad Request: {stream} is pushed to by POST, or over a WebSocket", status_code=400)

    @app.websocket(path)
    async def by_websocket(socket: WebSocket, stream: str) -> None:
        status = live.refusal(socket.headers.get("authorization", ""), "Admin")
        live.statuses.append(101 if status is None else status)
        if status is not None:
            await socket.send_denial_response(Response(status_code=status))
            return
        await socket.accept()
        try:
            while True:
                body = (await socket.receive_text()).encode()
                if len(body) > _MESSAGE_AT_MOST:
                    await socket.close(_TOO_LARGE)
                    return
                live.take(stream, body, socket.query_params.get("gf_live_frame_format", ""), "websocket")
        except WebSocketDisconnect:
            return

    return app
