"""Counts by block are the same whatever the order of reading, and however often the ledger was started anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.contract.names import BLOCK, Hop
from pipeline.ledger import tally as tally_module
from pipeline.ledger.kept import Astray, Kept, Tape
from pipeline.ledger.log import FakeLog, FakeMessage
from pipeline.ledger.tally import StillCountingError, Tally, routed_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pipeline.ledger.log import Place

RAW, VALID, DEAD = (Hop.RAW, 0), (Hop.VALID, 0), (Hop.DEAD, 0)
OUTPUTS = (Hop.VALID, Hop.DEAD, Hop.QUARANTINE)


def raw(*kinds: str, start: int = 0) -> list[FakeMessage | None]:
    """A raw partition: `e` is an event, anything else a transaction's marker."""
    return [FakeMessage(RAW, offset) if kind == "e" else None for offset, kind in enumerate(kinds, start)]


def written(place: Place, *sources: int | None) -> list[FakeMessage | None]:
    return [FakeMessage(place, offset, source) for offset, source in enumerate(sources)]


def counted(log: FakeLog, folder: Path) -> Tally:
    one = Tally(log, Kept(folder / "shop.sqlite"))
    one.advance()
    return one


def test_events_are_counted_and_markers_are_not(tmp_path: Path) -> None:
    tape = counted(FakeLog({RAW: raw("e", "e", "|", "e", "|")}), tmp_path).tapes[RAW]
    assert (tape.events, tape.until) == ({0: 3}, 5)


def test_a_busy_partition_is_counted_though_its_end_is_never_news(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e", "|", "e")})
    log.says_ends = False
    assert counted(log, tmp_path).tapes[RAW].events == {0: 2}


def test_a_partition_that_gives_nothing_is_still_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "_CATCH_UP_WITHIN_S", 0.0)
    with pytest.raises(StillCountingError, match="still counting, 3 offsets to go"):
        counted(FakeLog({RAW: raw("e", "e", "e")}, some=lambda _: 0), tmp_path)


