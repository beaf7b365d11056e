"""A broker's folder is made ready whatever id its cluster gets."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from controlplane.contract.settings import Settings
from controlplane.setup.jars import JarCache
from controlplane.up import broker

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DASHED = uuid.UUID(bytes=b"\xf8" + bytes(range(15)))
"""Its base64 begins with a dash."""


def test_a_cluster_id_that_begins_with_a_dash_is_an_id_and_not_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.uuid, "uuid4", lambda: DASHED)
    broker.prepare(tmp_path, JarCache(Settings().cache / "jars").classpath("kafka"), 9092, 9093)
    assert "cluster.id=-" in (tmp_path / "data" / "meta.properties").read_text()
