"""A stream's folder is checked whole: every mistake at once, with file and field."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.folders import StreamInvalidError, load_stream, load_streams
from controlplane.contract.settings import SHIPPED_STREAMS

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_streams_are_valid() -> None:
    assert sorted(stream.name for stream in load_streams([SHIPPED_STREAMS])) == ["flights", "shop"]


def test_five_mistakes_in_a_folder_are_all_named(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(SHIPPED_STREAMS / "shop", folder)
    written = (folder / "stream.yaml").read_text()
    written = written.replace("key: [user_id]", "key: [nobody]", 1)
    written = written.replace("field: event_time", "field: no_such_time")
    written = written.replace("category: category", "category: no_such_column")
    written = written.replace("dimensions: [region]", "dimensions: [no_such_dimension]")
    (folder / "stream.yaml").write_text(written)
    suite = (folder / "suite.json").read_text()
    (folder / "suite.json").write_text(suite.replace("expect_column_values_to_match_regex", "expect_no_such_thing", 1))
    with pytest.raises(StreamInvalidError) as raised:
        load_stream(folder)
    said = str(raised.value)
    for mistake in ("nobody", "no_such_time", "no_such_column", "no_such_dimension", "expect_no_such_thing"):
        assert mistake in said
    assert "stream.yaml" in said
    assert "suite.json" in said


def test_a_folder_without_a_schema_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(SHIPPED_STREAMS / "shop", folder)
    (folder / "schema.avsc").unlink()
    with pytest.raises(StreamInvalidError, match=r"schema\.avsc"):
        load_stream(folder)


MISFITS = {
    "a-rollup-named-like-the-events-table": ("  traffic:\n", "  events:\n", "shop_events"),
    "a-rollup-named-like-another-ones-table": ("  sales:\n", "  traffic_live:\n", "shop_traffic_live"),
    "a-dimension-named-like-a-column-of-the-query": ("basket:", "bucket:", "'bucket' names two columns"),
    "a-condition-with-a-value-of-another-type": ("where:", "where: {quantity: [many]}  #", "'many' is not a"),
}


@pytest.mark.parametrize("case", MISFITS)
def test_a_rollup_that_clickhouse_would_refuse_is_named(case: str, tmp_path: Path) -> None:
    old, new, said = MISFITS[case]
    folder = tmp_path / "shop"
    shutil.copytree(SHIPPED_STREAMS / "shop", folder)
    written = (folder / "stream.yaml").read_text()
    assert old in written
    (folder / "stream.yaml").write_text(written.replace(old, new, 1))
    with pytest.raises(StreamInvalidError, match=said):
        load_stream(folder)