def test_an_output_counts_for_the_block_of_its_source(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e"), VALID: written(VALID, 5, BLOCK - 1, BLOCK), DEAD: written(DEAD, BLOCK + 7)})
    tapes = counted(log, tmp_path).tapes
    assert (tapes[VALID].events, tapes[DEAD].events) == ({0: 2, 1: 1}, {1: 1})
    assert tapes[VALID].first == {0: (0, 0), 1: (2, 0)}


def test_a_record_that_is_not_above_the_one_before_is_noted_exactly(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e"), VALID: written(VALID, 1, 2, 2, 3, 1)})
    tape = counted(log, tmp_path).tapes[VALID]
    assert tape.astray == [Astray(Hop.VALID, 0, 2, 2), Astray(Hop.VALID, 0, 4, 1)]
    assert tape.events == {0: 5}
    assert counted(log, tmp_path).tapes[VALID].astray == tape.astray


def test_a_record_that_was_in_order_after_all_is_forgotten_for_good(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e"), VALID: written(VALID, 2, 1, BLOCK, BLOCK)})
    counted(log, tmp_path).clear(0, 0)
    assert counted(log, tmp_path).tapes[VALID].astray == [Astray(Hop.VALID, 0, 3, BLOCK)]


def test_a_record_that_route_did_not_write_lies_in_no_block(tmp_path: Path) -> None:
    tape = counted(FakeLog({RAW: raw("e"), VALID: written(VALID, None)}), tmp_path).tapes[VALID]
    assert (tape.events, tape.newest_source) == ({-1: 1}, -1)


def test_a_partition_that_is_added_is_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_module, "_LOOK_FOR_PARTITIONS_EVERY_S", 0.0)
    log = FakeLog({RAW: raw("e")})
    one = counted(log, tmp_path)
    log.records[Hop.RAW, 1] = [FakeMessage((Hop.RAW, 1), 0)]
    one.advance()
    assert one.partitions() == [0, 1]
    assert [each.events for each in one.tapes.values()] == [{0: 1}, {0: 1}]


def test_a_failure_of_the_broker_costs_no_count(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e", "e", "e")}, some=lambda rest: min(rest, 2))
    log.failures.append(KafkaException(KafkaError(KafkaError._TRANSPORT)))
    one = Tally(log, Kept(tmp_path / "shop.sqlite"))
    with pytest.raises(KafkaException):
        one.advance()
    one.advance()
    assert one.tapes[RAW].events == {0: 3}


def test_an_error_among_the_messages_costs_no_count(tmp_path: Path) -> None:
    log = FakeLog({RAW: raw("e", "e")})
    log.records[RAW].insert(1, FakeMessage(RAW, 1, error=KafkaError._TRANSPORT))
    one = Tally(log, Kept(tmp_path / "shop.sqlite"))
    with pytest.raises(KafkaException):
        one.advance()
    log.records[RAW][1] = None
    one.advance()
    assert one.tapes[RAW].events == {0: 2}


def test_a_topic_that_was_made_anew_is_counted_anew_once_it_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted(FakeLog({RAW: raw("e", "e", "e")}), tmp_path)
    with pytest.raises(StillCountingError, match="was counted up to 3 and holds"):
        counted(FakeLog({RAW: raw("e")}), tmp_path)
    monkeypatch.setattr(tally_module, "_SHORT_FOR_S", 0.0)
    assert counted(FakeLog({RAW: raw("e")}), tmp_path).tapes[RAW].events == {0: 1}
    assert counted(FakeLog({RAW: raw("e")}), tmp_path).tapes[RAW].events == {0: 1}


def test_a_count_whose_topic_went_on_without_it_begins_where_the_topic_does(tmp_path: Path) -> None:
    counted(FakeLog({RAW: raw("e", "e")}), tmp_path)
    log = FakeLog({RAW: raw(*"eeeee")})
    log.dropped[RAW] = 3
    tape = counted(log, tmp_path).tapes[RAW]
    assert (tape.since, tape.events) == (3, {0: 2})


def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "shop.sqlite").write_bytes(b"no database, but long enough to be taken for one" * 100)
    assert counted(FakeLog({RAW: raw("e")}), tmp_path).tapes[RAW].events == {0: 1}


def test_a_file_that_another_process_has_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted(FakeLog({RAW: raw("e")}), tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file: connect(file, timeout=0))
    with closing(connect(tmp_path / "shop.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            Kept(tmp_path / "shop.sqlite")
    assert Kept(tmp_path / "shop.sqlite").tapes()[RAW].events == {0: 1}


@pytest.mark.parametrize(
    ("valid", "dead", "until"),
    [
        pytest.param({0: 0}, {}, 0, id="the-first-block-is-never-passed-by-itself"),
        pytest.param({0: 0, 1: 20, 2: 45}, {}, BLOCK, id="a-block-is-passed-a-while-after-a-later-one-was-begun"),
        pytest.param({0: 0, 1: 20}, {1: 60}, BLOCK, id="any-output-moves-the-clock"),
        pytest.param({0: 0, 1: 20}, {1: 25, 2: 30}, 0, id="while-route-is-down-its-clock-stands-still"),
    ],
)
def test_route_has_passed(valid: dict[int, int], dead: dict[int, int], until: int) -> None:
    """Blocks, and at which second of the broker's clock the first record of each landed."""

    def tape(begun: dict[int, int]) -> Tape:
        first = {block: (0, seconds * 1000) for block, seconds in begun.items()}
        return Tape(0, 0, newest_ms=max((ms for _, ms in first.values()), default=0), first=first)

    assert routed_until({VALID: tape(valid), DEAD: tape(dead)}, 0, timedelta(seconds=25)) == until


def blocks_of(sources: Iterable[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for source in sources:
        counts[source // BLOCK] = counts.get(source // BLOCK, 0) + 1
    return counts


def paced(paces: list[int]) -> Callable[[int], int]:
    """Readings of these sizes, then of all that is left."""
    left = list(paces)
    return lambda rest: min(rest, left.pop()) if left else rest


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    sources=st.lists(st.lists(st.integers(0, 5 * BLOCK), max_size=12), min_size=3, max_size=3),
    paces=st.lists(st.integers(0, 4), max_size=30),
    restarts=st.integers(0, 3),
)
def test_blocks_sum_up_to_what_was_written_however_it_is_read(
    sources: list[list[int]], paces: list[int], restarts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    records = {(hop, 0): written((hop, 0), *mine) for hop, mine in zip(OUTPUTS, sources, strict=True)}
    whole: dict[Place, list[FakeMessage | None]] = {RAW: raw("e"), **records}
    for part in range(1, restarts + 1):
        seen = {place: mine[: len(mine) * part // (restarts + 1)] for place, mine in whole.items()}
        counted(FakeLog(seen, paced(list(paces))), folder)
    tapes = counted(FakeLog(whole, paced(list(paces))), folder).tapes
    assert [tapes[hop, 0].events for hop in OUTPUTS] == [blocks_of(mine) for mine in sources]
