"""Do executors follow what is wanted, whatever the cluster does meanwhile? A cluster that is a list, time passed in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.scaling import ExecutorsChanged, Wanted
from pipeline.scale.boundary import Boundary
from pipeline.scale.decide import Asked, decide, within
from pipeline.scale.reconcile import Cluster, Reconcile, not_scaled
from pipeline.scale.target import Executor, FakeTarget

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLUSTER = Cluster("spark standalone", least=2, most=8)


class FakeWants:
    """What the control plane says; None while it has said nothing."""

    def __init__(self, executors: int | None = None) -> None:
        self.executors = executors

    def of(self, target: str) -> Wanted | None:
        return None if self.executors is None else Wanted(target=target, executors=self.executors, at=NOW)


class Lake:
    """A reconcile with all that is around it."""

    def __init__(self, offered: int = 8, wanted: int | None = None) -> None:
        self.cluster, self.wants, self.boundary = FakeTarget(offered), FakeWants(wanted), Boundary()
        self.said: list[ExecutorsChanged] = []
        self.reconcile = Reconcile(self.cluster, CLUSTER, self.wants, self.boundary, self.said.append)
        self.now = NOW

    def beats(self, count: int = 1, *, apart: timedelta = timedelta(seconds=1), delivers: bool = True) -> None:
        for _ in range(count):
            self.reconcile.beat(self.now)
            self.now += apart
            if delivers:
                self.cluster.deliver()


def executors(*ids: int, **each: int) -> list[Executor]:
    return [Executor(str(number), **each) for number in ids]


@pytest.mark.parametrize(("wanted", "goes_for"), [(None, 2), (1, 2), (5, 5), (80, 8)])
def test_what_is_wanted_is_taken_within_what_the_cluster_gives(wanted: int | None, goes_for: int) -> None:
    assert within(wanted, 2, 8) == goes_for


def test_more_are_asked_for_at_once() -> None:
    act = decide(executors(0, 1), 8, Asked(2, NOW), frozenset(), NOW)
    assert (act.ask, act.let_go) == (8, ())
    assert act.waits_for == "2 of 8 executors have registered with the driver"


def test_what_the_cluster_was_told_is_not_said_at_every_beat_but_again_while_it_does_not_give() -> None:
    asked = Asked(8, NOW)
    assert decide(executors(0, 1), 8, asked, frozenset(), NOW + timedelta(seconds=4)).ask is None
    assert decide(executors(0, 1), 8, asked, frozenset(), NOW + timedelta(seconds=5)).ask == 8
    assert decide(executors(*range(8)), 8, asked, frozenset(), NOW + timedelta(hours=1)).ask is None


def test_those_that_hold_least_go_and_of_these_the_youngest() -> None:
    have = [Executor("2"), Executor("9"), Executor("10"), Executor("1", held_bytes=5)]
    assert decide(have, 2, Asked(4, NOW), frozenset(), NOW).let_go == ("10", "9")


def test_one_that_is_ending_is_not_let_go_twice_nor_another_in_its_place() -> None:
    act = decide(executors(0, 1, 2), 2, Asked(2, NOW), frozenset({"2"}), NOW)
    assert (act.let_go, act.waits_for) == ((), "1 executors are ending")


@given(
    have=st.sets(st.integers(0, 99), max_size=20),
    going=st.sets(st.integers(0, 99), max_size=5),
    want=st.integers(1, 20),
    asked=st.integers(1, 20),
)
def test_no_step_ends_more_than_there_are_too_many(have: set[int], going: set[int], want: int, asked: int) -> None:
    act = decide(executors(*have), want, Asked(asked, NOW), frozenset(map(str, going)), NOW)
    staying = {str(each) for each in have - going}
    assert set(act.let_go) <= staying
    assert len(staying) - len(act.let_go) >= min(len(staying), want)
    assert act.ask in (None, want)


def test_a_cluster_that_starts_one_on_every_core_is_brought_to_what_is_wanted() -> None:
    lake = Lake()
    lake.cluster.deliver()
    assert len(lake.cluster.have()) == 8
    lake.beats(2)
    assert len(lake.cluster.have()) == 2
    assert lake.said[-1].have == 2
    assert lake.said[-1].waits_for is None


def test_executors_follow_what_is_wanted_out_and_in() -> None:
    lake = Lake()
    lake.beats(2)
    lake.wants.executors = 8
    lake.beats(3)
    assert len(lake.cluster.have()) == lake.reconcile.slots == 8
    lake.wants.executors = 3
    lake.beats(3)
    assert len(lake.cluster.have()) == lake.reconcile.slots == 3
    assert [each.have for each in lake.said if each.waits_for is None] == [2, 8, 3]


def test_while_nobody_says_what_is_wanted_the_last_that_was_said_holds() -> None:
    lake = Lake(wanted=5)
    lake.beats(5)
    assert lake.said[-1].have == 5  # `Wants` keeps the last answer: the reconcile never asks anybody else


def test_an_autoscaler_that_is_off_or_starts_again_leaves_executors_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lake = Lake(wanted=5)
    lake.beats(5)
    monkeypatch.setattr(lake.wants, "of", lambda target: Wanted(target=target, at=NOW, reason="the autoscaler is off"))
    lake.beats(5)
    assert (lake.said[-1].have, lake.said[-1].want) == (5, 5)


def test_a_micro_batch_is_shared_by_those_that_are_there_and_by_fewer_before_some_go() -> None:
    lake = Lake(wanted=2)
    lake.beats(3)
    lake.wants.executors = 8
    lake.beats(2, delivers=False)
    assert lake.reconcile.slots == 2
    lake.cluster.deliver()
    lake.beats()
    assert lake.reconcile.slots == 8
    lake.wants.executors = 4
    with lake.boundary.working():
        lake.reconcile._note(lake.cluster.have(), 4, lake.now)  # noqa: SLF001 (the beat itself would wait)
        assert lake.reconcile.slots == 4
    assert len(lake.cluster.have()) == 8


def test_a_cluster_that_gives_less_than_is_wanted_is_made_the_best_of() -> None:
    lake = Lake(offered=5, wanted=8)
    lake.beats(10)
    assert lake.reconcile.slots == 8  # as it began: nothing has been there to change it
    lake.beats(10)
    assert lake.reconcile.slots == 5
    assert lake.said[-1].waits_for == "5 of 8 executors have registered with the driver"


def test_one_that_dies_is_counted_and_comes_back() -> None:
    lake = Lake(wanted=3)
    lake.beats(4)
    lake.cluster.lose("1")
    lake.beats(2, delivers=False)
    assert (lake.said[-1].have, lake.said[-1].failed) == (2, 1)
    lake.beats(2)
    assert (lake.said[-1].have, lake.said[-1].failed) == (3, 1)


def test_it_is_said_at_each_change_and_every_15_seconds() -> None:
    lake = Lake(wanted=2)
    lake.beats(3)
    before = len(lake.said)
    lake.beats(13)
    assert len(lake.said) == before
    lake.beats(2)
    assert len(lake.said) == before + 1


def test_a_local_session_says_that_it_has_no_executors() -> None:
    said = not_scaled(2, NOW)
    assert (said.port, said.have, said.most) == ("local", 0, 0)


def test_who_is_between_waits_for_work_under_way_and_holds_new_work_back(eventually: Callable[..., object]) -> None:
    boundary, order, release = Boundary(), list[str](), threading.Event()

    def work(name: str) -> None:
        with boundary.working():
            order.append(name)
            release.wait(5)

    first = threading.Thread(target=work, args=("first",))
    first.start()
    eventually(lambda: order == ["first"], "work under way")

    def between() -> None:
        with boundary.between(5) as is_reached:
            order.append(f"between {is_reached}")

    waiting = threading.Thread(target=between)
    waiting.start()
    eventually(lambda: boundary._is_held, "somebody waits")  # noqa: SLF001
    second = threading.Thread(target=work, args=("second",))
    second.start()
    release.set()
    for each in (first, waiting, second):
        each.join(5)
    assert order == ["first", "between True", "second"]


def test_work_that_does_not_end_holds_nobody_up_for_ever() -> None:
    boundary = Boundary()
    with boundary.working(), boundary.between(0.01) as is_reached:
        assert not is_reached
    with boundary.working():
        pass


def test_a_batch_that_waits_for_an_operator_keeps_no_executor() -> None:
    boundary = Boundary()
    with boundary.working():
        with boundary.resting(), boundary.between(0.01) as is_reached:
            assert is_reached
        with boundary.between(0.01) as is_reached:
            assert not is_reached
    with boundary.between(0.01) as is_reached:
        assert is_reached


def test_work_goes_on_as_soon_as_nobody_is_to_go_any_more() -> None:
    boundary, asked = Boundary(), list[int]()

    def is_wanted() -> bool:
        asked.append(1)
        return False

    with boundary.working(), boundary.between(60, is_wanted) as is_reached:
        assert not is_reached
    assert asked == [1]


def test_one_that_works_is_not_let_go() -> None:
    lake = Lake(wanted=4)
    lake.beats(4)
    lake.cluster.executors["3"] = Executor("3", active_tasks=1)
    assert lake.cluster.let_go(("2", "3")) == ("2",)
