"""Up to where the lake is: in whichever of its two tables the newest micro-batch went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from controlplane.contract.names import DIVERTED, Hop, lake_table
from controlplane.contract.settings import Settings
from lag_monitor.hops.counts import Counts
from lag_monitor.kafka.cluster import Cluster
from lag_monitor.positions.lake import LakeEnds
from pipeline.lake.offsets import user_metadata

if TYPE_CHECKING:
    from pathlib import Path


def commit(path: str, metadata: str) -> None:
    said = CommitProperties(custom_metadata={"userMetadata": metadata})
    write_deltalake(path, pa.table({"x": [1]}), mode="append", commit_properties=said)


@pytest.mark.parametrize("released", [False, True], ids=["a-diverted-batch-counts", "a-release-moves-nothing"])
def test_the_lake_ends_where_the_later_table_does(tmp_path: Path, *, released: bool) -> None:
    settings = Settings(lake=str(tmp_path))
    counts = Counts(settings, Cluster("127.0.0.1:9"), LakeEnds(str(tmp_path), fresh_s=0))
    assert counts.count("shop", Hop.LAKE) == 0
    events, diverted = lake_table(str(tmp_path), "shop"), lake_table(str(tmp_path), "shop", DIVERTED)
    commit(events, user_metadata("shop", "shop.valid", {0: (0, 5), 1: (0, 3)}))
    assert counts.count("shop", Hop.LAKE) == 8
    commit(diverted, user_metadata("shop", "shop.valid", {0: (5, 9), 1: (3, 3)}))
    if released:
        commit(events, '{"stream": "shop", "releases": "x:1"}')
    assert counts.count("shop", Hop.LAKE) == 12
