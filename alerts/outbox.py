"""How does every event get to PagerDuty, in order, although it may not answer, and this process may die?

What is to be sent is written with what it tells of (`store.py`), and marked `sending` before it is sent and `sent` after it
was taken. A crash in between leaves `sending`: it is not known whether the event arrived, so the same event is sent again.
PagerDuty makes nothing new of a trigger whose incident is open, nor of a resolve whose incident is gone, so one incident
comes of it, with two log entries at worst. Events of one incident go in their order: its resolve waits until its trigger was
taken or refused. A trigger that could not be sent until its incident was resolved is sent all the same, and its resolve
right after it: who looks at PagerDuty later finds everything there. What is refused is shown, and not tried again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alerts.incidents import Happened, Moment
from alerts.sender import Action, Answer, Came, Event
from alerts.store import since_epoch
from controlplane.contract.metrics.meter import METER

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.sender import PageSender
    from alerts.store import Store

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(seconds=60)
_LATE_AFTER = timedelta(seconds=15)
_COLUMNS = "number, key, incident, body, state, attempts, next_at, made_at, ended_at, said"


@dataclass(frozen=True)
class Delivery:
    """An event in the outbox."""

    number: int
    incident: str | None
    event: Event
    state: str
    """`waiting`, `sending`, `sent` or `refused`."""
    attempts: int
    next_at: datetime
    made_at: datetime
    ended_at: datetime | None
    said: str
    """By PagerDuty, at the last attempt that failed."""


@dataclass(frozen=True)
class Deliveries:
    """How sending stands."""

    waiting: int
    refused: int
    reason: str | None
    """Why events wait; None while none has waited for long."""


def wait_before(attempts: int, asked_for: timedelta | None, jitter: float) -> timedelta:
    """How long to wait after so many attempts have failed: doubled each time, and not sooner than asked for.

    Args:
        attempts: at least 1.
        asked_for: `Retry-After`.
        jitter: 0 to 1; the wait is stretched by up to a half, so that many senders do not come back at once.
    """
    doubled = FIRST_WAIT * (1 << min(attempts - 1, 20))
    return max(min(doubled, LONGEST_WAIT) * (1 + jitter / 2), asked_for or timedelta(0))


class Outbox:
    """Sends what waits; for one thread.

    Args:
        store: where events are.
        sender: who takes them; None when nobody is to be told.
        jitter: 0 to 1, see `wait_before`.
    """

    def __init__(self, store: Store, sender: PageSender | None, jitter: Callable[[], float] = random.random) -> None:
        self._store, self._sender, self._jitter = store, sender, jitter
        self._held_until: datetime | None = None

    def beat(self, now: datetime) -> int:
        """Send what is due, each event once; says how many were tried."""
        if self._sender is None or (self._held_until is not None and now < self._held_until):
            return 0
        tried = 0
        for delivery in self._due(now):
            self._mark(delivery, "sending", now)
            answer = self._sender.send(delivery.event)
            METER.add("tidegate_outbox_events_total", answer.came)
            self._ended(delivery, answer, now)
            tried += 1
            if answer.came is Came.LATER and answer.holds_all:
                break
        return tried

    def standing(self, now: datetime) -> Deliveries:
        """How many wait, how many were refused in the last day, and why they wait."""
        with self._store.transaction() as database:
            waiting, first, said = database.execute(
                "SELECT COUNT(*), MIN(made_at), MAX(said) FROM outbox WHERE state IN ('waiting', 'sending')"
            ).fetchone()
            since = (now - timedelta(days=1)).timestamp()
            wanted = "SELECT COUNT(*) FROM outbox WHERE state = 'refused' AND ended_at > ?"
            (refused,) = database.execute(wanted, (since,)).fetchone()
        reason = None
        if first is not None and now.timestamp() - first > _LATE_AFTER.total_seconds():
            reason = said or "nothing has been tried yet"
        return Deliveries(waiting, refused, reason)

    def deliveries(self, incident: str | None = None, limit: int = 100) -> list[Delivery]:
        """Of an incident, or of all, the newest first."""
        where = "" if incident is None else "WHERE incident = ?"
        wanted = f"SELECT {_COLUMNS} FROM outbox {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 (literals)
        with self._store.transaction() as database:
            found = database.execute(wanted, (*(() if incident is None else (incident,)), limit)).fetchall()
        return [_delivery(row) for row in found]

    def _due(self, now: datetime) -> list[Delivery]:
        """Of each key the first that is not done, if its time has come; changes after all pages."""
        wanted = f"""
            SELECT {_COLUMNS} FROM outbox WHERE state IN ('waiting', 'sending') AND next_at <= ? AND number IN
            (SELECT MIN(number) FROM outbox WHERE state IN ('waiting', 'sending') GROUP BY key) ORDER BY number
        """  # noqa: S608 (literals)
        with self._store.transaction() as database:
            found = [_delivery(row) for row in database.execute(wanted, (now.timestamp(),)).fetchall()]
        return sorted(found, key=lambda each: (each.event.action is Action.CHANGE, each.number))

    def _mark(
        self, delivery: Delivery, state: str, now: datetime, said: str = "", wait: timedelta | None = None
    ) -> None:
        is_done = state in ("sent", "refused")
        next_at = (now + (wait or timedelta(0))).timestamp()
        row = (state, next_at, now.timestamp() if is_done else None, said, state == "sending", delivery.number)
        with self._store.transaction() as database:
            database.execute(
                "UPDATE outbox SET state = ?, next_at = ?, ended_at = ?, said = ?, attempts = attempts + ? WHERE number = ?",
                row,
            )
            if state != "sending":
                database.execute("UPDATE version SET number = number + 1")

    def _ended(self, delivery: Delivery, answer: Answer, now: datetime) -> None:
        with self._store.transaction():
            if answer.came is Came.LATER:
                wait = wait_before(delivery.attempts + 1, answer.after, self._jitter())
                self._mark(delivery, "waiting", now, answer.said, wait)
                self._held_until = now + wait if answer.holds_all else None
                if delivery.attempts == 0:
                    self._tell(delivery, Happened.UNDELIVERED, now, answer.said)
                return
            self._held_until = None
            self._mark(delivery, str(answer.came), now, answer.said)
            is_sent = answer.came is Came.SENT
            tries = "" if delivery.attempts == 0 else f", at attempt {delivery.attempts + 1}"
            text = tries if is_sent else f": {answer.said}"
            self._tell(delivery, Happened.DELIVERED if is_sent else Happened.REFUSED, now, text)

    def _tell(self, delivery: Delivery, what: Happened, now: datetime, text: str) -> None:
        if delivery.incident is not None:
            said = f"{delivery.event.action}{'' if text.startswith((',', ':')) or not text else ': '}{text}"
            self._store.tell(Moment(incident=delivery.incident, at=now, what=what, text=said))


def _delivery(row: tuple[int, str, str | None, str, str, int, float, float, float | None, str]) -> Delivery:
    number, _, incident, body, state, attempts, next_at, made_at, ended_at, said = row
    event = Event.model_validate_json(body)
    next_moment, made = since_epoch(next_at), since_epoch(made_at)
    assert next_moment is not None and made is not None  # noqa: S101, PT018 (columns that are never null)
    return Delivery(number, incident, event, state, attempts, next_moment, made, since_epoch(ended_at), said)
