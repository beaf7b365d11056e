"""Which files a backfill reads, what it makes of their rows, and what it says of a row that does not fit: file, row and column."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.backfill.brought import partition_of
from pipeline.backfill.files import Source, rows_of, sources
from pipeline.backfill.typed import BadRowError
from pipeline.feed.shop import event
from pipeline.operate.kind import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

AT = datetime(2026, 11, 24, 12, 0, 0, 123000, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [{**event(1, number, 0.0, AT).value} for number in range(50)]


def as_json(folder: Path, rows: Sequence[dict[str, Any]], _: StreamDefinition) -> Path:
    file = folder / "shop.jsonl"
    file.write_text("\n".join(json.dumps(each, default=lambda value: value.isoformat()) for each in rows))
    return file


def as_csv(folder: Path, rows: Sequence[dict[str, Any]], _: StreamDefinition) -> Path:
    file = folder / "shop.csv"
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {key: cell.isoformat() if isinstance(cell, datetime) else cell for key, cell in each.items()}
            for each in rows
        )
    return file


def as_parquet(folder: Path, rows: Sequence[dict[str, Any]], _: StreamDefinition) -> Path:
    file = folder / "shop.parquet"
    pq.write_table(pa.Table.from_pylist(list(rows)), file)
    return file


def as_avro(folder: Path, rows: Sequence[dict[str, Any]], stream: StreamDefinition) -> Path:
    file = folder / "shop.avro"
    with file.open("wb") as out:
        fastavro.writer(out, fastavro.parse_schema(json.loads(json.dumps(stream.avro_schema))), rows)
    return file


FORMATS = [as_json, as_csv, as_parquet, as_avro]


def read(root: Path, stream: StreamDefinition, pattern: str = "*") -> list[dict[str, Any]]:
    return [row for each in sources(root, [pattern]) for _, table in rows_of(each, stream) for row in table.to_pylist()]


@pytest.mark.parametrize("write", FORMATS)
def test_rows_of_every_format_are_the_events_that_were_written(
    tmp_path: Path, shop: StreamDefinition, write: Any
) -> None:
    write(tmp_path, ROWS, shop)
    assert read(tmp_path, shop) == ROWS


NO_TIME = "expected a time such as 2013-01-31T12:00:00Z, or milliseconds since 1970, found 'yesterday'"


@pytest.mark.parametrize("write", [as_json, as_csv])
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        pytest.param("quantity", "many", "expected a whole number of 32 bits, found 'many'", id="text-for-a-number"),
        pytest.param(
            "event_type", "look", "expected one of view, cart, purchase, refund, found 'look'", id="no-symbol"
        ),
        pytest.param("event_time", "yesterday", NO_TIME, id="no-time"),
        pytest.param("amount", "a lot", "expected a number, or nothing, found 'a lot'", id="no-amount"),
    ],
)
def test_a_row_that_does_not_fit_is_named_with_its_file_row_and_column(
    tmp_path: Path, shop: StreamDefinition, write: Any, column: str, value: str, said: str
) -> None:
    file = write(tmp_path, [*ROWS[:30], {**ROWS[30], column: value}, *ROWS[31:]], shop)
    with pytest.raises(BadRowError) as refused:
        read(tmp_path, shop)
    assert str(refused.value) == f"{file.name}, row 31, column {column!r}: {said}; nothing was changed"


def test_so_is_a_row_of_a_parquet_file(tmp_path: Path, shop: StreamDefinition) -> None:
    as_parquet(tmp_path, [*ROWS[:30], {**ROWS[30], "user_id": None}, *ROWS[31:]], shop)
    with pytest.raises(BadRowError, match=r"shop.parquet, row 31, column 'user_id': expected a text, found nothing"):
        read(tmp_path, shop)


def test_a_fraction_or_a_number_that_is_too_large_is_no_whole_number(tmp_path: Path, shop: StreamDefinition) -> None:
    for value in (1.5, 2**31, True):
        as_json(tmp_path, [ROWS[0], {**ROWS[1], "quantity": value}], shop)
        with pytest.raises(BadRowError, match="row 2, column 'quantity'"):
            read(tmp_path, shop)


def test_a_required_field_that_is_nothing_or_missing_is_named(tmp_path: Path, shop: StreamDefinition) -> None:
    as_json(tmp_path, [ROWS[0], {**ROWS[1], "user_id": None}], shop)
    with pytest.raises(BadRowError, match=r"shop.jsonl, row 2, column 'user_id': expected a text, found nothing"):
        read(tmp_path, shop)
    as_json(tmp_path, [{key: value for key, value in each.items() if key != "user_id"} for each in ROWS], shop)
    with pytest.raises(BadRowError, match=r"shop.jsonl, row 1, column 'user_id': expected a text in each row"):
        read(tmp_path, shop)


def test_a_column_that_the_stream_does_not_have_is_refused_but_not_one_of_the_lake(
    tmp_path: Path, shop: StreamDefinition
) -> None:
    as_json(tmp_path, [{**each, "tg_offset": 1, "category": "x", "event_date": "2026-11-24"} for each in ROWS], shop)
    assert read(tmp_path, shop) == ROWS
    as_json(tmp_path, [{**each, "ammount": 1} for each in ROWS], shop)
    with pytest.raises(RefusedError, match="shop has no field 'ammount'"):
        read(tmp_path, shop)


@pytest.mark.parametrize("name", ["shop.parquet", "shop.avro"])
def test_a_file_that_is_none_of_its_kind_is_named(tmp_path: Path, shop: StreamDefinition, name: str) -> None:
    (tmp_path / name).write_text("no such thing")
    with pytest.raises(RefusedError, match=f"{name}: it cannot be read"):
        read(tmp_path, shop)


def test_a_line_that_is_no_json_is_named(tmp_path: Path, shop: StreamDefinition) -> None:
    file = as_json(tmp_path, ROWS, shop)
    file.write_text(file.read_text() + "\n{broken")
    with pytest.raises(BadRowError, match="row 51, column '\\*': expected a JSON object"):
        read(tmp_path, shop)


def test_only_what_is_below_the_folder_is_read(tmp_path: Path) -> None:
    root, other = tmp_path / "files", tmp_path / "other"
    for each in (root, other):
        each.mkdir()
        (each / "x.csv").write_text("a\n1\n")
    (root / "link.csv").symlink_to(other / "x.csv")
    assert [each.name for each in sources(root, ["x.csv", "x.*", str(root / "x.csv")])] == ["x.csv"]
    for pattern in ("../other/x.csv", str(other / "x.csv"), "link.csv", "/etc/passwd", "nothing*.csv"):
        with pytest.raises(RefusedError):
            sources(root, [pattern])
    with pytest.raises(RefusedError, match="TIDEGATE_BACKFILL_FILES"):
        sources(None, ["x.csv"])


def test_a_kind_of_file_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.xlsx").write_text("")
    with pytest.raises(RefusedError, match=r"x.xlsx: its kind is not known; there are: .parquet"):
        sources(tmp_path, ["*"])


def test_a_large_file_is_read_a_stretch_at_a_time(tmp_path: Path, shop: StreamDefinition) -> None:
    file = as_json(tmp_path, ROWS * 500, shop)
    found = [(first, table.num_rows) for first, table in rows_of(Source(file, file.name, 1, None), shop)]
    assert found == [(1, 20_000), (20_001, 5_000)]


def test_a_backfill_has_a_partition_of_its_own_below_zero() -> None:
    found = {partition_of(f"op{number}") for number in range(1000)}
    assert len(found) == 1000
    assert all(-(2**31) <= each < 0 for each in found)
