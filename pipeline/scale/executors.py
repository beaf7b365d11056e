"""Executors of a Spark application: the driver's own calls, the same for a standalone cluster and for Kubernetes.

A standalone master starts an application on every core that is offered (`spark.executor.instances` is not honoured), so how many
are wanted is said as soon as there is a driver, and those that came nevertheless are let go. Python has none of these
calls: they are made on the JVM's SparkContext.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.scale.target import Executor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

_DRIVER = "driver"


class SparkExecutors:
    """The executors of a session's application (`ScaleTarget`)."""

    def __init__(self, session: SparkSession) -> None:
        jvm: Any = session._jvm  # noqa: SLF001 (there is no other way to these calls)
        self._jvm = jvm
        self._context: Any = session.sparkContext._jsc.sc()  # noqa: SLF001
        self._nothing = getattr(jvm.scala.collection.immutable, "Map$").__getattr__("MODULE$").empty()
        self._let_go: set[str] = set()
        self._lost: set[str] = set()

    def have(self) -> tuple[Executor, ...]:
        """Registered executors, without the driver."""
        return tuple(
            Executor(each.id(), each.activeTasks(), each.memoryUsed() + each.diskUsed())
            for each in self._listed(only_active=True)
        )

    def ask(self, executors: int) -> bool:
        """Say how many are wanted in all; none is ended by it. False when the cluster could not be told."""
        return bool(self._context.requestTotalExecutors(executors, 0, self._nothing))

    def let_go(self, ids: Sequence[str]) -> tuple[str, ...]:
        """End executors that run no task; those that will end.

        The scheduler's own call, and not SparkContext's: that one would end those at work too, and lower what was asked for.
        """
        chosen = self._jvm.PythonUtils.toSeq(list(ids))
        ending = self._context.schedulerBackend().killExecutors(chosen, False, False, False)  # noqa: FBT003 (Scala)
        gone = tuple(ending.apply(index) for index in range(ending.size()))
        self._let_go.update(gone)
        return gone

    def failed(self) -> int:
        """Executors that ended by themselves so far."""
        gone = {each.id() for each in self._listed(only_active=False) if not each.isActive()}
        self._lost |= gone - self._let_go  # Spark forgets the oldest after a hundred
        return len(self._lost)

    def _listed(self, *, only_active: bool) -> list[Any]:
        listed = self._context.statusStore().executorList(only_active)
        every = (listed.apply(index) for index in range(listed.size()))
        return [each for each in every if each.id() != _DRIVER]
