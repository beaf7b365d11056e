"""What do all streams' routes have in common?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pipeline.route.flood import OrderSource
    from pipeline.route.frame import RuleCompiler


@dataclass(frozen=True)
class RouteOptions:
    """Of every stream's route."""

    kafka: str
    scratch: Path
    mode: Literal["realtime", "microbatch"]
    batch: timedelta
    broken_rules: RuleCompiler
    orders: OrderSource | None = None
    """What operators want of the gates; None where nobody says."""
