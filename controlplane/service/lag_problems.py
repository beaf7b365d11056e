"""Which queries do not keep up, since when, why, and when will they have caught up?

By the lag monitor's verdict, not by a threshold. Groups that are not ours are on the Lag page; they are no problem of the platform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from controlplane.contract.lag import ConsumerKind, LagJudged, LagVerdict
from controlplane.contract.push import Problem
from controlplane.service.lag import lag_frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from controlplane.contract.lag import ConsumerState
    from controlplane.service.state import Known

_SAID = {
    LagVerdict.WARN: "does not keep up",
    LagVerdict.REWIND: "takes records again",
    LagVerdict.STALL: "has stalled",
    LagVerdict.STOP: "has stopped",
}
_MINUTES_FROM_S = 120


def lagging(known: Known, stream: str, now: datetime) -> Iterator[Problem]:
    """A stream's queries that do not keep up, the worst first; of what is stale or unknown nothing is said here."""
    for state in lag_frame(known, (), now).consumers:
        fact = state.lag
        is_query = fact.consumer_kind is ConsumerKind.QUERY and fact.stream == stream
        if is_query and not state.is_stale and fact.verdict in _SAID:
            reason = f"{_SAID[fact.verdict]}{_behind(fact)}{_because(state)}; {_ahead(fact)}"
            page = f"/lag/{quote(fact.consumer, safe='')}"
            yield Problem(subject=fact.consumer, reason=reason, since=fact.since, page=page)


def _behind(fact: LagJudged) -> str:
    seconds = "" if fact.lag_s is None else f", {fact.lag_s:.0f} s behind"
    return seconds + ("" if fact.lag_events is None else f" ({fact.lag_events:,} events)")


def _because(state: ConsumerState) -> str:
    suspects = () if state.explained is None else state.explained.suspects
    why = suspects[0].evidence if suspects else state.lag.reason
    return "" if why is None else f": {why.removesuffix('.')}"


def _ahead(fact: LagJudged) -> str:
    wait = fact.catch_up_s
    if wait is None:
        return "at these rates it will not catch up"
    return f"caught up in {wait / 60:.0f} min" if wait >= _MINUTES_FROM_S else f"caught up in {wait:.0f} s"
