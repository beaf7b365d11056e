"""A new suite is taken whole and valid or not at all; a broken one is a mistake in the configuration and not in the data."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.contract.folders import SUITE_FILE, load_stream
from controlplane.contract.gates import Stage
from controlplane.contract.settings import SHIPPED_STREAMS
from pipeline.route.followed import Followed, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition


class Edited:
    """A copy of the shipped shop whose suite people edit, and what route follows."""

    def __init__(self, root: Path) -> None:
        shutil.copytree(SHIPPED_STREAMS / "shop", root / "streams" / "shop")
        self.stream = load_stream(root / "streams" / "shop")
        self.file = self.stream.folder / SUITE_FILE
        self.followed = Followed(self.stream, root / "scratch", root / "references")
        self.asked: list[StreamDefinition] = []

    def change(self, old: str, new: str) -> None:
        assert old in self.file.read_text()
        self.file.write_text(self.file.read_text().replace(old, new, 1))

    def looks(self) -> list[bool]:
        return [self.followed.look_at_suite(self.asked.append) for _ in range(2)]


@pytest.fixture
def edited(tmp_path: Path) -> Edited:
    return Edited(tmp_path)


def test_a_new_suite_is_taken_at_the_second_look_and_only_once(edited: Edited) -> None:
    first = edited.followed.suite
    assert (first.suite, first.rules) == (edited.stream.fingerprint(Stage.INGEST), len(edited.stream.row_rules))
    assert edited.looks() == [False, False]
    assert edited.followed.suite is first
    edited.change('"max_value": 50}', '"max_value": 60}')
    assert edited.looks() == [False, True]
    assert edited.asked == [edited.followed.stream]
    assert edited.looks() == [False, False]
    second = edited.followed.suite
    assert second.suite == edited.followed.stream.fingerprint(Stage.INGEST) != first.suite
    assert second.since > first.since
    assert second.refused is None


def test_another_stages_suite_is_none_of_routes_business_even_when_it_is_broken(edited: Edited) -> None:
    first = edited.followed.suite
    written = json.loads(edited.file.read_text())
    written["lake"] = {"expectations": [{"type": "expect_nonsense"}]}
    edited.file.write_text(json.dumps(written))
    assert edited.looks() == [False, False]
    assert edited.followed.suite is first


def _without_ingest(edited: Edited) -> None:
    written = json.loads(edited.file.read_text())
    del written["ingest"]
    edited.file.write_text(json.dumps(written))


REFUSED: dict[str, tuple[Callable[[Edited], object], str]] = {
    "no-json": (lambda each: each.file.write_text("{"), "suite.json: line 1"),
    "no-object": (lambda each: each.file.write_text("[]"), "not an object"),
    "no-such-column": (lambda each: each.change('"country"', '"land"'), "there is no field 'land'"),
    "cannot-be-compiled": (lambda each: each.change("lengths_to_equal", "z_scores"), "cannot be compiled"),
    "a-file-gone": (lambda each: each.file.unlink(), "No such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_suite_that_is_not_valid_is_refused_and_the_one_before_goes_on(
    case: str, edited: Edited, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, said = REFUSED[case]
    good, first, stream = edited.file.read_text(), edited.followed.suite, edited.followed.stream
    spoil(edited)
    assert edited.looks() == [False, False]
    assert edited.looks() == [False, False]
    assert len(caplog.records) == 1, "it is said once"
    fact: Any = edited.followed.suite
    assert said in fact.refused
    assert (fact.suite, fact.since) == (first.suite, first.since)
    assert edited.followed.stream is stream
    assert edited.asked == []
    edited.file.write_text(good)
    assert edited.looks() == [False, False]
    assert edited.followed.suite.refused is None


def test_a_stream_may_lose_its_gate(edited: Edited) -> None:
    _without_ingest(edited)
    assert edited.looks() == [False, True]
    assert edited.followed.suite.rules == 0


def test_what_spark_cannot_run_is_refused_and_what_cannot_be_known_is_asked_again(edited: Edited) -> None:
    def refuse(_: object) -> None:
        raise RefusedError("Spark cannot run its rules")

    def away(_: object) -> None:
        raise ConnectionError

    edited.change('"max_value": 50}', '"max_value": 60}')
    edited.followed.look_at_suite(away)
    with pytest.raises(ConnectionError):
        edited.followed.look_at_suite(away)
    assert edited.followed.suite.refused is None
    assert not edited.followed.look_at_suite(refuse)
    assert edited.followed.suite.refused == "Spark cannot run its rules"


def test_new_tables_are_taken_with_the_suite_in_use_and_the_other_way_round(edited: Edited) -> None:
    edited.change('"max_value": 50}', '"max_value": 60}')
    products = edited.stream.folder / "reference" / "products.csv"
    products.write_text(products.read_text().replace("46.99", "47.99"))
    assert [edited.followed.look(edited.asked.append) for _ in range(2)] == [False, True]
    assert edited.followed.stream.fingerprint(Stage.INGEST) == edited.stream.fingerprint(Stage.INGEST)
    assert edited.looks() == [False, True]
    assert "47.99" in edited.followed.stream.reference_file("products").read_text()
    edited.followed.forget_others()
    assert edited.followed.stream.folder.exists()
