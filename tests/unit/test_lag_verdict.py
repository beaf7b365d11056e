"""Verdicts: one table of cases, each a story told second by second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from controlplane.contract.lag import LagVerdict
from lag_monitor.rates import catch_up_s, rates
from lag_monitor.verdict import RULES, is_idle, judge
from lag_monitor.window import Sample, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY = 10_000_000
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OK, WARN, UNKNOWN = LagVerdict.OK, LagVerdict.WARN, LagVerdict.UNKNOWN
STALL, STOP, REWIND = LagVerdict.STALL, LagVerdict.STOP, LagVerdict.REWIND


@dataclass
class Story:
    """A topic that gets `produces(t)` records a second, and a consumer that is where `stands(t)` says."""

    produces: Callable[[int], int]
    stands: Callable[[int, int], int | None]
    """(second, end) -> position."""
    seconds: int = 180
    seen: Callable[[Sample, int], Sample] = lambda sample, _: sample
    """What else is known of a look."""

    start: int = 1_000
    """The first end."""

    def looks(self) -> Iterator[Sample]:
        end = self.start
        for second in range(self.seconds + 1):
            sample = Sample(NOON + timedelta(seconds=second), self.stands(second, end), end)
            yield self.seen(sample, second)
            end += self.produces(second)

    def window(self) -> Window:
        window = Window()
        for sample in self.looks():
            window.add(sample)
        return window


def steadily(_: int) -> int:
    return 500


def never(_: int) -> int:
    return 0


def follows(_: int, end: int) -> int:
    """Always half a second behind."""
    return max(1_000, end - 250)


def in_batches(second: int, end: int, every: int = 10, took: int = 3) -> int:
    """A micro-batch every ten seconds that has what was there when it began; it takes three."""
    began = (second - took) // every * every
    return max(1_000, end - 500 * (second - began)) if began >= 0 else 1_000


def until(stops: int, then: Callable[[int, int], int] = follows) -> Callable[[int, int], int]:
    """Stands still from then on."""
    return lambda second, end: then(min(second, stops), end - 500 * max(0, second - stops))


def heard(age_s: float | None) -> Callable[[Sample, int], Sample]:
    return lambda sample, _: replace(sample, heard_at=None if age_s is None else sample.at - timedelta(seconds=age_s))


def dies(at: int) -> Callable[[Sample, int], Sample]:
    """Nothing is heard of it from then on."""
    return lambda sample, second: replace(sample, heard_at=NOON + timedelta(seconds=min(second, at)))


def left_by_all(sample: Sample, _: int) -> Sample:
    return replace(sample, is_gone=True)


def silent_from(at: int) -> Callable[[Sample, int], Sample]:
    return lambda sample, second: (
        replace(sample, position=None, end=None, reason="the broker does not say") if second >= at else sample
    )


def silent_between(start: int, end: int) -> Callable[[Sample, int], Sample]:
    return lambda sample, second: (
        replace(sample, position=None, end=None, reason="the broker does not say") if start <= second < end else sample
    )


def held_from(second: int, until_second: int = 10_000) -> Callable[[Sample, int], Sample]:
    return lambda sample, s: replace(sample, heard_at=sample.at, held_by="op1" if second <= s < until_second else None)


CASES = [
    ("a-consumer-that-follows-keeps-up", Story(steadily, follows), OK, 7),
    ("a-batch-every-ten-seconds-is-a-sawtooth-and-no-trend", Story(steadily, in_batches), OK, 7),
    ("right-before-its-next-batch-a-sawtooth-is-as-high-as-ever-and-well", Story(steadily, in_batches, 182), OK, 7),
    ("batches-that-take-as-long-as-there-is-between-them-keep-up",
     Story(steadily, lambda s, e: in_batches(s, e, every=12, took=12)), OK, 7),
    ("an-end-that-does-not-move-is-not-a-stop", Story(never, lambda _, end: end, seen=dies(0)), OK, 2),
    ("only-a-transactions-marker-is-left-which-is-nothing",
     Story(never, lambda _, end: end - 1, seen=lambda s, _: replace(s, is_empty=True)), OK, 2),
    ("what-nobody-has-ever-heard-of-and-has-nothing-to-take-is-well", Story(never, lambda _, e: e), OK, 2),
    ("stalled-there-is-something-and-it-does-not-move-though-it-is-heard-of",
     Story(steadily, until(60), seen=heard(5)), STALL, 4),
    ("stalled-is-also-what-nobody-would-know-to-be-gone", Story(steadily, until(60), seen=heard(None)), STALL, 4),
    ("a-backlog-that-was-there-from-the-first-look-and-is-not-touched-is-a-stall",
     Story(never, lambda _, end: end - 400, seen=heard(1)), STALL, 4),
    ("stopped-nothing-is-heard-of-it-and-it-takes-nothing", Story(steadily, until(60), seen=dies(60)), STOP, 3),
    ("a-group-without-members-that-leaves-records-has-stopped", Story(steadily, until(60), seen=left_by_all), STOP, 3),
    ("a-pause-of-twenty-seconds-is-no-standstill", Story(steadily, until(160), seen=heard(1)), OK, 7),
    ("who-takes-a-batch-every-thirty-seconds-may-take-one-that-lasts-forty",
     Story(steadily, lambda s, e: in_batches(s if s < 190 else 189, e - 500 * max(0, s - 189), every=30), 223,
           seen=heard(1)), OK, 7),
    ("one-that-an-operation-holds-does-as-it-is-told-and-has-not-stalled",
     Story(steadily, until(60), seen=held_from(60)), OK, 2),
    ("one-that-an-operation-has-set-back-is-not-rewound-but-catches-up-after-it",
     Story(steadily, lambda s, e: follows(s, e) if s < 60 else 20_000 if s < 90 else 20_000 + 2_000 * (s - 90),
           95, seen=held_from(60, 90)), OK, 10),
    ("rewound-it-has-gone-back-and-takes-records-again",
     Story(steadily, lambda s, e: follows(s, e) if s < 150 else 20_000 + 600 * (s - 150)), REWIND, 5),
    ("a-rewind-is-over-once-it-is-where-it-was",
     Story(steadily, lambda s, e: follows(s, e) if not 150 <= s < 160 else 60_000), OK, 7),
    ("rewound-right-after-the-first-look", Story(steadily, lambda s, _: 900 if s < 10 else 500 + s * 10, 25), REWIND, 5),
    ("bursty-ten-times-the-load-for-twenty-seconds-is-absorbed",
     Story(lambda s: 5_000 if 130 <= s < 150 else 500,
           lambda s, e: max(1_000, e - (250 if s < 130 else min(20, s - 130) * 3_000)), 165), OK, 7),
    ("bursty-after-a-quiet-night-is-no-standstill",
     Story(lambda s: 50_000 if s >= 175 else 0, lambda *_: 1_000, seen=heard(1)), OK, 7),
    ("idle-nothing-is-produced-and-nothing-is-left",
     Story(lambda s: 500 if s < 60 else 0, lambda _, e: e, seen=heard(1)), OK, 2),
    ("falls-behind-it-takes-less-than-comes", Story(steadily, lambda s, _: 1_000 + 300 * s), WARN, 9),
    ("falls-behind-in-batches-of-which-none-takes-all",
     Story(steadily, lambda s, _: 1_000 + 3_000 * (s // 10)), WARN, 9),
    ("behind-and-no-nearer-is-falling-behind-too", Story(steadily, lambda _, e: max(0, e - 40_000) + 1), WARN, 9),
    ("catching-up-a-large-backlog-that-gets-less-is-well",
     Story(steadily, lambda s, e: e - 1_000_000 + 5_000 * s, start=MANY), OK, 10),
    ("catching-up-in-batches",
     Story(steadily, lambda s, e: (e - 500 * (s % 10)) - 900_000 + 3_000 * (s // 10 * 10), start=MANY), OK, 10),
    ("the-first-samples-of-a-consumer-that-is-behind-say-nothing-yet",
     Story(steadily, lambda s, _: 100 + 30 * s, 10), UNKNOWN, 8),
    ("the-first-sample-of-one-that-has-everything-is-enough", Story(steadily, lambda _, e: e, 0), OK, 2),
    ("a-silent-broker-is-unknown-and-not-zero-lag", Story(steadily, follows, seen=silent_from(170)), UNKNOWN, 1),
    ("a-silent-broker-hides-even-a-standstill", Story(steadily, until(60), seen=silent_from(175)), UNKNOWN, 1),
    ("when-the-broker-is-back-nobody-has-stood-still-meanwhile",
     Story(steadily, lambda s, _: follows(0, 1_000 + 500 * min(99, s)), 165, seen=silent_between(100, 160)),
     UNKNOWN, 8),
    ("an-unknown-position-is-unknown",
     Story(steadily, lambda *_: None, seen=lambda s, _: replace(s, reason="nothing is committed")), UNKNOWN, 1),
    ("a-new-partition-with-nothing-in-it-is-well", Story(never, lambda *_: 1_000, 1), OK, 2),
    ("a-new-partition-that-nobody-has-committed-anything-of-and-is-empty-is-well",
     Story(never, lambda *_: None, 1, seen=lambda s, _: replace(s, is_empty=True)), OK, 2),
    ("a-new-partition-with-records-and-no-position-is-unknown", Story(steadily, lambda *_: None, 5), UNKNOWN, 1),
    ("a-topic-made-anew-is-no-rewind",
     Story(lambda s: 500 if s != 150 else -70_000, lambda _, e: e, 170), OK, 2),
    ("retention-has-passed-the-position",
     Story(steadily, lambda s, _: 1_000 + 300 * s, seen=lambda s, _: replace(s, low=(s.position or 0) + 77)), WARN, 6),
    ("what-is-not-taken-may-soon-be-deleted",
     Story(steadily, lambda s, e: e - 900_000 + 1_000 * s, start=MANY,
           seen=lambda s, _: replace(s, retention_s=300.0, retained_s=3600.0)), WARN, 6),
    ("an-hour-of-retention-left-of-two-is-no-risk",
     Story(steadily, lambda s, e: e - 900_000 + 1_000 * s, start=MANY,
           seen=lambda s, _: replace(s, retention_s=3600.0, retained_s=7200.0)), OK, 10),
]  # fmt: skip


@pytest.mark.parametrize(("story", "verdict", "rule"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_verdict_of(story: Story, verdict: LagVerdict, rule: int) -> None:
    window = story.window()
    judged = judge(window, NOON + timedelta(seconds=story.seconds))
    assert (judged.verdict, judged.rule) == (verdict, rule), judged.reason
    assert judged.reason


def test_every_rule_has_the_number_in_its_name_and_a_case() -> None:
    assert [int(rule.__name__.split("_")[1]) for rule in RULES] == list(range(1, len(RULES) + 1))
    assert {case[3] for case in CASES} == set(range(1, len(RULES) + 1))


def test_nothing_left_is_idle_only_when_nothing_has_come_for_a_minute() -> None:
    at = NOON + timedelta(seconds=180)
    assert is_idle(Story(lambda s: 500 if s < 100 else 0, lambda _, e: e).window(), at)
    assert not is_idle(Story(lambda s: 500 if s < 130 else 0, lambda _, e: e).window(), at)
    assert not is_idle(Story(lambda s: 500 if s < 100 else 0, lambda _, e: e - 1).window(), at), "something is left"
    assert not is_idle(Story(never, lambda _, e: e, 30).window(), NOON + timedelta(seconds=30)), "watched too shortly"


def test_when_it_will_have_caught_up() -> None:
    def said(story: Story) -> float | None:
        window, now = story.window(), NOON + timedelta(seconds=story.seconds)
        return catch_up_s(window, judge(window, now), rates(window, now))

    assert said(Story(never, lambda _, e: e)) == 0
    assert said(Story(steadily, in_batches)) == pytest.approx(10)
    # 1,000,000 left, 4,500 a second taken beyond what comes; after 180 s 100,000 are left.
    assert said(Story(steadily, lambda s, e: e - 1_000_000 + 5_000 * s, start=MANY)) == pytest.approx(
        100_000 / 5_000, rel=0.02
    )
    assert said(Story(steadily, lambda s, _: 1_000 + 300 * s)) is None, "never at these rates"
    assert said(Story(steadily, lambda *_: None)) is None
