"""The looks at ingest: from where to where, by which suite, and what is reported, kept and logged of them."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException
from fastavro import parse_schema, schemaless_writer

from controlplane.contract.gates import GateDecided, Outcome, RuleVerdict, Severity, Stage, SuiteFollowed
from controlplane.contract.names import Hop
from quality.sampled.rows import Decoder
from quality.sampled.verdict import Interval
from quality.sampled.watch import IngestLook, IngestWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)
SCHEMA = {"type": "record", "name": "E", "fields": [{"name": "country", "type": "string"}]}


def record() -> bytes:
    written = io.BytesIO()
    schemaless_writer(written, parse_schema(SCHEMA), {"country": "DE"})
    return b"\0\0\0\0\1" + written.getvalue()


@dataclass
class FakeTopics:
    """Route's topics in memory: each look finds a hundred records more than the one before."""

    moving: bool = True
    away: bool = False
    looks: int = 0
    asked_since: list[datetime | None] = field(default_factory=list)
    is_closed: bool = False

    def ends(self) -> dict[Hop, dict[int, int]]:
        if self.away:
            raise KafkaException("refused")
        self.looks += self.moving
        return {Hop.VALID: {0: 100 * self.looks}, Hop.DEAD: {0: 0}, Hop.QUARANTINE: {0: 0}}

    def interval(self, before: Any, after: Any, began: datetime, until: datetime, *_: Any) -> Interval:
        return Interval(began, until, after[Hop.VALID][0] - before[Hop.VALID][0], 0, 0)

    def sample(self, _before: Any, _after: Any, since: datetime | None) -> list[bytes]:
        self.asked_since.append(since)
        return [record()] * 7

    def close(self) -> None:
        self.is_closed = True


@dataclass
class FakeJudged:
    """What Great Expectations says."""

    rules: tuple[RuleVerdict, ...]
    result: dict[str, Any]


def judge(suite: Any, frame: Any, *, kept: bool = True) -> FakeJudged:
    [first, *_] = suite["expectations"]
    rule = RuleVerdict(
        rule="first", expectation=first["type"], severity=Severity.CRITICAL, kept=kept, judged=len(frame), unexpected=1
    )
    return FakeJudged((rule,), {"success": kept})


def look_at(shop: StreamDefinition, topics: FakeTopics, *, kept: bool = True) -> IngestLook:
    decoder = Decoder({1: SCHEMA}.get)
    return IngestLook(shop, topics, decoder, lambda suite, frame: judge(suite, frame, kept=kept))  # type: ignore[arg-type] # (a fake)


def followed(shop: StreamDefinition, suite: str | None = None) -> SuiteFollowed:
    used = suite or shop.fingerprint(Stage.INGEST)
    return SuiteFollowed(at=NOW, stream="shop", stage=Stage.INGEST, suite=used, rules=1, since=NOW)


def test_the_first_look_only_finds_its_place_and_the_next_one_judges_what_came_since(shop: StreamDefinition) -> None:
    look = look_at(shop, FakeTopics())
    assert look.look(None, NOW) is None
    found = look.look(None, NOW + timedelta(seconds=30))
    assert found is not None
    assert (found[0].rows, found[0].judged, found[0].subject) == (100, 7, "the last 30 s")
    assert found[0].outcome is Outcome.PASSED


def test_where_nothing_came_nothing_is_said(shop: StreamDefinition) -> None:
    look = look_at(shop, FakeTopics(moving=False))
    assert [look.look(None, NOW) for _ in range(3)] == [None, None, None]


def test_what_may_have_been_judged_by_the_suite_before_is_left_out(shop: StreamDefinition) -> None:
    topics = FakeTopics()
    look = look_at(shop, topics)
    for _ in range(2):
        look.look(followed(shop), NOW)
    look.look(None, NOW)
    assert topics.asked_since == [NOW + timedelta(seconds=20), None]


def test_a_suite_whose_text_is_not_known_is_said_so(shop: StreamDefinition) -> None:
    look = look_at(shop, FakeTopics())
    look.look(None, NOW)
    found = look.look(followed(shop, "0" * 12), NOW)
    assert found is not None
    assert (found[0].suite, found[0].outcome, found[0].rules) == ("0" * 12, Outcome.WARNED, ())
    assert "the text of the suite that route follows is not known" in (found[0].reason or "")


@dataclass
class Kept:
    """Results in memory."""

    results: list[GateDecided] = field(default_factory=list)

    def keep(self, decided: GateDecided, suite: dict[str, Any], result: dict[str, Any]) -> None:
        assert suite["expectations"]
        assert result == {"success": decided.outcome is Outcome.PASSED}
        self.results.append(decided)


def test_verdicts_are_reported_and_kept_and_one_streams_trouble_is_not_the_others(
    shop: StreamDefinition, eventually: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    away, well = FakeTopics(away=True), FakeTopics()
    reported: list[GateDecided] = []
    kept = Kept()
    looks = [look_at(shop.model_copy(update={"name": "other"}), away), look_at(shop, well, kept=False)]
    watch = IngestWatch(looks, lambda _: None, reported.append, kept, timedelta(milliseconds=5))
    with caplog.at_level(logging.WARNING):
        watch.start()
        eventually(lambda: len(kept.results) > 2, "verdicts", 10)
        watch.close()
    assert away.is_closed
    assert well.is_closed
    assert {each.outcome for each in reported} == {Outcome.LET_THROUGH}
    assert [each.id for each in kept.results] == [each.id for each in reported]
    said = [each.getMessage() for each in caplog.records]
    assert len([each for each in said if "is not judged" in each]) == 1, "once, not at every look"
    assert any("disagree" in each for each in said)
