"""Where few events come, an open block that never adds up is looked into; what is missing there twice is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from controlplane.contract.facts import Mismatch, MismatchKind
from controlplane.contract.names import Hop
from pipeline.ledger.trickle import CONFIRM_AFTER, LACKING_FOR, Trickle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HERE = (0, 7)


def missing(start: int) -> Mismatch:
    return Mismatch(partition=0, hop=Hop.LAKE, kind=MismatchKind.MISSING, start=start, until=start + 1, events=1)


def lacking(since: datetime = NOW) -> Trickle:
    trickle = Trickle()
    trickle.saw({HERE}, since)
    return trickle


def test_a_block_is_looked_into_after_minutes_and_no_earlier() -> None:
    assert lacking().due(NOW + LACKING_FOR - SECOND) is None
    assert lacking().due(NOW + LACKING_FOR) == HERE


def test_a_block_that_adds_up_once_is_in_order() -> None:
    trickle = lacking()
    trickle.saw((), NOW + SECOND)
    trickle.saw({HERE}, NOW + 2 * SECOND)
    assert trickle.due(NOW + LACKING_FOR) is None


def test_what_is_missing_twice_is_lost_and_what_came_meanwhile_is_not() -> None:
    trickle, later = lacking(), NOW + LACKING_FOR
    trickle.looked(HERE, [missing(140_001), missing(140_002)], later)
    assert (trickle.lost(), trickle.due(later + CONFIRM_AFTER)) == ([], HERE)
    trickle.looked(HERE, [missing(140_002), missing(140_003)], later + CONFIRM_AFTER)
    assert trickle.lost() == [missing(140_002)]
    assert trickle.due(later + CONFIRM_AFTER + LACKING_FOR - SECOND) is None


def test_a_look_that_failed_takes_nothing_back() -> None:
    trickle = lacking()
    for _ in range(2):
        trickle.looked(HERE, [missing(140_001)], NOW)
    trickle.looked(HERE, None, NOW)
    assert trickle.lost() == [missing(140_001)]
    trickle.saw((), NOW)
    assert trickle.lost() == []
