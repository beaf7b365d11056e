"""When does an operation wait for live? And which of its stages are next?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.lag import ConsumerKind, ConsumerState, LagFrame, LagJudged
from controlplane.contract.names import Hop
from controlplane.contract.operations import StagePlanned
from pipeline.operate.pace import Pace, decide, live_lag
from pipeline.operate.stages import groups

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOES, RESTS = Pace(rests=False), Pace(rests=True, why="live")


@pytest.mark.parametrize(
    ("before", "lag_s", "rests"),
    [
        pytest.param(GOES, 0.0, False, id="live-is-there"),
        pytest.param(GOES, 10.0, False, id="at-the-bound-it-works"),
        pytest.param(GOES, 10.1, True, id="over-the-bound-it-rests"),
        pytest.param(RESTS, 8.0, True, id="it-rests-until-live-has-clearly-caught-up"),
        pytest.param(RESTS, 5.0, False, id="at-half-the-bound-it-goes-on"),
        pytest.param(GOES, None, True, id="unknown-is-not-good"),
    ],
)
def test_it_rests_while_live_is_behind(before: Pace, lag_s: float | None, rests: bool) -> None:
    decided = decide(before, lag_s, 10.0, "shop")
    assert decided.rests is rests
    assert (decided.why is None) is not rests
    assert "live shop" in (decided.why or "live shop")


@given(st.lists(st.floats(5.01, 10.0), max_size=30))
def test_between_the_two_bounds_it_never_changes_its_mind(lags: list[float]) -> None:
    for first in (GOES, RESTS):
        pace = first
        for lag in lags:
            pace = decide(pace, lag, 10.0, "shop")
            assert pace.rests is first.rests


def judged(
    hop: Hop, lag_s: float | None, *, stream: str = "shop", stale: bool = False, group: bool = False
) -> ConsumerState:
    kind = ConsumerKind.GROUP if group else ConsumerKind.QUERY
    lag = LagJudged(at=NOW, consumer="x", consumer_kind=kind, topic="t", stream=stream, hop=hop, lag_s=lag_s)
    return ConsumerState(lag=lag, is_stale=stale)


@pytest.mark.parametrize(
    ("consumers", "lag_s"),
    [
        pytest.param([judged(Hop.VALID, 1.0), judged(Hop.SERVING, 2.0)], 2.0, id="the-worse-of-route-and-live"),
        pytest.param([judged(Hop.VALID, 1.0), judged(Hop.LAKE, 99.0)], 1.0, id="lake-is-not-live"),
        pytest.param([judged(Hop.VALID, 1.0), judged(Hop.SERVING, 9.0, stream="flights")], 1.0, id="another-stream"),
        pytest.param([judged(Hop.VALID, 1.0), judged(Hop.SERVING, None)], None, id="one-is-unknown"),
        pytest.param([judged(Hop.VALID, 1.0, stale=True)], None, id="stale-is-unknown"),
        pytest.param([judged(Hop.VALID, 1.0, group=True)], None, id="a-group-is-nobody-of-ours"),
        pytest.param([], None, id="nobody-measures"),
    ],
)
def test_lives_lag_is_what_a_pixel_waits_for(consumers: list[ConsumerState], lag_s: float | None) -> None:
    assert live_lag(LagFrame(at=NOW, consumers=tuple(consumers)), "shop") == lag_s


def stages(*keys: str) -> list[StagePlanned]:
    return [StagePlanned(key=key, does=key[0], title=key) for key in keys]


@pytest.mark.parametrize(
    ("done", "left"),
    [
        pytest.param((), [["a"], ["p1", "p2", "p3"], ["b"], ["p4"]], id="neighbours-run-side-by-side"),
        pytest.param(("a", "p2"), [["p1", "p3"], ["b"], ["p4"]], id="what-is-done-is-not-run-again"),
        pytest.param(("a", "p1", "p2", "p3", "b", "p4"), [], id="nothing-is-left"),
    ],
)
def test_stages_run_in_order_and_those_that_may_side_by_side(done: tuple[str, ...], left: list[list[str]]) -> None:
    planned = stages("a", "p1", "p2", "p3", "b", "p4")
    found = groups(planned, done, lambda stage: stage.does == "p")
    assert [[stage.key for stage in group] for group in found] == left
