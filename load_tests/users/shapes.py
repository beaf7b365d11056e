"""How many users does locust keep, second by second? As many as the shape says; of who sends, always all: what is due is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locust import LoadTestShape

from controlplane.contract.loads import LoadTarget, level_at

if TYPE_CHECKING:
    from load_tests.users.load import Load

_SPAWNED_PER_S = 200.0


def shape_of(load: Load) -> LoadTestShape:
    """The shape that was asked for."""
    asked, corners = load.run.asked, load.run.asked.corners

    class Shaped(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            at_s = load.now_s()
            if at_s >= asked.seconds:
                return None
            users = asked.users if asked.target is not LoadTarget.HUB else round(asked.users * level_at(corners, at_s))
            return max(users, 1), _SPAWNED_PER_S

    return Shaped()  # type: ignore[no-untyped-call]  # locust's own is untyped
