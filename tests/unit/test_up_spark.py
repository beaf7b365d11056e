"""How are Spark's master and worker started on this machine?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from controlplane.contract.settings import Settings
from controlplane.up.addresses import pick
from controlplane.up.spark import MASTER, WORKER, master_url, mebibytes, standalone_of
from pipeline.scale.session import cluster_of, spark_settings

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.up.part import Part


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Part]:
    standalone = standalone_of(Settings(lake_executors="2:6", executor_memory="1g"), tmp_path, pick(tmp_path, None))
    return {part.name: part for part in standalone.parts(after=("lake",))}


def test_both_listen_on_loopback_and_nothing_else_is_open(parts: dict[str, Part]) -> None:
    for part in parts.values():
        assert part.argv[part.argv.index("--host") + 1] == "127.0.0.1"
        assert part.env["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert "-Dspark.master.rest.enabled=false" in parts[MASTER].argv


def test_the_worker_offers_a_core_and_a_heap_for_each_executor_that_may_come(parts: dict[str, Part]) -> None:
    argv = parts[WORKER].argv
    assert (argv[argv.index("-c") + 1], argv[argv.index("-m") + 1]) == ("6", "6144m")


def test_the_worker_comes_when_lake_has_said_how_many_it_wants(parts: dict[str, Part]) -> None:
    assert parts[WORKER].needs == (MASTER, "lake")


def test_what_a_master_kept_survives_its_crash_but_not_the_platforms_next_start(
    parts: dict[str, Part], tmp_path: Path
) -> None:
    kept = tmp_path / "spark" / "recovery" / "app_1"
    kept.parent.mkdir(parents=True)
    kept.touch()
    prepare = parts[MASTER].prepare
    assert prepare is not None
    prepare()
    assert not kept.exists()
    kept.touch()
    prepare()
    assert kept.exists()


def test_what_killed_executors_have_left_is_gone_at_the_next_start(parts: dict[str, Part], tmp_path: Path) -> None:
    left = tmp_path / "spark" / "scratch" / "blockmgr-1"
    left.mkdir(parents=True)
    prepare = parts[WORKER].prepare
    assert prepare is not None
    prepare()
    assert not left.exists()
    left.mkdir()
    prepare()
    assert left.exists()


def test_a_worker_is_told_the_version_of_scala_that_its_jars_have(parts: dict[str, Part]) -> None:
    assert parts[WORKER].env["SPARK_SCALA_VERSION"] == "2.13"


@pytest.mark.parametrize(("written", "found"), [("512m", 512), ("2g", 2048)])
def test_memory_is_read_as_the_jvm_reads_it(written: str, found: int) -> None:
    assert mebibytes(written) == found


def test_memory_that_is_none_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match="write it as 512m or 1g"):
        mebibytes("512")


def test_a_local_lake_has_no_cluster_and_no_setting_of_one() -> None:
    assert cluster_of(Settings()) is None
    assert spark_settings(Settings()) == {}


def test_lakes_tasks_may_run_again_on_a_cluster(tmp_path: Path) -> None:
    settings = Settings(lake_master=master_url(pick(tmp_path, None)), lake_options="spark.x.y=1; spark.z = a=b ")
    given = spark_settings(settings)
    assert given["spark__task__maxFailures"] == "4"
    assert (given["spark__x__y"], given["spark__z"]) == ("1", "a=b")


def test_kubernetes_is_a_master_as_well_and_others_are_refused() -> None:
    cluster = cluster_of(Settings(lake_master="k8s://https://127.0.0.1:6443", lake_executors="20:80"))
    assert cluster is not None
    assert (cluster.port, cluster.least, cluster.most) == ("kubernetes", 20, 80)
    with pytest.raises(ValidationError, match="lake_master"):
        Settings(lake_master="yarn")
