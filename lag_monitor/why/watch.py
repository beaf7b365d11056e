"""Every two seconds: ask what is known, and say of each query whether it is slow and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from controlplane.contract.facts import FACTS
from controlplane.contract.spark import SparkFrame
from lag_monitor.why.explain import explained
from lag_monitor.why.observe import Answers, observe
from lag_monitor.why.past import Past

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from controlplane.contract.lag import LagExplained
    from controlplane.contract.settings import Settings
    from controlplane.contract.streams import StreamDefinition

EVERY_S = 2.0
SAID_AGAIN_AFTER = timedelta(seconds=5)
_TIMEOUT_S = 3.0


def watch_why(settings: Settings, streams: Sequence[StreamDefinition]) -> Callable[[], list[LagExplained]]:
    """A round that explains every query.

    Raises (the round):
        httpx.HTTPError, ValueError: if the control plane does not answer; then nobody could be told anyway.
    """
    client, past, said = (
        httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=_TIMEOUT_S),
        Past(),
        Said(),
    )

    def look() -> list[LagExplained]:
        answers = ask(client)
        past.fold(answers.facts)
        return said.news(explained(each) for each in observe(answers, past, streams, settings))

    return look


def ask(client: httpx.Client) -> Answers:
    """What the control plane knows now.

    Raises:
        httpx.HTTPError, ValueError: if it does not answer, or not as it should.
    """
    facts = client.get("/api/v1/facts").raise_for_status()
    spark = client.get("/api/v1/spark").raise_for_status()
    return Answers(
        datetime.now(UTC), tuple(FACTS.validate_json(facts.content)), SparkFrame.model_validate_json(spark.content)
    )


class Said:
    """What was last said of each query: another one is said at once, the same again after a while."""

    def __init__(self) -> None:
        self._last: dict[str, LagExplained] = {}

    def news(self, explanations: Iterable[LagExplained]) -> list[LagExplained]:
        """Those that are to be said now."""
        found = [each for each in explanations if self._is_news(each)]
        self._last.update({each.consumer: each for each in found})
        return found

    def _is_news(self, fact: LagExplained) -> bool:
        last = self._last.get(fact.consumer)
        return last is None or fact.at - last.at >= SAID_AGAIN_AFTER or _gist(fact) != _gist(last)


def _gist(fact: LagExplained) -> tuple[bool, tuple[str, ...]]:
    """Without the numbers that change all the time."""
    return fact.is_slow, tuple(each.cause for each in fact.suspects)
