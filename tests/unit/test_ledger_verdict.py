"""A block that every hop has passed must agree; a surplus is always a fault; what was not counted is unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.facts import Mismatch, MismatchKind, Verdict
from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.motion import OVERDUE_AFTER, SETTLING, Movement, Settling
from pipeline.ledger.stopped import holders, stopped_hops
from pipeline.ledger.verdict import BEFORE, PartitionAccount, judge, passed_until

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OF_ROUTE = {(0, Hop.VALID), (0, Hop.LAKE), (0, Hop.SERVING)}


def account(
    raw: Mapping[int, int] | None = None,
    *,
    partition: int = 0,
    until: int = 3 * BLOCK,
    newest_source: int = 0,
    routed_until: int = 0,
    **hops: Mapping[int, int] | None,
) -> PartitionAccount:
    """Everything agrees, but for what is said otherwise."""
    raw = {0: 10, 1: 10, 2: 5} if raw is None else raw
    counts: dict[Hop, Mapping[int, int] | None] = {
        Hop.RAW: raw,
        Hop.VALID: raw,
        Hop.DEAD: {},
        Hop.QUARANTINE: {},
        Hop.LAKE: raw,
        Hop.SERVING: raw,
        **{Hop(hop): blocks for hop, blocks in hops.items()},
    }
    return PartitionAccount(partition, 0, until, newest_source, routed_until, counts)


CASES: dict[str, tuple[PartitionAccount, int, bool, Verdict, str]] = {
    "everything-accounted-for-is-balanced": (account(), 0, False, Verdict.BALANCED, "all 25 events"),
    "valid-dead-and-quarantined-add-up": (
        account({0: 10}, valid={0: 7}, dead={0: 1}, quarantine={0: 2}, lake={0: 7}, serving={0: 7}),
        0,
        False,
        Verdict.BALANCED,
        "all 10 events",
    ),
    "an-event-not-in-the-lake-yet-is-on-its-way": (
        account(lake={0: 10, 1: 10, 2: 4}),
        2 * BLOCK,
        False,
        Verdict.IN_FLIGHT,
        "24 events accounted for, 20 of them settled; 1 on their way (not yet: 1 in lake)",
    ),
    "a-shortfall-in-a-block-that-is-not-settled-is-on-its-way": (
        account(serving={0: 9, 1: 10, 2: 5}),
        BLOCK - 1,
        False,
        Verdict.IN_FLIGHT,
        "not yet: 1 in serving",
    ),
    "a-shortfall-in-a-settled-block-is-a-loss-though-traffic-goes-on": (
        account(serving={0: 9, 1: 10, 2: 3}),
        BLOCK,
        False,
        Verdict.UNBALANCED,
        "missing: 1 in serving (raw[0] offsets 0 to 19,999)",
    ),
    "a-block-that-is-nowhere-is-lost-as-a-whole": (
        account(valid={0: 10, 2: 5}, lake={0: 10, 2: 5}, serving={0: 10, 2: 5}),
        2 * BLOCK,
        False,
        Verdict.UNBALANCED,
        "missing: 10 in routed (raw[0] offsets 20,000 to 39,999)",
    ),
    "a-shortfall-where-nothing-moves-any-more-is-a-loss": (
        account(lake={0: 10, 1: 10, 2: 4}),
        0,
        True,
        Verdict.UNBALANCED,
        "missing: 1 in lake",
    ),
    "an-event-counted-twice-is-a-fault-at-once": (
        account(lake={0: 10, 1: 10, 2: 6}),
        0,
        False,
        Verdict.UNBALANCED,
        "counted twice: 1 in lake (raw[0] offsets 40,000 to 59,999)",
    ),
    "a-surplus-is-not-hidden-by-a-shortfall-in-another-block": (
        account(serving={0: 11, 1: 9, 2: 5}),
        0,
        False,
        Verdict.UNBALANCED,
        "counted twice: 1 in serving",
    ),
    "an-output-ahead-of-our-reading-of-the-raw-topic-is-no-surplus": (
        account({0: 10}, until=12, newest_source=15, valid={0: 11}, lake={0: 10}, serving={0: 10}),
        0,
        False,
        Verdict.IN_FLIGHT,
        "1 on their way",
    ),
    "an-output-beyond-a-block-that-was-read-to-its-end-is-a-surplus-there": (
        account({0: 10, 1: 1}, until=BLOCK + 1, newest_source=BLOCK + 3, valid={0: 11, 1: 3}),
        0,
        False,
        Verdict.UNBALANCED,
        "counted twice: 1 in routed (raw[0] offsets 0 to 19,999)",
    ),
    "a-record-that-route-did-not-write-is-a-fault": (
        account(valid={-1: 1, 0: 10, 1: 10, 2: 5}),
        0,
        False,
        Verdict.UNBALANCED,
        "no raw record",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_verdict(case: str) -> None:
    counts, settled, is_overdue, verdict, said = CASES[case]
    judgement = judge([counts], [], {0: settled}, OF_ROUTE if is_overdue else set())
    assert judgement.verdict is verdict
    assert said in judgement.reason
    assert bool(judgement.faults) == (verdict is Verdict.UNBALANCED)


def test_what_was_not_counted_is_unknown_and_says_why() -> None:
    judgement = judge([account(serving=None)], ["ClickHouse: it is away"], {0: 3 * BLOCK}, OF_ROUTE)
    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, "ClickHouse: it is away")


def test_a_surplus_here_is_not_hidden_by_a_shortfall_in_another_partition() -> None:
    many, few = account(lake={0: 10, 1: 10, 2: 6}), account(partition=1, lake={0: 10, 1: 10, 2: 4})
    [fault] = judge([many, few], [], {}, set()).faults
    assert (fault.partition, fault.hop, fault.kind, fault.events) == (0, Hop.LAKE, MismatchKind.DOUBLED, 1)


def test_a_record_seen_twice_is_a_fault_though_the_counts_agree() -> None:
    seen = Mismatch(partition=0, hop=Hop.VALID, kind=MismatchKind.DOUBLED, start=7, until=8, events=1)
    judgement = judge([account()], [], {}, set(), [seen])
    assert judgement.verdict is Verdict.UNBALANCED
    assert "raw[0] offset 7" in judgement.reason


def test_a_record_seen_twice_is_not_named_again_where_the_counts_have_it() -> None:
    seen = Mismatch(partition=0, hop=Hop.VALID, kind=MismatchKind.DOUBLED, start=7, until=8, events=1)
    faults = judge([account(valid={0: 11, 1: 10, 2: 5})], [], {}, set(), [seen]).faults
    assert [(each.hop, each.kind, each.until) for each in faults] == [(Hop.VALID, MismatchKind.DOUBLED, BLOCK)]


PASSED = {
    "all-is-passed-where-all-totals-agree": (account(), 3 * BLOCK),
    "the-lake-has-passed-what-lies-before-its-newest-block": (
        account(lake={0: 10, 1: 3}, routed_until=2 * BLOCK),
        BLOCK,
    ),
    "route-has-passed-what-it-says": (account(valid={0: 10, 1: 10, 2: 1}, routed_until=BLOCK), BLOCK),
    "equal-totals-say-nothing-while-the-outputs-are-ahead-of-our-reading-of-the-raw-topic": (
        account(newest_source=3 * BLOCK, routed_until=BLOCK),
        BLOCK,
    ),
    "nothing-is-passed-where-clickhouse-has-nothing": (account(serving={}), 0),
}


@pytest.mark.parametrize("case", PASSED)
def test_passed(case: str) -> None:
    counts, until = PASSED[case]
    assert passed_until(counts) == until


def test_what_is_passed_is_settled_after_a_while_and_never_unsettled() -> None:
    settling = Settling()
    for seconds, passed in [(0, BLOCK), (10, 2 * BLOCK), (20, 0)]:
        settling.saw(0, passed, NOW + seconds * SECOND)
    assert settling.until == {}
    settling.saw(0, 2 * BLOCK, NOW + SETTLING)
    assert settling.until == {0: BLOCK}
    settling.saw(0, 0, NOW + SETTLING + 20 * SECOND)
    assert settling.until == {0: 2 * BLOCK}


def moved(*beats: tuple[int, dict[int, int]]) -> Movement:
    """Beats: when, and how many events each partition has in ClickHouse (of five that are in all other places)."""
    movement = Movement()
    for seconds, served in beats:
        for partition, events in served.items():
            counts = account({0: 5}, partition=partition, serving={0: events})
            movement.saw(counts, NOW + seconds * SECOND)
    return movement


@pytest.mark.parametrize(
    ("movement", "after", "overdue"),
    [
        pytest.param(moved((0, {0: 4, 1: 4})), 89, set(), id="within-a-minute-and-a-half-nothing-is-overdue"),
        pytest.param(
            moved((0, {0: 4, 1: 4}), (30, {0: 4, 1: 5})), 100, set(), id="a-hop-that-may-be-behind-is-waited-for"
        ),
        pytest.param(moved((0, {0: 4, 1: 4}), (70, {0: 4, 1: 5})), 91, {0}, id="a-hop-that-went-on-elsewhere-is-not"),
        pytest.param(moved((0, {0: 4, 1: 4})), 91, {0, 1}, id="after-that-without-any-movement-all-is-overdue"),
    ],
)
def test_overdue(movement: Movement, after: int, overdue: set[int]) -> None:
    found = movement.overdue(NOW + after * SECOND)
    assert {partition for partition, hop in found if hop is Hop.SERVING} == overdue
    assert OVERDUE_AFTER == 90 * SECOND


def test_what_a_gate_has_stopped_is_not_overdue_and_gets_its_time_again_when_it_goes_on() -> None:
    movement = moved((0, {0: 4, 1: 4}))
    movement.stopped([Hop.VALID], NOW + 600 * SECOND)
    for after, overdue in (
        (601, BEFORE.keys() - {Hop.VALID}),
        (690, BEFORE.keys() - {Hop.VALID}),
        (691, BEFORE.keys()),
    ):
        assert {hop for _, hop in movement.overdue(NOW + after * SECOND)} == overdue


def test_a_breaker_that_is_open_and_a_lake_that_is_halted_stop_their_hops() -> None:
    facts: list[dict[str, str]] = [
        {"kind": "breaker_changed", "stream": "a", "stage": "ingest", "state": "open"},
        {"kind": "gate_decided", "stream": "a", "stage": "lake", "outcome": "misconfigured"},
        {"kind": "breaker_changed", "stream": "b", "stage": "ingest", "state": "probing"},
        {"kind": "gate_decided", "stream": "b", "stage": "lake", "outcome": "diverted"},
        {"kind": "gate_decided", "stream": "b", "stage": "rollup", "outcome": "halted"},
        {"kind": "part_changed", "part": "lake"},
    ]
    assert stopped_hops(facts) == {"a": {Hop.VALID, Hop.LAKE}}


BLOCKS = st.dictionaries(st.integers(0, 3), st.integers(1, 5), max_size=4)


@given(st.lists(BLOCKS, min_size=6, max_size=6), st.integers(0, 4), st.booleans())
def test_balanced_means_that_every_block_is_right(counts: list[dict[int, int]], settled: int, is_overdue: bool) -> None:
    raw, valid, dead, quarantine, lake, serving = counts
    one = account(raw, valid=valid, dead=dead, quarantine=quarantine, lake=lake, serving=serving, until=4 * BLOCK)
    judgement = judge([one], [], {0: settled * BLOCK}, OF_ROUTE if is_overdue else set())
    right = all(
        raw.get(block, 0) == valid.get(block, 0) + dead.get(block, 0) + quarantine.get(block, 0)
        and lake.get(block, 0) == valid.get(block, 0) == serving.get(block, 0)
        for block in range(4)
    )
    assert (judgement.verdict is Verdict.BALANCED) == right


@given(st.integers(0, 2), st.sampled_from([Hop.VALID, Hop.LAKE, Hop.SERVING]), st.sampled_from([-1, 1]))
def test_one_event_too_few_or_too_many_in_a_settled_block_is_placed(block: int, hop: Hop, by: int) -> None:
    even = {0: 10, 1: 10, 2: 5}
    uneven = even | {block: even[block] + by}
    later = {Hop.LAKE: uneven, Hop.SERVING: uneven} if hop is Hop.VALID else {}
    one = account(**{str(each): blocks for each, blocks in ({hop: uneven} | later).items()})
    [fault] = judge([one], [], {0: 3 * BLOCK}, set()).faults
    kind = MismatchKind.DOUBLED if by > 0 else MismatchKind.MISSING
    assert (fault.hop, fault.kind, fault.start, fault.events) == (hop, kind, block * BLOCK, 1)


def test_an_operation_that_holds_the_lake_stops_that_hop() -> None:
    held = {"kind": "stream_held", "stream": "a", "operation": "op1", "holds": "appends"}
    free = {"kind": "stream_held", "stream": "b", "operation": None, "holds": None}
    assert stopped_hops([held, free, {**held, "stream": "c", "holds": "tables"}]) == {"a": frozenset({Hop.LAKE})}
    assert holders([held, free]) == {"a": "op1"}
