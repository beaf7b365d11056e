"""What does a watcher know of a topic, and how long does it wait before it tries again? Pure: no socket, no clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controlplane.contract.live import merged

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_S, _LONGEST_S = 0.2, 1.0
_PATIENT_AFTER_S, _PATIENT_S = 30.0, 3.0


@dataclass(frozen=True)
class Told:
    """What is known of a topic after an update."""

    topic: str
    seq: int
    sent_at_ms: float
    """When the hub told it, by the hub's clock."""
    received_at_ms: float
    """By this one's."""
    full: bool
    """It stands for itself; False: it was a part, and `data` is that and what was known before."""
    epoch: str | None
    """Which process of the hub has counted `seq`."""
    data: dict[str, Any]
    """All that is known now; see the topic's frame in `controlplane/contract/push.py`."""


def taken(known: Told | None, update: Mapping[str, Any], epoch: str | None, received_at_ms: float) -> Told | None:
    """What is known after an update; None when something before it is missing, so that it can't be put in."""
    data, seq = update["data"], update["seq"]
    is_live = update["topic"].startswith("live/")
    is_whole = not is_live or data["full"] or data["reason"] is not None
    if not is_whole and (known is None or known.epoch != epoch or seq > known.seq + 1):
        return None
    now_known = merged(None if known is None else known.data, data) if is_live else data
    return Told(update["topic"], seq, update["sent_at_ms"], received_at_ms, is_whole, epoch, now_known)


def wait_s(tries: int, lost_for_s: float, share: float) -> float:
    """How long to wait before the next try.

    Args:
        tries: so many have failed in a row.
        lost_for_s: since so long there is no connection.
        share: a random number from 0 to 1, so that not all come back in one moment.
    """
    wait = _PATIENT_S if lost_for_s > _PATIENT_AFTER_S else min(_LONGEST_S, _FIRST_S * 2 ** min(tries, 10))
    return wait * (0.75 + share / 2)


@dataclass
class Offset:
    """How far the hub's clock is ahead of this one: by the fastest round trip, whose middle is taken for the answer's time."""

    ms: float = 0.0
    error_ms: float | None = None
    """At most; None while there was no answer."""

    def take(self, pinged_ms: float, hub_ms: float, now_ms: float) -> None:
        """An answer to a ping has come."""
        error = (now_ms - pinged_ms) / 2
        if self.error_ms is None or error <= self.error_ms * 1.5:
            self.ms = hub_ms - (pinged_ms + error)
            self.error_ms = error if self.error_ms is None else min(self.error_ms, error)
