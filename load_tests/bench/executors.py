"""How long do many real executors take to come, and what does each weigh? A master, a worker and a driver, without a platform.

The driver scales by what lake scales by (`pipeline.scale`). It says how many it wants before there is a worker: a standalone master
would else start one on each of the worker's cores. Each executor is a JVM of its own with one core: on a small machine they
come as fast as JVMs start. Memory is counted as the kernel counts it, what they share once (proportional set size).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from controlplane.contract.scaling import Wanted
from controlplane.contract.settings import Settings
from controlplane.up.addresses import pick
from controlplane.up.process import PartProcess
from controlplane.up.spark import MASTER, WORKER, master_url, standalone_of
from load_tests.bench.kubelet import Kubelet
from load_tests.bench.kubernetes import NAMESPACE, kubernetes
from pipeline.scale.boundary import Boundary
from pipeline.scale.executors import SparkExecutors
from pipeline.scale.reconcile import Reconcile
from pipeline.scale.session import cluster_of, spark_settings
from pipeline.spark import build_session, from_archive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import SparkSession

    from controlplane.up.part import Part

_READY_WITHIN_S = 30.0
_STEP_WITHIN_S = 240.0
_STARTS_SMALL = "-Xms24m -Xss512k -XX:CICompilerCount=1"
_EXECUTOR_BYTES = 150 * 2**20
"""Measured: 123 MiB as it has registered."""
_LEFT_BYTES = 2 * 2**30
_TASKS_EACH = 4
_ROWS_A_TASK = 100_000
_LOOK_EVERY_S = 0.1
Figures = dict[str, float]


@dataclass
class Wish:
    """What is wanted, set by the bench."""

    executors: int

    def of(self, target: str) -> Wanted:
        """As the control plane would answer."""
        return Wanted(target=target, executors=self.executors, at=datetime.now(UTC))


@dataclass
class Measured:
    """What was seen."""

    steps: dict[str, Figures] = field(default_factory=dict)
    """`20 -> 80`: seconds it took, and what the executors weigh."""
    job: dict[str, Any] = field(default_factory=dict)
    reached: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    """Why it is not as promised; empty when it is."""


def measure(few: int, many: int, within_s: float, told: Callable[[str], None], on: str = "standalone") -> Measured:
    """From few executors to many and back, with a job on all of them.

    Args:
        few: at the start and at the end.
        many: in between.
        within_s: so soon they should be there.
        told: takes what happens.
        on: which cluster: `standalone`, or `kubernetes`, a stand-in of one.
    """
    found = Measured()
    with (
        tempfile.TemporaryDirectory(prefix="tidegate-bench-") as folder,
        CLUSTERS[on](Path(folder), few, many) as (
            settings,
            workers,
        ),
    ):
        session, wish = _session(settings), Wish(few)
        target, cluster = SparkExecutors(session), cluster_of(settings)
        if cluster is None:
            raise AssertionError("a bench of a cluster has a cluster")
        reconcile = Reconcile(target, cluster, wish, Boundary(), lambda _: None)
        reconcile.start()
        with workers() as processes:
            try:
                scaled = _Scaled(wish, target, processes, found, told)
                scaled.to(few, f"0 -> {few}")
                took = scaled.to(many, f"{few} -> {many}")
                if took is None or took > within_s:
                    found.wrong.append(f"{few} -> {many} took {took or _STEP_WITHIN_S:.0f} s, not {within_s:.0f}")
                found.job = _job(session, found.reached)
                told(f"a job of {found.job['tasks']} tasks ran on {found.job['executors']} executors")
                found.wrong += _mistakes(found.job, found.reached)
                scaled.to(few, f"{many} -> {few}")
                found.failed = target.failed()
            finally:
                reconcile.stop()
                session.stop()
    if found.failed:
        found.wrong.append(f"{found.failed} executors ended by themselves")
    return found


Processes = Callable[[], list[psutil.Process]]
"""The executors', as far as they are seen."""
Set = tuple[Settings, Callable[[], AbstractContextManager[Processes]]]
"""How lake would be set, and what gives its executors cores once it has said how many it wants."""


@contextmanager
def _standalone(data: Path, few: int, many: int) -> Iterator[Set]:
    addresses = pick(data, None)
    settings = _settings(data, master_url(addresses), few, many)
    parts = {part.name: part for part in standalone_of(settings, data, addresses).parts()}

    @contextmanager
    def worker() -> Iterator[Processes]:
        with _running(parts[WORKER], data) as process:
            yield process.children

    with _running(parts[MASTER], data):
        yield settings, worker


