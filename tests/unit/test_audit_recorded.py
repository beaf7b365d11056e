"""What is on the record of a request, and what happens when the record can't be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: TC002 (FastAPI reads the annotation)

from controlplane.contract.access import Principal
from controlplane.service.audit.answers import add_audit
from controlplane.service.audit.asked import masked
from controlplane.service.audit.export import Export
from controlplane.service.audit.keeper import CopyAwayError
from controlplane.service.audit.kept import Kept, kept_in
from controlplane.service.audit.recorded import Nameless, Once, Recorded
from controlplane.service.database import create_all, engine_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from controlplane.contract.audit import AuditEntry
    from controlplane.contract.rooms import App, Message, Receive, Send

ANN = Principal(name="ann", by="token")


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    engine = engine_of(f"sqlite:///{tmp_path / 'control.sqlite'}")
    create_all(engine)
    return kept_in(engine, None)


class SignsIn:
    """As access does: says who it is, or refuses."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"]).get(b"who", b"").decode()
        if who:
            scope["state"]["principal"] = Principal(name=who, by="token", is_service=who == "service")
        await self._app(scope, receive, send)


def client(kept: Kept, audit: Any = None) -> TestClient:  # noqa: C901 (a route each)
    api = FastAPI()
    api.add_middleware(SignsIn)
    api.add_middleware(Recorded, audit=audit or kept.log)
    add_audit(api, kept)

    @api.post("/api/v1/scaling/{target}/scale")
    async def scale(target: str, request: Request) -> dict[str, Any]:
        asked = await request.json()
        if asked.get("executors", 0) > 8:
            raise HTTPException(422, "at most 8")
        if asked.get("executors") == 0:
            raise ValueError(target)
        return asked

    @api.put("/api/v1/scaling/{target}/policy")
    async def policy(target: str) -> str:
        return target

    @api.post("/api/v1/session")
    async def session() -> str:
        return "in"

    @api.api_route("/api/v1/quarantine/{path:path}", methods=["GET", "POST"])
    async def forwarded(path: str, request: Request) -> str:
        await request.body()
        if path == "secret":
            raise HTTPException(403, "not yours")
        return path

    @api.post("/api/v1/operations")
    def operation() -> str:
        kept.log.record("ann", "token", "operation.plan", "op-1")
        return "op-1"

    @api.post("/api/v1/facts")
    async def facts() -> str:
        return ""

    @api.websocket("/api/v1/push")
    async def push(socket: WebSocket) -> None:
        await socket.close(1008, "this page may not open the hub")

    return TestClient(api, raise_server_exceptions=False)


def shown(entry: AuditEntry) -> tuple[str, ...]:
    return (entry.actor, entry.action, entry.subject, entry.outcome)


def test_what_changes_something_is_recorded_with_who_and_what_and_from_where(kept: Kept) -> None:
    answer = client(kept).post(
        "/api/v1/scaling/lake/scale?token=x&dry=1", json={"executors": 4}, headers={"who": "ann"}
    )
    assert answer.json() == {"executors": 4}
    [entry] = kept.log.walk()
    assert shown(entry) == ("ann", "scaling.scale", "lake", "ok")
    assert (entry.by, entry.address) == ("token", "testclient")
    assert entry.details == {"status": 200, "query": {"token": "***", "dry": "1"}, "asked": {"executors": 4}}


@pytest.mark.parametrize(
    ("method", "path", "action", "subject", "stream"),
    [
        ("PUT", "/api/v1/scaling/lake/policy", "scaling.policy.put", "lake", None),
        ("POST", "/api/v1/quarantine/streams/shop/replays", "quarantine", "streams/shop/replays", "shop"),
        ("POST", "/api/v1/nothing/there", "nothing", "nothing/there", None),
    ],
)
def test_the_routes_words_are_the_action_and_the_rest_the_subject(
    kept: Kept, method: str, path: str, action: str, subject: str, stream: str | None
) -> None:
    client(kept).request(method, path)
    [entry] = kept.log.walk()
    assert (entry.action, entry.subject, entry.stream) == (action, subject, stream)


def test_a_refusal_and_a_failure_are_recorded_with_the_reason_and_reach_who_asked(kept: Kept) -> None:
    asks = client(kept)
    assert asks.post("/api/v1/scaling/lake/scale", json={"executors": 9}).json() == {"detail": "at most 8"}
    assert asks.post("/api/v1/scaling/lake/scale", json={"executors": 0}).status_code == 500
    refused, failed = kept.log.walk()
    assert (refused.actor, refused.by, refused.outcome, refused.reason) == ("anonymous", "none", "refused", "at most 8")
    assert (failed.outcome, failed.reason) == ("failed", "ValueError: see the control plane's log")


