"""After a crash the pump inserts again exactly what it had begun."""

from __future__ import annotations

from controlplane.contract.names import Hop, topic
from pipeline.live.ranges import Range, Remembered, open_ranges, remembered, token


def test_a_token_names_topic_partition_and_offsets_in_order() -> None:
    ranges = [Range(1, 5, 9), Range(0, 2, 3)]
    assert token(topic("shop", Hop.VALID), ranges) == "shop.valid:0:2:3;shop.valid:1:5:9"


def test_an_open_intent_is_made_again_as_it_was() -> None:
    group = {0: remembered(5, "9"), 1: remembered(7, "")}
    assert open_ranges(group) == (Range(0, 5, 9),)


def test_a_closed_intent_leaves_nothing_to_do() -> None:
    assert open_ranges({0: Remembered(9, None)}) == ()
