"""Are the rollups of real flights pandas' own, with a tenth of them late? On time, corrected, and from live alone."""

from __future__ import annotations

import pytest

from load_tests.bench.rollups import measure

_FLIGHTS = 10_000


def test_windows_of_real_flights_equal_pandas_whoever_answers() -> None:
    found = measure(_FLIGHTS, 0.1, lambda _: None)
    assert found["held_back"] == pytest.approx(_FLIGHTS / 10, rel=0.2)
    for side in ("published_on_time", "published", "live"):
        assert {name: each["difference"] for name, each in found[side].items()} == dict.fromkeys(found[side]), side
        assert all((each["closed"] > 0) == (side != "live") for each in found[side].values())
        assert len(found[side]) == 3
    assert all(0 < late <= found["held_back"] for late in found["late"].values())
