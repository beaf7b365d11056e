"""May an operation work on, or does it wait for live? Decided from the lag of the stream's live query, with hysteresis.

It rests when live is further behind than was asked, and goes on only when live has clearly caught up: at the bound itself it would
start and stop every second. What is not known is not good: it rests then, too, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlplane.contract.lag import ConsumerKind
from controlplane.contract.names import Hop

if TYPE_CHECKING:
    from controlplane.contract.lag import LagFrame

GOES_ON_BELOW = 0.5
"""Of the bound: the lag at which one that rests goes on."""
_LIVE = (Hop.VALID, Hop.SERVING)
"""What a pixel waits for: route and live."""


@dataclass(frozen=True)
class Pace:
    """What was decided."""

    rests: bool
    why: str | None = None
    """What it waits for; None: nothing."""


def decide(before: Pace, lag_s: float | None, bound_s: float, stream: str) -> Pace:
    """Whether to rest now.

    Args:
        before: what was decided last.
        lag_s: of the stream's live query, in seconds; None: unknown.
        bound_s: the operation's `max_lag_s`.
        stream: for words.
    """
    if lag_s is None:
        return Pace(rests=True, why=f"the lag of live {stream}, which is unknown (see Lag)")
    bound = bound_s * GOES_ON_BELOW if before.rests else bound_s
    if lag_s > bound:
        return Pace(rests=True, why=f"live {stream}, which is {lag_s:.1f} s behind; below {bound:g} s it goes on")
    return Pace(rests=False)


def live_lag(frame: LagFrame, stream: str) -> float | None:
    """Seconds that the stream's way to ClickHouse is behind: route's and live's, the worse; None when one is unknown."""
    found = [
        None if each.is_stale else each.lag.lag_s
        for each in frame.consumers
        if each.lag.stream == stream and each.lag.hop in _LIVE and each.lag.consumer_kind is ConsumerKind.QUERY
    ]
    known = [each for each in found if each is not None]
    return None if not found or len(known) < len(found) else max(known)
