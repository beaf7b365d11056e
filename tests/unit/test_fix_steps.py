"""Fix steps: how they are written on a line, and what a record becomes by them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.fix_steps import (
    CastField,
    CastType,
    ChangeCase,
    DefaultField,
    DropField,
    FixStep,
    ReadAs,
    RenameField,
    SetField,
    parse_step,
    written,
)
from quality.replay.steps import StepError, fixed

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
STEPS: st.SearchStrategy[FixStep] = st.one_of(
    st.builds(SetField, field=NAMES, value=SCALARS),
    st.builds(DefaultField, field=NAMES, value=SCALARS),
    st.builds(CastField, field=NAMES, to=st.sampled_from(CastType)),
    st.builds(DropField, field=NAMES),
    st.builds(ChangeCase, kind=st.sampled_from(("upper", "lower")), field=NAMES),
    st.builds(RenameField, field=NAMES, to=NAMES),
    st.builds(ReadAs, schema_id=st.none() | st.integers(1, 2**31 - 1)),
)


@given(STEPS)
def test_a_step_is_read_back_as_it_was_written(step: FixStep) -> None:
    assert parse_step(written(step)) == step


@pytest.mark.parametrize(
    ("text", "value"),
    [("US", "US"), ("1", 1), ('"1"', "1"), ("'a b'", "a b"), ("null", None), ("true", True), ("2.5", 2.5)],
)
def test_a_value_is_json_where_it_is_json_and_else_a_string(text: str, value: object) -> None:
    assert parse_step(f"set x {text}") == SetField(field="x", value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    ["", "set x", "sett x 1", "cast x decimal", "rename a", "drop 1x", "drop a b", "rename a b c", "read_as abc"],
)
def test_what_is_no_step_is_refused_with_how_it_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"write (one of: )?(set|cast|rename|drop|read_as)"):
        parse_step(text)


@pytest.mark.parametrize(
    ("steps", "event", "after"),
    [
        (["set a 1"], {}, {"a": 1}),
        (["set a 1"], {"a": 0}, {"a": 1}),
        (["default a 1"], {"a": 0}, {"a": 0}),
        (["default a 1"], {"a": None}, {"a": 1}),
        (["default a 1"], {}, {"a": 1}),
        (["drop a", "drop b"], {"a": 0}, {}),
        (["rename a b"], {"a": 0}, {"b": 0}),
        (["rename a b"], {"c": 0}, {"c": 0}),
        (["rename a b", "set a 2"], {"a": 1}, {"b": 1, "a": 2}),
        (["cast a int"], {"a": " 12 "}, {"a": 12}),
        (["cast a int"], {"a": 12.0}, {"a": 12}),
        (["cast a int"], {"a": None}, {"a": None}),
        (["cast a double"], {"a": "1.5"}, {"a": 1.5}),
        (["cast a string"], {"a": 15}, {"a": "15"}),
        (["cast a boolean"], {"a": "Yes"}, {"a": True}),
        (["cast a timestamp"], {"a": "2026-01-02T03:04:05"}, {"a": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
        (["cast a timestamp"], {"a": 1767323045}, {"a": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
        (["cast a timestamp"], {"a": 1767323045000}, {"a": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
    ],
)
def test_steps_are_done_in_their_order(steps: list[str], event: dict[str, object], after: dict[str, object]) -> None:
    before = dict(event)
    assert fixed(event, [parse_step(each) for each in steps]) == after
    assert event == before, "the record that was turned away stays as it is"


@pytest.mark.parametrize(
    ("to", "value"), [("int", "12.5"), ("int", 1.5), ("double", "x"), ("timestamp", "soon"), ("boolean", 2)]
)
def test_what_cannot_be_cast_is_said_with_field_and_value(to: str, value: object) -> None:
    with pytest.raises(StepError, match=f"cast a {to}: '{value}' is none"):
        fixed({"a": value}, [parse_step(f"cast a {to}")])


def test_only_text_has_a_case() -> None:
    event = {"country": "us", "Device": "PHONE", "quantity": 2, "amount": None}
    steps = [parse_step(f"{kind} {name}") for kind in ("upper", "lower") for name in event]
    assert fixed(event, steps[:4]) == {"country": "US", "Device": "PHONE", "quantity": 2, "amount": None}
    assert fixed(event, steps[4:]) == {"country": "us", "Device": "phone", "quantity": 2, "amount": None}
