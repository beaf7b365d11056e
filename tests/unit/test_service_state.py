"""The fold does not depend on order or repetition; old news is no news."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.facts import FeedProgressed, HopMeasured, SchemaSeen, Verdict
from controlplane.contract.names import Hop
from controlplane.service.state import PRODUCERS_AT_MOST, STALE_AFTER, Known

NOW = datetime(2026, 1, 1, tzinfo=UTC)
facts = st.builds(
    lambda stream, second, produced, name: FeedProgressed(
        id=name, at=NOW + timedelta(seconds=second), stream=stream, produced=produced
    ),
    st.sampled_from(["shop", "flights"]),
    st.integers(0, 5),
    st.integers(0, 100),
    st.uuids().map(str),
)


@given(st.lists(facts, max_size=12), st.randoms())
def test_order_and_duplicates_change_nothing(reported: list[FeedProgressed], random: object) -> None:
    shuffled = [*reported, *reported]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    straight, other = Known(), Known()
    straight.fold(reported)
    other.fold(shuffled)
    assert straight.facts == other.facts


def test_a_hop_that_nobody_measured_lately_is_unknown() -> None:
    known = Known()
    known.fold([HopMeasured(at=NOW, stream="shop", hop=Hop.VALID, events=5, lag_s=0.0)])
    assert known.hop("shop", Hop.VALID, NOW).events == 5
    late = known.hop("shop", Hop.VALID, NOW + 2 * STALE_AFTER)
    assert late.events is None
    assert late.lag_s is None
    assert "not measured for 20 s" in (late.reason or "")


def test_without_a_ledger_the_verdict_is_unknown() -> None:
    assert Known().verdict("shop", NOW)[0] is Verdict.UNKNOWN


def seen(number: int, *, stream: str = "shop", schema_id: int = 1) -> SchemaSeen:
    at = NOW + timedelta(seconds=number)
    return SchemaSeen(at=at, stream=stream, producer=f"p-{number}", schema_id=schema_id, sampled=1, of=1, seen_at=at)


def test_of_producers_with_a_new_name_each_time_the_latest_are_known_whatever_the_order() -> None:
    reported = [seen(number) for number in range(PRODUCERS_AT_MOST + 50)]
    random.Random(7).shuffle(reported)  # noqa: S311
    known = Known()
    known.fold([*reported, *reported, seen(3, stream="flights")])
    latest = [f"p-{number}" for number in reversed(range(50, PRODUCERS_AT_MOST + 50))]
    assert [each.producer for each in known.writers("shop")] == latest
    assert [each.producer for each in known.writers("flights")] == ["p-3"]


def test_a_producer_may_be_on_two_schemas_at_once() -> None:
    known = Known()
    known.fold([seen(1, schema_id=1), seen(1, schema_id=2)])
    assert {each.schema_id for each in known.writers("shop")} == {1, 2}
