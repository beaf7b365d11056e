"""Who writes which schema, from a sample whose size does not grow with the traffic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.names import Hop
from pipeline.ledger.kept import Kept
from pipeline.ledger.log import FakeLog, FakeMessage
from pipeline.ledger.tally import Tally
from pipeline.ledger.writers import Writers

if TYPE_CHECKING:
    from pathlib import Path

RAW = (Hop.RAW, 0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def framed(schema_id: int) -> bytes:
    return b"\0" + schema_id.to_bytes(4, "big") + b"body"


def sent(offset: int, schema_id: int, producer: str | None, at_ms: int = 0) -> tuple[Hop, FakeMessage]:
    return Hop.RAW, FakeMessage(RAW, offset, at_ms=at_ms, value=framed(schema_id), producer=producer)


def seen(writers: Writers, clock: Clock, after_s: float = 5.0) -> list[tuple[str | None, int, int, int]]:
    clock.now += after_s
    return [(each.producer, each.schema_id, each.sampled, each.of) for each in writers.facts()]


def test_while_little_comes_in_every_record_is_looked_at() -> None:
    writers = Writers("shop", clock := Clock())
    writers.look([sent(0, 1, "old", 1000), sent(1, 2, "new", 2000), sent(2, 2, "new", 3000), sent(3, 2, None)])
    assert seen(writers, clock) == [("new", 2, 2, 4), ("old", 1, 1, 4), (None, 2, 1, 4)]
    assert writers.facts()[0].seen_at == datetime.fromtimestamp(3, UTC)


def test_of_a_large_reading_some_dozens_are_looked_at_wherever_they_lie() -> None:
    writers = Writers("shop", clock := Clock())
    for _ in range(20):
        writers.look([sent(number, 1 + number % 2, f"p-{number % 2}") for number in range(20_000)])
    found = seen(writers, clock)
    assert {each[0] for each in found} == {"p-0", "p-1"}
    assert found[0][3] <= 20 * 65


def test_a_producer_that_has_stopped_is_kept_with_when_it_was_seen_last() -> None:
    writers = Writers("shop", clock := Clock())
    writers.look([sent(0, 1, "old", 1000)])
    assert seen(writers, clock) == [("old", 1, 1, 1)]
    assert seen(writers, clock, 55.0) == [("old", 1, 1, 1)]
    writers.look([sent(1, 2, "new", 2000)])
    assert seen(writers, clock) == [("new", 2, 1, 1), ("old", 1, 0, 1)]


def test_between_two_steps_nothing_new_is_said() -> None:
    writers = Writers("shop", clock := Clock())
    writers.look([sent(0, 1, "one")])
    assert seen(writers, clock, 4.9) == []
    assert len(seen(writers, clock, 0.2)) == 1
    assert writers.facts() is writers.facts()


def test_what_is_not_framed_and_what_route_wrote_is_passed_over() -> None:
    writers = Writers("shop", clock := Clock())
    junk = FakeMessage(RAW, 0, value=b"{}", producer="one")
    written = FakeMessage((Hop.VALID, 0), 0, 3, value=framed(7))
    writers.look([(Hop.RAW, junk), (Hop.RAW, FakeMessage(RAW, 1)), (Hop.VALID, written), (Hop.RAW, error())])
    assert seen(writers, clock) == []


def error() -> FakeMessage:
    return FakeMessage(RAW, 2, error=-191, value=framed(1))


def test_of_producers_with_a_new_name_each_time_the_last_are_kept() -> None:
    writers = Writers("shop", clock := Clock())
    for number in range(60):
        writers.look([sent(number, 1, f"p-{number}", at_ms=number)])
    assert [each[0] for each in seen(writers, clock)] == [f"p-{number}" for number in range(59, 9, -1)]


def test_the_tally_shows_what_it_has_counted(tmp_path: Path) -> None:
    writers = Writers("shop", clock := Clock())
    log = FakeLog({RAW: [FakeMessage(RAW, 0, value=framed(4), producer="one"), None]})
    Tally(log, Kept(tmp_path / "shop.sqlite"), writers.look).advance()
    assert seen(writers, clock) == [("one", 4, 1, 1)]
