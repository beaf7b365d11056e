"""The API over a fake ClickHouse: facts in, answers out, and the history there after a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from controlplane.contract.facts import FACTS, LedgerTaken, PartChanged, PartState, Verdict
from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.service.access.known import AnyoneIs
from controlplane.service.api import create_api
from controlplane.service.history import HistoryFile
from controlplane.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.facts import Fact

SHOP = load_stream(SHIPPED_STREAMS / "shop")


def away(sql: str, **parameters: int) -> Sequence[tuple[object, ...]]:
    raise OSError("ClickHouse does not answer: refused")


def empty(sql: str, **parameters: int) -> Sequence[tuple[object, ...]]:
    raise FileNotFoundError("ClickHouse has no table of this stream yet")


def ledger(ago: float = 0.0) -> LedgerTaken:
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return LedgerTaken(at=at, stream="shop", partitions=(), verdict=Verdict.BALANCED, reason="all 0 add up")


def report(client: TestClient, *facts: Fact) -> None:
    assert client.post("/api/v1/facts", content=FACTS.dump_json(list(facts))).status_code == 204


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service([SHOP], empty, "http://127.0.0.1:8050", 0.05, HistoryFile(tmp_path / "history.sqlite"))


def test_the_ledger_is_a_list_of_accounts_and_has_a_history(service: Service) -> None:
    with TestClient(create_api(service, access=AnyoneIs())) as client:
        report(client, ledger(90), ledger())
        assert [each["stream"] for each in client.get("/api/v1/ledger").json()] == ["shop"]
        assert len(client.get("/api/v1/ledger/shop/history").json()) == 2
        assert len(client.get("/api/v1/ledger/shop/history?hours=0.02").json()) == 1
        before = {"hours": 1, "until": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
        assert len(client.get("/api/v1/ledger/shop/history", params=before).json()) == 1
        assert client.get("/api/v1/ledger/nobody/history").status_code == 404
        assert client.get("/api/v1/ledger/shop/history?hours=721").status_code == 422


def test_facts_are_asked_for_by_their_kinds(service: Service) -> None:
    part = PartChanged(at=datetime.now(UTC), part="lake", state=PartState.RUNNING)
    with TestClient(create_api(service, access=AnyoneIs())) as client:
        report(client, part, ledger())
        for asked, kinds in (
            ("", 2),
            ("?kind=part_changed", 1),
            ("?kind=part_changed&kind=ledger_taken", 2),
            ("?kind=x", 0),
        ):
            found = {each["kind"] for each in client.get(f"/api/v1/facts{asked}").json()} - {"scaling_decided"}
            assert len(found) == kinds


def test_the_history_outlives_the_control_plane(service: Service, tmp_path: Path) -> None:
    with TestClient(create_api(service, access=AnyoneIs())) as client:
        report(client, ledger())
    again = Service([SHOP], empty, "http://127.0.0.1:8050", 0.05, HistoryFile(tmp_path / "history.sqlite"))
    with TestClient(create_api(again, access=AnyoneIs())) as client:
        assert len(client.get("/api/v1/ledger/shop/history").json()) == 1
        assert len(client.get("/api/v1/ledger/shop/history?hours=700").json()) == 1


def test_problems_are_in_the_overview_and_counted_in_the_metrics(service: Service) -> None:
    with TestClient(create_api(service, access=AnyoneIs())) as client:
        report(client, PartChanged(at=datetime.now(UTC), part="lake", state=PartState.HELD, reason="died"))
        assert [each["subject"] for each in client.get("/api/v1/overview").json()["problems"]] == ["part lake"]
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "tidegate_problems 1.0" in answer.text


@pytest.mark.parametrize(
    ("query", "expected"), [(away, ["ClickHouse"]), (empty, [])], ids=["away", "no-table-yet-is-no-problem"]
)
def test_the_hub_says_that_clickhouse_does_not_answer(query: object, expected: list[str]) -> None:
    service = Service([SHOP], query, "http://127.0.0.1:8050", 0.05)  # type: ignore[arg-type]
    service._frames["shop"].look()
    service._note_answers()
    now = datetime.now(UTC)
    assert [each.subject for each in service.problems(now)] == expected
    since = [each.since for each in service.problems(now)]
    service._note_answers()
    assert [each.since for each in service.problems(now)] == since


def test_the_ledger_is_pushed_to_who_watches_it(service: Service) -> None:
    with TestClient(create_api(service, access=AnyoneIs())) as client:
        report(client, ledger())
        with client.websocket_connect("/api/v1/push") as socket:
            assert socket.receive_json()["type"] == "welcome"
            socket.send_json({"type": "subscribe", "topics": ["ledger"]})
            update = socket.receive_json()
        assert update["topic"] == "ledger"
        assert [each["verdict"] for each in update["data"]["streams"]] == ["balanced"]
        assert len(update["data"]["streams"][0]["history"]) == 1
