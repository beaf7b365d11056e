"""What runs in a data folder? Read from what its supervisor writes, without asking it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 (a field of a dataclass)
from typing import Any

import psutil

from controlplane.contract.restarts import RESTARTS
from controlplane.contract.settings import SHIPPED_STREAMS, Settings
from controlplane.up.newer import newer_folders


class NotRunningError(Exception):
    """No platform runs in the folder."""


@dataclass(frozen=True)
class Running:
    """A running platform."""

    data: Path
    pid: int
    environment: dict[str, str]
    facts: list[dict[str, Any]]

    def ask_restart(self, *parts: str) -> None:
        """Ask the supervisor to start parts again, also those that it holds.

        Raises:
            KeyError: if there is no such part, and none is asked for; says which there are.
        """
        names = sorted(fact["part"] for fact in self.facts)
        for part in parts:
            if part not in names:
                raise KeyError(f"there is no part {part!r}; there are: {', '.join(names)}")
        for part in parts:
            (self.data / RESTARTS / part).touch()

    def newer_folders(self) -> dict[Path, list[str]]:
        """Stream folders that were added or changed after the start of parts that read them, with these parts."""
        added = Settings(streams=self.environment.get("TIDEGATE_STREAMS", "")).added_streams
        return newer_folders((SHIPPED_STREAMS, *added), self.facts)

    def parts(self) -> list[dict[str, Any]]:
        """Each part with its uptime in seconds."""
        now = datetime.now(UTC)
        return [{**_without(fact), "uptime_s": _since(fact["started_at"], now)} for fact in self.facts]


def _without(fact: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fact.items() if key not in ("id", "kind")}


def _since(moment: str | None, now: datetime) -> int | None:
    return None if moment is None else round((now - datetime.fromisoformat(moment)).total_seconds())


def read_running(data: Path) -> Running:
    """The platform of a folder.

    Raises:
        NotRunningError: with the reason, if there is none.
    """
    file = data / "up.json"
    if not file.exists():
        raise NotRunningError(f"no platform runs in {data.resolve()}; start one by `tidegate up`")
    written = json.loads(file.read_text())
    if not psutil.pid_exists(written["pid"]):
        raise NotRunningError(
            f"the platform in {data.resolve()} (process {written['pid']}) ended without stopping cleanly"
        )
    return Running(data.resolve(), written["pid"], written["environment"], written["parts"])