def test_what_is_only_read_is_not_recorded_but_what_one_had_no_right_to_read_is(kept: Kept) -> None:
    asks = client(kept)
    asks.get("/api/v1/quarantine/streams")
    asks.get("/api/v1/nothing")
    assert list(kept.log.walk()) == []
    asks.get("/api/v1/quarantine/secret", headers={"who": "ann"})
    assert [shown(each) for each in kept.log.walk()] == [("ann", "quarantine.get", "secret", "refused")]


def test_what_rooms_report_is_not_recorded(kept: Kept) -> None:
    asks = client(kept)
    asks.post("/api/v1/facts")
    asks.post("/api/v1/scaling/lake/scale", json={}, headers={"who": "service"})
    assert list(kept.log.walk()) == []


def test_nothing_of_signing_in_is_kept_but_that_it_was_asked(kept: Kept) -> None:
    client(kept).post("/api/v1/session", json={"name": "ann", "password": "x"})
    [entry] = kept.log.walk()
    assert (entry.action, entry.details) == ("session", {"status": 200})


def test_what_is_called_like_a_secret_is_masked_however_deep() -> None:
    asked = {"a": [{"clientSecret": "x", "api_key": 1}], "password": {"old": "y"}, "stream": "shop"}
    assert masked(asked) == {"a": [{"clientSecret": "***", "api_key": "***"}], "password": "***", "stream": "shop"}


def test_a_body_that_is_long_or_no_json_is_told_by_its_length(kept: Kept) -> None:
    asks = client(kept)
    asks.post("/api/v1/quarantine/a", content=b"x" * 9000)
    asks.post("/api/v1/quarantine/a", content=b"no json")
    assert [each.details["asked"]["left_out"] for each in kept.log.walk()] == ["9000 bytes", "7 bytes that are no JSON"]  # type: ignore[call-overload, index]


def test_who_records_a_request_itself_is_not_recorded_twice_and_its_address_is_known(kept: Kept) -> None:
    client(kept).post("/api/v1/operations", json={"kind": "rollback"}, headers={"who": "ann"})
    [entry] = kept.log.walk()
    assert (entry.action, entry.address) == ("operation.plan", "testclient")


def test_a_websocket_that_is_refused_is_recorded(kept: Kept) -> None:
    with pytest.raises(WebSocketDisconnect), client(kept).websocket_connect("/api/v1/push"):
        pass
    [entry] = kept.log.walk()
    assert (entry.action, entry.outcome, entry.reason) == ("push.get", "refused", "this page may not open the hub")


class Full:
    """A record that can't be written for a while."""

    def __init__(self, kept: Kept, times: int) -> None:
        self._kept, self._times = kept, times

    def record(self, *given: Any, **named: Any) -> None:
        if self._times:
            self._times -= 1
            raise OSError("no space left on device")
        self._kept.log.record(*given, **named)


def test_while_the_record_cannot_be_written_nothing_else_is_changed_and_then_what_was_done_is_recorded(
    kept: Kept,
) -> None:
    asks = client(kept, Full(kept, times=2))
    assert asks.post("/api/v1/scaling/lake/scale", json={"executors": 1}).status_code == 200
    refused = asks.post("/api/v1/scaling/lake/scale", json={"executors": 2})
    assert refused.status_code == 503
    assert "audit log cannot be written" in refused.json()["detail"]
    assert asks.get("/api/v1/quarantine/streams").status_code == 200
    assert asks.post("/api/v1/scaling/lake/scale", json={"executors": 3}).status_code == 200
    assert [each.details["asked"] for each in kept.log.walk()] == [{"executors": 1}, {"executors": 3}]


def test_refusals_of_somebody_without_a_name_are_recorded_up_to_a_rate_and_then_counted() -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    nameless = Nameless(a_minute=2)
    assert [nameless.takes(at) for _ in range(5)] == [0, 0, None, None, None]
    assert [nameless.takes(at + timedelta(minutes=1)) for _ in range(2)] == [3, 0]


def test_what_is_refused_to_the_same_reader_again_and_again_is_recorded_once_in_a_while(kept: Kept) -> None:
    asks = client(kept)
    for who in ("ann", "ann", "bob", "ann"):
        asks.get("/api/v1/quarantine/secret", headers={"who": who})
    assert [each.actor for each in kept.log.walk()] == ["ann", "bob"]
    at, once = datetime(2026, 11, 26, tzinfo=UTC), Once(at_most=2)
    assert [once.takes(("ann", path), at) for path in ("a", "a", "b", "c", "a")] == [True, False, True, True, True]
    assert once.takes(("ann", "c"), at + timedelta(minutes=10))


