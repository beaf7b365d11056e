"""What was done within each second? Counts by answer, and times in steps of five percent; small however much is sent."""

from __future__ import annotations

import math
from collections import Counter

from controlplane.contract.loads import Offered

_STEP = math.log(1.05)


class Tally:
    """What has come in since it was taken last."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._ms: Counter[str] = Counter()
        self._answers: list[tuple[int, int, str]] = []

    def answered(self, status: str, ms: float, count: int = 1) -> None:
        """So many were answered, after so long."""
        self._statuses[status] += count
        self._ms[_bucket(ms)] += count

    def events(self, start: int, until: int, status: str) -> None:
        """Events `[start, until)` of the run were answered so."""
        self._answers.append((start, until, status))

    def answers(self) -> list[tuple[int, int, str]]:
        """Take what was answered since the last time."""
        taken, self._answers = self._answers, []
        return taken

    def take(self, t_s: float, users: int, due: int, offered: int) -> Offered:
        """Take the second that ends now."""
        found = Offered(
            t_s=round(t_s, 3), users=users, due=due, offered=offered, statuses=dict(self._statuses), ms=dict(self._ms)
        )
        self._statuses.clear()
        self._ms.clear()
        return found


def _bucket(ms: float) -> str:
    """The middle of the step that it falls into."""
    return f"{math.exp(round(math.log(max(ms, 0.1)) / _STEP) * _STEP):.4g}"
