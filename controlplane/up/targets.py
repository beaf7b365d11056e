"""Where does Prometheus find the processes of an embedded platform? In a file that says where each serves `/metrics`.

Prometheus reads it by `file_sd_configs`, and again when it changes. A part whose work is done is no target: it is not missing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from controlplane.contract.facts import PartState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from controlplane.up.part import Part

FILE = "prometheus/targets.json"
"""In the data folder."""


def targets(parts: Iterable[Part], states: Mapping[str, PartState], up: str) -> list[dict[str, object]]:
    """One target a process, with its name as the label `part`.

    Args:
        parts: of the platform.
        states: of the parts.
        up: host:port of the supervisor itself.
    """
    found = {each.name: each.metrics for each in parts if states.get(each.name) is not PartState.ENDED}
    return [{"targets": [at], "labels": {"part": name}} for name, at in {"up": up, **found}.items() if at is not None]


def write(data: Path, content: list[dict[str, object]]) -> None:
    """Replace the file in one step, so that Prometheus never reads half of it."""
    file = data / FILE
    file.parent.mkdir(exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2))
    partial.replace(file)
