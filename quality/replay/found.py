"""What has a plan found so far? Counts of what would become of its records, why some stay, and the first of each kind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from controlplane.contract.replays import Example, Judged
from quality.inbox.decode import shown

if TYPE_CHECKING:
    from quality.replay.prepare import Prepared

_EXAMPLES_A_KIND = 5
_CAUSES_AT_MOST = 1000
_SHOWN_AT_MOST = 4000


class Found:
    """Of a plan, one record after the other; `done` of them have been replayed or discarded before."""

    def __init__(self, done: int) -> None:
        self.counts: Counter[Judged] = Counter({Judged.DONE: done} if done else {})
        self.broken: Counter[str] = Counter()
        self.examples: list[Example] = []
        self.looked_at = done

    def ready(self, count: int) -> None:
        """So many that nothing is to be judged of."""
        self.counts[Judged.READY] += count
        self.looked_at += count

    def add(self, one: Prepared) -> None:
        """One record."""
        self.looked_at += 1
        self.counts[one.judged] += 1
        for rule in one.rules or ((one.why or "unknown",) if one.judged is not Judged.READY else ()):
            is_new = rule[:200] not in self.broken and len(self.broken) >= _CAUSES_AT_MOST
            self.broken["another cause" if is_new else rule[:200]] += 1
        if self.counts[one.judged] <= _EXAMPLES_A_KIND:
            self.examples.append(
                Example(
                    id=one.id,
                    judged=one.judged,
                    before=None if one.before is None else shown(one.before)[:_SHOWN_AT_MOST],
                    after=None if one.after is None else shown(one.after)[:_SHOWN_AT_MOST],
                    rules=one.rules,
                    why=one.why,
                )
            )
