"""A stream's account from its sources to the fact: what is away is unknown, what is lost is named."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException

from controlplane.contract.facts import MismatchKind, Verdict
from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger.examine import Examiner
from pipeline.ledger.kept import Kept
from pipeline.ledger.lake import FakeLakeFiles, LakeCount
from pipeline.ledger.log import FakeLog, FakeMessage
from pipeline.ledger.search import FakeBlockSource, RawRecord
from pipeline.ledger.serving import FakeServing
from pipeline.ledger.stream import Sources, StreamLedger
from pipeline.ledger.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.ledger.log import Place

EVENTS = [0, 1, 3, BLOCK - 1]


class World:
    """A stream of one partition whose events are everywhere once."""

    def __init__(self, folder: Path) -> None:
        self.log = FakeLog({})
        for hop, sources in {
            Hop.RAW: EVENTS,
            Hop.VALID: EVENTS[:-1],
            Hop.DEAD: EVENTS[-1:],
            Hop.QUARANTINE: [],
        }.items():
            self.put((hop, 0), sources)
        self.serving = FakeServing({0: EVENTS[:-1]})
        self.files = FakeLakeFiles({"one": [(0, each) for each in EVENTS[:-1]]})
        kept = Kept(folder / "shop.sqlite")
        lake = LakeCount(self.files, kept)
        self.block = FakeBlockSource([])
        examiner = Examiner(lambda: nullcontext(self.block), lambda _: ("", False), timedelta(days=7))
        self.kept, self.held = kept, ""
        sources = Sources(Tally(self.log, kept), lake, self.serving, kept, held=lambda: self.held or None)
        self.ledger = StreamLedger("shop", sources, examiner)

    def put(self, place: Place, sources: list[int]) -> None:
        """Of the raw topic only the first and the last offset matter: markers are as good as records."""
        written: list[FakeMessage | None] = [None] * BLOCK if place[0] is Hop.RAW else []
        for each in sources:
            if place[0] is Hop.RAW:
                written[each] = FakeMessage(place, each)
            else:
                written.append(FakeMessage(place, len(written), each))
        self.log.records[place] = written


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_account_that_adds_up_is_balanced(world: World) -> None:
    taken = world.ledger.take()
    assert (taken.verdict, taken.reason.split()[:2]) == (Verdict.BALANCED, ["all", "4"])
    assert [taken.total(each) for each in ("produced", "valid", "dead", "quarantined", "lake", "serving")] == [
        4, 3, 1, 0, 3, 3,
    ]  # fmt: skip
    assert (taken.partitions[0].raw_until, taken.mismatches) == (BLOCK, ())


def test_what_a_backfill_has_brought_is_no_surplus_and_a_swap_changes_no_count(world: World) -> None:
    world.files.files = {
        "swapped": [(0, each) for each in EVENTS[:-1]],
        "from a file": [(-77, 3 << 40), (-77, (3 << 40) + 1)],
    }
    taken = world.ledger.take()
    assert (taken.verdict, taken.total("lake"), taken.mismatches) == (Verdict.BALANCED, 3, ())
    assert [each.partition for each in taken.partitions] == [0]


def test_a_source_that_is_away_makes_the_account_unknown_and_it_comes_back(world: World) -> None:
    world.serving.failure = OSError("connection refused\nand so on")
    taken = world.ledger.take()
    assert (taken.verdict, taken.reason) == (Verdict.UNKNOWN, "ClickHouse: connection refused")
    assert (taken.total("serving"), taken.total("lake")) == (None, 3)
    world.serving.failure = None
    assert world.ledger.take().verdict is Verdict.BALANCED


def test_a_broker_that_is_away_makes_the_account_unknown_and_it_comes_back(world: World) -> None:
    world.log.failures.append(KafkaException(KafkaError(KafkaError._TRANSPORT, "it is down")))
    taken = world.ledger.take()
    assert (taken.verdict, taken.reason) == (Verdict.UNKNOWN, "the topics of shop: it is down")
    assert world.ledger.take().verdict is Verdict.BALANCED


def test_a_fault_without_a_message_is_named_by_its_kind(world: World) -> None:
    world.serving.failure = TimeoutError()
    assert world.ledger.take().reason == "ClickHouse: TimeoutError"


def test_a_client_that_can_never_go_on_is_not_survived(world: World) -> None:
    world.log.failures.append(KafkaException(KafkaError(KafkaError._FATAL, "fenced", True)))
    with pytest.raises(KafkaException):
        world.ledger.take()


def test_an_event_twice_in_clickhouse_is_a_fault_at_once(world: World) -> None:
    world.serving.events[0].append(3)
    taken = world.ledger.take()
    [mismatch] = taken.mismatches
    assert taken.verdict is Verdict.UNBALANCED
    assert (mismatch.hop, mismatch.kind, mismatch.events) == (Hop.SERVING, MismatchKind.DOUBLED, 1)


@pytest.mark.parametrize(
    ("valid", "verdict"),
    [
        pytest.param([0, 3, 1], Verdict.BALANCED, id="a-record-that-was-only-late-is-no-fault"),
        pytest.param([0, 3, 3], Verdict.UNBALANCED, id="a-double-is-one-though-the-counts-agree"),
    ],
)
def test_a_record_out_of_order_is_searched_for(world: World, valid: list[int], verdict: Verdict) -> None:
    world.block.records = [RawRecord(each, datetime.now(UTC), None, b"") for each in EVENTS]
    world.block.hops = {Hop.VALID: valid, Hop.DEAD: EVENTS[-1:], Hop.LAKE: valid, Hop.SERVING: valid}
    world.put((Hop.VALID, 0), valid)
    assert [world.ledger.take().verdict for _ in range(2)] == [verdict, verdict]


def test_a_raw_partition_that_the_outputs_do_not_have_yet_is_counted(world: World) -> None:
    world.put((Hop.RAW, 1), [7])
    taken = world.ledger.take()
    assert taken.verdict is Verdict.IN_FLIGHT
    assert (taken.total("produced"), taken.partitions[1].valid) == (5, 0)


def test_a_topic_that_has_lost_its_beginning_is_unknown_and_says_so(world: World) -> None:
    world.log.dropped[Hop.RAW, 0] = 2
    taken = world.ledger.take()
    assert (taken.verdict, taken.partitions[0].produced) == (Verdict.UNKNOWN, None)
    assert "shop.raw[0] was counted from offset 2 on: older records were dropped" in taken.reason


def test_a_lake_that_is_held_and_rolled_back_is_behind_and_no_fault(world: World) -> None:
    world.ledger.take()
    world.kept.keep_settled({0: BLOCK})
    world.ledger._settling.until[0] = BLOCK  # noqa: SLF001 (as after a while)
    world.held, world.files.files = "op1", {"two": [(0, 0)]}
    taken = world.ledger.take()
    assert taken.verdict is Verdict.IN_FLIGHT
    assert taken.reason.endswith("2 on their way (not yet: 2 in lake); the lake is held by operation op1")
    world.held = ""
    assert world.ledger.take().verdict is Verdict.IN_FLIGHT, "they are on their way again, until lake has passed them"
    assert world.kept.settled() == {0: 0}


def test_while_it_is_held_a_table_may_have_what_the_other_has_no_longer(world: World) -> None:
    world.held = "op1"
    world.files.files = {"one": [(0, 0), (0, 1), (0, 3)], "two": [(0, 3)]}
    assert world.ledger.take().verdict is not Verdict.UNBALANCED
    world.held = ""
    assert world.ledger.take().verdict is Verdict.UNBALANCED


def test_a_lake_that_was_rolled_back_unseen_has_it_on_its_way_too(world: World) -> None:
    world.ledger.take()
    world.ledger._settling.until[0] = BLOCK  # noqa: SLF001 (as after a while)
    world.files.files = {"two": [(0, 0)]}
    assert world.ledger.take().verdict is Verdict.IN_FLIGHT
