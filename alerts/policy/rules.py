"""Which things wake somebody, how bad is each, and for how long must it be so? One row a rule.

`after`: how long it must be wrong before an incident opens; what has judged for itself (a gate, a breaker, a burn rate over
windows) opens at once. `well_for`: how long it must be well before the incident resolves, so that what flaps is one incident;
None is the setting `TIDEGATE_ALERTS_SETTLE`. Each has a runbook of its name in `alerts/runbooks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from controlplane.contract.alerts import IncidentSeverity


@dataclass(frozen=True)
class Rule:
    """When a kind of cause becomes an incident."""

    id: str
    title: str
    severity: IncidentSeverity
    fires: str
    """What makes it wrong, in a sentence."""
    after: timedelta = timedelta(0)
    well_for: timedelta | None = None


_BURNT_OUT = timedelta(minutes=5)
TEST = "test_page"

_ALL = (
    Rule("gate_failed", "A gate does not let data through", IncidentSeverity.CRITICAL,
         "A gate has halted its stage, diverted a micro-batch, or let through what breaks a critical rule."),
    Rule("gate_misconfigured", "A suite cannot be followed", IncidentSeverity.ERROR,
         "A suite is refused, or a critical rule of it cannot be evaluated.", after=timedelta(seconds=15)),
    Rule("breaker_open", "A flood breaker is open", IncidentSeverity.CRITICAL,
         "A stage has paused because too much of what came had to be turned away."),
    Rule("lag", "A query does not keep up", IncidentSeverity.ERROR,
         "By its verdict over a window it stands still (stop, stall: error), takes records again (rewind: warning) or has fallen "
         "behind for 5 minutes (warn: warning); or a consumer group on a stream stands still for 5 minutes (warning).",
         after=timedelta(seconds=30)),
    Rule("ledger_unbalanced", "The ledger does not add up", IncidentSeverity.CRITICAL,
         "Events are missing or doubled somewhere on the way."),
    Rule("ledger_unknown", "The ledger is not known", IncidentSeverity.WARNING,
         "Nobody could say whether the ledger adds up.", after=timedelta(minutes=5)),
    Rule("freshness", "Data is older than promised", IncidentSeverity.ERROR,
         "The error budget of the service level `freshness` burns too fast, over a long and a short window.",
         well_for=_BURNT_OUT),
    Rule("validity", "Fewer events are valid than promised", IncidentSeverity.ERROR,
         "The error budget of the service level `validity` burns too fast, over a long and a short window.",
         well_for=_BURNT_OUT),
    Rule("latency", "Events are seen later than promised", IncidentSeverity.WARNING,
         "The error budget of the service level `latency` burns too fast, over a long and a short window.",
         well_for=_BURNT_OUT),
    Rule("part_down", "A part is not running", IncidentSeverity.CRITICAL,
         "A part is stopped, held, silent or being started again and again.", after=timedelta(seconds=30)),
    Rule("probes", "Probes do not arrive", IncidentSeverity.WARNING,
         "The event a second that is sent to know how long events take cannot be sent, or is not read from ClickHouse.",
         after=timedelta(minutes=2)),
    Rule("job_failed", "A job has failed", IncidentSeverity.WARNING,
         "The last maintenance, replay or operation ended with an error."),
    Rule(TEST, "Test page", IncidentSeverity.INFO, "Somebody asked for it: it opens, pages and resolves."),
)  # fmt: skip
RULES = {rule.id: rule for rule in _ALL}
