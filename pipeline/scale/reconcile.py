"""Has lake the executors that are wanted of it? Observe, decide, act, report, twice a second, on a thread of its own.

What is wanted is the control plane's; while it is away the last answer counts. How many share a micro-batch follows what is there,
not what is hoped for: `slots` changes when the executors have come, and before they go.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from controlplane.contract.scaling import ExecutorsChanged
from pipeline.reason import first_line
from pipeline.scale.decide import GOES_WITHIN, Act, Asked, decide, within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controlplane.contract.scaling import Wanted
    from pipeline.scale.boundary import Boundary
    from pipeline.scale.target import Executor, ScaleTarget

TARGET = "lake"
_EVERY_S = 0.5
_SAY_AGAIN = timedelta(seconds=15)
_BOUNDARY_WITHIN_S = 30.0
"""So long work is held back for a boundary; longer, and nobody would hear meanwhile how many executors there are."""
_BOUNDARY_AGAIN = timedelta(seconds=5)
"""Between two tries, so that a micro-batch that takes minutes does not stop all others."""
_STEADY_AFTER = timedelta(seconds=15)
"""Fewer executors than wanted for so long are all that there will be for now."""
_log = logging.getLogger(__name__)


class WantSource(Protocol):
    """Where what is wanted is asked for (`controlplane.contract.wants.Wants`)."""

    def of(self, target: str) -> Wanted | None:
        """None while nobody has said."""


@dataclass(frozen=True)
class Cluster:
    """What a cluster is and may give."""

    port: str
    least: int
    most: int
    cores: int = 1
    batch_events: int | None = None
    """Most events of a micro-batch for each executor."""


class Reconcile:
    """One target; `beat` is all of it, `start` has it done on a thread."""

    def __init__(
        self,
        target: ScaleTarget,
        cluster: Cluster,
        wants: WantSource,
        boundary: Boundary,
        report: Callable[[ExecutorsChanged], None],
    ) -> None:
        self._target, self._cluster, self._wants, self._boundary, self._report = (
            target,
            cluster,
            wants,
            boundary,
            report,
        )
        self._wanted = within(None, cluster.least, cluster.most)
        self.slots = self._want()
        """Executors that share a micro-batch."""
        self._asked: Asked | None = None
        self._going: dict[str, datetime] = {}
        self._changed: tuple[int, datetime] = (0, datetime.now(UTC))
        self._held_up_until = datetime.min.replace(tzinfo=UTC)
        self._said: ExecutorsChanged | None = None
        self._trouble = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scale", daemon=True)

    def start(self) -> None:
        """Begin: the first beat is done when this returns, so that a greedy cluster is told its limit at once."""
        self._try()
        self._thread.start()

    def stop(self) -> None:
        """End; executors stay as they are."""
        self._stopping.set()
        self._thread.join(2 * _BOUNDARY_WITHIN_S)

    def beat(self, now: datetime) -> None:
        """Look once, and go one step."""
        have, want = self._target.have(), self._want()
        self._note(have, want, now)
        act = decide(have, want, self._asked, frozenset(self._going), now)
        if act.ask is not None and self._target.ask(act.ask):
            self._asked = Asked(act.ask, now)
        self._say(len(have), want, act, now)
        if act.let_go and now >= self._held_up_until:
            self._let_go(act.let_go, now)

    def _want(self) -> int:
        """What was said last. `None` is said too, by an autoscaler that is off or has just started: as it is, then."""
        said = self._wants.of(TARGET)
        if said is not None and said.executors is not None:
            self._wanted = within(said.executors, self._cluster.least, self._cluster.most)
        return self._wanted

    def _note(self, have: Sequence[Executor], want: int, now: datetime) -> None:
        there = {each.id for each in have}
        self._going = {each: at for each, at in self._going.items() if each in there and now - at < GOES_WITHIN}
        if self._changed[0] != len(have):
            self._changed = (len(have), now)
        if len(have) >= want or want < self.slots:
            self.slots = want
        elif have and now - self._changed[1] >= _STEADY_AFTER:
            self.slots = len(have)

    def _let_go(self, ids: Sequence[str], now: datetime) -> None:
        have = len(self._target.have())
        with self._boundary.between(_BOUNDARY_WITHIN_S, lambda: self._want() < have) as is_reached:
            gone = self._target.let_go(ids) if is_reached else ()
        if gone:
            _log.info("%d executors are let go", len(gone))
        else:
            self._held_up_until = now + timedelta(seconds=_BOUNDARY_WITHIN_S) + _BOUNDARY_AGAIN
        self._going.update(dict.fromkeys(gone, now))

    def _say(self, have: int, want: int, act: Act, now: datetime) -> None:
        cluster = self._cluster
        fact = ExecutorsChanged(
            at=now,
            target=TARGET,
            have=have,
            want=want,
            cores=cluster.cores,
            least=cluster.least,
            most=cluster.most,
            port=cluster.port,
            waits_for=act.waits_for,
            shares_partitions=True,  # `minPartitions`, see the writer
            batch_events=cluster.batch_events,
            failed=self._target.failed(),
        )
        if self._said is None or _differs(fact, self._said) or now - self._said.at >= _SAY_AGAIN:
            self._said = fact
            self._report(fact)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self._try()

    def _try(self) -> None:
        """A cluster that can't be asked now is asked again; whatever it is, the appends go on."""
        try:
            self.beat(datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 (whatever it is)
            if not self._trouble and not self._stopping.is_set():
                _log.warning("executors can't be looked after (%s); trying again", first_line(error))
            self._trouble = first_line(error)
        else:
            self._trouble = ""


def _differs(one: ExecutorsChanged, other: ExecutorsChanged) -> bool:
    return one.model_dump(exclude={"id", "at"}) != other.model_dump(exclude={"id", "at"})


def not_scaled(slots: int, now: datetime) -> ExecutorsChanged:
    """What a local session says: its tasks run in the driver, on so many threads."""
    return ExecutorsChanged(
        at=now, target=TARGET, have=0, want=0, cores=slots, least=0, most=0, port="local", waits_for=None
    )
