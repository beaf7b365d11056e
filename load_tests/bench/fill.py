"""How is a raw topic filled fast? The shop's own events, encoded once and sent over and over by one producer."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import cycle, islice
from typing import TYPE_CHECKING

from pipeline.feed import shop
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_TRANSACTION = 20_000
_DISTINCT = 200_000


def fill(settings: Settings, stream: StreamDefinition, events: int) -> None:
    """Produce so many valid events of the shop, in transactions; the first 200,000 differ, then they come again."""
    with EventProducer(stream, settings.kafka, settings.registry, transactional_id="tidegate-bench") as producer:
        made = shop.events(lambda: datetime.now(UTC), seed=7, until=min(events, _DISTINCT))
        encoded = [(producer.encode(event.value), str(event.value["user_id"])) for event in made]
        left = islice(cycle(encoded), events)
        while batch := list(islice(left, _TRANSACTION)):
            with producer.transaction() as send:
                for value, key in batch:
                    send(value, key=key)
