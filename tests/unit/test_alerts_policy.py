"""From signals to incidents: when one opens, pages and resolves, and what keeps it from doing so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.incidents import Condition, Happened, Key, Moment, Quiet, QuietKind, Signal
from alerts.policy.decide import Decision, Standing, decide
from alerts.policy.inhibit import explains
from alerts.policy.rules import RULES

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
SETTLE = timedelta(seconds=60)
WRONG, WELL, UNKNOWN = Condition.WRONG, Condition.WELL, Condition.UNKNOWN
GATE: Key = ("gate_failed", "shop/lake")
LAG: Key = ("lag", "shop/lake")
KAFKA: Key = ("part_down", "kafka")


class Beats:
    """A policy that is beaten every few seconds, and all that happened."""

    def __init__(self, every_s: float = 5) -> None:
        self.standing, self.now, self.every = Standing(), NOW, timedelta(seconds=every_s)
        self.moments: list[Moment] = []
        self.resolved = 0
        self.quiets: list[Quiet] = []

    def say(self, for_s: float = 0, **conditions: Condition) -> None:
        """Beat for so long with these signals: `gate=WRONG, lag=WELL`."""
        keys = {"gate": GATE, "lag": LAG, "kafka": KAFKA}
        said = [Signal(*keys[name], condition, "because") for name, condition in conditions.items()]
        until = self.now + timedelta(seconds=for_s)
        while True:
            self.took(decide(self.standing, said, self.now, self.quiets, SETTLE))
            self.now += self.every
            if self.now > until:
                return

    def took(self, decision: Decision) -> None:
        self.standing = decision.standing
        self.moments += decision.moments
        self.resolved += len(decision.resolved)

    def count(self, what: Happened) -> int:
        return sum(moment.what is what for moment in self.moments)

    def quiet(self, for_s: float, rule: str = "*", subject: str = "*") -> None:
        end = self.now + timedelta(seconds=for_s)
        self.quiets.append(Quiet(id="q", kind=QuietKind.WINDOW, start=self.now, end=end, rule=rule, subject=subject))


def test_a_gate_that_fails_pages_at_once_and_resolves_once_it_was_well_for_long_enough() -> None:
    beats = Beats()
    beats.say(gate=WRONG)
    assert [moment.what for moment in beats.moments] == [Happened.OPENED, Happened.PAGED]
    beats.say(for_s=300, gate=WRONG)
    beats.say(for_s=55, gate=WELL)
    assert beats.resolved == 0
    beats.say(for_s=10, gate=WELL)
    assert beats.resolved == 1
    assert beats.count(Happened.PAGED) == 1


def test_what_flaps_is_one_incident() -> None:
    beats = Beats()
    for _ in range(20):
        beats.say(for_s=20, gate=WRONG)
        beats.say(for_s=40, gate=WELL)
    assert (beats.count(Happened.OPENED), beats.count(Happened.PAGED), beats.resolved) == (1, 1, 0)


def test_what_comes_back_after_its_resolution_is_another_incident() -> None:
    beats = Beats()
    beats.say(gate=WRONG)
    first = beats.standing.incidents[GATE].id
    beats.say(for_s=120, gate=WELL)
    beats.say(gate=WRONG)
    assert beats.standing.incidents[GATE].id != first
    assert beats.count(Happened.PAGED) == 2


def test_unknown_opens_nothing_and_resolves_nothing() -> None:
    beats = Beats()
    beats.say(for_s=3600, gate=UNKNOWN)
    assert not beats.moments
    beats.say(gate=WRONG)
    beats.say(for_s=3600, gate=UNKNOWN)
    beats.say(for_s=3600)
    assert beats.resolved == 0
    beats.say(for_s=40, gate=WELL)
    beats.say(for_s=10, gate=UNKNOWN)
    beats.say(for_s=40, gate=WELL)
    assert beats.resolved == 0, "well without a break"
    beats.say(for_s=30, gate=WELL)
    assert beats.resolved == 1


def test_a_lag_that_is_soon_over_wakes_nobody() -> None:
    beats = Beats()
    for _ in range(10):
        beats.say(for_s=25, lag=WRONG)
        beats.say(lag=WELL)
    assert not beats.moments


def test_a_consequence_is_shown_and_wakes_nobody_until_its_cause_is_gone_for_long_enough() -> None:
    beats = Beats()
    beats.say(for_s=100, gate=WRONG, lag=WRONG)
    assert beats.standing.incidents[LAG].held_by == "a consequence of gate_failed shop/lake"
    beats.say(for_s=60, gate=WELL, lag=WRONG)
    assert GATE not in beats.standing.incidents
    beats.say(for_s=15, gate=WELL, lag=WRONG)
    assert beats.count(Happened.PAGED) == 1, "it has a moment to catch up"
    beats.say(for_s=30, gate=WELL, lag=WRONG)
    assert beats.count(Happened.PAGED) == 2, "it is wrong by itself"


def test_a_consequence_that_ends_with_its_cause_never_pages() -> None:
    beats = Beats()
    beats.say(for_s=100, kafka=WRONG, lag=WRONG)
    beats.say(for_s=20, kafka=WELL, lag=WRONG)
    beats.say(for_s=120, kafka=WELL, lag=WELL)
    assert (beats.count(Happened.PAGED), beats.resolved) == (1, 2)


def test_what_is_not_known_explains_nothing() -> None:
    beats = Beats()
    beats.say(gate=WRONG)
    beats.say(for_s=100, gate=UNKNOWN, lag=WRONG)
    assert beats.count(Happened.PAGED) == 2


def test_in_a_window_nobody_is_woken_and_afterwards_somebody_is_if_it_is_still_wrong() -> None:
    beats = Beats()
    beats.quiet(100, rule="gate_*", subject="shop/*")
    beats.say(for_s=90, gate=WRONG)
    assert (beats.count(Happened.OPENED), beats.count(Happened.HELD), beats.count(Happened.PAGED)) == (1, 1, 0)
    beats.say(for_s=20, gate=WRONG)
    assert (beats.count(Happened.RELEASED), beats.count(Happened.PAGED)) == (1, 1)


def test_an_incident_that_ends_in_a_window_has_woken_nobody() -> None:
    beats = Beats()
    beats.quiet(300)
    beats.say(for_s=60, gate=WRONG)
    beats.say(for_s=400, gate=WELL)
    assert (beats.count(Happened.PAGED), beats.resolved) == (0, 1)


def test_of_contradicting_signals_the_worst_counts() -> None:
    said = [Signal(*GATE, WELL), Signal(*GATE, WRONG, "a"), Signal(*GATE, UNKNOWN)]
    assert GATE in decide(Standing(), said, NOW, (), SETTLE).standing.incidents


@pytest.mark.parametrize(
    ("cause", "other"),
    [
        (KAFKA, LAG),
        (KAFKA, ("part_down", "route")),
        (("part_down", "control"), ("ledger_unknown", "shop")),
        (("part_down", "lake"), LAG),
        (("breaker_open", "shop/ingest"), ("freshness", "shop/serving")),
        (("breaker_open", "shop/ingest"), ("validity", "shop")),
        (GATE, ("freshness", "shop/lake")),
        (LAG, ("freshness", "shop/lake")),
        (KAFKA, ("probes", "probes")),
        (("part_down", "lag"), ("probes", "probes")),
        (("lag", "shop/serving"), ("probes", "probes")),
    ],
    ids=" ".join,
)
def test_a_cause_explains(cause: Key, other: Key) -> None:
    assert explains(cause, other)
    assert not explains(other, cause), "never each other"


@pytest.mark.parametrize(
    ("cause", "other"),
    [
        (KAFKA, GATE),
        (KAFKA, ("ledger_unbalanced", "shop")),
        (KAFKA, ("part_down", "clickhouse")),
        (GATE, ("lag", "flights/lake")),
        (GATE, ("lag", "shop/serving")),
        (("part_down", "lake"), ("lag", "shop/serving")),
        (("validity", "shop"), ("breaker_open", "shop/ingest")),
        (("part_down", "lake"), ("probes", "probes")),
        (("lag", "shop/lake"), ("probes", "probes")),
        (("probes", "probes"), ("latency", "shop")),
    ],
    ids=" ".join,
)
def test_a_cause_does_not_explain(cause: Key, other: Key) -> None:
    assert not explains(cause, other)


SUBJECTS = ("kafka", "control", "lake", "shop", "shop/ingest", "shop/lake", "shop/serving")
KEYS = [(rule, subject) for rule in ("gate_failed", "breaker_open") for subject in ("shop/ingest", "shop/lake")]
KEYS += [("part_down", part) for part in ("kafka", "control", "lake", "clickhouse")]
KEYS += [("lag", "shop/lake"), ("freshness", "shop/lake"), ("ledger_unknown", "shop"), ("ledger_unbalanced", "shop")]
BEAT = st.tuples(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(Condition)), st.integers(1, 90))


@given(st.lists(BEAT, min_size=1, max_size=30), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_laws_of_the_policy(steps: list[tuple[dict[Key, Condition], int]], is_quiet: bool, chance: object) -> None:
    standing, now = Standing(), NOW
    quiets = [Quiet(id="q", kind=QuietKind.SILENCE, start=NOW, end=NOW + timedelta(minutes=9))] if is_quiet else []
    open_ids: set[str] = set()
    paged: list[str] = []
    last_known: dict[Key, Condition] = {}
    for conditions, seconds in steps:
        said = [Signal(*key, condition, "because") for key, condition in conditions.items()]
        decision = decide(standing, said, now, quiets, SETTLE)
        chance.shuffle(said)  # type: ignore[attr-defined]
        assert decide(standing, said, now, quiets, SETTLE) == decision, "the order does not matter"
        again = decide(decision.standing, said, now, quiets, SETTLE)
        assert (again.standing, again.moments, again.resolved) == (decision.standing, (), ()), "idempotent"
        for moment in decision.moments:
            if moment.what is Happened.OPENED:
                assert moment.incident not in open_ids
                open_ids.add(moment.incident)
            if moment.what is Happened.RESOLVED:
                open_ids.remove(moment.incident)
            if moment.what is Happened.PAGED:
                assert moment.incident not in paged, "nobody is woken twice"
                paged.append(moment.incident)
        for incident in decision.resolved:
            assert conditions[incident.key] is WELL, "nothing resolves that is not known to be well"
        for key, incident in decision.standing.incidents.items():
            assert incident.key == key
            assert conditions.get(key) is not WRONG or incident.paged_at or incident.held_by, (
                "paged, or it says why not"
            )
        assert len({incident.id for incident in decision.standing.incidents.values()}) == len(open_ids)
        last_known.update(conditions)
        standing, now = decision.standing, now + timedelta(seconds=seconds)


@given(st.sampled_from(KEYS), st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_no_two_causes_explain_each_other(first: Key, second: Key, third: Key) -> None:
    assert not explains(first, first)
    assert not (explains(first, second) and explains(second, first))
    assert not (explains(first, second) and explains(second, third) and explains(third, first))


def test_each_signal_may_have_its_own_time_and_severity() -> None:
    held = Signal("part_down", "lake", WRONG, "is held", after=timedelta(0))
    assert ("part_down", "lake") in decide(Standing(), [held], NOW, (), SETTLE).standing.incidents
    waiting = replace(held, after=None)
    assert not decide(Standing(), [waiting], NOW, (), SETTLE).standing.incidents
    assert RULES["part_down"].after > timedelta(0)
