"""A part hears what is wanted of it, and what it heard last counts while nobody answers."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from controlplane.contract.scaling import Wanted
from controlplane.contract.wants import Wants, wanted_path

if TYPE_CHECKING:
    from collections.abc import Callable


class _ControlPlane(HTTPServer):
    answers: tuple[int, Wanted | None] = (503, None)


class _Answer(BaseHTTPRequestHandler):
    server: _ControlPlane

    def do_GET(self) -> None:
        status, wanted = self.server.answers
        self.send_response(status if self.path == wanted_path("lake") else 404)
        self.end_headers()
        self.wfile.write(b"" if wanted is None else wanted.model_dump_json().encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_what_is_wanted_is_heard_and_outlives_the_control_plane(eventually: Callable[..., Any]) -> None:
    server = _ControlPlane(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    wants = Wants(f"http://127.0.0.1:{server.server_port}", "")
    try:
        assert wants.of("lake") is None
        server.answers = (200, Wanted(target="lake", executors=5, at=datetime.now(UTC), reason="more arrives"))
        found = eventually(lambda: wants.of("lake"), "nothing is heard", 10)
        assert (found.executors, found.reason) == (5, "more arrives")
        server.shutdown()
        server.server_close()
        assert wants.of("lake") == found
        assert wants.of("route") is None
    finally:
        wants.close()
