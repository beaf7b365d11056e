"""How much may clients send at a time?

Bodies are held in memory until the engine has them, so there is a bound on each and one on all together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.embedded.asked import BODY_AT_MOST
from pipeline.embedded.errors import OUT_OF_MEMORY, TOO_LARGE, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_ALL_AT_MOST = 2 * BODY_AT_MOST


class Gone(Exception):  # noqa: N818 (it is no error: nobody is there to read one)
    """The client went away before its request was whole."""


class Bodies:
    """What all requests hold together, in bytes; used on the event loop only."""

    def __init__(self) -> None:
        self.held = 0

    async def receive(self, receive: Receive, headers: Mapping[str, str]) -> bytes:
        """Read a body, with or without a declared length; `release` its length when it is done with.

        Raises:
            ServerError: 413 if it is too large, 503 if others hold too much.
            Gone: if it ends early.
        """
        self._check(int(headers.get("content-length") or 0), 0)
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone  # noqa: TRY301 (as the refusals of _check: what was held is given back)
                chunk: bytes = message.get("body", b"")
                self._check(size + len(chunk), len(chunk))
                chunks.append(chunk)
                size += len(chunk)
                self.held += len(chunk)
                more = message.get("more_body", False)
        except BaseException:
            self.release(size)
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self, size: int) -> None:
        """Forget a body of this size."""
        self.held -= size

    def _check(self, size: int, more: int) -> None:
        if size > BODY_AT_MOST:
            raise refusal(TOO_LARGE, f"the body is larger than {BODY_AT_MOST} bytes; send the rows in several inserts")
        if self.held + more > _ALL_AT_MOST:
            raise refusal(OUT_OF_MEMORY, f"bodies of {self.held} bytes wait for the engine; try again", 503)
