"""What may not run together, who may do what, and what breaks the chain of the record?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controlplane.contract.access import LEAST, Action, Grant, Principal, Role
from controlplane.contract.audit import FIRST, AuditEntry, hash_of
from controlplane.contract.operations import OperationState, Touch


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        (Touch(stream="shop"), Touch(stream="shop"), True),
        (Touch(stream="shop"), Touch(stream="flights"), False),
        (Touch(stream="shop", writes=False), Touch(stream="shop", writes=False), False),
        (Touch(stream="shop", writes=False), Touch(stream="shop"), True),
        (Touch(stream="shop", table="events"), Touch(stream="shop", table="diverted"), False),
        (Touch(stream="shop", table="events"), Touch(stream="shop"), True),
        (
            Touch(stream="shop", table="events", partitions=("2026-01-01",)),
            Touch(stream="shop", table="events", partitions=("2026-01-02",)),
            False,
        ),
        (
            Touch(stream="shop", table="events", partitions=("2026-01-01", "2026-01-02")),
            Touch(stream="shop", table="events", partitions=("2026-01-02",)),
            True,
        ),
        (
            Touch(stream="shop", table="events", partitions=("2026-01-01",)),
            Touch(stream="shop", table="events"),
            True,
        ),
    ],
)
def test_two_that_touch_the_same_and_write_meet(one: Touch, other: Touch, meets: bool) -> None:
    assert one.meets(other) is meets
    assert other.meets(one) is meets


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_those_below_it_may_but_a_viewer_sends_nothing(action: Action, role: Role) -> None:
    least = LEAST[action]
    may = least is not None and list(Role).index(role) >= list(Role).index(least)
    may = may and (role, action) != (Role.VIEWER, Action.PRODUCE)
    assert Principal(name="ada", grants=(Grant(role=role),)).may(action) is may


def test_a_grant_for_a_stream_is_none_for_another_or_for_the_platform() -> None:
    ada = Principal(name="ada", grants=(Grant(role=Role.VIEWER), Grant(role=Role.APPROVER, streams=("shop",))))
    assert ada.may(Action.APPROVE, "shop")
    assert not ada.may(Action.APPROVE, "flights")
    assert not ada.may(Action.APPROVE)
    assert ada.may(Action.READ, "flights")


def test_who_has_no_grant_sees_nothing_and_a_room_may_all() -> None:
    assert not Principal(name="nobody").can_see
    assert Principal(name="service", is_service=True).may(Action.REPORT)
    assert not Principal(name="root", grants=(Grant(role=Role.ADMIN),)).may(Action.REPORT)


def test_a_hash_covers_every_other_field_of_an_entry() -> None:
    entry = AuditEntry(
        seq=1,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        actor="ada",
        by="session",
        action="operation.confirm",
        subject="op-1",
        outcome="ok",
        details={"kind": "rollback"},
        before=FIRST,
        hash="",
    )
    kept = entry.model_copy(update={"hash": hash_of(entry)})
    assert hash_of(kept) == kept.hash
    changed: dict[str, object] = {
        "seq": 2,
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "by": "none",
        "stream": "shop",
        "reason": "because",
        "address": "127.0.0.1",
        "details": {},
        "before": "1" * 64,
    } | dict.fromkeys(("actor", "action", "subject", "outcome"), "other")
    assert {*changed, "hash"} == set(AuditEntry.model_fields)
    for field, value in changed.items():
        assert hash_of(kept.model_copy(update={field: value})) != kept.hash, field


def test_what_is_paused_still_holds_what_it_touches() -> None:
    assert {state for state in OperationState if state.holds} == {
        OperationState.QUEUED,
        OperationState.RUNNING,
        OperationState.PAUSED,
    }
    assert not any(state.holds for state in OperationState if state.has_ended)
