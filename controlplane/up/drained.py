"""Has everything arrived? The feeds have ended and a ledger taken after that balances."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx

from controlplane.contract.facts import PartState

if TYPE_CHECKING:
    from collections.abc import Callable

    from controlplane.up.platform import Platform

_ASK_EVERY_S = 1.0


class Drained:
    """Asked again and again; says what it waits for when that changes."""

    def __init__(self, platform: Platform, told: Callable[[str], None]) -> None:
        self._platform = platform
        self._told = told
        self._asked_at = 0.0
        self._said = ""
        self._ended_at: datetime | None = None

    def check(self) -> bool:
        """Is everything that the feeds produced in the lake and in ClickHouse?"""
        if time.monotonic() - self._asked_at < _ASK_EVERY_S:
            return False
        self._asked_at = time.monotonic()
        waits_for = self._waits_for()
        if waits_for and waits_for != self._said:
            self._told(waits_for)
        self._said = waits_for
        return not waits_for

    def _waits_for(self) -> str:
        settings = self._platform.settings
        feeds = [part.name for part in self._platform.parts if part.ends]
        running = [name for name in feeds if self._platform.state(name) is not PartState.ENDED]
        if running:
            return f"waiting for the end of {', '.join(running)}"
        self._ended_at = self._ended_at or datetime.now(UTC)
        try:
            url, headers = f"{settings.api}/api/v1/ledger", settings.authorization
            ledgers = httpx.get(url, headers=headers, timeout=5).raise_for_status().json()
        except httpx.HTTPError as error:
            return f"waiting for the control plane: {error}"
        taken = {each["stream"]: each for each in ledgers if datetime.fromisoformat(each["at"]) > self._ended_at}
        for stream in sorted(name.removeprefix("feed-") for name in feeds):
            if stream not in taken:
                return f"waiting for the ledger of {stream}"
            if taken[stream]["verdict"] != "balanced":
                return f"{stream} is {taken[stream]['verdict'].replace('_', ' ')}"
            self._told(f"{stream}: {taken[stream]['reason']}")
        return ""
