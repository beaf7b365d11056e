"""When is a topic told anew? When what it says has changed, or who watches has, and every few seconds anyway.

Nothing is looked up while nobody watches.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.push import Frame
    from controlplane.service.hub import Hub

    Said = TypeVar("Said", bound=Frame)

EVERY_S = 1.0
AT_LEAST_EVERY_S = 5.0


async def push_changes(
    hub: Hub, topic: str, look: Callable[[], Said], content: Callable[[Said], object], every_s: float = EVERY_S
) -> None:
    """Publish a topic for as long as the task lives.

    Args:
        hub: to whom.
        topic: of which topic.
        look: what is known now.
        content: what of it must differ for it to be news; not the time.
        every_s: how often it is looked at.
    """
    pushed: tuple[object, ...] = ()
    pushed_at = 0.0
    while True:
        if topic in hub.watched():
            frame, now = look(), time.monotonic()
            seen = (hub.version, content(frame))
            if seen != pushed or now - pushed_at > AT_LEAST_EVERY_S:
                pushed, pushed_at = seen, now
                hub.publish(topic, frame)
        await asyncio.sleep(every_s)
