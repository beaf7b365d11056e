"""A schema and its versions: what every producer's records are read as, whoever is deployed first."""

from __future__ import annotations

import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.evolution import Conflict, evolution, evolved, reader_for
from controlplane.contract.streams import Enrichment, EventTime, StreamDefinition
from controlplane.contract.valid import valid_schema

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
DATE = {"type": "int", "logicalType": "date"}


def enum(*symbols: str) -> dict[str, Any]:
    return {"type": "enum", "name": "Kind", "symbols": [*symbols]}


FIXED = [{"name": "id", "type": "string"}, {"name": "at", "type": MILLIS}]
FOLDER = [
    *FIXED,
    {"name": "user", "type": "string"},
    {"name": "n", "type": "int"},
    {"name": "kind", "type": enum("a", "b")},
]


def record(*fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Visit", "namespace": "test", "fields": list(fields), **more}


def stream(*fields: dict[str, Any]) -> StreamDefinition:
    return StreamDefinition(
        title="Visits",
        key=("id",),
        event_time=EventTime(field="at"),
        name="visits",
        folder=Path("/nowhere"),
        avro_schema=record(*(fields or FOLDER)),
    )


def without(name: str, *more: dict[str, Any]) -> dict[str, Any]:
    return record(*(field for field in FOLDER if field["name"] != name), *more)


def columns(*versions: dict[str, Any], folder: StreamDefinition | None = None) -> dict[str, Any]:
    found = evolution(folder or stream(), versions)
    assert found.conflicts == ()
    return {field["name"]: field for field in found.reader["fields"]}


def read(value: dict[str, Any], writer: dict[str, Any], reader: dict[str, Any]) -> Any:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, deepcopy(writer), value)
    body.seek(0)
    return fastavro.schemaless_reader(body, deepcopy(writer), deepcopy(reader_for(writer, reader)))


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a-field-with-a-default-is-added-as-optional": (
        record(*FOLDER, {"name": "page", "type": "string", "default": "/", "doc": "Path."}),
        {"name": "page", "type": ["null", "string"], "default": None, "doc": "Path."},
    ),
    "an-optional-field-is-added-as-it-is": (
        record(*FOLDER, {"name": "page", "type": ["null", "string"], "default": None}),
        {"name": "page", "type": ["null", "string"], "default": None},
    ),
    "a-field-that-a-version-lacks-may-be-null": (
        without("n"),
        {"name": "n", "type": ["null", "int"], "default": None},
    ),
    "an-int-becomes-a-long": (without("n", {"name": "n", "type": "long"}), {"name": "n", "type": "long"}),
    "a-union-of-numbers-is-the-widest": (
        without("n", {"name": "n", "type": ["null", "int", "long"]}),
        {"name": "n", "type": ["null", "long"], "default": None},
    ),
    "what-may-be-null-in-a-version-may-be-null": (
        without("user", {"name": "user", "type": ["string", "null"]}),
        {"name": "user", "type": ["null", "string"], "default": None},
    ),
    "a-symbol-is-added-behind-the-folders": (
        without("kind", {"name": "kind", "type": enum("c", "b", "a")}),
        {"name": "kind", "type": enum("a", "b", "c")},
    ),
    "a-renamed-field-is-the-same-column": (
        without("user", {"name": "visitor", "type": "string", "aliases": ["user"]}),
        {"name": "user", "type": "string", "aliases": ["visitor"]},
    ),
    "a-time-that-does-not-say-its-unit-is-the-columns": (
        record(FIXED[0], {"name": "at", "type": "long"}, *FOLDER[2:]),
        {"name": "at", "type": MILLIS},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_version_extends_what_its_records_are_read_as(case: str) -> None:
    version, column = CHANGES[case]
    found = columns(version)
    assert found[column["name"]] == column
    assert [name for name in found if name != "page"] == ["id", "at", "user", "n", "kind"]


CONFLICTS: dict[str, tuple[dict[str, Any], str, bool]] = {
    "a-number-that-is-a-string": (without("n", {"name": "n", "type": "string"}), "is string there and int here", False),
    "a-union-of-a-number-and-a-string": (
        without("n", {"name": "n", "type": ["int", "string"]}),
        "is a union of int and string, which no column holds",
        False,
    ),
    "a-new-record": (
        record(*FOLDER, {"name": "more", "type": {"type": "record", "name": "More", "fields": []}}),
        "is record, which no column holds",
        False,
    ),
    "an-event-time-that-may-be-null": (
        record(FIXED[0], {"name": "at", "type": ["null", MILLIS]}, *FOLDER[2:]),
        "may be null there, and an event time, a key or what is joined by never is",
        False,
    ),
    "a-key-that-is-left-out": (
        without("id"),
        "is not there, and an event time, a key or what is joined by can't be left out",
        False,
    ),
    "an-event-time-in-another-unit-would-be-misread": (
        record(FIXED[0], {"name": "at", "type": MICROS}, *FOLDER[2:]),
        "is timestamp-micros there and timestamp-millis here",
        True,
    ),
    "another-enum": (
        without("kind", {"name": "kind", "type": {"type": "enum", "name": "Sort", "symbols": ["a"]}}),
        "is the enum Sort there and the enum Kind here",
        False,
    ),
    "a-column-of-our-own": (
        record(*FOLDER, {"name": "tg_offset", "type": "long"}),
        "is the name of a column that is there already",
        False,
    ),
    **{
        f"{name}-is-a-column-of-our-own": (
            record(*FOLDER, {"name": name, "type": "string"}),
            "is the name of a column that is there already",
            False,
        )
        for name in ("as_of", "Event_Date", "_change_type", "TG_x")
    },
    "a-name-that-differs-by-case": (
        record(*FOLDER, {"name": "User", "type": "string"}),
        "is the name of a column that is there already",
        False,
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_what_no_column_holds_is_a_sentence_and_changes_nothing(case: str) -> None:
    version, reason, is_misread = CONFLICTS[case]
    found = evolution(stream(), [version])
    [sentence] = found.conflicts
    assert str(sentence).startswith("version 1: field '")
    assert reason in sentence.reason
    assert found.reader == stream().avro_schema
    assert found.misread == ({0} if is_misread else set())


@pytest.mark.parametrize("whole", ["int", "long"])
@pytest.mark.parametrize("fraction", ["float", "double"])
def test_a_whole_number_does_not_become_a_fraction_but_a_fraction_holds_it(whole: str, fraction: str) -> None:
    mine, theirs = without("n", {"name": "n", "type": whole}), without("n", {"name": "n", "type": fraction})
    found = evolution(stream(*mine["fields"]), [theirs])
    assert found.reader == mine
    assert f"version 1: field 'n' is {fraction} there and {whole} here" in str(found.conflicts[0])
    assert not found.misread
    assert columns(mine, folder=stream(*theirs["fields"]))["n"]["type"] == "double"


def test_what_is_joined_by_is_never_null() -> None:
    joined = stream().model_copy(
        update={"enrich": (Enrichment(reference="users", on={"user": "id"}, take={"age": "age"}),)}
    )
    found = evolution(joined, [without("user"), record(*FOLDER, {"name": "age", "type": "int"})])
    assert found.reader == joined.avro_schema
    assert [str(each).split(";")[0] for each in found.conflicts] == [
        "version 1: field 'user' is not there, and an event time, a key or what is joined by can't be left out",
        "version 2: field 'age' is the name of a column that is there already",
    ]


def test_a_date_is_not_read_as_a_time() -> None:
    assert evolution(
        stream(*FOLDER, {"name": "day", "type": MILLIS}), [record(*FOLDER, {"name": "day", "type": DATE})]
    ).misread


def test_the_folders_name_wins_when_the_folder_renames() -> None:
    visitor = {"name": "visitor", "type": "string", "aliases": ["user"]}
    renamed = stream(*FIXED, visitor)
    found = columns(record(*FIXED, {"name": "user", "type": "string"}), record(*FIXED, visitor), folder=renamed)
    assert found == {field["name"]: field for field in renamed.avro_schema["fields"]}


def test_two_names_of_a_column_in_one_version_are_told_apart() -> None:
    renamed = without("user", {"name": "visitor", "type": "string", "aliases": ["user"]})
    both = record(*FOLDER, {"name": "visitor", "type": "string"})
    found = evolution(stream(), [renamed, both])
    assert found.conflicts == (
        Conflict(2, "field 'visitor' is another name of user, which it has as well; this part of it is not adopted"),
    )
    value = {"id": "1", "at": 0, "user": "u", "visitor": "v", "n": 1, "kind": "a"}
    assert read(value, both, found.reader)["user"] == "u"
    aliases = [field.get("aliases") for field in reader_for(both, found.reader)["fields"]]
    assert aliases == [None] * 5, "or Java finds the field twice"


def test_what_is_written_already_may_stay_null_when_the_folder_follows() -> None:
    page = {"name": "page", "type": "string", "default": "/"}
    first, second = record(*FOLDER), record(*FOLDER, page)
    before = valid_schema(evolved(stream(), [first, second]))
    after = evolved(stream(*FOLDER, page), [first, second], [before])
    assert after.avro_schema["fields"][-1] == {**page, "type": ["string", "null"]}


KINDS = ["string", "boolean", "int", "long", "float", "double", DATE, MILLIS, MICROS]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=3),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**53), 2**53),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "null": st.none(),
}
NAMES = ("user", "visitor", "n", "page", "kind")


