"""How do many watchers see the same thing without one slow watcher holding up the others?

One reader upstream, encoded once; each client has one slot a topic and the newest update wins. Who comes back after a lost
connection goes on where it was: a topic is kept up for half a minute after its last watcher has gone.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import ValidationError

from controlplane.contract.metrics.meter import METER
from controlplane.contract.push import (
    CLIENT_MESSAGE,
    Painted,
    Ping,
    Pong,
    Refresh,
    Refused,
    Resumed,
    Resumption,
    Subscribe,
    Welcome,
)
from controlplane.service.latency import Latencies
from controlplane.service.topic import Topic
from controlplane.service.watcher import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.push import Frame
    from controlplane.service.topic import Encoded

OVERVIEW = "overview"
LEDGER = "ledger"
LAKE = "lake"
QUALITY = "quality"
LAG = "lag"
LATENCY = "latency"
INCIDENTS = "incidents"
SPARK = "spark"
SCALING = "scaling"
OPERATIONS = "operations"
PAINTERS_AT_MOST = 100
"""So many clients are asked to say what they have drawn."""
KEPT_UP_MS = 30_000.0
"""A topic without watchers is told on for so long, if the connection of its last one was lost."""


@dataclass(frozen=True)
class Most:
    """How many clients there may be."""

    in_all: int = 2000
    each: int = 100
    """Of one person."""


class TooManyError(Exception):
    """One more watcher would be too many; says of what."""


class Hub:
    """Clients, topics and what was sent.

    Args:
        topics: their names.
        now_ms: the clock, epoch milliseconds.
        most: how many clients there may be.
    """

    def __init__(
        self,
        topics: frozenset[str],
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
        most: Most = Most(),
    ) -> None:
        self.epoch = uuid4().hex
        """Another one counts anew."""
        self.clients: dict[str, Client] = {}
        self.latencies = Latencies()
        self.version = 0
        """Changes whenever somebody wants what is not known yet."""
        self._topics = {name: Topic(name) for name in topics}
        self._watching: dict[str, dict[str, Client]] = {}
        """Topic -> id -> who watches it; a topic that nobody watches is not there."""
        self._kept_up: dict[str, float] = {}
        """Topics that nobody watches: until when they are told all the same."""
        self._persons = Counter[str]()
        self._painters = 0
        self._now_ms = now_ms
        self._most = most

    def join(self, person: str = "", write: Callable[[bytes], bool] = lambda _: False) -> Client:
        """A new client; it is greeted first. Nobody's (a part's) counts among all only.

        Raises:
            TooManyError: if there are as many as there may be.
        """
        if len(self.clients) >= self._most.in_all:
            raise TooManyError(f"there are {len(self.clients)} watchers, and may be no more (TIDEGATE_PUSH_CLIENTS)")
        if person and (own := self._persons[person]) >= self._most.each:
            raise TooManyError(f"{person} has {own} watchers, and may have no more (TIDEGATE_PUSH_CLIENTS_EACH)")
        client = Client(person=person, write=write, asks_painted=self._painters < PAINTERS_AT_MOST)
        client.reply(Welcome(epoch=self.epoch, asks_painted=client.asks_painted).model_dump_json())
        self._painters += client.asks_painted
        self._persons[person] += 1
        self.clients[client.id] = client
        return client

    def leave(self, client: Client) -> None:
        """Forget a client; what only it has watched is kept up for a while."""
        if self.clients.pop(client.id, None) is None:
            return
        self._persons[client.person] -= 1
        self._painters -= client.asks_painted
        self.latencies.forget(client.id)
        until = self._now_ms() + KEPT_UP_MS
        for name in client.topics:
            self._unwatch(client, name)
            if name not in self._watching:
                self._kept_up[name] = until

    def watched(self) -> frozenset[str]:
        """Topics that anybody wants, or may want again."""
        now = self._now_ms()
        for name in [name for name, until in self._kept_up.items() if until < now]:
            del self._kept_up[name]
        return frozenset(self._watching.keys() | self._kept_up.keys())

    def wanting_full(self) -> frozenset[str]:
        """Topics of which somebody has had nothing yet."""
        return frozenset(name for name in self._watching if self._topics[name].wanting)

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
            case Refresh():
                self._refresh(client, message.topic)
            case Ping():
                client.reply(Pong(ping_at_ms=message.at_ms, at_ms=self._now_ms()).model_dump_json())
            case Painted():
                self._painted(client, message)

    def publish(self, topic: str, data: Frame) -> None:
        """Send an update to everyone who wants the topic."""
        METER.add("tidegate_hub_updates_total", topic)
        told = self._topics[topic]
        update = told.told(data, self._now_ms())
        sent = sum(client.offer(told, update) for client in self._watching.get(topic, {}).values())
        if sent:
            METER.add("tidegate_hub_sent_total", by=sent)
            METER.observe("tidegate_hub_push_seconds", value=(self._now_ms() - update.sent_ms) / 1000)

    def _subscribe(self, client: Client, message: Subscribe) -> None:
        unknown = sorted(set(message.topics) - self._topics.keys())
        if unknown:
            client.reply(Refused(reason=f"no such topic: {', '.join(unknown)}").model_dump_json())
        wanted = frozenset(message.topics) & self._topics.keys()
        for name in client.topics - wanted:
            self._unwatch(client, name)
        entered = sorted(wanted - client.topics)
        client.topics = wanted
        since = message.since if message.epoch == self.epoch else {}
        missed = {name: self._enter(client, name, since.get(name)) for name in entered}
        if resumed := {name: _resumption(missed[name]) for name in entered if name in message.since}:
            client.reply(Resumed(topics=resumed).model_dump_json())
        for name, updates in missed.items():
            if updates is None:
                self._offer_whole(client, name)
            else:
                client.follow(update.text for update in updates)

    def _enter(self, client: Client, name: str, since: int | None) -> Sequence[Encoded] | None:
        """Let a client in to a topic: what it has missed, None when it needs a full update."""
        topic = self._topics[name]
        if name not in self.watched():
            topic.forget()
        self._watching.setdefault(name, {})[client.id] = client
        self._kept_up.pop(name, None)
        return None if since is None else topic.after(since)

    def _offer_whole(self, client: Client, name: str) -> None:
        topic = self._topics[name]
        if (whole := topic.whole()) is not None:
            client.offer(topic, whole)
            return
        client.new.add(name)
        topic.wanting.add(client.id)
        self.version += 1

    def _refresh(self, client: Client, name: str) -> None:
        if name in client.topics:
            self._offer_whole(client, name)

    def _unwatch(self, client: Client, name: str) -> None:
        self._topics[name].wanting.discard(client.id)
        client.new.discard(name)
        client.slots.pop(name, None)
        watching = self._watching.get(name, {})
        watching.pop(client.id, None)
        if not watching:
            self._watching.pop(name, None)

    def _painted(self, client: Client, message: Painted) -> None:
        topic = self._topics.get(message.topic)
        found = None if topic is None else topic.marks.get(message.seq)
        if found is not None:
            marks, sent_ms = found
            self.latencies.painted(client.id, message.topic, marks, sent_ms, message.at_ms)


def _resumption(missed: Sequence[Encoded] | None) -> Resumption:
    if missed is None:
        return Resumption.FULL
    return Resumption.MISSED if missed else Resumption.CURRENT
