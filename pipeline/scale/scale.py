"""What does lake's loop know of its executors? How many share a micro-batch, and when nobody may work."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.wants import Wants
from pipeline.scale.boundary import Boundary
from pipeline.scale.executors import SparkExecutors
from pipeline.scale.reconcile import Reconcile, not_scaled
from pipeline.scale.session import cluster_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from controlplane.contract.reporting import Reporter
    from controlplane.contract.settings import Settings


@dataclass(frozen=True)
class Scale:
    """Of a local session nothing is scaled: `reconcile` is None."""

    boundary: Boundary = field(default_factory=Boundary)
    reconcile: Reconcile | None = None
    wants: Wants | None = None

    @property
    def slots(self) -> int | None:
        """Executors that share a micro-batch; None for a local session."""
        return None if self.reconcile is None else self.reconcile.slots

    def close(self) -> None:
        """Hold nobody back any more; executors end with the session."""
        self.boundary.close()
        if self.reconcile is not None:
            self.reconcile.stop()
        if self.wants is not None:
            self.wants.close()


def scale_of(session: SparkSession, settings: Settings, reporter: Reporter, slots: int) -> Scale:
    """Look after a session's executors from now on.

    Args:
        session: of the part.
        settings: where it runs.
        reporter: is told what there is.
        slots: tasks at once of a local session.
    """
    cluster = cluster_of(settings)
    if cluster is None:
        reporter.stand("executors", (not_scaled(slots, datetime.now(UTC)),))
        return Scale()
    wants, boundary = Wants(settings.api, settings.service_token), Boundary()
    reconcile = Reconcile(SparkExecutors(session), cluster, wants, boundary, reporter.report)
    reconcile.start()
    return Scale(boundary, reconcile, wants)
