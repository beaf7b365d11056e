"""What does an answer look like on the wire?

As ClickHouse's: the query's id, format and time zone in headers, a summary of what it read and wrote, and an error
either as an HTTP status or, when the body has begun, between tags inside it that clients look for.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from pipeline.embedded.encoding import Packer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from pipeline.embedded.asked import Request
    from pipeline.embedded.errors import ServerError

    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PACKED_FROM = 4 * 1024
"""Bytes; below it a packed answer costs more than it saves."""
_CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
}
_TEXT = "text/plain; charset=UTF-8"


class Reply:
    """The answer to one request."""

    def __init__(self, send: Send, timezone: str) -> None:
        self._send = send
        self._headers = {"X-ClickHouse-Server-Display-Name": "embedded", "X-ClickHouse-Timezone": timezone}
        self._began = time.monotonic()
        self._tag = secrets.token_hex(8)
        self._packer: Packer | None = None
        self.has_begun = False

    def describe(self, request: Request) -> None:
        """Name the query and its format in the headers."""
        self._headers["X-ClickHouse-Query-Id"] = "".join(filter(str.isprintable, request.query_id))
        if request.statement.answers:  # clients take the header as the promise of a result
            self._headers["X-ClickHouse-Format"] = request.output
            self._headers["Content-Type"] = _CONTENT_TYPES.get(request.output, _TEXT)

    async def text(self, text: str, status: int = 200, content_type: str = _TEXT) -> None:
        """A plain sentence."""
        self._headers["Content-Type"] = content_type
        await self._whole(status, text.encode())

    async def whole(self, body: bytes, figures: Mapping[str, int], packing: str | None) -> None:
        """The whole result, with what it cost."""
        elapsed = round((time.monotonic() - self._began) * 1e9)
        names = ("read_rows", "read_bytes", "written_rows", "written_bytes", "result_bytes")
        summary = {name: str(figures.get(name, 0)) for name in names}
        self._headers["X-ClickHouse-Summary"] = json.dumps({**summary, "elapsed_ns": str(elapsed)})
        if packing and len(body) >= _PACKED_FROM:
            packer = Packer(packing)
            self._headers["Content-Encoding"] = packing
            body = packer.pack(body) + packer.finish()
        await self._whole(200, body)

    async def fail(self, error: ServerError) -> None:
        """The error, in the way that is still open."""
        if self.has_begun:
            await self._fail_inside(error)
            return
        self._headers.pop("X-ClickHouse-Format", None)
        self._headers["X-ClickHouse-Exception-Code"] = str(error.code)
        await self.text(f"{error.text}\n", error.status)

    async def begin(self, packing: str | None) -> None:
        """Begin an answer in chunks."""
        if packing:
            self._headers["Content-Encoding"] = packing
            self._packer = Packer(packing)
        self._headers["X-ClickHouse-Exception-Tag"] = self._tag
        await self._start(200)

    async def chunk(self, chunk: bytes) -> None:
        """The next chunk of the result."""
        packed = self._packer.pack(chunk) if self._packer else chunk
        if packed:
            await self._send({"type": "http.response.body", "body": packed, "more_body": True})

    async def end(self) -> None:
        """The end of an answer in chunks."""
        await self._send({"type": "http.response.body", "body": self._packer.finish() if self._packer else b""})

    async def _fail_inside(self, error: ServerError) -> None:
        text = f"{error.text}\n"
        size = len(text.encode())
        inside = f"\r\n__exception__\r\n{self._tag}\r\n{text}{size} {self._tag}\r\n__exception__\r\n"
        await self.chunk(inside.encode())
        await self.end()

    async def _whole(self, status: int, body: bytes) -> None:
        self._headers["Content-Length"] = str(len(body))
        await self._start(status)
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: int) -> None:
        self.has_begun = True
        headers = [(name.lower().encode(), value.encode("utf-8")) for name, value in self._headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
