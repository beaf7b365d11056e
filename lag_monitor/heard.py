"""Is a query's part there at all? What the control plane last heard of it.

Route, lake and live say every 15 s what they read by, and Spark's queries that they run. Whether a query that does not move has
stalled or has stopped is told by that; one that an operation holds has done neither. While the control plane does not answer,
nobody knows.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import httpx

from controlplane.contract.access import authorization

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVERY_S = 5.0
_TIMEOUT_S = 2.0
_KEPT = httpx.Limits(keepalive_expiry=2.0)
"""The server closes a connection after five seconds, which would be just when the next question is asked."""
_SAID = {"kind": ["schema_read", "query_progressed", "stream_held"]}


class Heard:
    """When each query was last heard of."""

    def __init__(self, api: str, token: str) -> None:
        self._client = httpx.Client(base_url=api, headers=authorization(token), timeout=_TIMEOUT_S, limits=_KEPT)
        self._asked_at = -_EVERY_S
        self._heard: Mapping[str, datetime] = {}
        self._held: Mapping[str, str] = {}

    def of(self, query: str) -> datetime | None:
        """When `route shop` was last heard of; None when that is not known."""
        return self._heard.get(query)

    def held_by(self, query: str) -> str | None:
        """The operation that holds `lake shop`; None when none does, or nobody knows."""
        return self._held.get(query)

    def ask(self) -> None:
        """Ask the control plane, every few seconds."""
        if time.monotonic() - self._asked_at < _EVERY_S:
            return
        self._asked_at = time.monotonic()
        try:
            facts = self._client.get("/api/v1/facts", params=_SAID).raise_for_status().json()
            self._heard, self._held = heard_in(facts), held_in(facts)
        except (httpx.HTTPError, ValueError):
            self._heard, self._held = {}, {}


def heard_in(facts: list[dict[str, object]]) -> dict[str, datetime]:
    """Query -> when a fact was last said by it."""
    heard: dict[str, datetime] = {}
    for fact in facts:
        if fact.get("kind") == "schema_read":
            query = f"{fact['reader']} {fact['stream']}"
        elif fact.get("kind") == "query_progressed":
            query = str(fact["query"])
        else:
            continue
        at = datetime.fromisoformat(str(fact["at"]))
        heard[query] = max(at, heard.get(query, at))
    return heard


def held_in(facts: list[dict[str, object]]) -> dict[str, str]:
    """Query of lake -> the operation that holds its appends."""
    held = [each for each in facts if each.get("kind") == "stream_held" and each.get("holds") == "appends"]
    return {f"lake {each['stream']}": str(each["operation"]) for each in held if each.get("operation")}
