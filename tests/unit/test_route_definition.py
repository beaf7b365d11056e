"""What a run began is finished by its own definition, wherever today's would send a record elsewhere."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.folders import load_stream
from controlplane.contract.names import SOURCE_REFERENCES, Hop
from controlplane.contract.settings import SHIPPED_STREAMS
from controlplane.contract.valid import reference_columns
from pipeline.references.fingerprint import fingerprint_of
from pipeline.route.decode import Schemas
from pipeline.route.definition import Before, Kept, digest_of
from pipeline.route.tails import Resumption, until_of

if TYPE_CHECKING:
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

KNOWN = Schemas(writers={1: "{}"}, valid_id=9, refused=frozenset({7}))


def ids(*writers: int, refused: frozenset[int] = frozenset({7})) -> Schemas:
    return Schemas(writers=dict.fromkeys(writers, "{}"), valid_id=9, refused=refused)


CHANGES = {
    "nothing": (ids(1), False),
    "an-id-that-nobody-has-used-yet": (ids(1, 2), False),
    "a-further-bad-id": (ids(1, refused=frozenset({7, 8})), False),
    "a-bad-id-that-is-registered-now": (ids(1, 7, refused=frozenset()), True),
    "an-id-that-was-taken-back": (ids(2), True),
}


@pytest.mark.parametrize("case", CHANGES)
def test_only_what_may_send_a_routed_record_elsewhere_counts(case: str, shop: StreamDefinition) -> None:
    now, elsewhere = CHANGES[case]
    assert Before(shop, KNOWN, "same").sends_elsewhere("same", now, shop.avro_schema) is elsewhere
    assert Before(shop, KNOWN, "same").sends_elsewhere("other", now, shop.avro_schema)


def test_events_that_are_read_as_something_else_count(shop: StreamDefinition) -> None:
    reader = {**shop.avro_schema, "fields": [*shop.avro_schema["fields"], {"name": "page", "type": "string"}]}
    assert Before(shop, KNOWN, "same").sends_elsewhere("same", KNOWN, reader)


def test_where_unknown_ids_were_dead_letters_without_asking_any_new_one_counts(shop: StreamDefinition) -> None:
    careless = Schemas(writers={1: "{}"}, valid_id=9, stop_at_unknown=False)
    assert Before(shop, careless, "same").sends_elsewhere("same", ids(1, 2), shop.avro_schema)


def test_what_is_kept_is_read_again_whole_and_replaced_whole(tmp_path: Path, shop: StreamDefinition) -> None:
    kept = Kept(tmp_path, "shop")
    assert kept.read() is None
    kept.write(shop, KNOWN, {0: 5})
    kept.write(shop, KNOWN, {0: 6, 1: 2})
    found = kept.read()
    assert found is not None
    assert (found.schemas, found.since, found.digest) == (KNOWN, {0: 6, 1: 2}, digest_of(shop.folder))
    assert found.stream.row_rules == shop.row_rules


def test_what_events_were_read_as_is_kept(tmp_path: Path, shop: StreamDefinition) -> None:
    page = {"name": "page", "type": ["null", "string"], "default": None}
    reader = {**shop.avro_schema, "fields": [*shop.avro_schema["fields"], page]}
    kept, stream = Kept(tmp_path, "shop"), shop.model_copy(update={"avro_schema": reader})
    kept.write(stream, KNOWN, {})
    found = kept.read()
    assert found is not None
    assert found.stream.avro_schema == reader
    assert not found.sends_elsewhere(digest_of(shop.folder), KNOWN, reader)


def test_a_changed_rule_is_another_definition(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED_STREAMS / "shop", tmp_path / "shop")
    before = digest_of(tmp_path / "shop")
    suite = tmp_path / "shop" / "suite.json"
    suite.write_text(suite.read_text().replace("quantity", "page_ms", 1))
    assert digest_of(tmp_path / "shop") != before


def test_one_that_cannot_be_followed_any_more_is_none(tmp_path: Path, shop: StreamDefinition) -> None:
    kept = Kept(tmp_path, "shop")
    kept.write(load_stream(SHIPPED_STREAMS / "shop"), KNOWN, {})
    [written] = (tmp_path / "shop.before").glob("*/shop/stream.yaml")
    written.write_text("nonsense: true")
    assert kept.read() is None


def test_one_whose_valid_records_are_written_otherwise_now_is_none(tmp_path: Path, shop: StreamDefinition) -> None:
    kept = Kept(tmp_path, "shop")
    kept.write(shop, KNOWN, {})
    file = tmp_path / "shop.before" / "ids.json"
    ids = json.loads(file.read_text())
    ids["valid"]["fields"] = [each for each in ids["valid"]["fields"] if each["name"] != SOURCE_REFERENCES]
    file.write_text(json.dumps(ids))
    assert kept.read() is None


def test_what_is_finished_has_the_columns_and_the_fingerprint_of_its_own_tables(tmp_path: Path) -> None:
    folder, kept, found = tmp_path / "shop", Kept(tmp_path, "shop"), []
    shutil.copytree(SHIPPED_STREAMS / "shop", folder)
    for price in ("46.99", "cheap", "48.99"):
        products = (SHIPPED_STREAMS / "shop" / "reference" / "products.csv").read_text().replace("46.99", price)
        (folder / "reference" / "products.csv").write_text(products)
        kept.write(copied(folder, tmp_path / price / "shop"), KNOWN, {})
        before = kept.read()
        assert before is not None
        assert fingerprint_of(before.stream) == fingerprint_of(load_stream(folder))
        found.append(reference_columns(before.stream.reference_file("products"))["price"])
    assert found == ["double", "string", "double"]


def copied(folder: Path, to: Path) -> StreamDefinition:
    """As route follows it: each version at a path of its own."""
    shutil.copytree(folder, to)
    return load_stream(to)


def test_what_is_in_doubt_ends_behind_the_last_output() -> None:
    tails = {Hop.VALID: {0: 150}, Hop.DEAD: {0: 90, 1: 3}}
    assert until_of(Resumption({0: 95, 1: 0, 2: 7}, tails)) == {0: 151, 1: 4, 2: 7}
