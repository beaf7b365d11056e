"""Real flights through the whole platform, a tenth of them late: are their rollups what pandas makes of them?"""

from __future__ import annotations

from load_tests.bench.rollups import measure

FLIGHTS = 20_000


def test_rollups_of_real_flights_are_pandas_live_and_published() -> None:
    found = measure(FLIGHTS, 0.1, lambda _: None)
    for side in ("published_on_time", "published", "live"):
        assert {name: each["difference"] for name, each in found[side].items()} == dict.fromkeys(found[side])
    assert all(each["closed"] == 0 for each in found["live"].values())
    assert all(each["closed"] > 0 for each in found["published"].values())
    assert all(each > 0 for each in found["late"].values()), "late events came for windows that had closed"
