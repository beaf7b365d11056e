"""The real process of alerts, and its PagerDuty adapter, over the strict stand-in of PagerDuty."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from alerts.incidents import Incident
from alerts.outbox import Outbox
from alerts.pagerduty import PagerDuty
from alerts.pages import Writer
from alerts.sender import Action, Came, Event, Link
from alerts.store import Store
from controlplane.contract.alerts import IncidentSeverity
from load_tests.bench.alerts import SHORT, Alerts, Gate, is_as_promised, measure, served_gate
from load_tests.bench.pagerduty import KEY, Mood, PagerDutyStandIn, served_pagerduty
from load_tests.bench.until import awaited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
WRITER = Writer("http://127.0.0.1:8050", "machine-1")


def sender(address: str, key: str = KEY) -> PagerDuty:
    return PagerDuty(address, SecretStr(key), lambda: NOW)


def incident(reason: str = "halted", subject: str = "shop/lake") -> Incident:
    return Incident(
        id="0123456789ab", rule="gate_failed", subject=subject, title="A gate does not let data through",
        severity=IncidentSeverity.CRITICAL, reason=reason, page="/quality/shop", opened_at=NOW,
    )  # fmt: skip


@pytest.fixture
def stand_in() -> PagerDutyStandIn:
    return PagerDutyStandIn()


@pytest.fixture
def pagerduty(stand_in: PagerDutyStandIn) -> Iterator[PagerDuty]:
    with served_pagerduty(stand_in) as address:
        yield sender(address)


def test_one_cause_is_one_incident_through_kills_and_an_absence_of_pagerduty() -> None:
    for name, found in measure(SHORT, lambda _: None).items():
        assert is_as_promised(found), (name, found)
        assert found["answered_503"] >= 1, (name, found)
        assert not found["errors_logged"], (name, found)
        assert not found["key_in_log"], (name, found)


def test_pagerduty_takes_all_that_is_sent_and_knows_every_field(
    stand_in: PagerDutyStandIn, pagerduty: PagerDuty
) -> None:
    events = [
        WRITER.trigger(incident()),
        WRITER.follow(incident(), Action.ACKNOWLEDGE),
        WRITER.follow(incident(), Action.RESOLVE),
        WRITER.change("a-change", "Maintenance of shop: 3 stages", NOW, "/lake", {"compact events": "done"}),
    ]
    assert [pagerduty.send(event).came for event in events] == [Came.SENT] * 4
    [kept] = stand_in.incidents
    assert (kept.status, kept.actions) == ("resolved", ["trigger", "acknowledge", "resolve"])
    payload = kept.bodies[0]["payload"]
    assert (payload["severity"], payload["class"], payload["component"]) == ("critical", "gate_failed", "shop/lake")
    assert kept.bodies[0]["links"][0]["href"] == "http://127.0.0.1:8050/alerts/0123456789ab"
    assert stand_in.changes[0]["payload"]["summary"] == "Maintenance of shop: 3 stages"
    assert not stand_in.refused
    assert not stand_in.unpublished


def test_what_is_too_long_is_shortened_and_what_is_too_large_goes_without_details(
    stand_in: PagerDutyStandIn, pagerduty: PagerDuty
) -> None:
    long = incident(reason="because " * 400, subject="s" * 300)
    assert pagerduty.send(WRITER.trigger(long)).came is Came.SENT
    many = WRITER.trigger(incident()).model_copy(
        update={"key": "k" * 400, "details": {str(number): "x" * 5000 for number in range(900)}}
    )
    assert pagerduty.send(many).came is Came.SENT
    huge = many.model_copy(
        update={"links": tuple(Link(href=f"http://x/{number}", text="y" * 999) for number in range(450))}
    )
    assert pagerduty.send(huge).came is Came.SENT
    assert [len(each.bodies[0]["payload"]["custom_details"]) for each in stand_in.incidents] == [
        6,
        50,
    ]
    assert stand_in.incidents[1].bodies[1]["payload"]["custom_details"] == {
        "left out": "the details were too large for PagerDuty"
    }


def test_what_pagerduty_refuses_is_refused_with_its_words(stand_in: PagerDutyStandIn, pagerduty: PagerDuty) -> None:
    answer = pagerduty.send(Event(action=Action.TRIGGER, key="k", summary="", source="s"))
    assert answer.came is Came.REFUSED
    assert answer.said.startswith("400: ")
    assert "'payload.summary' is invalid" in answer.said
    with served_pagerduty(stand_in) as address:
        wrong = sender(address, "short").send(WRITER.trigger(incident()))
    assert wrong.came is Came.REFUSED
    assert "Length of 'routing_key' is incorrect (should be 32 characters)" in wrong.said


@pytest.mark.parametrize(
    ("mood", "holds_all", "after"),
    [
        (Mood(status=500), False, None),
        (Mood(status=503, retry_after="7"), False, timedelta(seconds=7)),
        (Mood(status=429), True, None),
        (Mood(status=429, retry_after="30"), True, timedelta(seconds=30)),
        (Mood(status=429, retry_after="Thu, 01 Jan 2026 03:02:00 GMT"), True, timedelta(minutes=2)),
        (Mood(drops="before"), True, None),
        (Mood(drops="after"), True, None),
    ],
    ids=["500", "503", "429", "429-with-seconds", "429-with-a-date", "dropped-before", "dropped-after"],
)
def test_what_may_be_taken_later_is_tried_once_a_call(
    mood: Mood, holds_all: bool, after: timedelta | None, stand_in: PagerDutyStandIn, pagerduty: PagerDuty
) -> None:
    stand_in.behave(mood)
    answer = pagerduty.send(WRITER.trigger(incident()))
    assert (answer.came, answer.holds_all, answer.after) == (Came.LATER, holds_all, after)
    assert len(stand_in.requests) == 1, "its client must not try again by itself"
    stand_in.behave()
    assert pagerduty.send(WRITER.trigger(incident())).came is Came.SENT
    assert len(stand_in.incidents) == 1


def test_a_slow_pagerduty_is_left_after_a_while(stand_in: PagerDutyStandIn, pagerduty: PagerDuty) -> None:
    pagerduty._events.timeout = 0.3
    stand_in.behave(Mood(delay_s=1.0, times=1))
    assert pagerduty.send(WRITER.trigger(incident())).came is Came.LATER
    assert pagerduty.send(WRITER.trigger(incident())).came is Came.SENT


def test_nobody_at_the_address_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = sender(f"http://127.0.0.1:{unused.getsockname()[1]}").send(WRITER.trigger(incident()))
    assert (answer.came, answer.holds_all) == (Came.LATER, True)
    assert KEY not in answer.said


def test_an_answer_that_is_lost_makes_no_second_incident(stand_in: PagerDutyStandIn, tmp_path: Path) -> None:
    store = Store(tmp_path / "incidents.sqlite")
    with served_pagerduty(stand_in) as address:
        outbox = Outbox(store, sender(address))
        store.queue(WRITER.trigger(incident()), NOW)
        store.queue(WRITER.follow(incident(), Action.RESOLVE), NOW)
        stand_in.behave(Mood(drops="after", times=2))
        for second in range(20):
            outbox.beat(NOW + timedelta(seconds=second))
    store.close()
    [kept] = stand_in.incidents
    assert (kept.status, kept.actions) == ("resolved", ["trigger", "trigger", "trigger", "resolve"])


def test_the_process_without_a_routing_key_says_so_and_keeps_incidents(tmp_path: Path) -> None:
    stand_in, gate = PagerDutyStandIn(), Gate()
    gate.fails()
    with served_gate(gate) as api, served_pagerduty(stand_in) as address:
        alerts = Alerts(tmp_path, api, address, 1, key="")
        alerts.start()
        try:
            awaited(lambda: alerts.ask("incidents")["open"], "the incident is kept", 20)
            found = alerts.ask("incidents")
        finally:
            alerts.stop()
    assert found["delivery"]["pages"] is False
    assert "there is no routing key" in alerts.log.read_text()
    assert not stand_in.requests
