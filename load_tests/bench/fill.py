"""How is a raw topic filled fast? The shop's own events, encoded by one producer."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.feed import shop
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

_TRANSACTION = 20_000


def fill(settings: Settings, stream: StreamDefinition, events: int) -> None:
    """Produce so many valid events of the shop, in transactions."""
    source = shop.events(lambda: datetime.now(UTC), seed=7, until=events)
    with EventProducer(stream, settings.kafka, settings.registry, transactional_id="tidegate-bench") as producer:
        while batch := list(islice(source, _TRANSACTION)):
            with producer.transaction() as send:
                for event in batch:
                    send(event.value)
