"""Every five seconds: which Spark applications run, and what does each say of itself?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
from pydantic import TypeAdapter

from controlplane.contract.spark import SparkObserved, SparkStarted
from lag_monitor.spark.ask import Application

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controlplane.contract.settings import Settings

EVERY_S = 5.0
SAID_WITHIN = timedelta(seconds=40)
"""A part says every 15 s that its application runs."""
_TIMEOUT_S = 3.0
_STARTED: TypeAdapter[list[SparkStarted]] = TypeAdapter(list[SparkStarted])


def watch_spark(settings: Settings) -> Callable[[], Iterable[SparkObserved]]:
    """A round that asks every application.

    Raises (the round):
        httpx.HTTPError, ValueError: if the control plane does not say which there are.
    """
    # The server closes a connection after five seconds, which would be just when the next question is asked.
    limits = httpx.Limits(keepalive_expiry=2.0)
    control = httpx.Client(base_url=settings.api, headers=settings.authorization, timeout=_TIMEOUT_S, limits=limits)
    # Proxies of the environment are for the world outside, and a redirect might lead there.
    client = httpx.Client(follow_redirects=False, trust_env=False)
    hosts = frozenset(filter(None, (each.strip() for each in settings.spark_ui_hosts.split(","))))
    applications: dict[str, Application] = {}

    def look() -> list[SparkObserved]:
        answer = control.get("/api/v1/facts", params={"kind": "spark_started"}).raise_for_status()
        found = [each for each in _STARTED.validate_json(answer.content) if datetime.now(UTC) - each.at < SAID_WITHIN]
        for each in found:
            if each.part not in applications or applications[each.part].app_id != each.app_id:
                applications[each.part] = Application(each.app_id, client)
        return [applications[each.part].look(each, hosts, lambda: datetime.now(UTC)) for each in found]

    return look
