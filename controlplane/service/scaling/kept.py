"""Which policies and orders have operators given to targets? Kept in a file, so that they outlive the control plane."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import Field

from controlplane.contract.frozen import Frozen
from controlplane.contract.scaling import ScaleOrdered, ScalingPolicy

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

TARGETS = ("lake",)
"""Parts whose executors are scaled."""
_log = logging.getLogger(__name__)


class _Kept(Frozen):
    policies: dict[str, ScalingPolicy] = Field(default_factory=dict)
    orders: dict[str, ScaleOrdered] = Field(default_factory=dict)


class ScalingFile:
    """Policies and orders by target; without a file they are kept as long as the process lives."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._kept = _Kept()
        if file is not None and file.exists():
            try:
                self._kept = _Kept.model_validate_json(file.read_bytes())
            except (OSError, ValueError) as error:
                _log.warning("%s cannot be read (%s): every target has the default policy and no order", file, error)

    def policy(self, target: str) -> ScalingPolicy:
        """What an operator has set, or the default."""
        return self._kept.policies.get(target, ScalingPolicy())

    def order(self, target: str, now: datetime) -> ScaleOrdered | None:
        """The order that holds now."""
        found = self._kept.orders.get(target)
        return None if found is None or (found.until is not None and found.until <= now) else found

    def set_policy(self, target: str, policy: ScalingPolicy) -> None:
        """Keep a policy.

        Raises:
            OSError: if it cannot be kept; then it is not in force either.
        """
        self._keep(self._kept.model_copy(update={"policies": {**self._kept.policies, target: policy}}))

    def set_order(self, order: ScaleOrdered) -> None:
        """Keep an order, in the place of the one before.

        Raises:
            OSError: if it cannot be kept; then it is not in force either.
        """
        self._keep(self._kept.model_copy(update={"orders": {**self._kept.orders, order.target: order}}))

    def end_order(self, target: str) -> None:
        """Forget a target's order.

        Raises:
            OSError: if that cannot be kept; then it holds on.
        """
        orders = {name: each for name, each in self._kept.orders.items() if name != target}
        self._keep(self._kept.model_copy(update={"orders": orders}))

    def _keep(self, kept: _Kept) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".part")
            partial.write_text(kept.model_dump_json(indent=2))
            partial.replace(self._file)
        self._kept = kept
