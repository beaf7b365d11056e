"""What the collector answers: to whom, when, and what Kafka has by then."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import fastavro
import httpx
import pytest
from fastapi.testclient import TestClient

from controlplane.contract.folders import load_stream
from controlplane.contract.lag import ConsumerKind, ConsumerState, LagFrame, LagJudged
from controlplane.contract.names import Hop
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.collector.answers import Limits, Record, RefusedError
from pipeline.collector.api import Collector, create_api
from pipeline.collector.behind import Behind
from pipeline.collector.commit import Committer
from pipeline.collector.events.example import example_of
from pipeline.collector.events.schemas import Schemas
from pipeline.collector.kafka import AwayError, InDoubtError, LostError
from pipeline.collector.keys import Keys
from pipeline.collector.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SHOP = load_stream(SHIPPED_STREAMS / "shop")
EVENT = example_of(SHOP.avro_schema)
AT = datetime(2026, 3, 1, tzinfo=UTC)
EVENTS = "/v1/streams/shop/events"
KEY = {"Authorization": "Bearer tg_checkout"}


class FakeLog:
    """Kafka, as long as nothing is wrong with it."""

    def __init__(self) -> None:
        self.transactions: list[list[Record]] = []
        self.wrong: Exception | None = None
        self.is_settled = True
        self.goes_on = threading.Event()
        self.goes_on.set()

    def commit(self, records: Iterable[Record]) -> None:
        self.goes_on.wait(10)
        if self.wrong is not None:
            raise self.wrong
        self.transactions.append(list(records))

    def settle(self) -> bool:
        return self.is_settled


class Control:
    """A control plane that knows some keys."""

    def __init__(self) -> None:
        self.may = {"Bearer tg_checkout": ["shop"], "Bearer tg_other": ["flights"]}
        self.is_away = False
        self.asked = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.is_away:
            raise httpx.ConnectError("nobody is there", request=request)
        key = request.headers["authorization"]
        if key not in self.may:
            return httpx.Response(401, json={"detail": "sign in first"})
        name = key.removeprefix("Bearer tg_")
        return httpx.Response(200, json={"name": name, "may": {"produce": self.may[key]}})


class Here:
    """A collector over a log and a control plane that are made up."""

    def __init__(self, waiting: int = 100) -> None:
        self.log, self.control, self.at = FakeLog(), Control(), 1000.0
        self.waiting, self.stopping = Waiting(waiting, 1_000_000), threading.Event()
        asks = httpx.AsyncClient(base_url="http://control", transport=httpx.MockTransport(self.control.answer))
        schemas = Schemas([SHOP], lambda _: {7: '{"type": "record", "name": "Old", "fields": []}', 9: SHOP_JSON})
        schemas.refresh()
        self.committer = Committer(self.waiting, lambda: self.log, self.stopping)
        keys = Keys(asks, lambda: self.at)
        self.lag: list[LagJudged] = []
        self.behind = Behind(self._lag, timedelta(minutes=1))
        self.collector = Collector(keys, schemas, self.waiting, self.behind, Limits(50, 100_000))
        self.lost: list[Exception] = []
        self.thread = threading.Thread(target=self._run)

    def _lag(self) -> LagFrame:
        if not self.lag:
            raise httpx.ConnectError("nobody is there")
        return LagFrame(at=AT, consumers=tuple(ConsumerState(lag=each) for each in self.lag))

    def _run(self) -> None:
        try:
            self.committer.run()
        except LostError as error:
            self.lost.append(error)

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(10)


SHOP_JSON = (SHIPPED_STREAMS / "shop" / "schema.avsc").read_text()


@pytest.fixture
def here(eventually: Callable[..., Any]) -> Iterator[Here]:
    one = Here()
    one.thread.start()
    eventually(lambda: one.waiting.was_open, "it has begun")
    yield one
    one.log.goes_on.set()
    one.stop()


@pytest.fixture
def client(here: Here) -> Iterator[TestClient]:
    with TestClient(create_api(here.collector), headers=KEY) as asks:
        yield asks


def test_what_is_taken_is_in_kafka_before_it_is_said(here: Here, client: TestClient) -> None:
    answer = client.post(EVENTS, json=[EVENT, EVENT])
    assert (answer.status_code, answer.json()) == (202, {"taken": 2})
    [[first, second]] = here.log.transactions
    assert first == second == Record("shop.raw", "text", first.value, "checkout")
    assert first.value[:5] == b"\0\0\0\0\x09"


def test_of_a_wrong_batch_nothing_is_taken_unless_a_part_was_asked_for(here: Here, client: TestClient) -> None:
    batch = [EVENT, {**EVENT, "quantity": "two"}, {**EVENT, "page_ms": None, "colour": "red"}]
    refused = client.post(EVENTS, json=batch)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    assert not here.log.transactions
    said = refused.json()
    assert (said["events"], said["mistaken"]) == (3, 2)
    assert [(each["index"], each["path"]) for each in said["mistakes"]] == [
        (1, "quantity"),
        (2, "page_ms"),
        (2, "colour"),
    ]
    part = client.post(EVENTS, json=batch, params={"partial": "true"})
    assert (part.status_code, part.json()) == (202, {"taken": 1, "mistakes": said["mistakes"]})
    assert client.post(EVENTS, json=batch[1:], params={"partial": "true"}).status_code == 400


def test_who_shows_no_key_and_who_may_not_are_told_so(client: TestClient) -> None:
    for key, status, says in (
        ("", 401, "tidegate users key"),
        ("Basic abc", 401, "show a key"),
        ("Bearer tg_nobody", 401, "holds no more"),
        ("Bearer tg_other", 403, "other may not send to shop: it may send to flights"),
    ):
        answer = client.post(EVENTS, json=EVENT, headers={"Authorization": key})
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True)
        assert ("www-authenticate" in answer.headers) is (status == 401)
    there = client.post("/v1/streams/flights/events", json=EVENT, headers={"Authorization": "Bearer tg_other"})
    assert (there.status_code, there.json()["detail"]) == (404, "there is no stream 'flights'; there are: shop")


def test_a_key_that_was_taken_back_is_refused_within_ten_seconds(here: Here, client: TestClient) -> None:
    assert client.post(EVENTS, json=EVENT).status_code == 202
    here.control.may.clear()
    assert client.post(EVENTS, json=EVENT).status_code == 202
    assert here.control.asked == 1
    here.at += 9
    assert client.post(EVENTS, json=EVENT).status_code == 401


def test_a_known_key_outlives_a_control_plane_that_is_away_for_five_minutes(here: Here, client: TestClient) -> None:
    assert client.post(EVENTS, json=EVENT).status_code == 202
    here.control.is_away = True
    here.at += 290
    assert client.post(EVENTS, json=EVENT).status_code == 202
    assert client.post(EVENTS, json=EVENT, headers={"Authorization": "Bearer tg_new"}).status_code == 503
    here.at += 20
    assert client.post(EVENTS, json=EVENT).status_code == 503


def test_more_than_may_wait_is_told_when_to_come_again(
    here: Here, client: TestClient, eventually: Callable[..., Any]
) -> None:
    assert client.post(EVENTS, json=[EVENT] * 50).status_code == 202  # how fast it goes is known
    here.log.goes_on.clear()
    answers: list[int] = []
    senders = [
        threading.Thread(target=lambda: answers.append(client.post(EVENTS, json=[EVENT] * 50).status_code))
        for _ in range(2)
    ]
    for each in senders:
        each.start()
    eventually(lambda: here.waiting.events == 100, "as many wait as may")
    refused = client.post(EVENTS, json=EVENT)
    assert (refused.status_code, refused.json()["detail"][:23]) == (429, "100 events wait already")
    assert 1 <= int(refused.headers["retry-after"]) <= 30
    here.log.goes_on.set()
    for each in senders:
        each.join(10)
    assert answers == [202, 202]
    assert client.post(EVENTS, json=EVENT).status_code == 202


@pytest.mark.parametrize(
    ("wrong", "kept"), [(AwayError("away"), False), (InDoubtError("away"), None), (LostError("another one"), None)]
)
def test_what_kafka_does_not_take_is_refused_and_not_kept(
    wrong: Exception, kept: bool | None, here: Here, client: TestClient, eventually: Callable[..., Any]
) -> None:
    here.log.wrong, here.log.is_settled = wrong, False
    answer = client.post(EVENTS, json=EVENT)
    assert (answer.status_code, answer.json()["kept"], answer.headers["retry-after"]) == (503, kept, "2")
    again = eventually(lambda: (found := client.post(EVENTS, json=EVENT)).status_code == 503 and found, "it is closed")
    assert not here.log.transactions
    if isinstance(wrong, LostError):
        assert "stops" in again.json()["detail"]
        eventually(lambda: here.lost == [wrong], "the process ends with the reason")
        return
    here.log.wrong, here.log.is_settled = None, True
    eventually(lambda: client.post(EVENTS, json=EVENT).status_code == 202, "it goes on")
    assert len(here.log.transactions) == 1


def test_told_to_stop_it_answers_what_waits_and_takes_no_more(
    here: Here, client: TestClient, eventually: Callable[..., Any]
) -> None:
    here.log.goes_on.clear()
    answers: list[int] = []
    sender = threading.Thread(target=lambda: answers.append(client.post(EVENTS, json=EVENT).status_code))
    sender.start()
    eventually(lambda: here.waiting.events == 1, "one waits")
    here.stopping.set()
    here.log.goes_on.set()
    sender.join(10)
    here.thread.join(10)
    assert answers == [202]
    assert client.post(EVENTS, json=EVENT).status_code == 503


def test_a_stream_that_is_far_behind_is_sent_to_later_and_what_is_not_known_refuses_nothing(
    here: Here, client: TestClient
) -> None:
    def judged(consumer: str, hop: Hop, lag_s: float | None, catch_up_s: float | None) -> LagJudged:
        kind = ConsumerKind.QUERY
        return LagJudged(
            at=AT, consumer=consumer, consumer_kind=kind, topic="t", stream="shop", hop=hop, lag_s=lag_s, catch_up_s=catch_up_s
        )  # fmt: skip

    here.lag = [judged("route shop", Hop.VALID, 61, 7.2), judged("lake shop", Hop.LAKE, 10_000, None)]
    here.behind.look()
    answer = client.post(EVENTS, json=EVENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "8")
    assert "route shop is 61 s behind, more than 1m (TIDEGATE_COLLECTOR_BEHIND)" in answer.json()["detail"]
    here.lag = [judged("route shop", Hop.VALID, None, None), judged("live shop", Hop.SERVING, 60, None)]
    here.behind.look()
    assert client.post(EVENTS, json=EVENT).status_code == 202
    here.lag = [judged("live shop", Hop.SERVING, 1e6, None)]
    here.behind.look()
    assert client.post(EVENTS, json=EVENT).headers["retry-after"] == "30"
    here.lag = []
    here.behind.look()
    assert client.post(EVENTS, json=EVENT).status_code == 202


def test_requests_that_come_together_share_a_transaction() -> None:
    waiting = Waiting(100, 1000)
    record = Record("shop.raw", "a", b"", "checkout")
    asked = [waiting.offer([record] * 3) for _ in range(4)]
    taken = waiting.take(7, 0.0, 0.0)
    assert [len(each.records) for each in taken] == [3, 3]
    waiting.done(taken, 0.1)
    assert [each.done() for each in asked] == [True, True, False, False]
    assert waiting.events == 6


def test_retry_after_is_the_time_in_which_what_waits_will_be_gone() -> None:
    waiting = Waiting(100, 1000)
    record = Record("shop.raw", "a", b"", "checkout")
    waiting.offer([record] * 50)
    waiting.done(waiting.take(100, 0.0, 0.0), 5.0)  # ten a second
    waiting.offer([record] * 95)
    with pytest.raises(RefusedError) as said:
        waiting.offer([record] * 6)
    assert (said.value.status, said.value.retry_after_s) == (429, 10)


def test_a_stream_is_described_and_its_example_is_taken(client: TestClient) -> None:
    said = client.get("/v1/streams/shop").json()
    assert (said["schema_id"], said["schema_ids"], said["schema"]["name"]) == (9, [7, 9], "ShopEvent")
    assert client.post(said["send_to"], json=said["example"]).status_code == 202
    assert "/v1/streams/{stream}/events" in client.get("/v1/openapi.json").json()["paths"]


def test_what_is_small_only_while_it_is_packed_counts_as_what_it_is(here: Here, client: TestClient) -> None:
    file = io.BytesIO()
    event = {**EVENT, "event_time": 0, "device": "a" * 90_000}
    fastavro.writer(file, SHOP.avro_schema, [event], codec="deflate")
    here.waiting.hold(950_000)
    answer = client.post(EVENTS, content=file.getvalue(), headers={"Content-Type": "application/avro"})
    assert (answer.status_code, "bytes of bodies" in answer.json()["detail"]) == (429, True)
    here.waiting.let_go(950_000)
    assert client.post(EVENTS, content=file.getvalue(), headers={"Content-Type": "application/avro"}).status_code == 202


def test_what_was_answered_is_counted(client: TestClient) -> None:
    client.post(EVENTS, json=EVENT)
    client.post("/v1/streams/nothing/events", json=EVENT)
    text = client.get("/metrics").text
    assert 'tidegate_collector_requests_total{status="202",stream="shop"}' in text
    assert 'tidegate_collector_requests_total{status="403",stream=""}' in text
    assert "tidegate_collector_waiting_events 0.0" in text


def test_it_is_not_ready_before_kafka_lets_it_begin() -> None:
    one = Here()
    with TestClient(create_api(one.collector), headers=KEY) as asks:
        assert asks.get("/healthz").status_code == 503
        assert asks.post(EVENTS, json=EVENT).status_code == 503
