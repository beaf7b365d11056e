"""What waits in the outbox goes out in order, once as far as can be, and outlives the process."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from alerts.incidents import Condition, Happened
from alerts.observe import FakeSource
from alerts.outbox import LONGEST_WAIT, Outbox, wait_before
from alerts.pages import Writer
from alerts.sender import Action, Answer, Came, Event, FakeSender
from alerts.store import Store
from alerts.watch import NotNowError, NotThereError, Watch
from controlplane.contract.facts import HopMeasured, PartChanged, PartState
from controlplane.contract.folders import load_stream
from controlplane.contract.gates import GateDecided, GateOrdered, Order, Outcome, Stage
from controlplane.contract.names import Hop
from controlplane.contract.settings import SHIPPED_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 1, 1, 3, tzinfo=UTC)
AWAY = Answer(Came.LATER, "503: away")
SILENT = Answer(Came.LATER, "does not answer", holds_all=True)


class Room:
    """The room without its process: a clock that the test turns."""

    def __init__(self, folder: Path, *, pages: bool = True) -> None:
        self.now = NOW
        self.source = FakeSource(lambda: self.now)
        self.sender = FakeSender()
        self.folder, self.pages = folder, pages
        self.start()

    def start(self) -> None:
        """Again, on what the file has: as after a SIGKILL."""
        self.store = Store(self.folder / "incidents.sqlite")
        self.outbox = Outbox(self.store, self.sender if self.pages else None, lambda: 0.5)
        writer = Writer("http://console:8050/", "machine-1")
        self.watch = Watch(self.source, self.store, writer, {}, timedelta(seconds=60), pages=self.pages)
        self.watch.catch_up(self.now)

    def verdict(self, outcome: Outcome) -> None:
        self.source.facts = (
            PartChanged(at=self.now, part="kafka", state=PartState.RUNNING),
            GateDecided(
                at=self.now, stream="shop", stage=Stage.LAKE, subject="batch 1", suite="f", outcome=outcome, rows=1,
                judged=1, reason="because",
            ),
        )  # fmt: skip

    def go(self, seconds: float, outcome: Outcome) -> None:
        """Beat each second."""
        for _ in range(int(seconds)):
            self.verdict(outcome)
            self.watch.beat()
            self.outbox.beat(self.now)
            self.now += timedelta(seconds=1)

    @property
    def actions(self) -> list[Action]:
        return [event.action for event in self.sender.events]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    yield made
    made.store.close()


def test_a_gate_failure_is_one_trigger_and_one_resolve(room: Room) -> None:
    room.go(300, Outcome.HALTED)
    room.go(120, Outcome.PASSED)
    assert room.actions == [Action.TRIGGER, Action.RESOLVE]
    trigger, resolve = room.sender.events
    assert trigger.key == resolve.key
    assert [link.href for link in trigger.links] == [
        f"http://console:8050/alerts/{room.store.incidents(is_open=False)[0].id}",
        "http://console:8050/quality/shop",
    ]
    assert (trigger.severity, trigger.source, trigger.kind) == ("critical", "machine-1", "gate_failed")


def test_what_becomes_worse_is_told_once_more_and_what_becomes_milder_is_not(room: Room) -> None:
    room.go(5, Outcome.DIVERTED)
    room.go(5, Outcome.HALTED)
    room.go(5, Outcome.DIVERTED)
    room.go(70, Outcome.PASSED)
    assert room.actions == [Action.TRIGGER, Action.TRIGGER, Action.RESOLVE]
    assert [event.severity for event in room.sender.events[:2]] == ["error", "critical"]
    assert len({event.key for event in room.sender.events}) == 1
    [incident] = room.store.incidents(is_open=False)
    assert incident.severity == "critical"


def test_a_resolve_waits_until_its_trigger_was_taken(room: Room) -> None:
    room.sender.answers = [AWAY] * 9
    room.go(60, Outcome.HALTED)
    room.go(62, Outcome.PASSED)
    assert set(room.actions) == {Action.TRIGGER}
    room.go(300, Outcome.PASSED)
    assert room.actions[-2:] == [Action.TRIGGER, Action.RESOLVE]
    assert len(room.sender.events) == 11
    assert len({event.model_dump_json() for event in room.sender.events}) == 2, "the same event each time"


def test_a_crash_while_sending_sends_the_same_event_again(room: Room) -> None:
    class KilledError(BaseException):
        pass

    def killed(event: Event) -> Answer:
        room.sender.events.append(event)
        raise KilledError

    room.verdict(Outcome.HALTED)
    room.watch.beat()
    taken, room.sender.send = room.sender.send, killed  # type: ignore[method-assign]
    with pytest.raises(KilledError):
        room.outbox.beat(room.now)
    assert room.outbox.deliveries()[0].state == "sending"
    room.store.close()
    room.sender.send = taken  # type: ignore[method-assign]
    room.start()
    room.go(3, Outcome.HALTED)
    first, second = room.sender.events
    assert first == second
    assert room.outbox.deliveries()[0].state == "sent"


def test_what_is_refused_is_said_and_not_tried_again_and_the_next_goes_out(room: Room) -> None:
    room.sender.answers = [Answer(Came.REFUSED, "400: 'payload.severity' is invalid")]
    room.go(100, Outcome.HALTED)
    room.go(100, Outcome.PASSED)
    assert room.actions == [Action.TRIGGER, Action.RESOLVE]
    incident = room.store.incidents(is_open=False)[0]
    assert [each.text for each in room.store.timeline(incident.id) if each.what is Happened.REFUSED] == [
        "trigger: 400: 'payload.severity' is invalid"
    ]
    assert room.outbox.standing(room.now).refused == 1


def test_one_event_that_fails_does_not_hold_up_the_others(room: Room) -> None:
    room.sender.answers = [AWAY]
    room.go(1, Outcome.HALTED)
    room.watch.test("ana", room.now)
    room.outbox.beat(room.now)
    assert len({event.key for event in room.sender.events}) == 2


def test_when_nobody_answers_nothing_else_is_tried(room: Room) -> None:
    room.sender.answers = [SILENT]
    room.go(1, Outcome.HALTED)
    room.watch.test("ana", room.now - timedelta(seconds=1))
    assert room.outbox.beat(room.now - timedelta(seconds=0.5)) == 0
    assert len(room.sender.events) == 1


def test_it_waits_as_long_as_it_is_asked_to(room: Room) -> None:
    room.sender.answers = [Answer(Came.LATER, "429", timedelta(seconds=30), holds_all=True)]
    room.go(29, Outcome.HALTED)
    assert len(room.sender.events) == 1
    room.go(5, Outcome.HALTED)
    assert len(room.sender.events) == 2


@pytest.mark.parametrize(
    ("attempts", "asked_s", "jitter", "seconds"),
    [(1, None, 0, 1), (1, None, 1, 1.5), (4, None, 0, 8), (4, 20, 0, 20), (99, None, 0, 60), (99, 300, 1, 300)],
)
def test_waits_are_doubled_up_to_a_bound(attempts: int, asked_s: int | None, jitter: float, seconds: float) -> None:
    asked = None if asked_s is None else timedelta(seconds=asked_s)
    assert wait_before(attempts, asked, jitter).total_seconds() == seconds
    assert wait_before(attempts, None, 1) <= LONGEST_WAIT * 1.5


def test_without_a_routing_key_incidents_are_kept_and_once_there_is_one_the_open_ones_are_told(tmp_path: Path) -> None:
    room = Room(tmp_path, pages=False)
    room.go(10, Outcome.HALTED)
    assert len(room.store.incidents(is_open=True)) == 1
    assert not room.outbox.deliveries()
    room.store.close()
    room.pages = True
    room.start()
    room.go(5, Outcome.HALTED)
    assert room.actions == [Action.TRIGGER]
    room.store.close()


def test_who_acknowledges_is_told_to_pagerduty_once(room: Room) -> None:
    room.go(2, Outcome.HALTED)
    incident = room.store.incidents(is_open=True)[0]
    for _ in range(2):
        room.watch.acknowledge(incident.id, "ana", room.now)
    room.go(2, Outcome.HALTED)
    assert room.actions == [Action.TRIGGER, Action.ACKNOWLEDGE]
    kept = room.store.incident(incident.id)
    assert kept is not None
    assert kept.acknowledged_by == "ana"


def test_what_is_still_wrong_cannot_be_resolved_by_hand_and_what_is_not_known_can(room: Room) -> None:
    room.go(2, Outcome.HALTED)
    incident = room.store.incidents(is_open=True)[0]
    with pytest.raises(NotNowError, match="still so"):
        room.watch.resolve(incident.id, "ana", room.now)
    room.source.facts = None
    room.watch.beat()
    kept = room.store.incident(incident.id)
    assert kept is not None
    assert kept.condition is Condition.UNKNOWN
    room.watch.resolve(incident.id, "ana", room.now)
    room.outbox.beat(room.now)
    assert room.actions == [Action.TRIGGER, Action.RESOLVE]
    with pytest.raises(NotNowError, match="was resolved"):
        room.watch.resolve(incident.id, "ana", room.now)
    with pytest.raises(NotThereError):
        room.watch.acknowledge("nobody", "ana", room.now)


def test_a_silenced_cause_that_comes_back_opens_and_wakes_nobody(room: Room) -> None:
    room.go(2, Outcome.HALTED)
    incident = room.store.incidents(is_open=True)[0]
    room.watch.silence(incident.id, timedelta(hours=1), "ana", "known", room.now)
    room.go(70, Outcome.PASSED)
    room.go(70, Outcome.HALTED)
    [again] = room.store.incidents(is_open=True)
    assert again.id != incident.id
    assert again.held_by is not None
    assert again.held_by == "silenced by ana until 2026-01-01 04:00:02 UTC: known"
    assert room.actions == [Action.TRIGGER, Action.RESOLVE]


def test_a_test_page_goes_the_whole_way(room: Room) -> None:
    incident = room.watch.test("ana", room.now)
    room.outbox.beat(room.now)
    room.outbox.beat(room.now)
    assert room.actions == [Action.TRIGGER, Action.RESOLVE]
    assert room.sender.events[0].severity == "info"
    said = [moment.text for moment in room.store.timeline(incident.id) if moment.what is Happened.DELIVERED]
    assert said == ["trigger", "resolve"]


def test_an_order_to_a_gate_is_told_as_a_change_once_also_after_a_restart(room: Room) -> None:
    order = GateOrdered(stream="shop", stage=Stage.LAKE, order=Order.DIVERT, at=NOW - timedelta(minutes=5), by="ana")
    old = order.model_copy(update={"at": NOW - timedelta(hours=2)})
    room.source.given = [old, order]
    room.go(3, Outcome.PASSED)
    room.store.close()
    room.start()
    room.go(3, Outcome.PASSED)
    assert [(event.action, event.summary) for event in room.sender.events] == [
        (Action.CHANGE, "shop/lake told to quarantine what it holds, by ana")
    ]


def test_a_transaction_that_fails_leaves_nothing(room: Room) -> None:
    room.verdict(Outcome.HALTED)
    broken = room.watch._writer.trigger

    def fails(_: object) -> Event:
        raise OSError("disk full")

    room.watch._writer = type("Broken", (), {"trigger": staticmethod(fails)})()
    with pytest.raises(OSError, match="disk full"):
        room.watch.beat()
    assert not room.store.incidents(is_open=True), "no incident without its page"
    room.watch._writer = type("Mended", (), {"trigger": staticmethod(broken)})()
    room.go(1, Outcome.HALTED)
    assert room.actions == [Action.TRIGGER]


def test_the_store_may_be_asked_from_several_threads(room: Room) -> None:
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                room.store.incidents(is_open=True)
                room.store.version()
        except BaseException as error:  # noqa: BLE001 (told below)
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    room.go(20, Outcome.HALTED)
    for thread in threads:
        thread.join()
    assert not failed


def test_what_was_counted_of_the_promises_outlives_the_process(tmp_path: Path) -> None:
    shop = {"shop": load_stream(SHIPPED_STREAMS / "shop")}
    room = Room(tmp_path)

    def watch() -> Watch:
        return Watch(room.source, room.store, Writer("http://c", "m"), shop, timedelta(seconds=60), pages=True)

    counts = {Hop.VALID: 0, Hop.QUARANTINE: 0, Hop.DEAD: 0}

    def go(watching: Watch, seconds: int, hop: Hop) -> None:
        for _ in range(seconds):
            counts[hop] += 10
            hops = (HopMeasured(at=room.now, stream="shop", hop=each, events=count) for each, count in counts.items())
            room.source.facts = tuple(hops)
            watching.beat()
            room.now += timedelta(seconds=1)

    go(watch(), 55, Hop.QUARANTINE)
    go(watch(), 25, Hop.VALID)
    assert ("validity", "shop") in room.store.standing().incidents, "800 events in all, of which 550 were turned away"
    room.store.close()


def test_a_damaged_file_is_set_aside_and_what_is_wrong_is_found_again(tmp_path: Path) -> None:
    (tmp_path / "incidents.sqlite").write_bytes(b"no database" * 1000)
    room = Room(tmp_path)
    room.go(2, Outcome.HALTED)
    assert room.actions == [Action.TRIGGER]
    assert (tmp_path / "incidents.sqlite.damaged").exists()
    room.store.close()
