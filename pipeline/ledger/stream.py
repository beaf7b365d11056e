"""One stream's account: counted from the end of the way to its beginning, judged, and searched where it does not add up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException

from controlplane.contract.facts import LedgerTaken, Mismatch, MismatchKind, Verdict
from controlplane.contract.names import Hop, topic
from pipeline.ledger.lake import UncountedError
from pipeline.ledger.motion import SETTLING, Movement, Settling
from pipeline.ledger.tally import StillCountingError, routed_until
from pipeline.ledger.trickle import Trickle
from pipeline.ledger.verdict import ROUTED, PartitionAccount, judge, newest_block, passed_until
from pipeline.reason import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.ledger.examine import Examiner
    from pipeline.ledger.kept import FileCounts, Kept
    from pipeline.ledger.lake import LakeCount
    from pipeline.ledger.serving import Serving
    from pipeline.ledger.stopped import StoppedHops
    from pipeline.ledger.tally import Tally
    from pipeline.ledger.verdict import Judgement

T = TypeVar("T")
_AWAY = (UncountedError, StillCountingError, ClickHouseError, KafkaException, OSError)
"""What a source raises that is away, or not done yet."""


@dataclass(frozen=True)
class Sources:
    """Where a stream's account comes from, and where it is kept."""

    tally: Tally
    lake: LakeCount
    serving: Serving
    kept: Kept
    close: Callable[[], None] = lambda: None
    stopped: StoppedHops = frozenset
    held: Callable[[], str | None] = lambda: None
    """The operation that holds the lake."""


class StreamLedger:
    """One stream's account; to be used by one thread."""

    def __init__(self, stream: str, sources: Sources, examiner: Examiner) -> None:
        self._name = stream
        self._tally, self._lake, self._serving, self._kept = sources.tally, sources.lake, sources.serving, sources.kept
        self._close, self._stopped, self._held = sources.close, sources.stopped, sources.held
        self._examiner = examiner
        self._movement = Movement()
        self._settling = Settling(self._kept.settled())
        self._trickle = Trickle()

    def take(self) -> LedgerTaken:
        """Count, judge, and search where the account does not add up.

        Raises:
            KafkaException: if the client can never go on.
        """
        unknown: list[str] = []
        serving = _tried(self._serving.read, "ClickHouse", unknown)
        lake = _tried(self._lake.read, "the lake", unknown)
        is_counted = _tried(self._count, f"the topics of {self._name}", unknown) is not None
        now = datetime.now(UTC)
        accounts = [
            self._account(partition, lake, serving, unknown, is_counted=is_counted)
            for partition in self._tally.partitions()
        ]
        self._watch(accounts, now)
        judgement, mismatches = self._judged(accounts, unknown, now)
        self._look_into_open_blocks(judgement, now)
        return LedgerTaken(
            at=now,
            stream=self._name,
            partitions=tuple(each.row(self._settling.until.get(each.partition, 0)) for each in accounts),
            verdict=judgement.verdict,
            reason=judgement.reason,
            changed_at=self._movement.changed_at(),
            mismatches=mismatches,
        )

    def close(self) -> None:
        """Let go of everything."""
        self._close()

    def _count(self) -> bool:
        self._tally.advance()
        return True

    def _account(
        self,
        partition: int,
        lake: FileCounts | None,
        serving: FileCounts | None,
        unknown: list[str],
        *,
        is_counted: bool,
    ) -> PartitionAccount:
        tapes = {hop: self._tally.tapes.get((hop, partition)) for hop in (Hop.RAW, *ROUTED)}
        raw = self._tally.tapes[Hop.RAW, partition]
        late = {hop: tape.since for hop, tape in tapes.items() if tape is not None and tape.since > 0}
        unknown += [
            f"{topic(self._name, hop)}[{partition}] was counted from offset {since:,} on: older records were dropped"
            for hop, since in late.items()
        ]
        counts = {
            hop: None if not is_counted or hop in late else {} if tape is None else tape.events
            for hop, tape in tapes.items()
        }
        return PartitionAccount(
            partition=partition,
            raw_from=raw.since,
            raw_until=raw.until,
            newest_source=max((tape.newest_source for hop in ROUTED if (tape := tapes[hop])), default=-1),
            routed_until=routed_until(self._tally.tapes, partition, SETTLING),
            counts={**counts, Hop.LAKE: _of(lake, partition), Hop.SERVING: _of(serving, partition)},
        )

    def _watch(self, accounts: Sequence[PartitionAccount], now: datetime) -> None:
        before = dict(self._settling.until)
        self._movement.stopped(self._stopped(), now)
        is_held = self._held() is not None
        for each in accounts:
            if (is_held or self._movement.has_fewer(each, Hop.LAKE)) and each.counts[Hop.LAKE] is not None:
                self._settling.went_back(each.partition, newest_block(each, Hop.LAKE))
            self._movement.saw(each, now)
            if None not in each.counts.values():
                self._settling.saw(each.partition, passed_until(each), now)
        if self._settling.until != before:
            self._kept.keep_settled(self._settling.until)

    def _judged(
        self, accounts: Sequence[PartitionAccount], unknown: Sequence[str], now: datetime
    ) -> tuple[Judgement, tuple[Mismatch, ...]]:
        """The verdict, and what does not add up, searched; without what a search finds to be in order after all."""
        overdue = self._movement.overdue(now)
        before = self._settling.until | {each: self._tally.tapes[Hop.RAW, each].until for each, _ in overdue}
        while True:
            seen = [*self._astray(), *self._trickle.lost()]
            judgement = judge(accounts, unknown, self._settling.until, overdue, seen, self._held())
            if not judgement.faults:
                return judgement, ()
            explained = self._examiner.explain(judgement.faults, before, now)
            if not explained.in_order:
                return replace(judgement, reason=explained.reason), explained.mismatches
            for partition, block in explained.in_order:
                self._tally.clear(partition, block)

    def _look_into_open_blocks(self, judgement: Judgement, now: datetime) -> None:
        if judgement.verdict is Verdict.UNKNOWN:
            return
        self._trickle.saw(judgement.lacking, now)
        if place := self._trickle.due(now):
            self._trickle.looked(place, self._examiner.look_into(place, now), now)

    def _astray(self) -> Iterator[Mismatch]:
        """Output records that were not above the one before: seen twice, until a search says that they were only late."""
        for tape in self._tally.tapes.values():
            for each in tape.astray:
                if each.source >= 0:
                    yield Mismatch(
                        partition=each.partition,
                        hop=Hop.VALID,
                        kind=MismatchKind.DOUBLED,
                        start=each.source,
                        until=each.source + 1,
                        events=1,
                    )


def _tried(count: Callable[[], T], where: str, unknown: list[str]) -> T | None:
    try:
        return count()
    except _AWAY as error:
        if isinstance(error, KafkaException) and error.args[0].fatal():
            raise
        unknown.append(f"{where}: {first_line(error)}")
        return None


def _of(counts: FileCounts | None, partition: int) -> dict[int, int] | None:
    return None if counts is None else counts.get(partition, {})
