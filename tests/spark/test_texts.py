"""Small files through Hadoop: as in a folder, and as the fake has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.lake.texts import FakeTexts, HadoopTexts, LocalTexts

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from pipeline.lake.texts import Texts


@pytest.mark.parametrize("kind", ["hadoop", "local", "fake"])
def test_a_text_is_there_whole_until_it_is_replaced_or_deleted(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    made: dict[str, Texts] = {
        "hadoop": HadoopTexts(spark, f"file://{tmp_path}/lake"),
        "local": LocalTexts(tmp_path / "lake"),
        "fake": FakeTexts(),
    }
    texts = made[kind]
    assert texts.read("shop.hold") is None
    texts.delete("shop.hold")
    texts.write("shop.hold", "one\n")
    texts.write("shop.hold", "zwei, größer\n")
    texts.write("flights.hold", "three")
    assert texts.read("shop.hold") == "zwei, größer\n"
    texts.delete("shop.hold")
    assert texts.read("shop.hold") is None
    assert texts.read("flights.hold") == "three"
