"""What waits for one watcher, and what is written to its socket at once?

A socket that takes what it is given gets each update as it is published, without a task being woken for it. One that does not
has one place a topic, in which the newest update wins; what was left out is put together to a full one when it takes something
again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from controlplane.contract.metrics.meter import METER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlplane.service.topic import Encoded, Topic

_REPLIES_AT_MOST = 200


@dataclass(eq=False)
class Client:
    """One WebSocket's side: what it wants and what waits for it."""

    id: str = field(default_factory=lambda: uuid4().hex)
    person: str = ""
    asks_painted: bool = True
    """It was asked to say what it has drawn."""
    write: Callable[[bytes], bool] = lambda _: False
    """Writes to the socket at once; False: it does not take anything now."""
    topics: frozenset[str] = frozenset()
    new: set[str] = field(default_factory=set)
    """Topics of which it has had nothing yet."""
    slots: dict[str, Encoded] = field(default_factory=dict)
    behind: dict[str, Topic] = field(default_factory=dict)
    """Topics of which it has not got all."""
    replies: list[str] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    _is_idle: bool = False
    """All that was taken is sent."""

    def offer(self, topic: Topic, update: Encoded) -> bool:
        """Send an update, or put it into the topic's slot; True when it is sent."""
        name = topic.name
        if name in self.new:
            if not update.full:
                return False
            self.new.discard(name)
            topic.wanting.discard(self.id)
        if self._is_idle and not self.wake.is_set() and self.write(update.packet):
            return True
        waiting = self.slots.get(name)
        if waiting is not None:
            METER.add("tidegate_hub_replaced_updates_total")
        if update.full:
            self.behind.pop(name, None)
        elif waiting is not None:
            self.behind[name] = topic
        if waiting is None or update.full or not waiting.full:
            self.slots[name] = update
        self.wake.set()
        return False

    def reply(self, text: str) -> None:
        """Queue an answer; a client that asks faster than it reads loses the oldest."""
        self.replies = [*self.replies[-_REPLIES_AT_MOST:], text]
        self.wake.set()

    def follow(self, texts: Iterable[str]) -> None:
        """Queue what it has missed: each, in order."""
        self.replies += texts
        if self.replies:
            self.wake.set()

    async def ready(self) -> None:
        """Return when something waits."""
        self._is_idle = True
        await self.wake.wait()
        self._is_idle = False

    async def take(self) -> list[str]:
        """Wait until there is something, and take it all."""
        await self.ready()
        return self.taken()

    def taken(self) -> list[str]:
        """Take all that waits, answers first."""
        self.wake.clear()
        updates = [self._whole(name) or update for name, update in self.slots.items()]
        taken = [*self.replies, *(update.text for update in updates)]
        self.replies, self.slots, self.behind = [], {}, {}
        return taken

    def _whole(self, name: str) -> Encoded | None:
        topic = self.behind.get(name)
        return None if topic is None else topic.whole()
