"""How is a session set up whose tasks run on a cluster's executors?

What is written by them is written by Delta, which takes a task's files only when the task has ended well: so a task that was lost
with its executor may run again, which route's may not (its sink has no fencing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.scale.reconcile import Cluster
from pipeline.spark import EXECUTOR_JVM

if TYPE_CHECKING:
    from controlplane.contract.settings import Settings

_PORTS = {"spark": "spark standalone", "k8s": "kubernetes"}


def cluster_of(settings: Settings) -> Cluster | None:
    """What lake runs on; None: in its own process."""
    if not settings.lake_master:
        return None
    least, most = settings.executors_range
    port = _PORTS[settings.lake_master.split("://")[0]]
    return Cluster(port, least, most, batch_events=settings.executor_batch)


def spark_settings(settings: Settings) -> dict[str, str]:
    """Spark's settings of lake on a cluster, as `build_session` takes them; none for a local session."""
    if not settings.lake_master:
        return {}
    least, _ = settings.executors_range
    return {
        "spark__master": settings.lake_master,
        "spark__executor__cores": "1",
        "spark__executor__memory": settings.executor_memory,
        # Without the archive of classes: with it each executor holds 90 MiB more (214 for 123 MiB).
        "spark__executor__extraJavaOptions": EXECUTOR_JVM,
        "spark__executor__instances": str(least),
        # An executor that goes takes its tasks along; each is run again elsewhere.
        "spark__task__maxFailures": "4",
        # Executors that come and go are no reason to wait or to give up.
        "spark__scheduler__minRegisteredResourcesRatio": "0",
        "spark__executor__maxNumFailures": "1000000",
        "spark__log__level": "WARN",
        "spark__executor__syncLogLevel__enabled": "true",
        "spark__executor__logs__rolling__strategy": "size",
        "spark__executor__logs__rolling__maxSize": str(8 * 2**20),
        "spark__executor__logs__rolling__maxRetainedFiles": "2",
        **{key.replace(".", "__"): value for key, value in settings.lake_options_given.items()},
    }
