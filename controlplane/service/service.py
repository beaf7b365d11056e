"""What does the control plane know, and when does it tell the hub? State, and the loops that publish what changed of it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controlplane.contract.burn import KEPT
from controlplane.contract.latency import BUDGET_DAYS, BurnJudged
from controlplane.contract.metrics.meter import METER
from controlplane.contract.scaling import ScalingDecided
from controlplane.service.audit.port import NotKept
from controlplane.service.frames import StreamFrames
from controlplane.service.hub import (
    INCIDENTS,
    LAG,
    LAKE,
    LATENCY,
    LEDGER,
    OPERATIONS,
    OVERVIEW,
    QUALITY,
    SCALING,
    SPARK,
    Hub,
    Most,
)
from controlplane.service.incidents import incidents_frame
from controlplane.service.keeping import save_unsaved
from controlplane.service.lag import lag_frame
from controlplane.service.lake import lake_frame
from controlplane.service.latency_frame import latency_frame
from controlplane.service.ledger import SHOWN, LedgerHistory, ledger_frame
from controlplane.service.observations.asked import Past
from controlplane.service.observed import Observed
from controlplane.service.operations.push import push_operations
from controlplane.service.orders import OrderFile
from controlplane.service.probe import ProbeWatch
from controlplane.service.problems import problems
from controlplane.service.promises import Promises
from controlplane.service.pushes import push_changes
from controlplane.service.quality import quality_frame
from controlplane.service.scaling.kept import ScalingFile
from controlplane.service.scaling.scaler import Scaler, changing
from controlplane.service.spark import spark_frame
from controlplane.service.state import Known
from controlplane.service.verdicts import VerdictHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controlplane.contract.alerts import IncidentsFrame
    from controlplane.contract.facts import Fact
    from controlplane.contract.lag import LagFrame
    from controlplane.contract.latency import LatencyFrame
    from controlplane.contract.push import LakeFrame, OverviewFrame, Problem
    from controlplane.contract.scaling import ScalingFrame
    from controlplane.contract.spark import SparkFrame
    from controlplane.contract.streams import StreamDefinition
    from controlplane.contract.verdicts import QualityFrame
    from controlplane.service.audit.kept import Kept
    from controlplane.service.audit.port import Audit
    from controlplane.service.frames import Arrived, Query
    from controlplane.service.history import HistoryFile
    from controlplane.service.observations.keeper import Keeper
    from controlplane.service.operations.desk import Desk
    from controlplane.service.operations.schedules import Schedules
    from controlplane.service.registry import SchemaRegistry
    from controlplane.service.verdict_file import VerdictFile

_OVERVIEW_EVERY_S = 0.25
_OVERVIEW_AT_LEAST_EVERY_S = 1.0
_LEDGER_EVERY_S = 0.5
_LEDGER_AT_LEAST_EVERY_S = 5.0
_LAKE_EVERY_S = 1.0
_LOOK_AT_LEAST_EVERY_S = 5.0
"""How soon it is seen that ClickHouse does not answer, when nobody watches what is in it."""
_SCALE_EVERY_S = 2.0
_COUNT_EVERY_S = 1.0
_JUDGED_EVERY_S = 5.0
_BUDGET_EVERY_S = 60.0
_OBSERVED_EVERY_S = 5.0
_SAVE_EVERY_S = 1.0
_SAVE_AGAIN_AFTER_S = 15.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Service:
    """State, hub and the tasks that feed the hub."""

    def __init__(  # noqa: PLR0913 (what it is made of)
        self,
        streams: Sequence[StreamDefinition],
        query: Query,
        console: str,
        tick_s: float,
        history_file: HistoryFile | None = None,
        registry: SchemaRegistry | None = None,
        *,
        orders: OrderFile | None = None,
        verdict_file: VerdictFile | None = None,
        scaling: ScalingFile | None = None,
        keeper: Keeper | None = None,
        audit: Audit | None = None,
        record: Kept | None = None,
        operations: Desk | None = None,
        schedules: Schedules | None = None,
        watchers: Most | None = None,
        probe: StreamDefinition | None = None,
    ) -> None:
        self.known = Known(began=datetime.now(UTC))
        self.history = LedgerHistory()
        self.history_file = history_file
        self.verdicts = VerdictHistory()
        self.observed = Observed()
        self.past = Past(query)
        self.keeper = keeper
        self.record = record
        self.audit: Audit = audit or (NotKept() if record is None else record.log)
        self.operations = operations
        self.schedules = schedules
        self.verdict_file = verdict_file
        self.registry = registry
        self.orders = orders or OrderFile()
        self.scaler = Scaler(scaling or ScalingFile(), [stream.name for stream in streams])
        self.streams = {stream.name: stream for stream in streams}
        self.titles = {stream.name: stream.title for stream in streams}
        live = {_topic(stream.name, rollup) for stream in streams for rollup in stream.rollups}
        topics = frozenset(
            {OVERVIEW, LEDGER, LAKE, QUALITY, LAG, SPARK, SCALING, OPERATIONS, LATENCY, INCIDENTS, *live}
        )
        self.hub = Hub(topics, most=watchers or Most())
        self.latencies = self.hub.latencies
        self.promises = Promises(self.streams)
        self.probe = ProbeWatch(probe, query, self.latencies, tick_s)
        self._frames = {stream.name: StreamFrames(stream, query) for stream in streams}
        self._unanswered: tuple[str, datetime] | None = None
        self._console = urlsplit(console)
        self._tick_s = tick_s

    def fold(self, facts: Sequence[Fact]) -> None:
        """Take facts in."""
        for fact in facts:
            METER.add("tidegate_facts_folded_total", fact.kind)
            if isinstance(fact, ScalingDecided):
                METER.add("tidegate_scaling_decisions_total", fact.target, str(fact.is_acted_on).lower())
        now = datetime.now(UTC)
        self.known.fold(facts)
        self.history.fold(facts, now)
        self.verdicts.fold(facts, now)
        self.observed.fold(facts)
        self.latencies.fold(facts)
        if self.keeper is not None:
            self.keeper.fold(facts)
        self.scaler.fold(facts)

    def problems(self, now: datetime) -> tuple[Problem, ...]:
        """What is wrong now."""
        of_record = () if self.record is None else self.record.problems(now)
        return (*of_record, *problems(self.known, self.titles, now, self._unanswered))

    def overview(self) -> OverviewFrame:
        """The overview as known now."""
        now = datetime.now(UTC)
        return self.known.overview(self.titles, now, self.latencies.pixel(now), self.problems(now))

    def may_open(self, origin: str | None) -> bool:
        """A browser says from which page it comes; other programs say nothing."""
        return origin is None or origin in self.origins

    @property
    def origins(self) -> tuple[str, ...]:
        """The console's: on this machine it has several names."""
        host, port = self._console.hostname or "", self._console.port
        names = _LOOPBACK if host in _LOOPBACK else (host,)
        there = (f"[{name}]" if ":" in name else name for name in names)
        return tuple(f"{self._console.scheme}://{name}{'' if port is None else f':{port}'}" for name in there)

    async def push_overview(self) -> None:
        """Publish the overview when it changed, four times a second at most, and once a second anyway."""
        version, pushed_at = (-1, -1), 0.0
        while True:
            now, seen = time.monotonic(), (self.known.version, self.hub.version)
            if OVERVIEW in self.hub.watched() and (seen != version or now - pushed_at > _OVERVIEW_AT_LEAST_EVERY_S):
                version, pushed_at = seen, now
                self.hub.publish(OVERVIEW, self.overview())
            await asyncio.sleep(_OVERVIEW_EVERY_S)

    async def push_ledger(self) -> None:
        """Publish the ledgers when one was taken, twice a second at most, and every five seconds anyway."""
        version: tuple[object, ...] = ()
        pushed_at = 0.0
        while True:
            now, seen = time.monotonic(), (self.hub.version, *(taken.id for taken in self.known.ledgers()))
            if LEDGER in self.hub.watched() and (seen != version or now - pushed_at > _LEDGER_AT_LEAST_EVERY_S):
                version, pushed_at = seen, now
                self.hub.publish(LEDGER, ledger_frame(self.known, self.history, self.titles, datetime.now(UTC)))
            await asyncio.sleep(_LEDGER_EVERY_S)

    def lake(self) -> LakeFrame:
        """The lake's tables as known now."""
        return lake_frame(self.known, self.streams.values(), datetime.now(UTC))

    async def push_lake(self) -> None:
        """Publish the tables every second while somebody watches."""
        while True:
            if LAKE in self.hub.watched():
                self.hub.publish(LAKE, self.lake())
            await asyncio.sleep(_LAKE_EVERY_S)

    def quality(self) -> QualityFrame:
        """Every gate as known now."""
        return quality_frame(self.known, self.verdicts, self.orders.orders, self.streams.values(), datetime.now(UTC))

    async def push_quality(self) -> None:
        """Publish the gates when one of them, or who watches, has changed, and every five seconds anyway."""
        await push_changes(self.hub, QUALITY, self.quality, lambda frame: frame.streams)

    def lag(self) -> LagFrame:
        """Every consumer as known now."""
        return lag_frame(self.known, self.streams, datetime.now(UTC))

    async def push_lag(self) -> None:
        """Publish the consumers while somebody watches."""
        await push_changes(self.hub, LAG, self.lag, lambda frame: frame.consumers)

    def spark(self) -> SparkFrame:
        """Every part's Spark as known now."""
        return spark_frame(self.known, self.observed, datetime.now(UTC))

    async def push_spark(self) -> None:
        """Publish what Spark does while somebody watches."""
        await push_changes(self.hub, SPARK, self.spark, lambda frame: frame.parts)

    def scale(self) -> None:
        """Decide how many executors there should be; what is decided is a fact like any other."""
        self.fold(self.scaler.beat(self.known, datetime.now(UTC)))

    async def keep_scaling(self) -> None:
        """Decide again and again: what arrives, and what waits, changes all the time."""
        while True:
            self.scale()
            await asyncio.sleep(_SCALE_EVERY_S)

    def scaling(self) -> ScalingFrame:
        """Every target as known now."""
        return self.scaler.frame(self.known, datetime.now(UTC))

    async def push_scaling(self) -> None:
        """Publish how many executors there are and should be, while somebody watches."""
        await push_changes(self.hub, SCALING, self.scaling, changing)

    def latency(self) -> LatencyFrame:
        """How old events are at every hop, as known now."""
        now = datetime.now(UTC)
        burns = [fact for fact in self.known.facts.values() if isinstance(fact, BurnJudged)]
        return latency_frame(self.latencies, list(self.streams.values()), burns, self.probe.state(self.known, now), now)

    async def push_latency(self) -> None:
        """Publish it while somebody watches."""
        await push_changes(self.hub, LATENCY, self.latency, lambda frame: (frame.streams, frame.probes, frame.probe))

    def incidents(self) -> IncidentsFrame:
        """The open ones as known now."""
        return incidents_frame(self.known, datetime.now(UTC))

    async def push_incidents(self) -> None:
        """Publish them when one of them, or who watches, has changed, and every five seconds anyway."""
        await push_changes(
            self.hub, INCIDENTS, self.incidents, lambda frame: (frame.incidents, frame.open, frame.reason)
        )

    async def keep_promises(self) -> None:
        """Count every second whether service levels are kept, and say how their budgets are."""
        judged_at, asked_at, is_restored = time.monotonic(), -_BUDGET_EVERY_S, False
        while True:
            now, clock = datetime.now(UTC), time.monotonic()
            self.promises.count(self.known, self.latencies.take_shown(), self.probe.state(self.known, now), now)
            if clock - asked_at >= (_BUDGET_EVERY_S if is_restored else _JUDGED_EVERY_S):
                asked_at, is_restored = clock, await self._recall(is_restored=is_restored)
            if clock - judged_at >= _JUDGED_EVERY_S:
                judged_at = clock
                self.fold([*self.promises.judged(now), *self.probe.judged(self.known, now)])
                if self.keeper is not None:
                    self.keeper.fold([*self.latencies.kept(now), *self.promises.kept(now)])
            await asyncio.sleep(_COUNT_EVERY_S)

    async def _recall(self, *, is_restored: bool) -> bool:
        """What ClickHouse has of the past, once, and of the month's budgets; while it is away that is asked again."""
        now = datetime.now(UTC)
        try:
            if not is_restored:
                self.latencies.restore(await asyncio.to_thread(self.past.latencies, now - KEPT))
                self.promises.restore(await asyncio.to_thread(self.past.promises, now - KEPT))
            month = await asyncio.to_thread(self.past.budgets, now - timedelta(days=BUDGET_DAYS))
        except OSError:
            return is_restored
        self.promises.remember(month)
        return True

    async def push_operations(self) -> None:
        """Publish the newest operations when one of them, or who watches, has changed, and every five seconds anyway."""
        if self.operations is not None:
            await push_operations(self.hub, self.operations)

    async def restore(self) -> None:
        """Take in what an earlier run saved."""
        now = datetime.now(UTC)
        if self.history_file is not None:
            self.history.restore(await asyncio.to_thread(self.history_file.load, now - SHOWN), now)
        if self.verdict_file is not None:
            self.verdicts.restore(await asyncio.to_thread(self.verdict_file.load, now - SHOWN), now)

    async def keep(self) -> None:
        """Save what comes."""
        while True:
            is_saved = await asyncio.to_thread(self.save)
            await asyncio.sleep(_SAVE_EVERY_S if is_saved else _SAVE_AGAIN_AFTER_S)

    async def keep_record(self) -> None:
        """Export the audit log, and walk its chain."""
        if self.record is not None:
            await self.record.run()

    async def keep_observations(self) -> None:
        """Write to ClickHouse what was observed."""
        while self.keeper is not None:
            await asyncio.sleep(_OBSERVED_EVERY_S)
            await asyncio.to_thread(self.keeper.write)

    def save(self) -> bool:
        """Save what is not saved yet; what cannot be saved is kept for the next time."""
        now = datetime.now(UTC)
        saved = [True]
        if self.history_file is not None:
            saved.append(save_unsaved(self.history, self.history_file, now))
        if self.verdict_file is not None:
            saved.append(save_unsaved(self.verdicts, self.verdict_file, now))
        return all(saved)

    async def push_live(self, stream: str) -> None:
        """Publish what is new in a stream's watched rollups, every tick."""
        looked_at = 0.0
        while True:
            began = time.monotonic()
            watched = self._rollups(stream, self.hub.watched())
            if watched or began - looked_at > _LOOK_AT_LEAST_EVERY_S:
                looked_at = began
                full = frozenset(self._rollups(stream, self.hub.wanting_full()))
                arrived = await asyncio.to_thread(self._frames[stream].look)
                self._note_answers()
                await asyncio.gather(*(self._push_rollup(stream, rollup, arrived, full) for rollup in watched))
            await asyncio.sleep(max(0.01, self._tick_s - (time.monotonic() - began)))

    async def _push_rollup(self, stream: str, rollup: str, arrived: Arrived | str, full: frozenset[str]) -> None:
        frame = await asyncio.to_thread(self._frames[stream].frame, rollup, arrived, full=rollup in full)
        if frame is not None:
            self.hub.publish(_topic(stream, rollup), frame)

    def _note_answers(self) -> None:
        """Remember why ClickHouse does not answer, and since when."""
        reason = next((each.unanswered for each in self._frames.values() if each.unanswered is not None), None)
        since = datetime.now(UTC) if self._unanswered is None else self._unanswered[1]
        self._unanswered = None if reason is None else (reason, since)

    def _rollups(self, stream: str, topics: frozenset[str]) -> list[str]:
        return [rollup for rollup in self.streams[stream].rollups if _topic(stream, rollup) in topics]


def _topic(stream: str, rollup: str) -> str:
    return f"live/{stream}/{rollup}"
