"""Which incidents are open, as a wall board shows it? What alerts said last, or that they say nothing: no news is no empty list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.contract.alerts import IncidentsFrame, IncidentsListed
from controlplane.service.state import STALE_AFTER

if TYPE_CHECKING:
    from datetime import datetime

    from controlplane.service.state import Known


def incidents_frame(known: Known, now: datetime) -> IncidentsFrame:
    """The open ones as known at `now`."""
    fact = known.facts.get(("incidents_listed",))
    if not isinstance(fact, IncidentsListed):
        return IncidentsFrame(at=now, incidents=None, open=None, reason="alerts has said nothing yet")
    if now - fact.at > STALE_AFTER:
        reason = f"alerts has said nothing since {fact.at:%H:%M:%S} UTC"
        return IncidentsFrame(at=now, incidents=None, open=None, reason=reason)
    return IncidentsFrame(at=now, incidents=fact.incidents, open=fact.open)
