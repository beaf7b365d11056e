"""How do many watchers see the same thing without one slow watcher holding up the others?

One reader upstream, encoded once; each client has one slot a topic and the newest update wins. A full picture that is
still waiting is not replaced by a partial one.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import ValidationError

from controlplane.contract.metrics.meter import METER
from controlplane.contract.push import (
    CLIENT_MESSAGE,
    LakeFrame,
    LedgerFrame,
    LiveFrame,
    Marks,
    OverviewFrame,
    Painted,
    Ping,
    Pong,
    Refused,
    Subscribe,
    Update,
    Welcome,
)
from controlplane.service.latency import Latencies

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.contract.lag import LagFrame
    from controlplane.contract.operations import OperationsFrame
    from controlplane.contract.scaling import ScalingFrame
    from controlplane.contract.spark import SparkFrame
    from controlplane.contract.verdicts import QualityFrame

    Frame = (
        OverviewFrame
        | LedgerFrame
        | LakeFrame
        | QualityFrame
        | LagFrame
        | SparkFrame
        | ScalingFrame
        | OperationsFrame
        | LiveFrame
    )

OVERVIEW = "overview"
LEDGER = "ledger"
LAKE = "lake"
QUALITY = "quality"
LAG = "lag"
SPARK = "spark"
SCALING = "scaling"
OPERATIONS = "operations"
_REMEMBERED = 200


@dataclass(frozen=True)
class Encoded:
    """An update, ready to send to anyone."""

    text: str
    full: bool


@dataclass
class Client:
    """One WebSocket's side: what it wants and what waits for it."""

    id: str = field(default_factory=lambda: uuid4().hex)
    topics: frozenset[str] = frozenset()
    new: set[str] = field(default_factory=set)
    """Topics of which it has had nothing yet."""
    slots: dict[str, Encoded] = field(default_factory=dict)
    replies: list[str] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, topic: str, update: Encoded) -> None:
        """Put an update into the topic's slot."""
        if topic in self.new:
            if not update.full:
                return
            self.new.discard(topic)
        waiting = self.slots.get(topic)
        if waiting is not None:
            METER.add("tidegate_hub_replaced_updates_total")
        if waiting is None or update.full or not waiting.full:
            self.slots[topic] = update
        self.wake.set()

    def reply(self, text: str) -> None:
        """Queue an answer; a client that asks faster than it reads loses the oldest."""
        self.replies = [*self.replies[-_REMEMBERED:], text]
        self.wake.set()

    async def take(self) -> list[str]:
        """Wait until there is something, and take it all."""
        await self.wake.wait()
        self.wake.clear()
        taken = [*self.replies, *(update.text for update in self.slots.values())]
        self.replies, self.slots = [], {}
        return taken


class Hub:
    """Clients, topics and what was sent."""

    def __init__(self, topics: frozenset[str], now_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:
        self.clients: dict[str, Client] = {}
        self.latencies = Latencies()
        self.version = 0
        """Changes whenever what is wanted does."""
        self._topics = topics
        self._now_ms = now_ms
        self._seq: dict[str, int] = defaultdict(int)
        self._sent: dict[str, dict[int, tuple[Marks, float]]] = defaultdict(dict)

    def join(self) -> Client:
        """A new client; it is greeted first."""
        client = Client()
        client.reply(Welcome().model_dump_json())
        self.clients[client.id] = client
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        self.clients.pop(client.id, None)

    def watched(self) -> frozenset[str]:
        """Topics that anybody wants."""
        return frozenset(topic for client in self.clients.values() for topic in client.topics)

    def wanting_full(self) -> frozenset[str]:
        """Topics of which somebody has had nothing yet."""
        return frozenset(topic for client in self.clients.values() for topic in client.new)

    def said(self, client: Client, text: str) -> None:
        """Take a client's message; what is not understood is refused with a reason and changes nothing."""
        try:
            message = CLIENT_MESSAGE.validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            client.reply(Refused(reason=f"not understood: {first['msg']} at {first['loc']}").model_dump_json())
            return
        match message:
            case Subscribe():
                self._subscribe(client, message)
            case Ping():
                client.reply(Pong(ping_at_ms=message.at_ms, at_ms=self._now_ms()).model_dump_json())
            case Painted():
                self._painted(client, message)

    def publish(self, topic: str, data: Frame) -> None:
        """Send an update to everyone who wants the topic."""
        self._seq[topic] += 1
        METER.add("tidegate_hub_updates_total", topic)
        seq, sent_ms = self._seq[topic], self._now_ms()
        if isinstance(data, LiveFrame):
            sent = self._sent[topic]
            sent[seq] = (data.marks, sent_ms)
            sent.pop(seq - _REMEMBERED, None)
        text = Update(topic=topic, seq=seq, sent_at_ms=sent_ms, data=data).model_dump_json()
        full = not isinstance(data, LiveFrame) or data.full or data.reason is not None
        for client in self.clients.values():
            if topic in client.topics:
                client.offer(topic, Encoded(text, full))

    def _subscribe(self, client: Client, message: Subscribe) -> None:
        unknown = sorted(set(message.topics) - self._topics)
        if unknown:
            client.reply(Refused(reason=f"no such topic: {', '.join(unknown)}").model_dump_json())
        wanted = frozenset(message.topics) & self._topics
        client.new = set(wanted - client.topics) | (client.new & wanted)
        client.topics = wanted
        self.version += 1

    def _painted(self, client: Client, message: Painted) -> None:
        found = self._sent.get(message.topic, {}).get(message.seq)
        if found is not None:
            marks, sent_ms = found
            self.latencies.painted(client.id, message.topic, marks, sent_ms, message.at_ms)
