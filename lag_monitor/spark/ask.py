"""How is a Spark application asked about itself, and what is news in its answer?

Its REST API can't be asked for what is new: all stages that it keeps (some tens) come each time. So the executors are asked first,
which is cheap: while no task has begun or ended nothing about stages has changed, as in a real-time batch for minutes. Quantiles
of tasks cost it a sort a stage, so they are asked for one by one, of stages that have ended since, had several tasks and took a
while; the longest first, and a bounded number.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from controlplane.contract.spark import SparkObserved
from lag_monitor.spark import read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from controlplane.contract.spark import ExecutorSeen, SparkStarted, StageSeen

STAGES_AT_MOST = 40
SUMMARIES_AT_MOST = 12
_SUMMED_FROM_S = 0.1
"""Of a stage's tasks together: of one that took less it does not matter how they differ."""
_TIMEOUT_S = 3.0
_LOCAL_NAMES = frozenset({"localhost"})
ANY_HOST = "*"
_KEPT_AT_MOST = 1000


class UnaskedError(Exception):
    """An application can't be asked, and why, in one sentence."""


def address_of(started: SparkStarted, hosts: Collection[str]) -> str:
    """Where a part's application is asked.

    A fact names the address, so it is held against the hosts that may be: this machine, and those of the settings.

    Raises:
        UnaskedError: if it has none, or one that may not be asked.
    """
    if started.ui is None:
        raise UnaskedError(f"Spark of {started.part} has no UI, and so no REST API (spark.ui.enabled)")
    found = urlsplit(started.ui)
    host = found.hostname or ""
    if found.scheme not in ("http", "https") or not (_is_local(host) or host in hosts or ANY_HOST in hosts):
        raise UnaskedError(f"Spark of {started.part} is at {started.ui}, which TIDEGATE_SPARK_UI_HOSTS does not name")
    return f"{started.ui.rstrip('/')}/api/v1/applications/{started.app_id}"


def _is_local(host: str) -> bool:
    try:
        return host in _LOCAL_NAMES or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Application:
    """One part's application; remembers which of its stages have been told of as ended."""

    def __init__(self, app_id: str, client: httpx.Client) -> None:
        self.app_id = app_id
        self._client = client
        self._told: dict[tuple[int, int], None] = {}
        self._running: list[StageSeen] = []
        self._tasks: list[tuple[str, int, int, int]] | None = None
        """Of each executor at the look before: active, completed, failed."""
        self._still = 0
        """So many looks have found them as they were."""

    def look(self, started: SparkStarted, hosts: Collection[str], now: Callable[[], datetime]) -> SparkObserved:
        """What it says now; with a reason and nothing else if it does not answer as it should."""
        began, part = now(), started.part
        try:
            address = address_of(started, hosts)
            executors = read.executors(self._json(f"{address}/allexecutors"))
            stages = self._news(address) if self._has_moved(executors) else self._running
        except UnaskedError as error:
            return SparkObserved(at=now(), part=part, app_id=self.app_id, reason=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
            self._tasks = None
            why = f"Spark of {part} does not answer at {started.ui}: {type(error).__name__}: {str(error)[:160]}"
            return SparkObserved(at=now(), part=part, app_id=self.app_id, reason=why)
        took_s = (now() - began).total_seconds()
        return SparkObserved(
            at=now(), part=part, app_id=self.app_id, executors=executors, stages=tuple(stages), took_s=took_s
        )

    def _has_moved(self, executors: Sequence[ExecutorSeen]) -> bool:
        """Has a task begun or ended since the look before, or shortly before that?

        A stage ends a moment after its last task: who looks between the two has to look once more.
        """
        tasks = [(each.executor, each.active_tasks, each.completed_tasks, each.failed_tasks) for each in executors]
        self._still = self._still + 1 if tasks == self._tasks else 0
        self._tasks = tasks
        return self._still <= 1

    def _news(self, address: str) -> list[StageSeen]:
        """Stages that run, and those that have ended since the look before."""
        found = read.stages(self._json(f"{address}/stages"))
        running = [each for each in found if each.state in read.RUNNING]
        ended = [each for each in found if each.state not in read.RUNNING and _key(each) not in self._told]
        told = [*running, *ended][:STAGES_AT_MOST]
        self._running = running[:STAGES_AT_MOST]
        several = [
            each for each in ended if each.state == "complete" and each.tasks > 1 and each.run_s >= _SUMMED_FROM_S
        ]
        several.sort(key=lambda each: each.run_s, reverse=True)
        summed = {_key(each): self._summed(address, each) for each in several[:SUMMARIES_AT_MOST]}
        self._told.update(dict.fromkeys(map(_key, ended)))
        while len(self._told) > _KEPT_AT_MOST:
            del self._told[next(iter(self._told))]
        return sorted((summed.get(_key(each), each) for each in told), key=_key, reverse=True)

    def _summed(self, address: str, stage: StageSeen) -> StageSeen:
        """With quantiles; without if Spark has dropped it meanwhile."""
        asked = f"details=false&withSummaries=true&quantiles={read.QUANTILES}"
        answer = self._client.get(f"{address}/stages/{stage.stage}/{stage.attempt}?{asked}", timeout=_TIMEOUT_S)
        return stage if answer.status_code == httpx.codes.NOT_FOUND else read.stage(_answered(answer))

    def _json(self, address: str) -> Any:  # noqa: ANN401 (JSON)
        return _answered(self._client.get(address, timeout=_TIMEOUT_S))


def _answered(answer: httpx.Response) -> Any:  # noqa: ANN401 (JSON)
    """The answer's JSON; a redirect is refused as any other answer but 200 is, because it might lead elsewhere."""
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"it answers {answer.status_code}")
    return answer.json()


def _key(stage: StageSeen) -> tuple[int, int]:
    return stage.stage, stage.attempt
