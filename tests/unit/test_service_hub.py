"""Latest wins, a full picture is never overtaken, and what is not understood is refused with a reason."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from controlplane.contract.operations import OperationsFrame
from controlplane.contract.push import LiveFrame, Marks
from controlplane.service.hub import Client, Hub

TOPIC = "live/shop/traffic"


def frame(*, full: bool) -> LiveFrame:
    return LiveFrame(
        stream="shop",
        rollup="traffic",
        full=full,
        bucket_s=1,
        span_s=2,
        buckets=(0.0,),
        series=(),
        totals={},
        newest_event_at=None,
        marks=Marks(),
    )


def taken(client: Client) -> list[dict[str, object]]:
    return [json.loads(text) for text in asyncio.run(client.take())]


def subscribed() -> tuple[Hub, Client]:
    hub = Hub(frozenset({TOPIC}), lambda: 5.0)
    client = hub.join()
    hub.said(client, json.dumps({"type": "subscribe", "topics": [TOPIC]}))
    return hub, client


def test_a_client_is_greeted_first() -> None:
    hub = Hub(frozenset())
    assert taken(hub.join())[0] == {"type": "welcome", "version": 1, "epoch": hub.epoch, "asks_painted": True}


def test_operations_are_pushed_as_they_are() -> None:
    hub = Hub(frozenset({"operations"}), lambda: 5.0)
    client = hub.join()
    hub.said(client, json.dumps({"type": "subscribe", "topics": ["operations"]}))
    hub.publish("operations", OperationsFrame(at=datetime.now(UTC), operations=()))
    assert taken(client)[-1]["data"]["worker_at"] is None  # type: ignore[index]


def test_a_slow_client_gets_the_newest_only() -> None:
    hub, client = subscribed()
    hub.publish(TOPIC, frame(full=True))
    taken(client)
    for _ in range(5):
        hub.publish(TOPIC, frame(full=False))
    [last] = taken(client)
    assert (last["seq"], last["data"]["full"]) == (6, True), "what it has missed is in it"  # type: ignore[index]


def test_a_waiting_full_picture_is_not_replaced_by_a_partial_one_but_put_together_with_it() -> None:
    hub, client = subscribed()
    hub.publish(TOPIC, frame(full=True))
    hub.publish(TOPIC, frame(full=False))
    last = taken(client)[-1]
    assert (last["seq"], last["data"]["full"]) == (2, True)  # type: ignore[index]


def test_a_new_client_starts_with_a_full_picture() -> None:
    hub, client = subscribed()
    taken(client)
    hub.publish(TOPIC, frame(full=False))
    assert client.slots == {}
    assert hub.wanting_full() == {TOPIC}


def test_an_unknown_topic_is_refused_by_name() -> None:
    hub, client = subscribed()
    hub.said(client, json.dumps({"type": "subscribe", "topics": ["live/nobody"]}))
    assert "live/nobody" in str(taken(client)[-1]["reason"])


def test_a_message_that_is_not_understood_is_refused() -> None:
    hub, client = subscribed()
    hub.said(client, "hello?")
    assert taken(client)[-1]["type"] == "refused"
