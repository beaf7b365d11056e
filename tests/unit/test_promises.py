"""Service levels that are counted in seconds: by whom, how fast their budgets go, and that unknown stays unknown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.burn import BAD_SECONDS, FAST, SLOW, Budget, gone_in_s, left
from controlplane.contract.facts import HopMeasured, StreamHeld
from controlplane.contract.latency import PROBE, BurnVerdict, ProbeState
from controlplane.contract.names import Hop
from controlplane.service.promises import Promises
from controlplane.service.state import Known

if TYPE_CHECKING:
    from controlplane.contract.facts import Fact
    from controlplane.contract.latency import BurnJudged
    from controlplane.contract.streams import StreamDefinition

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SLOW_MS, QUICK_MS = 60_000.0, 50.0
Shown = dict[str, list[tuple[float, float]]]


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def counted(
    shop: StreamDefinition, seconds: int, shown: Shown, probe: ProbeState | None = None, facts: tuple[Fact, ...] = ()
) -> Promises:
    promises = Promises({"shop": shop})
    for second in range(seconds + 1):
        known = Known()
        known.fold([fact.model_copy(update={"at": after(second)}) for fact in facts])
        promises.count(known, shown, probe or ProbeState(is_on=False), after(second))
    promises.remember({("shop", "latency", None): (30.0, 3000.0)})
    return promises


def latency(promises: Promises, seconds: float = 120) -> BurnJudged:
    return next(each for each in promises.judged(after(seconds)) if each.level == "latency")


def test_what_nobody_has_measured_is_unknown_and_says_why(shop: StreamDefinition) -> None:
    promises = counted(shop, 120, {})
    promises.remember({})
    found = latency(promises)
    assert (found.verdict, found.by, found.budget_left, found.gone_in_s) == (BurnVerdict.UNKNOWN, None, None, None)
    assert set(found.rates.values()) == {None}
    assert found.reason == "nobody watched, and no probe has arrived, in the last five minutes"


def test_what_browsers_show_late_burns_fast(shop: StreamDefinition) -> None:
    found = latency(counted(shop, 120, {"shop": [(SLOW_MS, 1000.0)]}))
    assert (found.verdict, found.by, found.bad_share) == (BurnVerdict.BURNS_FAST, "browsers", 1.0)
    assert found.rates["5m"] == pytest.approx(100)
    quick = latency(counted(shop, 120, {"shop": [(QUICK_MS, 1000.0)]}))
    assert (quick.verdict, quick.rates["1h"], quick.gone_in_s) == (BurnVerdict.KEPT, 0.0, None)


def test_several_charts_of_a_stream_show_the_same_second_once(shop: StreamDefinition) -> None:
    promises = counted(shop, 120, {"shop": [(SLOW_MS, 1000.0), (QUICK_MS, 3000.0)]})
    [kept] = [each for each in promises.kept(after(30.0)) if each.level == "latency" and each.at == NOW]
    assert (kept.bad_s, kept.total_s) == (pytest.approx(29 / 4), pytest.approx(29)), (
        "the first look only starts the clock"
    )


def test_while_nobody_watches_probes_stand_for_the_stream(shop: StreamDefinition) -> None:
    found = latency(counted(shop, 120, {PROBE: [(QUICK_MS, 1000.0)]}))
    assert (found.verdict, found.by) == (BurnVerdict.KEPT, "probes")
    both = latency(counted(shop, 120, {PROBE: [(SLOW_MS, 1000.0)], "shop": [(QUICK_MS, 1000.0)]}))
    assert (both.verdict, both.by) == (BurnVerdict.KEPT, "browsers"), "what is on a screen counts more"


def test_a_probe_that_does_not_come_is_late_not_unknown(shop: StreamDefinition) -> None:
    waits = ProbeState(is_on=True, waits_s=30.0)
    assert latency(counted(shop, 120, {}, waits)).verdict is BurnVerdict.BURNS_FAST
    assert latency(counted(shop, 120, {}, ProbeState(is_on=True, waits_s=0.3))).verdict is BurnVerdict.UNKNOWN


def test_while_probes_do_not_arrive_they_stand_for_no_stream(shop: StreamDefinition) -> None:
    away = ProbeState(is_on=True, waits_s=45.0, reason="one has been on its way for 45 s")
    found = latency(counted(shop, 120, {}, away))
    assert (found.verdict, found.rates["1h"]) == (BurnVerdict.UNKNOWN, None)


def test_freshness_is_counted_hop_by_hop_and_not_while_the_lake_is_held(shop: StreamDefinition) -> None:
    old = HopMeasured(at=NOW, stream="shop", hop=Hop.LAKE, lag_s=3600.0)
    silent = HopMeasured(at=NOW, stream="shop", hop=Hop.SERVING, reason="silent")
    verdicts = {each.hop: each.verdict for each in counted(shop, 120, {}, None, (old, silent)).judged(after(120))}
    assert (verdicts[Hop.LAKE], verdicts[Hop.SERVING]) == (BurnVerdict.BURNS_FAST, BurnVerdict.UNKNOWN)
    held = StreamHeld(at=NOW, stream="shop", operation="op1", holds="appends")
    verdicts = {each.hop: each.verdict for each in counted(shop, 120, {}, None, (old, held)).judged(after(120))}
    assert verdicts[Hop.LAKE] is BurnVerdict.UNKNOWN


def test_a_restart_goes_on_with_what_was_kept(shop: StreamDefinition) -> None:
    before = counted(shop, 120, {"shop": [(SLOW_MS, 1000.0)]})
    promises = Promises({"shop": shop})
    promises.restore(before.kept(after(150)))
    assert latency(promises).verdict is BurnVerdict.BURNS_FAST
    assert list(before.kept(after(240))) == [], "what is over is kept once"


def test_what_is_left_of_a_month() -> None:
    assert left(BAD_SECONDS, 0.0, 30) == 1.0
    assert left(BAD_SECONDS, 0.01 * 30 * 86_400, 30) == 0.0
    assert gone_in_s(1.0, 1.0, 30) == 30 * 86_400, "at a rate of one it lasts as long as it is meant to"
    assert gone_in_s(0.5, 14.4, 30) == pytest.approx(25 * 3600)
    assert gone_in_s(1.0, 0.0, 30) is None
    assert gone_in_s(1.0, None, 30) is None


@given(st.lists(st.tuples(st.integers(0, 6 * 3600), st.floats(0, 30), st.floats(0, 30)), max_size=60), st.data())
def test_a_budget_does_not_depend_on_the_order_and_is_never_more_than_whole(
    seen: list[tuple[int, float, float]], data: st.DataObject
) -> None:
    one, other = Budget(), Budget()
    for budget, order in ((one, seen), (other, data.draw(st.permutations(seen)))):
        for at, bad, good in order:
            budget.count(after(at - 6 * 3600), bad, bad + good)
    for window in (FAST.short, FAST.long, SLOW.long):
        assert one.within(NOW, window) == pytest.approx(other.within(NOW, window))
        rate = one.rate(NOW, window)
        assert rate is None or 0 <= rate <= 1 / BAD_SECONDS + 1e-6
    bad, _ = one.within(NOW, SLOW.long)
    assert left(BAD_SECONDS, bad, 30) <= 1.0
