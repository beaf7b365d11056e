"""A Spark session as route has it, for tests of Columns: no broker, no platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from pipeline.route.query import SPARK_SETTINGS
from pipeline.spark import build_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    jars = ",".join(map(str, JarCache(Settings().cache / "jars").classpath("spark")))
    session = build_session(
        "tidegate test", slots=1, memory="512m", jars=jars, scratch=tmp_path_factory.mktemp("spark"), **SPARK_SETTINGS
    )
    yield session
    session.stop()
