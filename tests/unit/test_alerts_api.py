"""What operators ask of alerts, and what they are told when it makes no sense; and runbooks that can be followed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

from alerts.api import RUNBOOKS, Beats, create_api
from alerts.observe import FakeSource
from alerts.outbox import Outbox
from alerts.pages import Writer
from alerts.policy.rules import RULES
from alerts.sender import FakeSender
from alerts.store import Store
from alerts.watch import Watch
from controlplane.contract.access import authorization
from controlplane.contract.gates import GateDecided, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)


class Served:
    """The room's API over a gate that has halted."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "incidents.sqlite")
        self.source, self.sender, self.beats = FakeSource(lambda: NOW), FakeSender(), Beats()
        verdict = {"suite": "f", "rows": 1, "judged": 1, "reason": "because", "subject": "batch 1"}
        self.source.facts = (
            GateDecided(at=NOW, stream="shop", stage=Stage.LAKE, outcome=Outcome.HALTED, **verdict),  # type: ignore[arg-type]
        )
        self.outbox = Outbox(self.store, self.sender)
        writer = Writer("http://console", "m")
        self.watch = Watch(self.source, self.store, writer, {}, timedelta(minutes=1), pages=True)
        self.client = TestClient(
            create_api(self.watch, self.outbox, self.beats, lambda: NOW, "t"), headers=authorization("t")
        )
        self.beats.at = self.watch.beat()
        self.outbox.beat(NOW)

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/alerts/{path}").json()

    def post(self, path: str, said: object) -> Any:
        return self.client.post(f"/api/v1/alerts/{path}", json=said)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.store.close()


def test_an_incident_shows_its_timeline_and_what_was_sent(served: Served) -> None:
    [listed] = served.get("incidents")["open"]
    found = served.get(f"incidents/{listed['id']}")
    assert [each["what"] for each in found["timeline"]] == ["opened", "paged", "delivered"]
    assert [(each["action"], each["state"]) for each in found["deliveries"]] == [("trigger", "sent")]
    assert served.get("delivery")["deliveries"][0]["summary"].startswith("A gate does not let data through: shop/lake")


def test_who_acknowledges_is_named(served: Served) -> None:
    wanted = served.get("incidents")["open"][0]["id"]
    assert served.post(f"incidents/{wanted}/acknowledge", {"by": "ana"}).json()["acknowledged_by"] == "ana"
    assert served.get("incidents")["delivery"]["acknowledged"] == 1


def test_a_silence_is_listed_and_can_be_ended(served: Served) -> None:
    wanted = served.get("incidents")["open"][0]["id"]
    made = served.post(f"incidents/{wanted}/silence", {"for": "2h", "by": "ana", "reason": "known"}).json()
    assert (made["rule"], made["subject"], made["end"]) == ("gate_failed", "shop/lake", "2026-01-01T05:00:00Z")
    assert [each["id"] for each in served.get("windows")] == [made["id"]]
    assert served.client.delete(f"/api/v1/alerts/windows/{made['id']}").json() == {"ended": made["id"]}
    assert served.get("windows") == []


@pytest.mark.parametrize(
    ("path", "said", "status", "words"),
    [
        ("incidents/nobody/acknowledge", {}, 404, "there is no incident 'nobody'"),
        ("incidents/{id}/resolve", {}, 409, "it is still so"),
        ("incidents/{id}/acknowledge", {"by": ""}, 422, "by"),
        ("incidents/{id}/acknowledge", {"who": "ana"}, 422, "who"),
        ("incidents/{id}/silence", {"for": "400d"}, 422, "30 days"),
        ("incidents/{id}/silence", {"for": "soon"}, 422, "for"),
        ("windows", {"reason": "deploy"}, 422, "say until when"),
        ("windows", {"for": "1h", "rule": "lagg"}, 422, "'lagg' matches none of"),
        ("windows", {"start": "2026-01-01T03:00:00Z", "end": "2026-01-01T02:00:00Z"}, 422, "after the start"),
        ("windows", {"start": "2026-01-01T03:00:00", "for": "1h"}, 422, "start"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    served: Served, path: str, said: object, status: int, words: str
) -> None:
    wanted = served.get("incidents")["open"][0]["id"]
    answer = served.post(path.format(id=wanted), said)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_a_window_is_planned(served: Served) -> None:
    said = {"start": "2026-01-02T03:00:00Z", "for": "1h", "rule": "part_*", "subject": "kafka", "reason": "new disks"}
    made = served.post("windows", said)
    assert made.status_code == 201
    assert (made.json()["kind"], made.json()["end"]) == ("window", "2026-01-02T04:00:00Z")


def test_a_room_that_watches_no_longer_is_not_healthy(served: Served) -> None:
    assert served.client.get("/healthz").status_code == 200
    served.beats.at = NOW - timedelta(minutes=1)
    assert served.client.get("/healthz").status_code == 503


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_runbook_that_says_what_to_do(rule: str, served: Served) -> None:
    text = served.client.get(f"/api/v1/alerts/runbooks/{rule}").text
    assert text.startswith(f"# {RULES[rule].title}\n")
    for heading in ("What it means", "How to see it", "What to do", "When it is over"):
        assert f"\n## {heading}\n" in text


def test_no_runbook_is_without_its_rule(served: Served) -> None:
    prometheus = re.findall(r"rule: (\w+)", (RUNBOOKS.parents[1] / "docker" / "prometheus" / "alerts.yml").read_text())
    assert {file.stem for file in RUNBOOKS.glob("*.md")} == set(RULES) | set(prometheus)
    assert served.client.get("/api/v1/alerts/runbooks/collector_refuses").status_code == 200
    assert served.client.get("/api/v1/alerts/runbooks/nobody").status_code == 404


def test_each_rule_says_when_it_fires(served: Served) -> None:
    assert {each["id"]: each["fires"] for each in served.get("rules")} == {
        name: rule.fires for name, rule in RULES.items()
    }