@contextmanager
def _kubernetes(data: Path, few: int, many: int) -> Iterator[Set]:
    with kubernetes(lambda store: Kubelet(store, data)) as (url, store, kubelet):
        options = f"spark.kubernetes.namespace={NAMESPACE};spark.kubernetes.container.image=tidegate/stand-in:1"

        @contextmanager
        def pods() -> Iterator[Processes]:
            yield kubelet.processes

        yield _settings(data, f"k8s://{url}", few, many).model_copy(update={"lake_options": options}), pods
        if store.refused:
            raise RuntimeError(f"the stand-in of Kubernetes refused: {'; '.join(store.refused)}")


CLUSTERS = {"standalone": _standalone, "kubernetes": _kubernetes}


def _fitting() -> int:
    """Executors that this machine has memory for, and some left for all others."""
    return max(0, psutil.virtual_memory().available - _LEFT_BYTES) // _EXECUTOR_BYTES


def _settings(data: Path, master: str, few: int, many: int) -> Settings:
    return Settings(data=data, lake_master=master, lake_executors=f"{few}:{many}", executor_memory="480m")


def _session(settings: Settings) -> SparkSession:
    options = spark_settings(settings)
    options["spark__executor__extraJavaOptions"] += f" {_STARTS_SMALL}"
    scratch = settings.data / "scratch"
    return build_session(
        "tidegate bench", slots=1, memory="768m", jars="", scratch=scratch, jvm=from_archive(settings), **options
    )


@contextmanager
def _running(part: Part, data: Path) -> Iterator[psutil.Process]:
    """A part's process, ended with all that it has started."""
    if part.prepare is not None:
        part.prepare()
    process = PartProcess(part, dict(psutil.Process().environ()), data / f"{part.name}.log", data / f"{part.name}.sock")
    try:
        _until(lambda: part.probe is None or part.probe(), _READY_WITHIN_S)
        yield psutil.Process(process.pid)
    finally:
        process.ask_to_stop()
        process.wait(part.stop_within_s)
        process.kill()


@dataclass
class _Scaled:
    """Goes from one number to another, and notes how."""

    wish: Wish
    target: SparkExecutors
    processes: Processes
    found: Measured
    told: Callable[[str], None]

    def to(self, executors: int, name: str) -> float | None:
        """Seconds until so many are there, and no more; None when that was not reached."""
        began = time.monotonic()
        self.wish.executors = executors
        is_reached = _until(lambda: len(self.target.have()) == executors, _STEP_WITHIN_S)
        took, there = time.monotonic() - began, len(self.target.have())
        self.found.reached = max(self.found.reached, there)
        self.found.steps[name] = {"took_s": round(took, 1), "executors": there, **_weight(self.processes())}
        self.told(f"{name}: {there} executors after {took:.1f} s")
        if not is_reached:
            self.found.wrong.append(f"{name}: {there} executors after {took:.0f} s")
        return took if is_reached else None


def _job(session: SparkSession, executors: int) -> dict[str, Any]:
    tasks = executors * _TASKS_EACH
    rows = tasks * _ROWS_A_TASK
    began = time.monotonic()
    [[total]] = session.range(0, rows, 1, tasks).selectExpr("sum(id)").collect()
    took = time.monotonic() - began
    listed = session.sparkContext._jsc.sc().statusStore().executorList(True)  # noqa: SLF001, FBT003 (no other way to it)
    every = [listed.apply(index) for index in range(listed.size())]
    worked = [each for each in every if each.id() != "driver" and each.completedTasks() > 0]
    return {
        "tasks": tasks,
        "took_s": round(took, 1),
        "executors": len(worked),
        "failed_tasks": sum(each.failedTasks() for each in every),
        "is_right": total == rows * (rows - 1) // 2,
    }


def _mistakes(job: dict[str, Any], executors: int) -> list[str]:
    found = []
    if job["executors"] < executors:
        found.append(f"the job ran on {job['executors']} of {executors} executors")
    if job["failed_tasks"] or not job["is_right"]:
        found.append(
            f"the job: {job['failed_tasks']} tasks failed, its sum is {'right' if job['is_right'] else 'wrong'}"
        )
    return found


def _weight(executors: Iterable[psutil.Process]) -> Figures:
    """What executors weigh, MiB."""
    shared: list[int] = []
    resident: list[int] = []
    for each in executors:
        try:
            memory = each.memory_full_info()
        except psutil.Error:
            continue
        shared.append(memory.pss)
        resident.append(memory.rss)
    if not shared:
        return {}
    return {
        "memory_mib": round(sum(shared) / 2**20),
        "each_mib": round(sum(shared) / len(shared) / 2**20),
        "each_resident_mib": round(sum(resident) / len(resident) / 2**20),
        "free_mib": round(psutil.virtual_memory().available / 2**20),
    }


def _until(look: Callable[[], bool], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if look():
            return True
        time.sleep(_LOOK_EVERY_S)
    return False
