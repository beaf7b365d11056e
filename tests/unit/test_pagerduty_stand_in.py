"""The stand-in refuses what PagerDuty refuses, and keeps incidents as PagerDuty does: else the tests over it would say nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from load_tests.bench.pagerduty import KEY, PagerDutyStandIn

TRIGGER = {
    "routing_key": KEY,
    "event_action": "trigger",
    "dedup_key": "srv01/mysql",
    # The example of PagerDuty's own documents.
    "payload": {
        "summary": "DISK at 99% on machine prod-datapipe03.example.com",
        "timestamp": "2015-07-17T08:42:58.315+0000",
        "severity": "critical",
        "source": "prod-datapipe03.example.com",
        "component": "mysql",
        "group": "prod-datapipe",
        "class": "disk",
        "custom_details": {"free space": "1%", "load avg": 0.75},
    },
    "client": "Sample Monitoring Service",
    "client_url": "https://monitoring.service.com",
    "links": [{"href": "http://pagerduty.example.com", "text": "An example link."}],
    "images": [
        {"src": "https://chart.googleapis.com/chart?chs=600x400", "href": "https://google.com", "alt": "A chart"}
    ],
}
CHANGE = {
    "routing_key": KEY,
    "payload": {"summary": "Build Success", "timestamp": "2020-07-17T08:42:58.315+0000", "source": "acme"},
    "links": [{"href": "https://acme.pagerduty.dev/build/2", "text": "View more details in Acme!"}],
}


def take(stand_in: PagerDutyStandIn, event: dict[str, Any], path: str = "/v2/enqueue") -> tuple[int, dict[str, Any]]:
    return stand_in.take(path, json.dumps(event).encode())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in TRIGGER.items() if key != name}


def payload(**changed: Any) -> dict[str, Any]:
    merged = {**TRIGGER["payload"], **changed}  # type: ignore[dict-item]
    return {**TRIGGER, "payload": {key: value for key, value in merged.items() if value is not None}}


def test_it_takes_pagerdutys_own_examples() -> None:
    stand_in = PagerDutyStandIn()
    status, said = take(stand_in, TRIGGER)
    assert (status, said) == (202, {"status": "success", "message": "Event processed", "dedup_key": "srv01/mysql"})
    assert take(stand_in, CHANGE, "/v2/change/enqueue")[0] == 202
    assert not stand_in.unpublished


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({**TRIGGER, "routing_key": "short"}, "Length of 'routing_key' is incorrect (should be 32 characters)"),
        ({**TRIGGER, "routing_key": "f" * 32}, "routing_key"),
        (without("routing_key"), "routing_key"),
        (without("event_action"), "event_action"),
        ({**TRIGGER, "event_action": "shout"}, "event_action"),
        (without("payload"), "payload"),
        ({**without("dedup_key"), "event_action": "resolve"}, "dedup_key"),
        ({**TRIGGER, "dedup_key": "k" * 256}, "dedup_key"),
        (payload(summary=None), "payload.summary"),
        (payload(summary=""), "payload.summary"),
        (payload(summary="s" * 1025), "payload.summary"),
        (payload(source=None), "payload.source"),
        (payload(severity=None), "payload.severity"),
        (payload(severity="CRITICAL"), "payload.severity"),
        (payload(timestamp="yesterday"), "payload.timestamp"),
        (payload(custom_details="text"), "payload.custom_details"),
        ({**TRIGGER, "links": [{"text": "to nowhere"}]}, "links.0.href"),
        ({**TRIGGER, "links": [{"href": "not an address"}]}, "links.0.href"),
        ({**TRIGGER, "images": [{"src": "http://example.com/a.png"}]}, "images.0.src"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_it_refuses_what_pagerduty_refuses(event: dict[str, Any], named: str) -> None:
    stand_in = PagerDutyStandIn()
    status, said = take(stand_in, event)
    assert status == 400
    assert (said["status"], said["message"]) == ("invalid event", "Event object is invalid")
    assert any(named in error for error in said["errors"])
    assert not stand_in.incidents


def test_what_is_no_json_or_too_large_is_refused() -> None:
    stand_in = PagerDutyStandIn()
    assert stand_in.take("/v2/enqueue", b"{")[0] == 400
    large = payload(custom_details={"text": "x" * 512 * 1024})
    assert take(stand_in, large)[0] == 413


def test_a_key_is_one_incident_until_it_is_resolved() -> None:
    stand_in = PagerDutyStandIn()
    for action in ("resolve", "trigger", "trigger", "acknowledge", "resolve", "acknowledge", "trigger"):
        assert take(stand_in, {**TRIGGER, "event_action": action})[0] == 202
    assert [(each.status, each.actions) for each in stand_in.incidents] == [
        ("resolved", ["trigger", "trigger", "acknowledge", "resolve"]),
        ("triggered", ["trigger"]),
    ]
    assert len(stand_in.dropped) == 2


def test_fields_that_are_not_published_are_noticed() -> None:
    stand_in = PagerDutyStandIn()
    take(stand_in, {**payload(urgency="high"), "page": "now"})
    assert stand_in.unpublished == ["page", "payload.urgency"]
