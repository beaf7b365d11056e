"""How bad is a budget that burns too fast? A month's that is gone in two days wakes somebody; in five, it waits for the morning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alerts.incidents import Condition
from controlplane.contract.alerts import IncidentSeverity
from controlplane.contract.burn import FAST, SLOW

if TYPE_CHECKING:
    from controlplane.contract.burn import Burning

SEVERITY = {FAST: IncidentSeverity.ERROR, SLOW: IncidentSeverity.WARNING}


def condition_of(burning: Burning) -> Condition:
    """As a signal says it."""
    if burning.pace is not None:
        return Condition.WRONG
    return Condition.WELL if burning.is_known else Condition.UNKNOWN
