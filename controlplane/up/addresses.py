"""Where does each part listen? Ports are picked once, kept in the data folder and used again while they are free."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from controlplane.up.checks import check_port, free_port, is_free

if TYPE_CHECKING:
    from pathlib import Path

PREFERRED_CONSOLE = 8050
METERED = ("route", "lake", "live", "lag", "ledger", "maintenance", "feed-shop", "feed-flights", "grafana", "up")
"""Processes that have no HTTP address of their own, and serve `/metrics` at one that is made for it."""
_METRICS = "metrics_"


class Addresses(BaseModel):
    """A port on 127.0.0.1 for each listener."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kafka: int
    kafka_controller: int
    registry: int
    registry_management: int
    clickhouse: int
    api: int
    quality: int
    alerts: int
    operations: int
    collector: int
    console: int
    spark_master: int
    spark_master_ui: int
    spark_worker: int
    spark_worker_ui: int
    metrics: dict[str, int] = Field(default_factory=dict)
    """By process."""

    def environment(self) -> dict[str, str]:
        """The settings that lead to these ports."""
        return {
            "TIDEGATE_KAFKA": f"127.0.0.1:{self.kafka}",
            "TIDEGATE_REGISTRY": f"http://127.0.0.1:{self.registry}/apis/ccompat/v7",
            "TIDEGATE_CLICKHOUSE": f"http://127.0.0.1:{self.clickhouse}",
            "TIDEGATE_API": f"http://127.0.0.1:{self.api}",
            "TIDEGATE_QUALITY": f"http://127.0.0.1:{self.quality}",
            "TIDEGATE_ALERTS": f"http://127.0.0.1:{self.alerts}",
            "TIDEGATE_OPERATIONS": f"http://127.0.0.1:{self.operations}",
            "TIDEGATE_COLLECTOR": f"http://127.0.0.1:{self.collector}",
            "TIDEGATE_CONSOLE": f"http://127.0.0.1:{self.console}",
        }


def pick(data: Path, console_port: int | None) -> Addresses:
    """Ports that are free now: those of the last run in this folder where they can be had.

    Raises:
        StartError: if the console's port was asked for and is taken.
    """
    file = data / "ports.json"
    last = json.loads(file.read_text()) if file.exists() else {"console": PREFERRED_CONSOLE}
    picked: dict[str, int] = {}
    listeners = [name for name in Addresses.model_fields if name != "metrics"]
    for name in (*listeners, *(f"{_METRICS}{part}" for part in METERED)):
        kept = last.get(name)
        picked[name] = kept if kept is not None and is_free(kept) and kept not in picked.values() else free_port()
    if console_port is not None:
        check_port(console_port, "--console-port")
        picked["console"] = console_port
    file.write_text(json.dumps(picked))
    metrics = {name.removeprefix(_METRICS): port for name, port in picked.items() if name.startswith(_METRICS)}
    return Addresses(**{name: picked[name] for name in listeners}, metrics=metrics)
