"""What is known now? The fold of every fact, newest by its own time, in whatever order and however often they came."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from controlplane.contract.facts import (
    Fact,
    FeedProgressed,
    HopMeasured,
    LedgerTaken,
    PartChanged,
    QueryProgressed,
    Verdict,
)
from controlplane.contract.names import Hop
from controlplane.contract.push import OverviewFrame, Percentiles, StreamState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STALE_AFTER = timedelta(seconds=10)
"""A measurement that nobody has confirmed for so long is no longer known."""
_ORDER = tuple(Hop)


def subject_of(fact: Fact) -> tuple[str, ...]:
    """What a fact is about: a newer fact of the same subject replaces it."""
    match fact:
        case PartChanged():
            return (fact.kind, fact.part)
        case HopMeasured():
            return (fact.kind, fact.stream, fact.hop)
        case QueryProgressed():
            return (fact.kind, fact.query)
        case _:
            return (fact.kind, fact.stream)


class Known:
    """The newest fact of every subject; `fold` is idempotent and does not depend on the order."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, ...], Fact] = {}
        self.version = 0

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take facts in; a fact that is not newer than what is known changes nothing."""
        for fact in facts:
            subject = subject_of(fact)
            known = self.facts.get(subject)
            if known is None or (fact.at, fact.id) > (known.at, known.id):
                self.facts[subject] = fact
                self.version += 1

    def parts(self) -> tuple[PartChanged, ...]:
        """Every supervised part, by its name."""
        return tuple(
            sorted((fact for fact in self.facts.values() if isinstance(fact, PartChanged)), key=lambda f: f.part)
        )

    def ledgers(self) -> tuple[LedgerTaken, ...]:
        """Every stream's newest account."""
        found = (fact for fact in self.facts.values() if isinstance(fact, LedgerTaken))
        return tuple(sorted(found, key=lambda fact: fact.stream))

    def feed(self, stream: str) -> FeedProgressed | None:
        """How far a demo feed is; None when the stream has none."""
        fact = self.facts.get(("feed_progressed", stream))
        return fact if isinstance(fact, FeedProgressed) else None

    def hop(self, stream: str, hop: Hop, now: datetime) -> HopMeasured:
        """A hop as known at `now`; with no values and a reason when nobody has measured it lately."""
        fact = self.facts.get(("hop_measured", stream, hop))
        if not isinstance(fact, HopMeasured):
            return HopMeasured(at=now, stream=stream, hop=hop, reason="not measured yet")
        age = now - fact.at
        if age > STALE_AFTER:
            return HopMeasured(
                at=fact.at, stream=stream, hop=hop, reason=f"not measured for {age.total_seconds():.0f} s"
            )
        return fact

    def verdict(self, stream: str, now: datetime) -> tuple[Verdict, str]:
        """The ledger's verdict as known at `now`."""
        fact = self.facts.get(("ledger_taken", stream))
        if not isinstance(fact, LedgerTaken):
            return Verdict.UNKNOWN, "no ledger has been taken yet"
        age = now - fact.at
        if age > STALE_AFTER:
            return Verdict.UNKNOWN, f"no ledger has been taken for {age.total_seconds():.0f} s"
        return fact.verdict, fact.reason

    def overview(self, titles: Mapping[str, str], now: datetime, event_to_pixel: Percentiles | None) -> OverviewFrame:
        """Everything that the overview shows.

        Args:
            titles: stream -> what people call it.
            now: the time.
            event_to_pixel: the console's own latency, if any page was painted lately.
        """
        return OverviewFrame(
            at=now,
            streams=tuple(self._stream(name, title, now) for name, title in titles.items()),
            parts=self.parts(),
            event_to_pixel=event_to_pixel,
            reason=None if self.parts() else "no supervisor has reported its parts",
        )

    def _stream(self, name: str, title: str, now: datetime) -> StreamState:
        verdict, reason = self.verdict(name, now)
        feed = self.feed(name)
        return StreamState(
            name=name,
            title=title,
            hops=tuple(self.hop(name, hop, now) for hop in _ORDER),
            verdict=verdict,
            verdict_reason=reason,
            feed_ended=feed is not None and feed.ended,
        )