def test_the_api_searches_pages_and_shows_one_entry(kept: Kept) -> None:
    for number in range(5):
        kept.log.record("ann", "token", "query.run", f"lake-{number}")
    asks = client(kept)
    first = asks.get("/api/v1/audit", params={"limit": 3, "action": "query.*"}).json()
    assert [each["seq"] for each in first["items"]] == [5, 4, 3]
    rest = asks.get("/api/v1/audit", params={"limit": 3, "cursor": first["next"]}).json()
    assert ([each["seq"] for each in rest["items"]], rest["next"]) == ([2, 1], None)
    assert asks.get("/api/v1/audit/2").json()["subject"] == "lake-1"
    assert asks.get("/api/v1/audit/9").json()["detail"] == "there is no entry 9; the last one is 5"
    assert asks.get("/api/v1/audit", params={"since": "2026-11-26"}).status_code == 422
    chain = asks.get("/api/v1/audit/chain").json()
    assert (chain["verdict"]["holds"], chain["last"]["seq"], chain["export"]) == (True, 5, None)
    assert chain["verdict"]["copied"] is None
    assert chain["verdict"]["copy_reason"]


class Topic:
    """Kafka, as the export sees it."""

    def __init__(self) -> None:
        self.held: list[AuditEntry] = []
        self.fails = ""

    def open(self) -> tuple[int, str] | None:
        return (self.held[-1].seq, self.held[-1].hash) if self.held else None

    def put(self, entries: Sequence[AuditEntry]) -> None:
        if self.fails == "before":
            raise CopyAwayError("away")
        self.held += entries
        if self.fails == "after":
            raise CopyAwayError("nobody knows")


@pytest.mark.parametrize("fails", ["before", "after"])
def test_each_entry_is_exported_once_in_order_whatever_is_not_known_of_a_step(kept: Kept, fails: str) -> None:
    topic = Topic()
    export = Export(kept.log, topic)
    for number in range(3):
        kept.log.record("ann", "token", "query.run", f"lake-{number}")
    topic.fails = fails
    with pytest.raises(CopyAwayError):
        export.step()
    assert export.said(datetime.now(UTC)).seq is None
    topic.fails = ""
    kept.log.record("ann", "token", "query.run", "lake-3")
    while export.step():
        pass
    assert [each.seq for each in topic.held] == [1, 2, 3, 4]
    said = export.said(datetime.now(UTC))
    assert (said.seq, said.waiting, said.reason) == (4, 0, None)


def test_a_record_that_was_tampered_with_and_an_export_that_stands_still_are_problems(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, eventually: Callable[..., object]
) -> None:
    now = datetime.now(UTC)
    topic = Topic()
    topic.fails = "before"
    whole = Kept(kept.log, kept.chain, Export(kept.log, topic))
    kept.log.record("ann", "token", "query.run", "lake")
    kept.chain.walk()
    assert whole.problems(now + timedelta(hours=1)) == []
    assert whole.export is not None
    whole.export.start()
    eventually(whole.export.stalled, "the export stands still")
    whole.export.stop()
    assert whole.problems(now + timedelta(minutes=4)) == []
    [stalled] = whole.problems(now + timedelta(minutes=6))
    assert (stalled.subject, stalled.reason) == ("export of the audit log", "does not go on: away")
    entry = next(kept.log.walk())
    monkeypatch.setattr(kept.log, "walk", lambda: iter([entry.model_copy(update={"actor": "eve"})]))
    kept.chain.walk()
    [tampered] = whole.problems(now)
    assert "entry 1 was changed" in tampered.reason


def test_an_exporter_that_begins_again_goes_on_where_the_topic_ends(kept: Kept) -> None:
    topic = Topic()
    for number in range(4):
        kept.log.record("ann", "token", "query.run", f"lake-{number}")
    topic.held = list(kept.log.walk())[:2]
    Export(kept.log, topic).step()
    assert [each.seq for each in topic.held] == [1, 2, 3, 4]


def test_a_topic_of_another_record_is_not_added_to(kept: Kept) -> None:
    topic = Topic()
    kept.log.record("ann", "token", "query.run", "lake")
    [entry] = kept.log.walk()
    topic.held = [entry.model_copy(update={"hash": "f" * 64})]
    with pytest.raises(CopyAwayError, match="is not in this record"):
        Export(kept.log, topic).step()
    assert len(topic.held) == 1
