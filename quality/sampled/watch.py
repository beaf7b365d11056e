"""How does ingest stand, every half a minute? Observe route's topics, decide, report, and keep Great Expectations' result.

A row's verdict is route's, at once. This looks on from outside, at low priority, and delays nothing: when it cannot look, the
page says how long ago the last verdict was.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from confluent_kafka import KafkaException

from controlplane.contract.gates import GateDecided, Outcome, Policy, SuiteFollowed
from controlplane.contract.rules import columns_of
from controlplane.contract.suites import row_rules
from controlplane.contract.valid import valid_schema
from quality.sampled.suite import IngestSuites
from quality.sampled.verdict import Sampled, decided

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from controlplane.contract.streams import StreamDefinition
    from quality.sampled.rows import Decoder
    from quality.sampled.suite import InUse
    from quality.sampled.topics import Ends, RouteTopics
    from quality.sampled.verdict import Interval

EVERY = timedelta(seconds=30)
_SETTLES_IN = timedelta(seconds=20)
"""What route writes until so long after it has taken a suite may still be judged by the one before."""
_UNSEEN = "the text of the suite that route follows is not known: mend suite.json, or start the part quality again"
_TICK_S = 1.0
_LEFT_AFTER_S = 3.0
_log = logging.getLogger(__name__)


class Judges(Protocol):
    """Great Expectations, as it is needed here; `quality.gx.judge` is one."""

    def __call__(self, suite: Mapping[str, Any], frame: pd.DataFrame, /) -> Any:  # noqa: ANN401 (has `rules` and `result`)
        """Rules in the order of the suite's expectations, and Great Expectations' own result."""


class Keeps(Protocol):
    """Keeps a result for Data Docs; `quality.results.Results` does."""

    def keep(self, decided: GateDecided, suite: dict[str, Any], result: dict[str, Any]) -> None:
        """Write it soon; never blocks, never raises."""


class IngestLook:
    """One stream's looks."""

    def __init__(self, stream: StreamDefinition, topics: RouteTopics, decoder: Decoder, judge: Judges) -> None:
        self.stream = stream
        self.topics = topics
        self._decoder, self._judge = decoder, judge
        self._suites = IngestSuites(stream)
        self._before: tuple[Ends, datetime] | None = None

    def look(self, followed: SuiteFollowed | None, now: datetime) -> tuple[GateDecided, InUse, dict[str, Any]] | None:
        """The verdict on what came since the last look; None for the first one, and when nothing came.

        Raises:
            KafkaException: if the broker does not answer.
        """
        ends, before = self.topics.ends(), self._before
        self._before = (ends, now)
        in_use = self._suites.in_use(followed)
        if before is None or before[0] == ends:
            return None
        suite = in_use.suite or {}
        columns = {rule.name: columns_of(rule) for rule in row_rules(suite)[0]}
        interval = self.topics.interval(before[0], ends, before[1], now, columns, self._decoder.event)
        if not interval.routed:
            return None
        sampled, result = self._sampled(before[0], ends, in_use, interval)
        gates, levels = self.stream.gates, self.stream.service_levels
        said = decided(
            self.stream.name,
            suite,
            in_use.fingerprint,
            gates.ingest.policy,
            levels.validity,
            interval,
            sampled,
        )
        return said, in_use, result

    def _sampled(self, before: Ends, after: Ends, in_use: InUse, interval: Interval) -> tuple[Sampled, dict[str, Any]]:
        if in_use.suite is None:
            return Sampled(0, reason=_UNSEEN, has_failed=True), {}
        if not interval.valid:
            return Sampled(0, reason="nothing was let through"), {}
        since = None if in_use.since is None else in_use.since + _SETTLES_IN
        values = self.topics.sample(before, after, since)
        if not values:
            return Sampled(0, reason="nothing that was judged by this suite has come yet"), {}
        frame = self._decoder.frame(values, valid_schema(self.stream))
        if frame.empty:
            return Sampled(0, reason="what was let through cannot be decoded: see Schemas", has_failed=True), {}
        judged = self._judge(in_use.suite, frame)
        return Sampled(len(frame), tuple(judged.rules)), judged.result


class IngestWatch:
    """Looks at every stream on a thread of its own; `start`, then `close`.

    Args:
        looks: one a stream.
        followed: which ingest suite a stream's route follows, as the control plane knows; None when it does not.
        report: takes facts.
        results: keeps results.
        every: from one look at a stream to the next.
    """

    def __init__(
        self,
        looks: Sequence[IngestLook],
        followed: Callable[[str], SuiteFollowed | None],
        report: Callable[[GateDecided], None],
        results: Keeps,
        every: timedelta = EVERY,
    ) -> None:
        self._looks, self._followed, self._report, self._results = looks, followed, report, results
        self._every_s = every.total_seconds()
        self._closing = threading.Event()
        self._away: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="ingest-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; the look under way is finished first, or left after some seconds."""
        self._closing.set()
        self._thread.join(_LEFT_AFTER_S)

    def _run(self) -> None:
        # The first looks are spread over the interval, so that streams don't all cost at the same moment.
        began = time.monotonic()
        due = {n: began + self._every_s * n / max(1, len(self._looks)) for n in range(len(self._looks))}
        while not self._closing.wait(min(_TICK_S, self._every_s)):
            for number, look in enumerate(self._looks):
                if time.monotonic() >= due[number] and not self._closing.is_set():
                    due[number] = time.monotonic() + self._every_s
                    self._look(look)
        for look in self._looks:
            look.topics.close()

    def _look(self, look: IngestLook) -> None:
        name = look.stream.name
        try:
            found = look.look(self._followed(name), datetime.now(UTC))
        except KafkaException as error:
            if name not in self._away:
                _log.warning("ingest of %s is not judged: %s", name, error)
            self._away.add(name)
            return
        except Exception:  # noqa: BLE001 (one stream's trouble is not the others')
            _log.exception("ingest of %s could not be judged", name)
            return
        self._away.discard(name)
        if found is None:
            return
        said, in_use, result = found
        if said.outcome is Outcome.LET_THROUGH and look.stream.gates.ingest.policy is not Policy.PASS:
            _log.error("ingest of %s: %s", name, said.reason)
        self._report(said)
        if result and in_use.suite is not None:
            self._results.keep(said, in_use.suite, result)
