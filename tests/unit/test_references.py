"""A new version of a reference table is taken whole and valid or not at all, and what each version held is kept."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from controlplane.contract.folders import load_stream
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.valid import reference_columns
from pipeline.references.differences import differences, rows_of
from pipeline.references.fingerprint import fingerprint_of
from pipeline.references.settling import Settling
from pipeline.references.versions import before, keep, table_of, versions
from pipeline.route.definition import digest_of
from pipeline.route.followed import Followed, RefusedError
from pipeline.validate import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Edited:
    """A copy of the shipped shop that people edit, and what route follows."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        shutil.copytree(SHIPPED_STREAMS / "shop", folder / "streams" / "shop")
        self.stream = load_stream(folder / "streams" / "shop")
        self.products = self.stream.folder / "reference" / "products.csv"
        self.kept = folder / "references"
        self.followed = self.started()
        self.asked: list[StreamDefinition] = []

    def started(self) -> Followed:
        return Followed(self.stream, self.root / "scratch", self.kept)

    def change(self, old: str, new: str) -> None:
        self.products.write_text(self.products.read_text().replace(old, new))

    def look(self) -> bool:
        return self.followed.look(self.asked.append)

    def looks(self) -> list[bool]:
        """Two in a row: what is there after the first is settled at the second."""
        return [self.look(), self.look()]

    @property
    def prices(self) -> dict[str, str]:
        return {row["product_id"]: row["price"] for row in rows_of(self.followed.stream.reference_file("products"))}

    @property
    def refused(self) -> str | None:
        fact = self.followed.fact()
        assert fact is not None
        return fact.refused


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    return Edited(tmp_path)


def test_a_fingerprint_is_of_the_names_and_contents_of_the_tables_in_use(edited: Edited) -> None:
    first = fingerprint_of(edited.stream)
    assert first == fingerprint_of(edited.followed.stream)
    assert len(first) == 12
    (edited.stream.folder / "reference" / "unused.csv").write_text("a,b\n1,2\n")
    assert fingerprint_of(edited.stream) == first
    edited.change("46.99", "47.99")
    assert fingerprint_of(edited.stream) != first


def test_a_change_has_settled_when_two_looks_in_a_row_saw_it() -> None:
    a, b, c = ({"t": ("t.csv", 1, size, 0, 0)} for size in (10, 20, 30))
    settling = Settling(a)
    assert [settling.has_settled(each) for each in (a, b, c, c, c)] == [False, False, False, True, True]
    settling.judge(c)
    assert [settling.has_settled(each) for each in (c, a, c, c, a, a)] == [False, False, False, False, False, True]


def test_a_new_version_is_taken_at_the_second_look_and_only_once(edited: Edited) -> None:
    first = edited.followed.stream
    edited.change("46.99", "47.99")
    assert edited.looks() == [False, True]
    assert edited.prices["p001"] == "47.99"
    assert edited.asked == [edited.followed.stream]
    assert edited.looks() == [False, False]
    assert rows_of(first.reference_file("products"))[1]["price"] == "46.99", "a query may still read what it began with"
    edited.followed.forget_others()
    assert not first.folder.exists()
    assert edited.followed.stream.folder.exists()


def test_a_file_that_grows_is_not_read_half(edited: Edited) -> None:
    whole = edited.products.read_text() + "p900,Late,Audio,1.5\n"
    for end in (40, 400, len(whole)):
        edited.products.write_text(whole[:end])
        assert not edited.look()
    assert edited.look()
    assert edited.prices["p900"] == "1.5"
    assert len(edited.asked) == 1


def test_what_is_written_to_while_it_is_read_waits(edited: Edited) -> None:
    edited.change("46.99", "47.99")
    assert not edited.look()
    assert not edited.followed.look(lambda _: edited.change("47.99", "48.99"))
    assert (edited.refused, edited.prices["p001"]) == (None, "46.99")
    assert len(versions(edited.kept, "shop")) == 1
    assert edited.looks() == [False, True]
    assert edited.prices["p001"] == "48.99"


def test_a_file_that_was_only_touched_is_the_same_version(edited: Edited) -> None:
    edited.products.write_text(edited.products.read_text())
    assert edited.looks() == [False, False]
    assert edited.asked == []


def _as_bytes(edited: Edited) -> None:
    edited.products.write_bytes(b"product_id,name,category,price\np001,\xff\xfe,Audio,1\n")


