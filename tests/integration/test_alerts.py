"""The real process of alerts, over the strict stand-in of PagerDuty."""

from __future__ import annotations

from load_tests.bench.alerts import SHORT, is_as_promised, measure


def test_one_cause_is_one_incident_through_kills_and_an_absence_of_pagerduty() -> None:
    for name, found in measure(SHORT, lambda _: None).items():
        assert is_as_promised(found), (name, found)
        assert found["answered_503"] >= 1, (name, found)
        assert not found["errors_logged"], (name, found)
        assert not found["key_in_log"], (name, found)
