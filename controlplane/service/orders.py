"""Which orders have operators given to gates? Kept in a file, so that a control plane that starts again still has them."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane.contract.orders import ORDERS

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.gates import GateOrdered

KEPT = timedelta(days=7)
_AT_MOST = 1000
_log = logging.getLogger(__name__)


class OrderFile:
    """The orders of the last days, oldest first; without a file they are kept as long as the process lives."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.orders: list[GateOrdered] = []
        if file is not None and file.exists():
            try:
                self.orders = ORDERS.validate_json(file.read_bytes())
            except ValueError as error:
                _log.warning("%s cannot be read (%s): orders of before are forgotten", file, error)

    def add(self, order: GateOrdered) -> None:
        """Keep an order.

        Raises:
            OSError: if it cannot be kept; then it is not given either.
        """
        kept = [each for each in self.orders if order.at - each.at < KEPT][-_AT_MOST + 1 :]
        orders = [*kept, order]
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".part")
            partial.write_bytes(ORDERS.dump_json(orders))
            partial.replace(self._file)
        self.orders = orders