REFUSED: dict[str, tuple[Callable[[Edited], object], str]] = {
    "a-key-twice": (lambda each: each.change("p002", "p001"), "('p001',) is there twice"),
    "a-column-gone": (lambda each: each.change(",price", ",cost"), "price: no such column"),
    "a-file-gone": (lambda each: each.products.unlink(), "no products.csv or products.parquet"),
    "no-text": (_as_bytes, "can't decode byte"),
    "a-key-of-another-type": (lambda each: each.change("p0", "1"), "product_id: a join key was string and is long"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_version_that_is_not_valid_is_refused_and_the_one_before_goes_on(
    case: str, edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, said = REFUSED[case]
    good, first = edited.products.read_text(), edited.followed.stream
    spoil(edited)
    assert edited.looks() == [False, False]
    assert edited.look() is False
    assert said in str(edited.refused)
    assert len(caplog.records) == 1, "it is said once"
    assert edited.followed.stream is first
    assert edited.prices["p001"] == "46.99"
    assert edited.asked == []
    edited.products.write_text(good)
    assert edited.looks() == [False, False]
    assert edited.refused is None


def test_what_cannot_be_used_is_refused_and_what_cannot_be_known_is_asked_again(edited: Edited) -> None:
    def refuse(_: object) -> None:
        raise RefusedError("the registry refuses their columns")

    def away(_: object) -> None:
        raise ConnectionError

    edited.change("46.99", "47.99")
    edited.look()
    with pytest.raises(ConnectionError):
        edited.followed.look(away)
    assert edited.refused is None
    assert not edited.followed.look(refuse)
    assert edited.refused == "the registry refuses their columns"
    edited.products.touch()
    assert edited.looks() == [False, True], "touching it asks again"


def test_columns_are_those_of_the_version(edited: Edited) -> None:
    kinds = []
    for old, new in (("", ""), ("46.99", "cheap"), ("cheap", "46.99")):
        edited.change(old, new) if old else None
        edited.looks()
        kinds.append(reference_columns(edited.followed.stream.reference_file("products"))["price"])
        edited.followed.forget_others()
    assert kinds == ["double", "string", "double"]


def test_a_table_may_become_parquet(edited: Edited) -> None:
    rows = rows_of(edited.products)
    edited.products.unlink()
    table = pa.Table.from_pylist([{**row, "price": float(row["price"])} for row in rows])
    pq.write_table(table, edited.products.with_suffix(".parquet"))
    assert edited.looks() == [False, True]
    assert edited.followed.stream.reference_file("products").suffix == ".parquet"
    assert edited.prices["p001"] == "46.99"


def test_only_the_tables_are_taken_anew(edited: Edited) -> None:
    rules = edited.stream.folder / "stream.yaml"
    rules.write_text(rules.read_text().replace("ahead: 10m", "ahead: 20m"))
    edited.change("46.99", "47.99")
    assert edited.looks() == [False, True]
    assert edited.followed.stream.event_time.ahead == timedelta(minutes=10)
    assert edited.started().stream.event_time.ahead == timedelta(minutes=20), "the next process reads them all"


def test_a_copy_has_the_digest_of_what_it_is_of(edited: Edited) -> None:
    assert digest_of(edited.followed.stream.folder) == digest_of(edited.stream.folder)


def test_every_version_is_kept_with_when_it_was_taken(edited: Edited) -> None:
    [first] = versions(edited.kept, "shop")
    edited.change("46.99", "47.99")
    edited.looks()
    edited.started()
    edited.change("47.99", "46.99")
    edited.looks()
    second, again = versions(edited.kept, "shop")
    assert (again.fingerprint, len(again.taken), len(second.taken)) == (first.fingerprint, 2, 1)
    assert [before(second, [second, again]), before(again, [second, again])] == [again, second]
    assert before(first, [first]) is None
    assert {name: table.rows for name, table in second.tables.items()} == {"countries": 12, "products": 40}
    kept = table_of(edited.kept, "shop", second, "products")
    assert {row["product_id"]: row["price"] for row in rows_of(kept)}["p001"] == "47.99"


def test_a_version_half_kept_is_none(edited: Edited) -> None:
    [first] = versions(edited.kept, "shop")
    shutil.copytree(edited.kept / "shop" / first.fingerprint, edited.kept / "shop" / "0123456789ab.part")
    assert versions(edited.kept, "shop") == [first]
    assert keep(edited.kept, edited.stream, NOW) == first, "the last one is not taken again"


def test_differences_are_by_key() -> None:
    old = [{"id": "1", "a": "x"}, {"id": "2", "a": "y"}, {"id": "3", "a": "z"}]
    new = [{"id": "2", "a": "Y", "b": ""}, {"id": "3", "a": "z", "b": ""}, {"id": "4", "a": "n", "b": "m"}]
    found = differences(old, new, ["id"])
    assert list(found.added) == [("4",)]
    assert list(found.removed) == [("1",)]
    assert found.changed == {("2",): {"a": ("y", "Y")}}
    assert not differences(old, old, ["id"])


def test_the_command_lists_versions_and_shows_what_one_changed(edited: Edited) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["references", "shop", "--data", str(edited.root), *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    first = fingerprint_of(edited.followed.stream)
    edited.change("46.99", "47.99")
    edited.change("p039", "p939")
    edited.looks()
    second = fingerprint_of(edited.followed.stream)
    assert [line.split()[0] for line in said().splitlines()] == ["version", first, second]
    assert "countries.csv (12), products.csv (40)" in said()
    lines = said("--version", second).splitlines()
    assert lines[:3] == [
        f"{second} against {first}, the one before",
        "countries: 0 added, 0 removed, 0 changed",
        "products: 1 added, 1 removed, 1 changed",
    ]
    assert lines[-1] == "  ~ p001: price 46.99 -> 47.99"
    assert "is the first version of shop" in said("--version", first)
    assert CliRunner().invoke(app, ["references", "shop", "--data", str(edited.root), "--version", "x"]).exit_code == 2
    assert CliRunner().invoke(app, ["references", "none", "--data", str(edited.root)]).exit_code == 1
