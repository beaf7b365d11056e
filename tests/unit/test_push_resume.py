"""Who comes back goes on where it was; who has missed too much, or comes to another hub, begins with a full picture."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.push import LiveFrame, Marks, Series
from controlplane.service.hub import KEPT_UP_MS, PAINTERS_AT_MOST, Hub, Most, TooManyError

if TYPE_CHECKING:
    from controlplane.service.watcher import Client

TOPIC = "live/shop/traffic"
SPAN = 4


class Clock:
    def __init__(self) -> None:
        self.ms = 5.0

    def __call__(self) -> float:
        return self.ms


def frame(*, full: bool, end: int = 3, value: float = 1.0) -> LiveFrame:
    """Buckets of a second, up to `end`: four of them, or the last two."""
    buckets = tuple(map(float, range(end - SPAN + 1 if full else end - 1, end + 1)))
    return LiveFrame(
        stream="shop", rollup="traffic", full=full, bucket_s=1, span_s=SPAN, buckets=buckets,
        series=(Series(key=("a",), measures={"events": tuple(value for _ in buckets)}),),
        totals={"events": value}, newest_event_at=None, marks=Marks(),
    )  # fmt: skip


def taken(client: Client) -> list[dict[str, Any]]:
    return [json.loads(text) for text in asyncio.run(client.take())]


def updates(client: Client) -> list[dict[str, Any]]:
    return [message for message in taken(client) if message["type"] == "update"]


def subscribed(hub: Hub, **more: Any) -> Client:
    client = hub.join()
    hub.said(client, json.dumps({"type": "subscribe", "topics": [TOPIC], **more}))
    return client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    """One that has told a full picture and two partial ones, to somebody who has gone since."""
    made = Hub(frozenset({TOPIC}), clock)
    first = subscribed(made)
    made.publish(TOPIC, frame(full=True, value=1))
    made.publish(TOPIC, frame(full=False, end=4, value=2))
    made.publish(TOPIC, frame(full=False, end=5, value=3))
    made.leave(first)
    return made


@pytest.mark.parametrize(
    ("seq", "answer", "followed_by"),
    [
        pytest.param(3, "current", [], id="who-has-the-newest-gets-nothing"),
        pytest.param(2, "missed", [3], id="who-has-missed-one-gets-that-one"),
        pytest.param(0, "missed", [1, 2, 3], id="who-has-missed-all-since-the-full-one-gets-all"),
        pytest.param(9, "full", [3], id="who-says-what-was-never-sent-begins-anew"),
    ],
)
def test_who_comes_back_soon_goes_on(hub: Hub, seq: int, answer: str, followed_by: list[int]) -> None:
    client = subscribed(hub, epoch=hub.epoch, since={TOPIC: seq})
    _, resumed, *rest = taken(client)
    assert resumed == {"type": "resumed", "topics": {TOPIC: answer}}
    assert [update["seq"] for update in rest] == followed_by


def test_another_epoch_begins_with_a_full_picture(hub: Hub) -> None:
    client = subscribed(hub, epoch="another", since={TOPIC: 3})
    _, resumed, update = taken(client)
    assert (resumed["topics"], update["data"]["full"]) == ({TOPIC: "full"}, True)


def test_a_full_picture_is_put_together_and_nothing_is_asked_for(hub: Hub) -> None:
    [update] = updates(subscribed(hub))
    assert hub.wanting_full() == frozenset()
    assert update["data"]["buckets"] == [2, 3, 4, 5]
    assert update["data"]["series"][0]["measures"]["events"] == [1, 2, 3, 3]
    assert (update["seq"], update["sent_at_ms"]) == (3, 5.0), "it is no newer than what it is made of"


def test_who_has_missed_many_gets_a_full_picture(hub: Hub) -> None:
    for _ in range(30):
        hub.publish(TOPIC, frame(full=False, end=5))
    client = subscribed(hub, epoch=hub.epoch, since={TOPIC: 1})
    assert taken(client)[1]["topics"] == {TOPIC: "full"}


def test_a_topic_is_kept_up_for_a_while_and_then_is_old(hub: Hub, clock: Clock) -> None:
    assert hub.watched() == {TOPIC}
    clock.ms += KEPT_UP_MS + 1
    assert hub.watched() == frozenset()
    client = subscribed(hub, epoch=hub.epoch, since={TOPIC: 3})
    assert taken(client)[1]["topics"] == {TOPIC: "full"}
    assert hub.wanting_full() == {TOPIC}, "what was told then is not told as if it were of now"


def test_a_topic_that_nobody_wants_any_more_is_not_kept_up() -> None:
    hub = Hub(frozenset({TOPIC}))
    client = subscribed(hub)
    hub.said(client, json.dumps({"type": "subscribe", "topics": []}))
    assert hub.watched() == frozenset()


def test_who_says_that_something_is_missing_gets_a_full_picture_alone(hub: Hub) -> None:
    one, other = subscribed(hub), subscribed(hub)
    taken(one), taken(other)
    hub.said(one, json.dumps({"type": "refresh", "topic": TOPIC}))
    [update] = updates(one)
    assert update["data"]["full"]
    assert other.slots == {}


def test_a_socket_that_is_free_is_written_to_at_once_and_not_before_what_waits() -> None:
    written: list[bytes] = []
    hub = Hub(frozenset({TOPIC}))

    async def watch() -> None:
        client = hub.join("ana", lambda packet: not written.append(packet))
        hub.said(client, json.dumps({"type": "subscribe", "topics": [TOPIC]}))
        assert len(await client.take()) == 1, "the greeting"
        hub.publish(TOPIC, frame(full=True))
        assert (len(written), list(client.slots)) == (0, [TOPIC]), "the greeting is being sent"
        await client.take()
        waiting = asyncio.create_task(client.ready())
        await asyncio.sleep(0)
        hub.publish(TOPIC, frame(full=False))
        assert (len(written), client.slots) == (1, {})
        waiting.cancel()

    asyncio.run(watch())
    assert written[0][:2] == b"\x81\x7e"
    assert json.loads(written[0][4:])["seq"] == 2


def test_a_person_and_all_together_may_have_so_many_watchers() -> None:
    hub = Hub(frozenset(), most=Most(in_all=3, each=2))
    first = hub.join("ana")
    hub.join("ana")
    with pytest.raises(TooManyError, match="ana has 2"):
        hub.join("ana")
    hub.join("bob")
    with pytest.raises(TooManyError, match="there are 3"):
        hub.join("cy")
    hub.leave(first)
    hub.leave(first)
    hub.join("ana")


def test_a_hundred_are_asked_to_say_what_they_have_drawn_and_the_others_are_not() -> None:
    hub = Hub(frozenset())
    clients = [hub.join(str(number)) for number in range(PAINTERS_AT_MOST)]
    assert taken(hub.join("late"))[0]["asks_painted"] is False
    hub.leave(clients[0])
    assert taken(hub.join("next"))[0]["asks_painted"] is True
