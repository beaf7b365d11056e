"""When do watchers hear of operations? Half a second after a change at most, and every five seconds anyway, because ages grow."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from controlplane.service.hub import OPERATIONS

if TYPE_CHECKING:
    from controlplane.service.hub import Hub
    from controlplane.service.operations.desk import Desk

_AT_MOST_EVERY_S = 0.5
_AT_LEAST_EVERY_S = 5.0
_TIDY_EVERY_S = 600.0


async def push_operations(hub: Hub, desk: Desk) -> None:
    """Publish them for as long as the task lives, while somebody watches; and let go of what is too old."""
    seen: tuple[object, ...] = ()
    pushed_at = tidied_at = counted_at = 0.0
    while True:
        now, known = time.monotonic(), (hub.version, desk.bell.rung)
        if OPERATIONS in hub.watched() and (known != seen or now - pushed_at > _AT_LEAST_EVERY_S):
            seen, pushed_at = known, now
            hub.publish(OPERATIONS, await asyncio.to_thread(desk.frame))
        if now - counted_at > _AT_LEAST_EVERY_S:
            counted_at = now
            await asyncio.to_thread(desk.count)
        if now - tidied_at > _TIDY_EVERY_S:
            tidied_at = now
            await asyncio.to_thread(desk.tidy)
        await asyncio.sleep(_AT_MOST_EVERY_S)
