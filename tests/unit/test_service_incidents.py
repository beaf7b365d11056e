"""Which incidents are open, as a wall board is told: the worst first, and nothing of what is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Incident
from alerts.observe import FakeSource
from alerts.pages import Writer
from alerts.store import Store
from alerts.watch import Watch
from controlplane.contract.alerts import INCIDENTS_AT_MOST, IncidentSeverity, IncidentsListed
from controlplane.service.incidents import incidents_frame
from controlplane.service.state import Known

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)


def known(*facts: IncidentsListed) -> Known:
    made = Known()
    made.fold(facts)
    return made


def incident(name: str, severity: IncidentSeverity, minutes: int, by: str | None = None) -> Incident:
    return Incident(
        id=name, rule="lag", subject="shop/lake", title="A query lags", severity=severity, reason="lags", page="/lag",
        opened_at=NOW - timedelta(minutes=minutes), acknowledged_at=None if by is None else NOW, acknowledged_by=by,
    )  # fmt: skip


def test_that_nothing_is_open_is_known_only_while_alerts_says_so() -> None:
    said = known(IncidentsListed(at=NOW, incidents=(), open=0))
    told = incidents_frame(said, NOW + timedelta(seconds=10))
    assert (told.incidents, told.open, told.reason) == ((), 0, None)
    silent = incidents_frame(said, NOW + timedelta(seconds=11))
    assert (silent.incidents, silent.open, silent.reason) == (None, None, "alerts has said nothing since 03:00:00 UTC")
    never = incidents_frame(known(), NOW)
    assert (never.incidents, never.open, never.reason) == (None, None, "alerts has said nothing yet")


def test_the_worst_is_first_then_what_nobody_has_taken_on_then_the_oldest(tmp_path: Path) -> None:
    store = Store(tmp_path / "incidents.sqlite")
    watch = Watch(FakeSource(lambda: NOW), store, Writer("c", "m"), {}, timedelta(minutes=1), pages=True)
    for each in (
        incident("warns", IncidentSeverity.WARNING, 90),
        incident("taken", IncidentSeverity.CRITICAL, 60, by="ana"),
        incident("new", IncidentSeverity.CRITICAL, 1),
        incident("old", IncidentSeverity.CRITICAL, 5),
    ):
        store.put(each)
    told = watch.listed(NOW)
    assert [each.id for each in told.incidents] == ["old", "new", "taken", "warns"]
    assert told.incidents[2].acknowledged_by == "ana"
    for number in range(INCIDENTS_AT_MOST):
        store.put(incident(f"info {number}", IncidentSeverity.INFO, 2))
    many = watch.listed(NOW)
    assert (len(many.incidents), many.open, many.incidents[0].id) == (INCIDENTS_AT_MOST, INCIDENTS_AT_MOST + 4, "old")
    store.close()
