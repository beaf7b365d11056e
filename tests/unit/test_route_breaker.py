"""A flood opens the breaker and a trickle does not; it goes on by itself, by an operator or by another suite, and not sooner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.gates import BreakerState, GateOrdered, Order, Policy, Stage
from controlplane.contract.streams import Breaker, IngestGate
from pipeline.route.breaker import Circuit, Sample, remembered, stands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GATE = IngestGate(breaker=Breaker(window=timedelta(seconds=10), least=100, ratio=0.5, run=500, absolute=2000))
CLOSED = Circuit(since=BEGAN, suite="a")


def second(number: float) -> datetime:
    return BEGAN + timedelta(seconds=number)


class Played:
    """A second each: so many valid, dead and quarantined ones come."""

    def __init__(self, gate: IngestGate = GATE, circuit: Circuit = CLOSED) -> None:
        self.gate, self.circuit, self.at = gate, circuit, 0
        self.samples: list[Sample] = [Sample(at=BEGAN, valid=0, dead=0, quarantined=0)]

    def play(
        self,
        seconds: Iterable[tuple[int, int, int]],
        suite: str = "a",
        orders: Sequence[GateOrdered] = (),
    ) -> list[BreakerState]:
        states = []
        for valid, dead, quarantined in seconds:
            self.at += 1
            last = self.samples[-1]
            more = Sample(
                at=second(self.at),
                valid=last.valid + valid,
                dead=last.dead + dead,
                quarantined=last.quarantined + quarantined,
            )
            self.samples = remembered([*self.samples, more], self.gate.breaker)
            before = self.circuit
            self.circuit = stands(before, self.samples, self.gate, suite, orders, second(self.at))
            if self.circuit is not before:
                self.samples = self.samples[-1:]
            states.append(self.circuit.state)
        return states


def resume(at: float) -> GateOrdered:
    return GateOrdered(stream="s", stage=Stage.INGEST, order=Order.RESUME, at=second(at), by="ann")


FLOODS: dict[str, tuple[list[tuple[int, int, int]], str]] = {
    "half-of-a-window": ([(50, 0, 0), (0, 25, 25)], "50 of 100 records were turned away within 10 s"),
    "a-long-run-of-few-a-second": ([(9, 0, 0), *[(0, 0, 5)] * 100], "500 records in a row were turned away"),
    "many-of-very-many": ([(9000, 0, 400)] * 5, "2,000 records were turned away within 10 s"),
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_opens_the_breaker_as_soon_as_it_is_one(case: str) -> None:
    seconds, reason = FLOODS[case]
    played = Played()
    states = played.play(seconds)
    assert states == [BreakerState.CLOSED] * (len(seconds) - 1) + [BreakerState.OPEN]
    assert played.circuit.reason == reason
    assert played.circuit.resumes_at == second(played.at) + GATE.breaker.pause


NO_FLOODS: dict[str, list[tuple[int, int, int]]] = {
    "silence": [(0, 0, 0)] * 60,
    "only-bad-ones-but-too-few-to-say": [(0, 4, 4)] * 12,
    "fewer-than-half": [(60, 0, 40)] * 19,
    "a-run-that-a-valid-one-ends": [*[(0, 0, 5)] * 60, (1, 0, 4), *[(0, 0, 5)] * 60],
    "a-burst-that-is-past": [(9000, 0, 1900), *[(9000, 0, 0)] * 10, (9000, 0, 1900)],
}


@pytest.mark.parametrize("case", NO_FLOODS)
def test_what_is_no_flood_opens_nothing(case: str) -> None:
    assert set(Played().play(NO_FLOODS[case])) == {BreakerState.CLOSED}


def test_it_tries_again_after_its_pause_and_waits_twice_as_long_each_time_that_the_flood_still_comes() -> None:
    played, pauses = Played(), []
    for _ in range(7):
        played.play([(0, 0, 200)])
        assert played.circuit.state is BreakerState.OPEN
        assert played.circuit.resumes_at is not None
        pause = played.circuit.resumes_at - played.circuit.since
        pauses.append(pause // GATE.breaker.pause)
        states = played.play([(0, 0, 0)] * int(pause.total_seconds()))
        assert states.index(BreakerState.PROBING) == len(states) - 1, "not sooner"
    assert pauses == [1, 2, 4, 8, 16, 16, 16]


def test_a_probe_that_lasts_a_window_without_a_flood_closes_it_and_the_next_pause_is_the_first_again() -> None:
    played = Played()
    played.play([(0, 0, 200), *[(0, 0, 0)] * 60])
    states = played.play([(100, 0, 3)] * 10)
    assert states == [*[BreakerState.PROBING] * 9, BreakerState.CLOSED]
    played.play([(0, 0, 2000)])
    assert played.circuit.opened == 1


def test_an_operator_resumes_it_and_what_he_said_before_it_opened_does_not() -> None:
    played = Played()
    assert played.play([(0, 0, 200), (0, 0, 0)], orders=[resume(0.5)]) == [BreakerState.OPEN] * 2
    assert played.play([(0, 0, 0)], orders=[resume(0.5), resume(2.5)]) == [BreakerState.PROBING]
    assert played.circuit.reason == "ann resumed it"
    assert played.play([(0, 0, 200)], orders=[resume(2.5)]) == [BreakerState.OPEN], "the same order counts once"
    assert played.play([(0, 0, 0)] * 9, orders=[resume(2.5)]) == [BreakerState.OPEN] * 9


def test_another_suite_resumes_it_at_once() -> None:
    played = Played()
    played.play([(0, 0, 200)])
    assert played.play([(0, 0, 0)], suite="b") == [BreakerState.PROBING]
    assert played.play([(0, 0, 200), (0, 0, 0)], suite="b") == [BreakerState.OPEN] * 2, "it is another one no longer"


def test_where_the_policy_is_to_halt_the_first_quarantined_record_opens_it_until_somebody_says_so() -> None:
    halting = GATE.model_copy(update={"policy": Policy.HALT})
    played = Played(halting)
    assert played.play([(500, 3, 0), (500, 0, 1)]) == [BreakerState.CLOSED, BreakerState.OPEN]
    assert played.circuit.resumes_at is None
    assert set(played.play([(0, 0, 0)] * 5000)) == {BreakerState.OPEN}
    assert played.play([(0, 0, 0)], orders=[resume(played.at)]) == [BreakerState.PROBING]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(0, 20)), max_size=80),
    st.integers(1, 60),
    st.integers(1, 400),
)
def test_what_is_forgotten_would_have_changed_no_decision(
    seconds: list[tuple[int, int, int]], window: int, run: int
) -> None:
    breaker = GATE.breaker.model_copy(update={"window": timedelta(seconds=window), "run": run})
    gate = GATE.model_copy(update={"breaker": breaker})
    everything = [Sample(at=BEGAN, valid=0, dead=0, quarantined=0)]
    kept = list(everything)
    for number, (valid, dead, quarantined) in enumerate(seconds, 1):
        last = everything[-1]
        more = Sample(
            at=second(number),
            valid=last.valid + valid,
            dead=last.dead + dead,
            quarantined=last.quarantined + quarantined,
        )
        everything.append(more)
        kept = remembered([*kept, more], breaker)
        by_all, by_kept = (stands(CLOSED, each, gate, "a", (), more.at) for each in (everything, kept))
        assert by_all == by_kept
        assert len(kept) <= window + 2
