"""The ledger's real sources agree with one another: a second ledger that begins from nothing comes to the same account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from controlplane.contract.facts import Verdict
from controlplane.contract.names import Hop
from pipeline.feed.shop import event
from pipeline.ledger.hops import Hops
from pipeline.ledger.kept import Kept
from pipeline.ledger.lake import DeltaFiles, LakeCount
from pipeline.ledger.log import KafkaLog
from pipeline.ledger.run import open_ledger
from pipeline.ledger.search import Bounds, search
from pipeline.ledger.serving import ServingCount
from pipeline.ledger.tally import Tally
from pipeline.producer import EventProducer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from controlplane.contract.streams import StreamDefinition

COLUMNS = ("produced", "valid", "dead", "quarantined", "lake", "serving")


def produce(running: Any, shop: StreamDefinition, count: int) -> None:
    """Events, one of them broken, in a transaction."""
    now = datetime.now(UTC)
    settings = running.settings
    with (
        EventProducer(shop, settings.kafka, settings.registry, transactional_id=f"test-{uuid4().hex}") as producer,
        producer.transaction() as send,
    ):
        for number in range(count):
            send(event(11, number, 0.0, now).value)
        send({**event(11, count, 0.0, now).value, "quantity": 0})


def test_a_ledger_that_begins_from_nothing_comes_to_the_same_account(
    running: Any, shop: StreamDefinition, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    produce(running, shop, 200)
    elsewhere = {"data": tmp_path, "lake": running.settings.lake_root}
    another = open_ledger(running.settings.model_copy(update=elsewhere), shop)
    taken = eventually(
        lambda: (found := another.take()).verdict is Verdict.BALANCED and (found.total("valid") or 0) >= 200 and found,
        "a balanced account",
    )
    another.close()
    known = eventually(
        lambda: (found := running.ledger("shop"))["verdict"] == "balanced" and found, "the platform's own"
    )
    assert [taken.total(each) for each in COLUMNS] == [
        sum(partition[each] for partition in known["partitions"]) for each in COLUMNS
    ]


def test_a_search_reads_every_hop_and_finds_nothing_amiss(
    running: Any, shop: StreamDefinition, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    before = running.total("shop", "produced") or 0
    produce(running, shop, 200)
    settings = running.settings
    kept = Kept(tmp_path / "shop.sqlite")
    log = KafkaLog(settings.kafka, "shop")
    tally = Tally(log, kept)
    lake, serving = (
        LakeCount(DeltaFiles(f"{settings.lake_root}/shop/events"), kept),
        ServingCount(settings.clickhouse, "shop"),
    )
    eventually(
        lambda: (
            (running.total("shop", "produced") or 0) > before + 200 and running.ledger("shop")["verdict"] == "balanced"
        ),
        "a balanced account of the new events",
    )
    tally.advance()
    lake.read()
    hops = Hops(settings.kafka, "shop", tally.tapes, lake, serving)
    everything = Bounds(before=2**62, raw_since=0, served_since=datetime.min.replace(tzinfo=UTC))
    for partition in tally.partitions():
        found = search(hops, partition, 0, everything)
        assert found.mismatches == ()
        assert len(found.raw) == tally.tapes[Hop.RAW, partition].events.get(0, 0)
    for each in (hops, serving, log, kept):
        each.close()
