"""Percentiles are within a few per cent of the samples, and do not depend on the order in which these came."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.contract.spread import P99, Spread, gathered, merged

SAMPLES = st.lists(st.tuples(st.floats(1, 1e6), st.integers(1, 20)), min_size=1, max_size=200)


def test_of_nothing_nothing_is_known() -> None:
    assert gathered([]).quantile(P99) is None


@pytest.mark.parametrize("ms", [0.7, 1.0, 13.0, 250.0, 86_400_000.0])
def test_a_sample_alone_is_its_own_percentile(ms: float) -> None:
    assert gathered([(ms, 1.0)]).quantile(0.5) == pytest.approx(ms, rel=0.045)


def test_a_clock_that_is_ahead_counts_as_no_time() -> None:
    found = gathered([(-3.0, 1.0), (0.0, 1.0)])
    assert found.samples == 2
    assert (found.quantile(P99) or 0.0) <= 0.0


@given(SAMPLES, st.floats(0.01, 1.0))
def test_a_percentile_is_within_a_bucket_of_the_exact_one(samples: list[tuple[float, int]], share: float) -> None:
    ordered = sorted(ms for ms, weight in samples for _ in range(weight))
    exact = ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]
    assert gathered(samples).quantile(share) == pytest.approx(exact, rel=0.05)


@given(SAMPLES, st.data())
def test_neither_order_nor_how_it_was_split_changes_anything(
    samples: list[tuple[float, int]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(samples))
    cut = data.draw(st.integers(0, len(samples)))
    assert merged([gathered(shuffled[:cut]), gathered(shuffled[cut:])]) == gathered(samples)


@given(SAMPLES)
def test_percentiles_grow_and_stay_below_the_longest(samples: list[tuple[float, int]]) -> None:
    found = gathered(samples)
    quantiles = [found.quantile(share) or 0.0 for share in (0.1, 0.5, 0.9, 0.99, 1.0)]
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] <= found.max_ms


@given(SAMPLES)
def test_it_crosses_processes_unchanged(samples: list[tuple[float, int]]) -> None:
    found = gathered(samples)
    assert Spread.model_validate_json(found.model_dump_json()) == found
