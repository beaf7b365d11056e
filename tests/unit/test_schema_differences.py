"""Differences in words, and the law that they say what Avro's resolution says: who can read what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.changes import Change, Way
from controlplane.contract.differences import differences
from controlplane.contract.refusals import causes_in, refusal
from controlplane.contract.resolution import can_read

NONE: tuple[Way, ...] = ()
BACK, FORTH, BOTH = (Way.BACKWARD,), (Way.FORWARD,), (Way.BACKWARD, Way.FORWARD)
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def record(*fields: dict[str, Any], name: str = "Order", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, avro: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Kind", "symbols": list(symbols), **more}


def address(*fields: dict[str, Any]) -> dict[str, Any]:
    return record(field("address", record(*fields, name="Address")))


ID = field("id", "string")
MISREAD = "Avro does not tell them apart, so old values are read as if they were new ones"
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, Change, tuple[Way, ...], str]]]] = {
    "nothing": (record(ID), record(ID), []),
    "another-order-is-no-difference": (record(ID, field("n", "int")), record(field("n", "int"), ID), []),
    "a-property-of-a-language-is-no-difference": (
        record(ID),
        record(field("id", {"type": "string", "avro.java.string": "String"})),
        [],
    ),
    "added-with-a-default": (
        record(ID),
        record(ID, field("n", "int", default=0)),
        [("n", Change.ADDED, NONE, "`n` is added as int, with the default 0")],
    ),
    "added-without-a-default": (
        record(ID),
        record(ID, field("n", "int")),
        [("n", Change.ADDED, BACK, "`n` is added as int, without a default")],
    ),
    "removed-that-was-required": (
        record(ID, field("n", "int")),
        record(ID),
        [("n", Change.REMOVED, FORTH, "`n` (int) is removed; it had no default")],
    ),
    "removed-that-had-a-default": (
        record(ID, field("n", "int", default=1)),
        record(ID),
        [("n", Change.REMOVED, NONE, "`n` (int) is removed")],
    ),
    "renamed-by-an-alias-of-the-new-one": (
        record(ID),
        record(field("order_id", "string", aliases=["id"])),
        [("order_id", Change.RENAMED, FORTH, "`id` is renamed to `order_id`")],
    ),
    "renamed-by-an-alias-of-the-old-one": (
        record(field("id", "string", aliases=["order_id"])),
        record(field("order_id", "string")),
        [("order_id", Change.RENAMED, BACK, "`id` is renamed to `order_id`")],
    ),
    "renamed-and-widened": (
        record(field("n", "int", default=0)),
        record(field("m", "long", default=0, aliases=["n"])),
        [
            ("m", Change.RENAMED, NONE, "`n` is renamed to `m`"),
            ("m", Change.WIDENED, NONE, "`m` is widened from int to long"),
        ],
    ),
    "widened": (
        record(field("n", "int")),
        record(field("n", "double")),
        [("n", Change.WIDENED, FORTH, "`n` is widened from int to double")],
    ),
    "narrowed": (
        record(field("n", "long")),
        record(field("n", "int")),
        [("n", Change.NARROWED, BACK, "`n` is narrowed from long to int")],
    ),
    "another-type": (
        record(field("n", "int")),
        record(field("n", "string")),
        [("n", Change.TYPE_CHANGED, BOTH, "`n` is changed from int to string")],
    ),
    "bytes-are-text-to-avro": (
        record(ID),
        record(field("id", "bytes")),
        [("id", Change.TYPE_CHANGED, NONE, "`id` is changed from string to bytes")],
    ),
    "a-meaning-that-avro-does-not-see": (
        record(field("at", MILLIS)),
        record(field("at", MICROS)),
        [
            (
                "at",
                Change.TYPE_CHANGED,
                NONE,
                f"`at` is changed from timestamp-millis to timestamp-micros; {MISREAD}",
            )
        ],
    ),
    "made-optional": (
        record(ID),
        record(field("id", ["null", "string"])),
        [("id", Change.MADE_OPTIONAL, FORTH, "`id` is made optional: it may be null now")],
    ),
    "made-required": (
        record(field("id", ["null", "string"])),
        record(ID),
        [("id", Change.MADE_REQUIRED, BACK, "`id` is made required: it may not be null any more")],
    ),
    "a-union-widened": (
        record(field("n", ["null", "int"])),
        record(field("n", ["null", "int", "string"])),
        [("n", Change.WIDENED, FORTH, "`n` is widened from int to int or string")],
    ),
    "a-symbol-added": (
        record(field("kind", enum("A"))),
        record(field("kind", enum("A", "B"))),
        [("kind", Change.SYMBOLS_ADDED, FORTH, "`kind` gains the symbol B")],
    ),
    "a-symbol-added-where-the-old-enum-has-a-default": (
        record(field("kind", enum("A", default="A"))),
        record(field("kind", enum("A", "B", default="A"))),
        [("kind", Change.SYMBOLS_ADDED, NONE, "`kind` gains the symbol B")],
    ),
    "symbols-removed": (
        record(field("kind", enum("A", "B", "C"))),
        record(field("kind", enum("B"))),
        [("kind", Change.SYMBOLS_REMOVED, BACK, "`kind` loses the symbols A, C")],
    ),
    "default-changed": (
        record(field("n", "int", default=0)),
        record(field("n", "int")),
        [("n", Change.DEFAULT_CHANGED, NONE, "the default of `n` goes from 0 to none")],
    ),
    "described-differently": (
        record(ID),
        record({**ID, "doc": "of the order"}),
        [("id", Change.DOC, NONE, "`id` is described differently")],
    ),
    "the-record-renamed": (
        record(ID),
        record(ID, name="Purchase"),
        [("", Change.RENAMED, BOTH, "the record is renamed from `Order` to `Purchase`")],
    ),
    "the-record-renamed-by-an-alias": (
        record(ID),
        record(ID, name="Purchase", aliases=["Order"]),
        [("", Change.RENAMED, FORTH, "the record is renamed from `Order` to `Purchase`")],
    ),
    "inside-a-record": (
        address(field("city", "string")),
        address(field("city", "string"), field("zip", "string")),
        [("address.zip", Change.ADDED, BACK, "`address.zip` is added as string, without a default")],
    ),
    "inside-an-array": (
        record(field("tags", {"type": "array", "items": "int"})),
        record(field("tags", {"type": "array", "items": "long"})),
        [("tags[]", Change.WIDENED, FORTH, "`tags[]` is widened from int to long")],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), CASES.values(), ids=CASES)
def test_a_difference_says_what_and_what_it_breaks(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, Change, tuple[Way, ...], str]]
) -> None:
    found = differences(before, after)
    assert [(each.field, each.change, each.breaks, each.sentence) for each in found] == expected
    assert all(set(each.advice) == set(each.breaks) for each in found)


PLAIN = ["int", "long", "float", "double", "string", "bytes", "boolean", MILLIS]
UNIONS = [["null", "int"], ["null", "long"], ["null", "string"], ["null", "int", "string"], ["int", "string"]]
ENUMS = [enum("A"), enum("A", "B"), enum("B", default="B")]
LISTS = [
    {"type": "array", "items": "int"},
    {"type": "array", "items": ["null", "long"]},
    {"type": "map", "values": "int"},
]
INNER = [record(field("x", "int"), name="In"), record(field("x", "long"), field("y", "int", default=0), name="In")]
TYPES = st.sampled_from([*PLAIN, *UNIONS, *ENUMS, *LISTS, *INNER])
FIELDS = st.fixed_dictionaries({"type": TYPES}, optional={"default": st.none(), "aliases": st.sampled_from([["was"]])})
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "c", "was"]), FIELDS, min_size=1).map(
    lambda fields: record(*({"name": name, **_usable(name, rest, fields)} for name, rest in fields.items()))
)


def _usable(name: str, rest: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """One field at most is another by name: two that claim the same one are refused by Avro itself."""
    claims = next((each for each in fields if "aliases" in fields[each]), None)
    is_kept = name == claims and "was" not in fields
    return {key: value for key, value in rest.items() if key != "aliases" or is_kept}


@given(RECORDS, RECORDS)
def test_what_breaks_is_what_avro_cannot_read(before: dict[str, Any], after: dict[str, Any]) -> None:
    broken = {way for each in differences(before, after) for way in each.breaks}
    assert (Way.BACKWARD in broken) is not can_read(before, after)
    assert (Way.FORWARD in broken) is not can_read(after, before)


FIRST = record(ID, field("n", "int"))
SECOND = record(ID, field("n", "int"), field("x", "int", default=0))


@pytest.mark.parametrize(
    ("mode", "candidate", "expected"),
    [
        (
            "BACKWARD",
            record(ID, field("n", "string")),
            ["`n` is changed from int to string: events of version 2 could"],
        ),
        ("FORWARD", record(ID), ["`n` (int) is removed; it had no default: who still reads with version 2 could"]),
        ("FORWARD_TRANSITIVE", record(ID), ["who still reads with versions 1, 2 could not read its events; keep it"]),
        ("FULL", record(ID, field("n", "long")), ["`n` is widened from int to long: who still reads with version 2"]),
        ("NONE", record(field("n", "string")), []),
    ],
    ids=["backward-is-the-newest", "forward", "transitive-is-every-version", "full-is-both-ways", "none-is-never"],
)
def test_an_objection_says_which_version_and_what_to_do(
    mode: str, candidate: dict[str, Any], expected: list[str]
) -> None:
    found = refusal("shop.raw-value", mode, {1: FIRST, 2: SECOND}, candidate, ("no",)).objections
    assert len(found) == len(expected)
    assert all(wanted in said for wanted, said in zip(expected, found, strict=True))


def test_where_our_differences_explain_nothing_the_registry_is_quoted() -> None:
    assert str(refusal("s", "BACKWARD", {1: FIRST}, FIRST, ("because",))) == "s (BACKWARD) refuses the schema: because"


APICURIO = "io.apicurio.RuleViolationException: Incompatible artifact: a [AVRO], num: {2}, list of diff types:"


@pytest.mark.parametrize(
    ("message", "causes"),
    [
        (
            f"{APICURIO} [x at /fields/1, reader type: INT not compatible with writer type: STRING at /fields/0/type]",
            ("x at /fields/1", "reader type: INT not compatible with writer type: STRING at /fields/0/type"),
        ),
        ("Schema is incompatible with an earlier one", ("Schema is incompatible with an earlier one",)),
    ],
    ids=["apicurio-lists-causes", "another-registry-is-quoted-whole"],
)
def test_a_registrys_message_is_taken_apart(message: str, causes: tuple[str, ...]) -> None:
    assert causes_in(message) == causes