@st.composite
def versions(draw: st.DrawFn) -> dict[str, Any]:
    """Anything that may be registered: the names overlap, the types may clash."""
    fields: list[dict[str, Any]] = [*FIXED]
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        symbols = draw(st.lists(st.sampled_from("abc"), unique=True, min_size=1))
        base = enum(*symbols) if name == "kind" else draw(st.sampled_from(KINDS))
        kind = draw(st.sampled_from([base, ["null", base], [base, "null"]]))
        if name == "n":
            kind = draw(st.sampled_from([kind, "int", "long", ["null", "int", "long"], ["int", "string"]]))
        aliases = draw(st.lists(st.sampled_from([each for each in NAMES if each != name]), unique=True, max_size=1))
        fields.append({"name": name, "type": kind, **({"aliases": aliases} if aliases else {})})
    return record(*fields)


def value_of(avro: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro, list):
        return st.one_of(*map(value_of, avro))
    if isinstance(avro, dict) and avro["type"] == "enum":
        return st.sampled_from(avro["symbols"])
    # A logical type's value is written as the number that it is.
    return VALUES[avro["type"] if isinstance(avro, dict) else avro] if avro != DATE else st.integers(0, 9999)


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without logical types: fastavro would make dates of numbers that are out of its range."""

    def kind(avro: Any) -> Any:
        if isinstance(avro, list):
            return [kind(each) for each in avro]
        return avro["type"] if isinstance(avro, dict) and "logicalType" in avro else avro

    return {**schema, "fields": [{**field, "type": kind(field["type"])} for field in schema["fields"]]}


def a_record(draw: Any, schema: dict[str, Any]) -> dict[str, Any]:
    return {field["name"]: draw(value_of(field["type"])) for field in schema["fields"]}


MANY = st.lists(versions(), max_size=4)


@given(MANY)
def test_folding_the_same_versions_again_changes_nothing(many: list[dict[str, Any]]) -> None:
    once = evolved(stream(), many)
    assert evolved(stream(), [*many, *many]) == once
    assert evolved(once, many) == once


@given(MANY, st.data())
def test_a_version_that_comes_again_changes_nothing_wherever_it_comes(many: list[dict[str, Any]], data: Any) -> None:
    if many:
        at = data.draw(st.integers(0, len(many) - 1))
        later = data.draw(st.integers(at + 1, len(many)))
        again = [*many[:later], many[at], *many[later:]]
        assert evolved(stream(), again) == evolved(stream(), many)


@given(MANY, st.data())
def test_every_record_of_a_version_without_conflict_is_read(many: list[dict[str, Any]], data: Any) -> None:
    found = evolution(stream(), many)
    for number, version in enumerate(many, 1):
        if number not in {conflict.version for conflict in found.conflicts}:
            value = a_record(data.draw, version)
            got = read(value, plain(version), plain(found.reader))
            same = {name: got[name] for name in value if name in got}
            assert same == {name: value[name] for name in same}


@given(MANY, st.data())
def test_what_was_valid_before_a_version_is_read_after_it(many: list[dict[str, Any]], data: Any) -> None:
    steps = [plain(valid_schema(evolved(stream(), many[:count]))) for count in range(len(many) + 1)]
    for count, before in enumerate(steps):
        value = a_record(data.draw, before)
        for after in steps[count:]:
            got = read(value, before, after)
            assert {name: got[name] for name in value} == value
