"""Which target is meant?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlplane.commands.asking import MISTAKEN, asked
from controlplane.commands.terminal import fail
from controlplane.contract.scaling import ScalingFrame
from controlplane.contract.wants import PATH

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.scaling import ScalingTarget


def target_of(data: Path | None, name: str) -> ScalingTarget:
    """A target, as the control plane knows it."""
    targets = ScalingFrame.model_validate(asked(data, "GET", PATH)).targets
    found = next((each for each in targets if each.name == name), None)
    if found is None:
        fail(f"{name!r} is not scaled; there is: {', '.join(each.name for each in targets)}", MISTAKEN)
    return found
