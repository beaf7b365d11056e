"""Does anybody still wait for the answer? A question is given up when whoever asked over HTTP has gone away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from controlplane.contract.rooms import Receive

    Answer = TypeVar("Answer")

CLIENT_CLOSED = 499
"""As nginx calls the status of a request whose client has gone; nobody reads it but the log."""


class GoneAwayError(Exception):
    """Whoever asked has gone away."""


async def while_waited_for(receive: Receive, asking: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer; the asking is cancelled, and has ended, when whoever asked goes away first.

    Args:
        receive: of ASGI, after the whole body was taken.
        asking: what is awaited.

    Raises:
        GoneAwayError: if they went away.
    """
    task, gone = asyncio.ensure_future(asking), asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GoneAwayError
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
