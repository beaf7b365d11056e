"""Several watches in one process: none keeps the others waiting, and one that hangs is not hidden by the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from controlplane.contract.facts import Fact, FeedProgressed
from controlplane.contract.reporting import Heart
from lag_monitor import watches
from lag_monitor.watches import Watch, look_once, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pytest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class CountingHeart(Heart):
    def __init__(self) -> None:
        super().__init__("")
        self.beats = 0

    def beat(self, waits_for: str = "") -> None:  # noqa: ARG002 (the signature of a heart)
        self.beats += 1


def fact(stream: str) -> Fact:
    return FeedProgressed(at=NOON, stream=stream, produced=1)


def test_a_watch_that_fails_is_tried_again_and_the_others_go_on(
    eventually: Callable[..., object], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_LOOKED_AT_EVERY_S", 0.01)
    told: list[str] = []
    failures: list[int] = []

    def fails() -> Iterable[Fact]:
        failures.append(1)
        raise OSError("away")

    def tell(facts: Iterable[Fact]) -> None:
        told.extend(each.stream for each in facts if isinstance(each, FeedProgressed))

    stopping, is_ready = threading.Event(), threading.Event()
    both = (Watch("fails", 0.05, fails), Watch("works", 0.05, lambda: [fact("shop")]))
    thread = threading.Thread(target=run, args=(both, tell, CountingHeart(), is_ready.set, stopping))
    thread.start()
    eventually(lambda: len(told) > 2 and len(failures) > 2 and is_ready.is_set(), "both watches look again")
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()
    assert sum("watch fails has failed" in record.message for record in caplog.records) == 1


def test_the_heart_is_silent_while_one_watch_hangs(
    eventually: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_LOOKED_AT_EVERY_S", 0.01)
    monkeypatch.setattr(watches, "HANGS_AFTER_S", 0.2)
    stopping, goes_on, heart = threading.Event(), threading.Event(), CountingHeart()
    seen: list[int] = []

    def hangs() -> Iterable[Fact]:
        goes_on.wait(30)
        return []

    def works() -> Iterable[Fact]:
        seen.append(heart.beats)
        return []

    both = (Watch("hangs", 60, hangs), Watch("works", 0.05, works))
    thread = threading.Thread(target=run, args=(both, list, heart, lambda: None, stopping))
    thread.start()
    eventually(lambda: len(seen) > 10 and len(set(seen[-5:])) == 1, "no beat between five rounds of the other watch")
    silent_at = heart.beats
    goes_on.set()
    eventually(lambda: heart.beats > silent_at, "the heart beats again")
    stopping.set()
    thread.join(5)


def test_one_round_says_why_it_has_failed() -> None:
    def fails() -> Iterable[Fact]:
        raise OSError("away")

    assert look_once(Watch("fails", 1, fails), list) == "OSError: away"
    assert look_once(Watch("works", 1, lambda: [fact("shop")]), list) is None
